//! `sweep plan`: what a sweep would run.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use super::arguments::{SweepFile, typed};
use super::facts;
use super::output::{self, Format};
use crate::plan::{settings, table};
use crate::spec;

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
}

const EXAMPLES: &str = "\
Examples:
  sweep plan sweeps/unfreeze.yaml
  sweep plan sweeps/unfreeze.yaml learning_rate=1e-5,3e-5 seeds=0,1,2
  sweep plan sweeps/as_original.yaml --verbose          what the original recipe sets, and why not
  sweep plan sweeps/unfreeze.yaml --format json";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let spec = spec::load(&args.file.spec, &args.file.overrides)?;
    let plan = args.file.expand(&spec)?;
    let facts = facts::gather(&plan.runs);
    match args.format {
        Format::Text => {
            let mut text = table::draw(&plan, &facts);
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
            output::print_json(&table::PlanView { settings, ..table::view(&plan, &facts) })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
