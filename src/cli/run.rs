//! `sweep run`: runs what is missing of a sweep.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::arguments::{
    CHECKPOINT_EVERY, CacheFlags, DeviceList, SweepFile, device, devices, interval, positive, quoted, time,
    typed,
};
use super::exit::BadInput;
use super::facts;
use super::table::{Align, Table, number};
use super::{Command, CommandLine, auditing, conventions, exit, output, queued};
use crate::analysis::audit::{add_nearest, range_of};
use crate::plan::consistency;
use crate::plan::rungs::Compared;
use crate::record::audit::Audit;
use crate::record::invocation::Invocation;
use crate::record::recipe::MetricName;
use crate::record::{RunRecord, RunSpec, Store, SweepDir};
use crate::run::leaderboard::leaderboard;
use crate::run::policy::{Halt, Policy, Retry, Standing};
use crate::run::progress::Progress;
use crate::run::rounds::Contest;
use crate::run::search::Search;
use crate::run::share::Wish;
use crate::run::{Options, Outcome, cache, execute, progress};
use crate::spec::{self, OnFailure, SweepSpec};

/// Run what is missing of a sweep; again to resume, Ctrl-C is safe.
///
/// Every run is a process of its own and records what it does as it goes. Run the same command again and it
/// does what is missing: complete runs are left alone, interrupted ones go on from their last checkpoint,
/// failed ones are tried again after all others. Ctrl-C and SIGTERM let the runs save a checkpoint; a second
/// one ends them at once.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    file: SweepFile,
    /// Folder of the results
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Runs at a time [default: by cores, memory and size of the model]
    #[arg(long, short, value_name = "N", value_parser = positive)]
    jobs: Option<usize>,
    /// Threads of each run [default: the cores shared out among the runs at work]
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// Where to compute: auto, cpu, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device)]
    device: String,
    /// Several devices, one run on each at a time: cuda:0,cuda:1, or cpux4 for four runs that share the cores
    #[arg(long, value_name = "DEVICES", value_parser = devices, conflicts_with_all = ["device", "jobs"])]
    devices: Option<DeviceList>,
    /// How much of a run's work may be lost if it is cut off, such as 30s; changes no result
    #[arg(long, value_name = "TIME", default_value = CHECKPOINT_EVERY, value_parser = interval)]
    checkpoint_every: Duration,
    #[command(flatten)]
    cache: CacheFlags,
    /// Start without trying one step of the heaviest run and without estimating memory and disk
    #[arg(long)]
    no_preflight: bool,
    /// After this time, such as 90m or 2h, let the runs save a checkpoint and stop, as Ctrl-C does. One that does not
    /// answer is killed after as long again, at least 10 s and at most 5 min
    #[arg(long, value_name = "TIME", value_parser = time)]
    time_budget: Option<Duration>,
    /// Stop an attempt at a run that takes longer than this; it saves a checkpoint and ends as timed out, the others
    /// go on. One that does not answer is killed after as long again, at least 10 s and at most 5 min
    #[arg(long, value_name = "TIME", value_parser = time)]
    run_timeout: Option<Duration>,
    /// Of the runs that began before and have no result, do only those that `failed` (or ran out of memory or
    /// time), only those that were `interrupted` (or cut off), or `all`, diverged ones too. Runs that never
    /// began are always done [default: failed and interrupted ones]
    #[arg(long, value_name = "WHICH", value_parser = retry(), hide_possible_values = true)]
    retry: Option<Retry>,
    /// When a run fails: `continue` with the others, or `stop`: start no other, let those at work end
    /// [default: continue, or `on_failure` of the sweep file]
    #[arg(long, value_name = "WHAT", value_parser = on_failure(), hide_possible_values = true)]
    on_failure: Option<OnFailure>,
    /// Start no other run once so many in a row have failed (diverged ones do not count); 0 is never
    /// [default: 3, or `max_consecutive_failures` of the sweep file]
    #[arg(long, value_name = "N")]
    max_consecutive_failures: Option<usize>,
}

pub(super) fn retry() -> impl TypedValueParser<Value = Retry> {
    PossibleValuesParser::new(Retry::WORDS)
        .try_map(|word| Retry::named(&word).ok_or("not one of the possible values"))
}

fn on_failure() -> impl TypedValueParser<Value = OnFailure> {
    PossibleValuesParser::new(OnFailure::WORDS)
        .try_map(|word| OnFailure::named(&word).ok_or("not one of the possible values"))
}

impl Args {
    /// What these words say, typed behind `sweep`.
    pub(super) fn typed(words: Vec<String>) -> Result<Self, BadInput> {
        match CommandLine::try_parse_from(words).map(|line| line.command) {
            Ok(Command::Run(args)) => Ok(args),
            Ok(_) => Err(BadInput("this is not `sweep run`".to_owned())),
            Err(error) => Err(BadInput(error.to_string())),
        }
    }

    /// What the flags say counts before what the sweep file says.
    fn policy(&self, spec: &SweepSpec) -> Policy {
        let default = Policy::default();
        let failures = self.max_consecutive_failures.or(spec.max_consecutive_failures);
        Policy {
            retry: self.retry,
            on_failure: self.on_failure.or(spec.on_failure).unwrap_or(default.on_failure),
            max_consecutive_failures: failures.unwrap_or(default.max_consecutive_failures),
            time_budget: self.time_budget,
            run_timeout: self.run_timeout,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  sweep run sweeps/unfreeze.yaml
  sweep run sweeps/unfreeze.yaml learning_rate=1e-4,3e-4 epochs=5 --jobs 2
  sweep run sweeps/unfreeze.yaml --runs /data/runs --device cuda:0
  sweep run sweeps/unfreeze.yaml --devices cuda:0,cuda:1
  sweep run sweeps/unfreeze.yaml --time-budget 8h --retry interrupted

Environment: SWEEP_LEASE=heartbeat keeps two `sweep run` off the same sweep by a file that is written
anew every 15 s, besides by locks: for folders that several machines share and whose locks hold on each
machine alone. It must be set on all of them. Where there are no locks it is done without asking.

Exit codes: 0 every run has its result, 3 some failed or diverged (also when failures stopped the
sweep), 130 some are unfinished: interrupted, out of the time budget, left out by --retry, or at
work elsewhere.";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut file = spec::read(&args.file.spec)?;
    let spec = spec::parse_bytes(file.clone(), &args.file.spec, &args.file.overrides)?;
    // A sweep is as much in the files that its own builds on.
    for base in &spec.bases {
        file.extend(spec::read(base)?);
    }
    let devices = args.devices.clone().unwrap_or_default();
    let named = if devices.0.is_empty() { args.device.clone() } else { devices.0.join(",") };
    let invocation = Invocation::now(typed_command(), named, &file);
    let plan = args.file.expand(&spec)?;
    let elsewhere = queued::beside(&Store::new(&args.runs).sweep(&spec.name), &plan.runs)?;
    let options = Options {
        runs: args.runs.clone(),
        wish: Wish {
            jobs: args.jobs.or(args.devices.as_ref().map(|_| devices.0.len())),
            threads: args.threads,
        },
        device: args.device.clone(),
        devices: devices.0,
        preflight: !args.no_preflight,
        policy: args.policy(&spec),
        contest: spec
            .early_terminate
            .map(|rule| Contest { rule, compared: Compared::of(&rule, &spec, &plan.runs) }),
        search: Search::of(&spec)?,
        checkpoint_every: args.checkpoint_every,
        cache: args.cache.chosen(&args.runs),
        elsewhere,
        invocation,
    };
    let warnings = consistency::warnings(&plan.runs, &facts::gather(&plan.runs));
    consistency::in_words(&warnings, &plan.runs).iter().for_each(|warning| output::tell(warning));
    let outcome = {
        let mut progress = progress::for_standard_error();
        let mut is_told = false;
        let mut ready = |sweep: &SweepDir, plan: &[RunSpec], progress: &mut dyn Progress| {
            audit(sweep, plan, &args.runs, !std::mem::replace(&mut is_told, true), progress);
        };
        execute(&spec.name, &plan.runs, &options, progress.as_mut(), &mut ready)?
    };
    let mut audit = Store::new(&args.runs).sweep(&spec.name).read_audit().ok().flatten();
    if let Some(audit) = &mut audit {
        add_nearest(audit, &outcome.records);
    }
    output::print(&results(&outcome, spec.metric, audit.as_ref()))?;
    for record in outcome.records.iter().filter(|record| has_no_best_epoch(record)) {
        output::tell(&format!(
            "note: run {}: {}",
            record.spec.id,
            record.reason.as_deref().unwrap_or_default()
        ));
    }
    if !outcome.failures.is_empty() {
        output::tell(&failures(&outcome));
    }
    if let Some(words) = cache::saved(&outcome.records) {
        output::tell(&words);
    }
    let (code, words) = verdict(&outcome, &args);
    output::tell(&words);
    Ok(ExitCode::from(code))
}

/// The exit code, and what to do next.
fn verdict(outcome: &Outcome, args: &Args) -> (u8, String) {
    let report = format!("next: sweep report {}", typed(&args.runs));
    let elsewhere = match outcome.elsewhere.len() {
        0 => String::new(),
        _ => {
            format!("\nhint: `sweep status {}` shows how far those at work elsewhere are", typed(&args.runs))
        }
    };
    let go_on = |why: &str| {
        format!("{why}: {}\ngo on with: {}{elsewhere}", standing(outcome), same_command(outcome, args))
    };
    match outcome.halt {
        Some(Halt::Interrupted) => (exit::INTERRUPTED, go_on("interrupted")),
        Some(Halt::BudgetSpent) => {
            let budget = args.time_budget.map(progress::duration).unwrap_or_default();
            (exit::INTERRUPTED, go_on(&format!("the time budget of {budget} is spent")))
        }
        Some(Halt::Failures) => (exit::SOME_RUNS_FAILED, go_on("stopped after failures")),
        None if !outcome.failures.is_empty() => (exit::SOME_RUNS_FAILED, report),
        None if outcome.unfinished() > 0 => (exit::INTERRUPTED, go_on("some runs are unfinished")),
        None => (exit::ALL_IS_WELL, report),
    }
}

/// `5 of 12 runs are done, 1 at work elsewhere, 2 interrupted, 1 failed, 3 waiting`.
fn standing(outcome: &Outcome) -> String {
    let done = format!("{} of {} runs are done", outcome.count(Standing::Complete), outcome.records.len());
    let others = [
        (Standing::Interrupted, "interrupted"),
        (Standing::Failed, "failed"),
        (Standing::Diverged, "diverged"),
        (Standing::New, "waiting"),
    ];
    let elsewhere = (outcome.elsewhere.len(), "at work elsewhere");
    let counts = others.map(|(standing, name)| (outcome.count(standing), name));
    let counts = [elsewhere].into_iter().chain(counts);
    let counts = counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!(", {count} {name}"));
    done + &counts.collect::<String>()
}

/// Keeps what the recipe makes unreachable for the report, and says it where that was not said before. A sweep that
/// cannot be audited runs all the same.
pub(super) fn audit(
    sweep: &SweepDir,
    plan: &[RunSpec],
    runs: &Path,
    is_new: bool,
    progress: &mut dyn Progress,
) {
    let written = auditing::of_plan(plan, runs, None).and_then(|audit| {
        let text = auditing::in_short(&audit, plan);
        if is_new && !text.is_empty() {
            progress.note(&text);
        }
        Ok(sweep.write_audit(&audit)?)
    });
    if let Err(error) = written {
        progress.note(&format!("warning: no audit: {error:#}"));
    }
}

/// A run that is complete although no epoch of it was good enough to be the best.
fn has_no_best_epoch(record: &RunRecord) -> bool {
    record.spec.recipe.kind.trains()
        && record.status.is_some_and(|status| status.is_complete())
        && record.summary.as_ref().is_some_and(|summary| summary.best.is_none())
}

/// The leaderboard.
fn results(outcome: &Outcome, metric: MetricName, audit: Option<&Audit>) -> String {
    let rows = leaderboard(&outcome.records, metric);
    if rows.is_empty() {
        return "no run is complete\n".to_owned();
    }
    let metric_column = match metric {
        MetricName::Score => "score",
        MetricName::Meteor => "val METEOR",
        MetricName::RougeL => "val ROUGE-L",
        MetricName::CiderD => "val CIDEr-D",
        MetricName::ValLoss => "val loss",
        MetricName::ValNll => "val NLL",
    };
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("what", Align::Left),
        ("best epoch", Align::Right),
        (metric_column, Align::Right),
        ("place", Align::Right),
        ("test METEOR", Align::Right),
        ("ROUGE-L", Align::Right),
        ("CIDEr-D", Align::Right),
    ]);
    for row in rows {
        let place = place(outcome, metric, audit, &row.id, row.metric);
        table.row([
            row.id,
            row.label + if row.is_stopped { " (stopped)" } else { "" },
            row.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            number(row.metric, 4),
            auditing::place_in_words(place),
            number(row.meteor, 3),
            number(row.rouge_l, 3),
            number(row.cider_d, 3),
        ]);
    }
    let scored_by = outcome.records.iter().map(|record| record.spec.recipe.evaluation.convention);
    let place = if audit.is_some() { auditing::PLACE } else { "" };
    format!("{table}{}\n{place}", conventions::in_words(scored_by))
}

/// Where a run's value on validation lies between what needs no picture and the best within the limits on captions.
fn place(
    outcome: &Outcome,
    metric: MetricName,
    audit: Option<&Audit>,
    id: &str,
    value: Option<f64>,
) -> Option<f64> {
    let run = outcome.records.iter().find(|record| record.spec.id == id)?;
    range_of(audit?, &run.spec, "validation")?.metrics.get(metric.name())?.place(value?)
}

/// A table of the runs that failed, and the end of what each had to say.
fn failures(outcome: &Outcome) -> String {
    let count = outcome.failures.len();
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("what", Align::Left),
        ("status", Align::Left),
        ("why", Align::Left),
    ]);
    let mut logs = String::new();
    for failure in &outcome.failures {
        let reason = failure.reason.lines().next().unwrap_or_default().to_owned();
        table.row([failure.id.clone(), failure.label.clone(), failure.status.name().to_owned(), reason]);
        if !failure.last_lines.is_empty() {
            logs.push_str(&format!("\n{}:\n", failure.log.display()));
            logs.extend(failure.last_lines.iter().map(|line| format!("  {line}\n")));
        }
    }
    let runs = if count == 1 { "run" } else { "runs" };
    format!("\n{count} {runs} failed\n{table}{logs}")
}

/// What was typed, for the sweep's record.
pub(super) fn typed_command() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(&argument.to_string_lossy()));
    std::iter::once("sweep".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// What to type to go on.
fn same_command(outcome: &Outcome, args: &Args) -> String {
    let mut words = vec!["sweep run".to_owned(), typed(&args.file.spec)];
    words.extend(args.file.overrides.iter().map(|text| quoted(text)));
    if args.runs.as_os_str() != "runs" {
        words.extend(["--runs".to_owned(), typed(&args.runs)]);
    }
    words.extend(args.jobs.map(|jobs| format!("--jobs {jobs}")));
    words.extend(args.threads.map(|threads| format!("--threads {threads}")));
    if interval(CHECKPOINT_EVERY) != Ok(args.checkpoint_every) {
        words.push(format!(
            "--checkpoint-every {}",
            quoted(&humantime::format_duration(args.checkpoint_every).to_string())
        ));
    }
    if args.device != "auto" {
        words.push(format!("--device {}", args.device));
    }
    words.extend(args.devices.as_ref().map(|devices| format!("--devices {}", devices.0.join(","))));
    words.extend(args.cache.cache_dir.as_ref().map(|folder| format!("--cache-dir {}", typed(folder))));
    words.extend(args.cache.cache_size.map(|bytes| format!("--cache-size {bytes}")));
    words.extend(args.cache.no_cache.then(|| "--no-cache".to_owned()));
    words.extend(args.no_preflight.then(|| "--no-preflight".to_owned()));
    let times = [("--time-budget", args.time_budget), ("--run-timeout", args.run_timeout)];
    words.extend(times.into_iter().filter_map(|(flag, time)| {
        Some(format!("{flag} {}", quoted(&humantime::format_duration(time?).to_string().replace(' ', ""))))
    }));
    words.extend(args.on_failure.map(|what| format!("--on-failure {}", what.name())));
    words.extend(args.max_consecutive_failures.map(|count| format!("--max-consecutive-failures {count}")));
    // A choice that left runs out has had its turn.
    let left_out = outcome.halt.is_none();
    words.extend(args.retry.filter(|_| !left_out).map(|retry| format!("--retry {}", retry.name())));
    words.join(" ")
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
