//! `sweep status`: how every run stands.

mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value};

use super::exit::{self, BadInput};
use super::output::{self, Format};
use super::queued;
use crate::analysis::audit::{add_nearest, range_of};
use crate::cluster::scheduler::Task;
use crate::record::audit::Audit;
use crate::record::event::is_pause;
use crate::record::recipe::{Convention, Kind};
use crate::record::{RunRecord, Status, Store, SweepDir};
use crate::run::label::{has_several_seeds, label};
use crate::run::lease;
use crate::score::meteor_variant;

/// Show what is done, running, failed, interrupted and waiting.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of the results, or that of one sweep
    #[arg(value_name = "RUNS", default_value = "runs")]
    runs: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sweep status
  sweep status runs/unfreeze --format json";

/// A sweep and how its runs stand.
#[derive(Debug, Serialize)]
struct SweepStatus {
    sweep: String,
    folder: PathBuf,
    /// Of a search, how many points are decided and how many there are to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchStatus>,
    runs: Vec<RunStatus>,
    /// It was handed to a cluster.
    #[serde(skip)]
    is_submitted: bool,
}

#[derive(Debug, Serialize)]
struct SearchStatus {
    decided: usize,
    of: usize,
}

#[derive(Debug, Serialize)]
struct RunStatus {
    id: String,
    kind: Kind,
    /// The settings that vary.
    point: Map<String, Value>,
    seed: u64,
    state: State,
    /// How it ended, as its log has it.
    status: Option<Status>,
    reason: Option<String>,
    attempts: u64,
    /// Epochs done and planned.
    epochs: usize,
    planned_epochs: usize,
    /// Steps of the epoch in progress, as far as recorded, and steps an epoch has; absent between epochs.
    step: Option<usize>,
    steps_per_epoch: Option<usize>,
    /// Of the last epoch.
    score: Option<f64>,
    /// Where that lies between captions that look at no picture (0) and the best within the limits on captions (1).
    place: Option<f64>,
    /// What the score was made by.
    convention: Convention,
    meteor_variant: &'static str,
    /// Time of the last event, and how long ago that was.
    last_seen: Option<String>,
    age_seconds: Option<u64>,
    /// What its process printed, where it has begun.
    log: Option<PathBuf>,
    /// The task of a cluster's scheduler that has the run, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<Task>,
    /// For people.
    #[serde(skip)]
    label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Done,
    Running,
    /// It waits in a cluster's queue.
    Queued,
    Failed,
    Interrupted,
    /// It waits for the sweep to compare it with others.
    Paused,
    Waiting,
}

impl State {
    /// A log without an end is that of a run at work, or of one that was cut off.
    fn of(record: &RunRecord, is_held: bool) -> Self {
        match record.status {
            _ if is_held => Self::Running,
            Some(status) if status.is_complete() => Self::Done,
            status if is_pause(status, record.reason.as_deref()) => Self::Paused,
            Some(Status::Interrupted) => Self::Interrupted,
            Some(_) => Self::Failed,
            None if record.attempts > 0 => Self::Interrupted,
            None => Self::Waiting,
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sweeps = Store::new(&args.runs).sweeps()?;
    if sweeps.is_empty() {
        let folder = args.runs.display();
        return Err(BadInput(format!("{folder}: holds no sweep\nhint: `sweep run SPEC` makes one")).into());
    }
    // A sweep that is damaged is no reason to say nothing of the others.
    let now = SystemTime::now();
    let (seen, damaged): (Vec<_>, Vec<_>) =
        sweeps.iter().map(|sweep| look_at(sweep, now)).partition(Result::is_ok);
    let sweeps: Vec<SweepStatus> = seen.into_iter().flatten().collect();
    let damaged: Vec<anyhow::Error> = damaged.into_iter().filter_map(Result::err).collect();
    match args.format {
        Format::Json => output::print_json(&sweeps)?,
        Format::Text if sweeps.is_empty() => {}
        Format::Text => {
            let texts: Vec<String> = sweeps.iter().map(words::in_text).collect();
            output::print(&texts.join("\n"))?;
        }
    }
    Ok(damaged.iter().fold(ExitCode::SUCCESS, |_, error| exit::report(error)))
}

fn look_at(sweep: &SweepDir, now: SystemTime) -> anyhow::Result<SweepStatus> {
    let specs = sweep.read_plan()?;
    // Most runs are done, and say in their last line what is asked here. A log that cannot be read says nothing.
    let standings = sweep.read_standings(&specs).into_iter().zip(&specs);
    let records: Vec<RunRecord> =
        standings.map(|(record, spec)| record.unwrap_or_else(|_| RunRecord::planned(spec.clone()))).collect();
    let with_seed = has_several_seeds(&specs);
    let mut audit = sweep.read_audit().unwrap_or_default();
    if let Some(audit) = &mut audit {
        add_nearest(audit, records.iter());
    }
    let runs = records.into_iter().map(|record| {
        let directory = sweep.run(&record.spec.id);
        let is_held = lease::is_held(&directory.path);
        let label = label(&record.spec, with_seed);
        RunStatus {
            log: Some(directory.log()).filter(|log| log.is_file()),
            ..status_of(record, is_held, label, audit.as_ref(), now)
        }
    });
    let mut runs: Vec<RunStatus> = runs.collect();
    let states: Vec<State> = runs.iter().map(|run| run.state).collect();
    let (mut known, notes) = queued::look(sweep, &specs, &states);
    queued::warn_of_lines(sweep);
    notes.iter().for_each(|note| output::tell(note));
    for (position, run) in runs.iter_mut().enumerate() {
        let Some(task) = known.tasks.remove(&position) else { continue };
        run.state = queued::with_task(run.state, Some(&task));
        run.reason = run.reason.take().or_else(|| queued::reason(run.state, &task));
        // Of a task that ended before its run began there is only the task's own log.
        run.log = run.log.take().or_else(|| queued::log(sweep, &task));
        run.scheduler = Some(task).filter(|_| run.state != State::Done);
    }
    let search = sweep
        .read_chosen()
        .0
        .last()
        .map(|last| SearchStatus { decided: last.after + last.points.len(), of: last.of });
    let is_submitted = queued::is_submitted(sweep);
    Ok(SweepStatus { sweep: sweep.name(), folder: sweep.path.clone(), search, runs, is_submitted })
}

fn status_of(
    record: RunRecord,
    is_held: bool,
    label: String,
    audit: Option<&Audit>,
    now: SystemTime,
) -> RunStatus {
    let (step, steps_per_epoch) = step_within_epoch(&record).unzip();
    let state = State::of(&record, is_held);
    let summary = record.summary.as_ref();
    let last = record.curve.last().or_else(|| summary.and_then(|summary| summary.last.as_ref()));
    let score = last.and_then(|evaluated| evaluated.score);
    let range = audit.and_then(|audit| range_of(audit, &record.spec, "validation"));
    RunStatus {
        state,
        epochs: last.map_or(0, |evaluated| evaluated.epoch),
        score,
        place: range.and_then(|range| range.metrics.get("score")?.place(score?)),
        convention: record.spec.recipe.evaluation.convention,
        meteor_variant: meteor_variant(),
        status: record.status,
        attempts: record.attempts,
        planned_epochs: match record.spec.recipe.kind {
            kind if kind.trains() => record.spec.recipe.training.epochs,
            _ => 0,
        },
        reason: record.reason,
        step,
        steps_per_epoch,
        age_seconds: record.last_seen.as_deref().and_then(|at| age(at, now)).map(|age| age.as_secs()),
        last_seen: record.last_seen,
        log: None,
        scheduler: None,
        kind: record.spec.recipe.kind,
        seed: record.spec.seed,
        id: record.spec.id,
        point: record.spec.point.into_iter().collect(),
        label,
    }
}

/// Steps done of the epoch in progress, and steps it has.
fn step_within_epoch(record: &RunRecord) -> Option<(usize, usize)> {
    let steps_per_epoch = record.started.as_ref()?.steps_per_epoch;
    let epochs_done = record.curve.last().map_or(0, |evaluated| evaluated.epoch);
    let step = record.steps.last().filter(|step| step.epoch > epochs_done)?;
    let steps_before = step.epoch.saturating_sub(1) * steps_per_epoch;
    Some((step.step.saturating_sub(steps_before), steps_per_epoch))
}

/// How long ago that was. A clock that was set back gives nothing.
fn age(at: &str, now: SystemTime) -> Option<Duration> {
    now.duration_since(humantime::parse_rfc3339_weak(at).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::{Ended, Step, Summary, paused_after};
    use crate::record::{Event, Journal};
    use crate::run::dispatch::tests::{evaluated, planned, started, step};

    #[test]
    fn progress_within_an_epoch_is_known_between_its_steps_and_not_between_epochs() {
        let mut record = RunRecord::planned(planned("r1"));
        assert_eq!(step_within_epoch(&record), None);
        let Event::Started(began) = started("r1") else { unreachable!() };
        record.started = Some(*began);
        let taken = |epoch, number| match step(epoch, number) {
            Event::Step(step) => step,
            _ => unreachable!(),
        };
        record.steps = vec![taken(1, 1)];
        assert_eq!(step_within_epoch(&record), Some((1, 2)));
        record.steps = vec![taken(1, 2)];
        record.curve = vec![evaluated(0, 0.1), evaluated(1, 0.2)];
        assert_eq!(step_within_epoch(&record), None);
        record.steps.push(Step { step: 3, epoch: 2, ..taken(1, 1) });
        assert_eq!(step_within_epoch(&record), Some((1, 2)));
    }

    #[test]
    fn runs_that_wait_for_others_are_told_from_interrupted_ones() {
        let mut record = RunRecord::planned(planned("r1"));
        (record.status, record.attempts) = (Some(Status::Interrupted), 1);
        record.reason = Some(paused_after(3));
        assert_eq!(State::of(&record, false), State::Paused);
        assert_eq!(State::of(&record, true), State::Running);
        record.reason = Some("stopped at step 3".to_owned());
        assert_eq!(State::of(&record, false), State::Interrupted);
    }

    #[test]
    fn the_last_line_of_a_complete_run_says_as_much_as_its_whole_log() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Store::new(folder.path()).sweep("x").run("r1");
        std::fs::create_dir_all(&directory.path).unwrap();
        let mut journal = Journal::open(&directory.events(), 1).unwrap();
        let (initial, last) = (evaluated(0, 0.1), evaluated(2, 0.3));
        let summary = Summary { last: Some(last.clone()), ..Summary::default() };
        let ended = Ended { status: Status::Finished, reason: None, summary };
        let events = [started("r1"), step(1, 1), Event::Ended(Box::new(ended))];
        let [first, middle, end] = events;
        for event in
            [first, Event::Evaluated(Box::new(initial)), middle, Event::Evaluated(Box::new(last)), end]
        {
            journal.append(event).unwrap();
        }
        let now = SystemTime::now();
        let shown = |record: RunRecord| {
            let status = status_of(record, false, String::new(), None, now);
            assert_eq!((status.epochs, status.score, status.attempts), (2, Some(0.3), 1));
            serde_json::to_value(RunStatus { age_seconds: None, ..status }).unwrap()
        };
        let whole = shown(directory.read_record(planned("r1")));
        assert_eq!(shown(directory.try_read_standing(planned("r1")).unwrap()), whole);
    }
}
