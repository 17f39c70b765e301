//! `sweep status`: how every run stands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value};

use super::auditing;
use super::conventions;
use super::exit::{self, BadInput};
use super::output::{self, Format};
use super::queued;
use super::table::{Align, Table, number};
use crate::analysis::audit::{add_nearest, range_of};
use crate::cluster::scheduler::Task;
use crate::record::audit::Audit;
use crate::record::event::is_pause;
use crate::record::recipe::{Convention, Kind};
use crate::record::{RunRecord, RunSpec, Status, Store, SweepDir};
use crate::run::label::{has_several_seeds, label, short_id};
use crate::run::{lease, progress};
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
            let texts: Vec<String> = sweeps.iter().map(in_text).collect();
            output::print(&texts.join("\n"))?;
        }
    }
    Ok(damaged.iter().fold(ExitCode::SUCCESS, |_, error| exit::report(error)))
}

fn look_at(sweep: &SweepDir, now: SystemTime) -> anyhow::Result<SweepStatus> {
    let records = sweep.read_records()?;
    let specs: Vec<RunSpec> = records.iter().map(|record| record.spec.clone()).collect();
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
    let (mut known, note) = queued::look(sweep, &specs, &states);
    note.iter().for_each(|note| output::tell(note));
    for (position, run) in runs.iter_mut().enumerate() {
        let Some(task) = known.tasks.remove(&position) else { continue };
        run.state = queued::with_task(run.state, Some(&task));
        run.reason = run.reason.take().or_else(|| queued::reason(run.state, &task));
        run.scheduler = Some(task).filter(|_| run.state != State::Done);
    }
    let search = sweep
        .read_chosen()
        .0
        .last()
        .map(|last| SearchStatus { decided: last.after + last.points.len(), of: last.of });
    Ok(SweepStatus { sweep: sweep.name(), folder: sweep.path.clone(), search, runs })
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
    let last = record.curve.last();
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

/// What varies comes last: it may be long, and a narrow terminal then breaks nothing else. Columns that would be empty
/// are left out.
fn in_text(sweep: &SweepStatus) -> String {
    let has_steps = sweep.runs.iter().any(|run| run.step.is_some());
    let has_places = sweep.runs.iter().any(|run| run.place.is_some());
    let has_tasks = sweep.runs.iter().any(|run| run.scheduler.is_some());
    let columns = [
        (true, "run", Align::Left),
        (true, "state", Align::Left),
        (has_tasks, "task", Align::Left),
        (true, "epoch", Align::Right),
        (has_steps, "step", Align::Right),
        (true, "score", Align::Right),
        (has_places, "place", Align::Right),
        (true, "age", Align::Right),
        (true, "what", Align::Left),
    ];
    let shown: Vec<_> =
        columns.iter().filter(|(shown, ..)| *shown).map(|(_, name, align)| (*name, *align)).collect();
    let mut table = Table::new(&shown);
    for run in &sweep.runs {
        let cells = [
            short_id(&run.id).to_owned(),
            state_in_words(run),
            run.scheduler.as_ref().map(task_in_words).unwrap_or_default(),
            epochs_in_words(run),
            run.step.zip(run.steps_per_epoch).map(|(step, of)| format!("{step}/{of}")).unwrap_or_default(),
            number(run.score, 4),
            auditing::place_in_words(run.place),
            run.age_seconds.map(|age| progress::duration(Duration::from_secs(age))).unwrap_or_default(),
            run.label.clone(),
        ];
        table.row(cells.into_iter().zip(columns).filter(|(_, (shown, ..))| *shown).map(|(cell, _)| cell));
    }
    let scores = conventions::in_words(sweep.runs.iter().map(|run| run.convention));
    let place = if has_places { auditing::PLACE } else { "" };
    let (folder, counts, failures) = (sweep.folder.display(), counts(sweep), failures_in_words(sweep));
    let search = match &sweep.search {
        Some(SearchStatus { decided, of }) if decided < of => {
            format!(
                "search: {decided} of {of} points are decided, the others follow from what they come to\n"
            )
        }
        _ => String::new(),
    };
    format!("{folder}: {counts}\n{search}{table}{scores}\n{place}{failures}")
}

/// Why each failed run failed, and where to read more; why others were stopped in favour of better ones.
fn failures_in_words(sweep: &SweepStatus) -> String {
    let stopped = sweep.runs.iter().filter(|run| run.status == Some(Status::Pruned));
    let stopped =
        stopped.map(|run| format!("{} {}\n", short_id(&run.id), run.reason.as_deref().unwrap_or_default()));
    let failed = sweep.runs.iter().filter(|run| run.state == State::Failed);
    let failed = failed.map(|run| {
        let reason = run.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or("no word why");
        let log = run.log.as_ref().map(|log| format!("\n  {}", log.display())).unwrap_or_default();
        format!("{} {}: {reason}{log}\n", short_id(&run.id), state_in_words(run))
    });
    let words: String = stopped.chain(failed).collect();
    if words.is_empty() { words } else { format!("\n{words}") }
}

/// `12 runs: 9 done, 1 running, 2 waiting`.
fn counts(sweep: &SweepStatus) -> String {
    let count = |state| sweep.runs.iter().filter(|run| run.state == state).count();
    let states = [
        State::Done,
        State::Running,
        State::Queued,
        State::Paused,
        State::Failed,
        State::Interrupted,
        State::Waiting,
    ];
    let parts = states.into_iter().map(|state| (count(state), name(state))).filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, name)| format!("{count} {name}")).collect();
    let runs = if sweep.runs.len() == 1 { "run" } else { "runs" };
    format!("{} {runs}: {}", sweep.runs.len(), parts.join(", "))
}

fn name(state: State) -> &'static str {
    match state {
        State::Done => "done",
        State::Running => "running",
        State::Queued => "queued",
        State::Failed => "failed",
        State::Interrupted => "interrupted",
        State::Paused => "paused",
        State::Waiting => "waiting",
    }
}

/// The state, with the status where that says more.
fn state_in_words(run: &RunStatus) -> String {
    match run.status {
        Some(status @ (Status::Diverged | Status::OutOfMemory | Status::TimedOut)) => {
            status.name().replace('_', " ")
        }
        Some(Status::Pruned) if run.state == State::Done => "done (stopped)".to_owned(),
        Some(Status::EarlyStopped) if run.state == State::Done => "done (early)".to_owned(),
        _ => name(run.state).to_owned(),
    }
}

/// The task, and why it waits.
fn task_in_words(task: &Task) -> String {
    // Some reasons are whole sentences.
    let reason = task.reason.as_deref().filter(|reason| task.waits() && !reason.contains(' '));
    reason.map_or(task.task.clone(), |reason| format!("{} ({reason})", task.task))
}

fn epochs_in_words(run: &RunStatus) -> String {
    if run.kind.trains() { format!("{}/{}", run.epochs, run.planned_epochs) } else { "-".to_owned() }
}

/// How long ago that was. A clock that was set back gives nothing.
fn age(at: &str, now: SystemTime) -> Option<Duration> {
    now.duration_since(humantime::parse_rfc3339_weak(at).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Event;
    use crate::record::event::{Step, paused_after};
    use crate::run::dispatch::tests::{evaluated, planned, started, step};

    fn status(id: &str, status: Option<Status>, attempts: u64, is_held: bool) -> RunStatus {
        let mut record = RunRecord::planned(planned(id));
        record.status = status;
        record.attempts = attempts;
        if attempts > 0 {
            record.curve = vec![evaluated(1, 0.25)];
            record.last_seen = Some("2026-01-09T12:00:00.000Z".to_owned());
        }
        let now = humantime::parse_rfc3339("2026-01-09T12:03:20Z").unwrap();
        RunStatus {
            log: (attempts > 0).then(|| format!("runs/x/{id}/log.txt").into()),
            ..status_of(record, is_held, "layers=2 lr=5e-4".to_owned(), None, now)
        }
    }

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
    fn runs_that_wait_for_others_or_were_stopped_for_them_are_told_from_interrupted_ones() {
        let mut record = RunRecord::planned(planned("r1"));
        (record.status, record.attempts) = (Some(Status::Interrupted), 1);
        record.reason = Some(paused_after(3));
        assert_eq!(State::of(&record, false), State::Paused);
        assert_eq!(State::of(&record, true), State::Running);
        record.reason = Some("stopped at step 3".to_owned());
        assert_eq!(State::of(&record, false), State::Interrupted);
        let mut stopped = status("ra", Some(Status::Pruned), 1, false);
        stopped.reason = Some("stopped after epoch 1: worse".to_owned());
        assert_eq!(state_in_words(&stopped), "done (stopped)");
        let sweep =
            SweepStatus { sweep: "x".to_owned(), folder: "runs/x".into(), search: None, runs: vec![stopped] };
        assert!(in_text(&sweep).ends_with("\nra stopped after epoch 1: worse\n"), "{}", in_text(&sweep));
    }

    #[test]
    fn every_state_is_named() {
        let mut failed = status("rc", Some(Status::Failed), 2, false);
        failed.reason = Some("cannot save: disk on fire\nhint: water".to_owned());
        let mut diverged = status("rg", Some(Status::Diverged), 1, false);
        diverged.reason = Some("the loss was not a number at step 3 (epoch 2)".to_owned());
        let runs = vec![
            status("ra", Some(Status::EarlyStopped), 1, false),
            RunStatus { step: Some(7), steps_per_epoch: Some(20), ..status("rb", None, 1, true) },
            failed,
            status("rd", None, 1, false),
            status("re", Some(Status::Interrupted), 1, false),
            status("rf", Some(Status::Interrupted), 1, true),
            diverged,
            status("rh", None, 0, false),
        ];
        let sweep = SweepStatus { sweep: "x".to_owned(), folder: "runs/x".into(), search: None, runs };
        insta::assert_snapshot!(in_text(&sweep), @r"
        runs/x: 8 runs: 1 done, 2 running, 2 failed, 2 interrupted, 1 waiting
        run  state         epoch  step   score    age  what
        ra   done (early)    1/2        0.2500  3 min  layers=2 lr=5e-4
        rb   running         1/2  7/20  0.2500  3 min  layers=2 lr=5e-4
        rc   failed          1/2        0.2500  3 min  layers=2 lr=5e-4
        rd   interrupted     1/2        0.2500  3 min  layers=2 lr=5e-4
        re   interrupted     1/2        0.2500  3 min  layers=2 lr=5e-4
        rf   running         1/2        0.2500  3 min  layers=2 lr=5e-4
        rg   diverged        1/2        0.2500  3 min  layers=2 lr=5e-4
        rh   waiting         0/2             -         layers=2 lr=5e-4
        scores: convention coco; METEOR: nltk (exact, stem, wordnet 3.0)

        rc failed: cannot save: disk on fire
          runs/x/rc/log.txt
        rg diverged: the loss was not a number at step 3 (epoch 2)
          runs/x/rg/log.txt
        ");
        insta::assert_snapshot!(serde_json::to_string_pretty(&sweep.runs[2]).unwrap(), @r#"
        {
          "id": "rc",
          "kind": "fine_tuned",
          "point": {},
          "seed": 0,
          "state": "failed",
          "status": "failed",
          "reason": "cannot save: disk on fire\nhint: water",
          "attempts": 2,
          "epochs": 1,
          "planned_epochs": 2,
          "step": null,
          "steps_per_epoch": null,
          "score": 0.25,
          "place": null,
          "convention": "coco",
          "meteor_variant": "nltk (exact, stem, wordnet 3.0)",
          "last_seen": "2026-01-09T12:00:00.000Z",
          "age_seconds": 200,
          "log": "runs/x/rc/log.txt"
        }
        "#);
    }
}
