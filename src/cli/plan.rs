//! `sweep plan`: what a sweep would run.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::{SweepFile, expanded, typed};
use super::facts;
use super::output::{self, Format};
use super::speed;
use crate::plan::rungs::{self, Compared};
use crate::plan::{Plan, difference, settings, table};
use crate::spec::{self, EarlyTerminate, SweepSpec};

/// Show what a sweep would run: its runs, the duplicates merged, what they train.
///
/// Every run is shown with its id and the settings that vary; with --verbose also what every setting is and who
/// decided it. Warns where captions would be generated otherwise than they are trained. Reads the sweep file and the
/// captions, neither images nor weights, and writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    file: SweepFile,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show every setting: its value, whether recipe, file or command line set it, and what the other recipe has and
    /// why
    #[arg(long, short)]
    verbose: bool,
    /// Show what differs between the plan of this sweep file, as it is written, and that of SPEC: runs that only one of
    /// them has, how many both have, and the settings that are not the same
    #[arg(long, value_name = "FILE", conflicts_with = "verbose")]
    diff: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sweep plan sweeps/unfreeze.yaml
  sweep plan sweeps/unfreeze.yaml learning_rate=1e-5,3e-5 seeds=0,1,2
  sweep plan sweeps/as_original.yaml --verbose          what the original recipe sets, and why not
  sweep plan --diff sweeps/unfreeze.yaml my_unfreeze.yaml
  sweep plan --diff sweeps/unfreeze.yaml sweeps/unfreeze.yaml seeds=0,1,2    what the override adds
  sweep plan sweeps/unfreeze.yaml --format json";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let spec = spec::load(&args.file.spec, &args.file.overrides)?;
    let plan = args.file.expand(&spec)?;
    if let Some(other) = &args.diff {
        return tell_apart(other, (&spec, &plan), &args);
    }
    let facts = facts::gather(&plan.runs);
    match args.format {
        Format::Text => {
            let mut text = table::draw(&plan, &facts);
            text += &speed::in_words(&plan.runs, &facts)?;
            text += &early_terminate(&spec, &plan);
            text += &search(&spec);
            if args.verbose {
                text = format!("{text}\n{}", settings::draw(&spec));
            }
            output::print(&text)?;
            // For people; whoever reads the table from a pipe knows what to do next.
            if io::stdout().is_terminal() {
                output::tell(&format!(
                    "next: sweep audit {} says what stands in the way of these runs, before any training",
                    typed(&args.file.spec)
                ));
            }
        }
        Format::Json => {
            let settings = args.verbose.then(|| settings::view(&spec));
            let to_come = spec.search.as_ref().map(|search| search.points - spec.points.len());
            output::print_json(&table::PlanView { settings, to_come, ..table::view(&plan, &facts) })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what differs between the plan of another file and this one.
fn tell_apart(other: &Path, (spec, plan): (&SweepSpec, &Plan), args: &Args) -> anyhow::Result<ExitCode> {
    let other_spec = spec::load(other, &[])?;
    let other_plan = expanded(&other_spec, other)?;
    let difference = difference::of([(&other_spec, &other_plan), (spec, plan)]);
    match args.format {
        Format::Text => {
            let overrides: String = args.file.overrides.iter().map(|text| format!(" {text}")).collect();
            let names = [other.display().to_string(), format!("{}{overrides}", args.file.spec.display())];
            output::print(&difference::draw(&difference, names.each_ref().map(String::as_str)))?;
        }
        Format::Json => output::print_json(&difference)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not known before there are results.
fn search(spec: &SweepSpec) -> String {
    let Some(search) = &spec.search else { return String::new() };
    let (first, all) = (spec.points.len(), search.points);
    if all == first {
        return format!(
            "bayes: all {all} points are drawn; a larger `run_cap` than `startup` learns from them\n"
        );
    }
    format!(
        "bayes: these {first} points are drawn; the other {} follow from what they come to, {} at a time\n",
        all - first,
        search.rounds.round
    )
}

/// When runs would be stopped in favour of better ones.
fn early_terminate(spec: &SweepSpec, plan: &Plan) -> String {
    let longest = rungs::longest(&plan.runs);
    let in_words = |rule: EarlyTerminate| {
        let (compared, rungs) = (Compared::of(&rule, spec, &plan.runs), rule.rungs(longest));
        let by = if rungs.is_empty() { String::new() } else { format!(", {}", compared.in_words(&rungs)) };
        format!("early_terminate: {}{by}\n", rule.in_words(longest))
    };
    spec.early_terminate.map(in_words).unwrap_or_default()
}
