//! How the runs of a sweep stand, for people.

use std::time::Duration;

use super::super::table::{Align, Table, number};
use super::super::{auditing, conventions, queued};
use super::{RunStatus, SearchStatus, State, SweepStatus};
use crate::cluster::scheduler::Task;
use crate::record::Status;
use crate::run::label::short_id;
use crate::run::progress;

/// What varies comes last: it may be long, and a narrow terminal then breaks nothing else. Columns that would be empty
/// are left out.
pub(super) fn in_text(sweep: &SweepStatus) -> String {
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
    // On one machine the run says itself what to do.
    let asks_for_memory = sweep.is_submitted && sweep.runs.iter().any(is_out_of_memory);
    let hint = asks_for_memory.then(|| format!("{}\n", queued::MORE_MEMORY));
    let words: String = stopped.chain(failed).chain(hint).collect();
    if words.is_empty() { words } else { format!("\n{words}") }
}

/// By its own word, or by that of the scheduler of its task.
fn is_out_of_memory(run: &RunStatus) -> bool {
    let of_task = run.state == State::Failed && run.scheduler.as_ref().is_some_and(Task::is_out_of_memory);
    run.status == Some(Status::OutOfMemory) && run.state == State::Failed || of_task
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
        _ if is_out_of_memory(run) => "out of memory".to_owned(),
        Some(status @ (Status::Diverged | Status::TimedOut)) => status.name().replace('_', " "),
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

#[cfg(test)]
mod tests {
    use super::super::status_of;
    use super::*;
    use crate::record::RunRecord;
    use crate::run::dispatch::tests::{evaluated, planned};

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
    fn why_a_run_was_stopped_in_favour_of_others_is_said() {
        let mut stopped = status("ra", Some(Status::Pruned), 1, false);
        stopped.reason = Some("stopped after epoch 1: worse".to_owned());
        assert_eq!(state_in_words(&stopped), "done (stopped)");
        let sweep = SweepStatus {
            sweep: "x".to_owned(),
            folder: "runs/x".into(),
            search: None,
            runs: vec![stopped],
            is_submitted: false,
        };
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
        let sweep = SweepStatus {
            sweep: "x".to_owned(),
            folder: "runs/x".into(),
            search: None,
            runs,
            is_submitted: false,
        };
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
