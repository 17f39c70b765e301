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
use super::table::{Align, Table, number};
use crate::analysis::audit::{add_nearest, range_of};
use crate::record::audit::Audit;
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
    runs: Vec<RunStatus>,
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
    /// Of the last epoch.
    score: Option<f64>,
    /// Where that lies between captions that look at no picture (0) and the best within the limits on captions (1).
    place: Option<f64>,
    /// What the score was made by.
    convention: Convention,
    meteor_variant: &'static str,
    /// Time of the last event.
    last_seen: Option<String>,
    /// For people.
    #[serde(skip)]
    label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Done,
    Running,
    Failed,
    Interrupted,
    Waiting,
}

impl State {
    /// A log without an end is that of a run at work, or of one that was cut off.
    fn of(record: &RunRecord, is_held: bool) -> Self {
        match record.status {
            _ if is_held => Self::Running,
            Some(status) if status.is_complete() => Self::Done,
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
    let (seen, damaged): (Vec<_>, Vec<_>) = sweeps.iter().map(look_at).partition(Result::is_ok);
    let sweeps: Vec<SweepStatus> = seen.into_iter().flatten().collect();
    let damaged: Vec<anyhow::Error> = damaged.into_iter().filter_map(Result::err).collect();
    match args.format {
        Format::Json => output::print_json(&sweeps)?,
        Format::Text if sweeps.is_empty() => {}
        Format::Text => {
            let texts: Vec<String> = sweeps.iter().map(|sweep| in_text(sweep, SystemTime::now())).collect();
            output::print(&texts.join("\n"))?;
        }
    }
    Ok(damaged.iter().fold(ExitCode::SUCCESS, |_, error| exit::report(error)))
}

fn look_at(sweep: &SweepDir) -> anyhow::Result<SweepStatus> {
    let records = sweep.read_records()?;
    let specs: Vec<RunSpec> = records.iter().map(|record| record.spec.clone()).collect();
    let with_seed = has_several_seeds(&specs);
    let mut audit = sweep.read_audit().unwrap_or_default();
    if let Some(audit) = &mut audit {
        add_nearest(audit, records.iter());
    }
    let runs = records.into_iter().map(|record| {
        let is_held = lease::is_held(&sweep.run(&record.spec.id).path);
        let label = label(&record.spec, with_seed);
        status_of(record, is_held, label, audit.as_ref())
    });
    Ok(SweepStatus { sweep: sweep.name(), folder: sweep.path.clone(), runs: runs.collect() })
}

fn status_of(record: RunRecord, is_held: bool, label: String, audit: Option<&Audit>) -> RunStatus {
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
        last_seen: record.last_seen,
        kind: record.spec.recipe.kind,
        seed: record.spec.seed,
        id: record.spec.id,
        point: record.spec.point.into_iter().collect(),
        label,
    }
}

fn in_text(sweep: &SweepStatus, now: SystemTime) -> String {
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("what", Align::Left),
        ("state", Align::Left),
        ("epochs", Align::Right),
        ("score", Align::Right),
        ("place", Align::Right),
        ("last event", Align::Right),
        ("", Align::Left),
    ]);
    for run in &sweep.runs {
        table.row([
            short_id(&run.id).to_owned(),
            run.label.clone(),
            state_in_words(run),
            epochs_in_words(run),
            number(run.score, 4),
            auditing::place_in_words(run.place),
            run.last_seen.as_deref().and_then(|at| age(at, now)).unwrap_or_default(),
            run.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default().to_owned(),
        ]);
    }
    let scores = conventions::in_words(sweep.runs.iter().map(|run| run.convention));
    let place = if sweep.runs.iter().any(|run| run.place.is_some()) { auditing::PLACE } else { "" };
    format!("{}: {}\n{table}{scores}\n{place}", sweep.folder.display(), counts(sweep))
}

/// `12 runs: 9 done, 1 running, 2 waiting`.
fn counts(sweep: &SweepStatus) -> String {
    let count = |state| sweep.runs.iter().filter(|run| run.state == state).count();
    let states = [State::Done, State::Running, State::Failed, State::Interrupted, State::Waiting];
    let parts = states.into_iter().map(|state| (count(state), name(state))).filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, name)| format!("{count} {name}")).collect();
    let runs = if sweep.runs.len() == 1 { "run" } else { "runs" };
    format!("{} {runs}: {}", sweep.runs.len(), parts.join(", "))
}

fn name(state: State) -> &'static str {
    match state {
        State::Done => "done",
        State::Running => "running",
        State::Failed => "failed",
        State::Interrupted => "interrupted",
        State::Waiting => "waiting",
    }
}

/// The state, with the status where that says more.
fn state_in_words(run: &RunStatus) -> String {
    match run.status {
        Some(status @ (Status::Diverged | Status::OutOfMemory | Status::TimedOut)) => {
            status.name().replace('_', " ")
        }
        Some(Status::EarlyStopped) if run.state == State::Done => "done (early)".to_owned(),
        _ => name(run.state).to_owned(),
    }
}

fn epochs_in_words(run: &RunStatus) -> String {
    if run.kind.trains() { format!("{}/{}", run.epochs, run.planned_epochs) } else { "-".to_owned() }
}

/// `3 min ago`. A clock that was set back gives nothing.
fn age(at: &str, now: SystemTime) -> Option<String> {
    let at = humantime::parse_rfc3339_weak(at).ok()?;
    let age: Duration = now.duration_since(at).ok()?;
    Some(format!("{} ago", progress::duration(age)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dispatch::tests::{evaluated, planned};

    fn status(id: &str, status: Option<Status>, attempts: u64, is_held: bool) -> RunStatus {
        let mut record = RunRecord::planned(planned(id));
        record.status = status;
        record.attempts = attempts;
        if attempts > 0 {
            record.curve = vec![evaluated(1, 0.25)];
            record.last_seen = Some("2026-01-09T12:00:00.000Z".to_owned());
        }
        status_of(record, is_held, "lr=5e-4".to_owned(), None)
    }

    #[test]
    fn every_state_is_named() {
        let mut failed = status("rc", Some(Status::Failed), 2, false);
        failed.reason = Some("cannot save: disk on fire\nhint: water".to_owned());
        let runs = vec![
            status("ra", Some(Status::EarlyStopped), 1, false),
            status("rb", None, 1, true),
            failed,
            status("rd", None, 1, false),
            status("re", Some(Status::Interrupted), 1, false),
            status("rf", Some(Status::Interrupted), 1, true),
            status("rg", Some(Status::Diverged), 1, false),
            status("rh", None, 0, false),
        ];
        let sweep = SweepStatus { sweep: "x".to_owned(), folder: "runs/x".into(), runs };
        let now = humantime::parse_rfc3339("2026-01-09T12:03:20Z").unwrap();
        insta::assert_snapshot!(in_text(&sweep, now), @r"
        runs/x: 8 runs: 1 done, 2 running, 2 failed, 2 interrupted, 1 waiting
        run  what     state         epochs   score  place  last event
        ra   lr=5e-4  done (early)     1/2  0.2500      -   3 min ago
        rb   lr=5e-4  running          1/2  0.2500      -   3 min ago
        rc   lr=5e-4  failed           1/2  0.2500      -   3 min ago  cannot save: disk on fire
        rd   lr=5e-4  interrupted      1/2  0.2500      -   3 min ago
        re   lr=5e-4  interrupted      1/2  0.2500      -   3 min ago
        rf   lr=5e-4  running          1/2  0.2500      -   3 min ago
        rg   lr=5e-4  diverged         1/2  0.2500      -   3 min ago
        rh   lr=5e-4  waiting          0/2       -      -
        scores: convention coco; METEOR: nltk (exact, stem, wordnet 3.0)
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
          "score": 0.25,
          "place": null,
          "convention": "coco",
          "meteor_variant": "nltk (exact, stem, wordnet 3.0)",
          "last_seen": "2026-01-09T12:00:00.000Z"
        }
        "#);
    }
}
