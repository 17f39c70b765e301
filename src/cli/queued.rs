//! What the scheduler adds to how runs stand by their files. Files count first: the scheduler is asked only about runs that
//! have no result, and believed only where a file says nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::arguments::typed;
use super::output;
use super::status::State;
use crate::cluster::ClusterError;
use crate::cluster::scheduler::{Known, Task};
use crate::cluster::state::{SLURM, accounts, hyperqueue_queue, queue, submissions};
use crate::cluster::submit::{HYPERQUEUE, KUBERNETES, refuse_other_plans};
use crate::record::submissions::plan_digest;
use crate::record::{RunSpec, SweepDir};

/// What is known of the runs of a plan that stand so, and a note where something could not be learned.
pub fn look(sweep: &SweepDir, plan: &[RunSpec], states: &[State]) -> (Known, Vec<String>) {
    if states.iter().all(|state| matches!(state, State::Done)) {
        return (Known::default(), Vec::new());
    }
    let (submissions, digest) = (submissions(sweep), plan_digest(plan));
    let mut notes = Vec::new();
    let mut heard = |scheduler: &str, found: Result<Known, ClusterError>| {
        found.unwrap_or_else(|error| {
            notes.push(format!(
                "note: {}: what is in {scheduler}'s queue is not known ({}); a run counts as running where its folder is held",
                sweep.path.display(),
                error.to_string().lines().next().unwrap_or_default()
            ));
            Known::default()
        })
    };
    let mut known = heard("Slurm", queue(&submissions, &digest));
    known.add(heard("HyperQueue", hyperqueue_queue(sweep, &digest)));
    let is_silent = |(position, state): (usize, &State)| {
        matches!(state, State::Interrupted | State::Waiting) && !known.tasks.contains_key(&position)
    };
    if !submissions.is_empty() && states.iter().enumerate().any(is_silent) {
        accounts(&mut known, &submissions, &digest);
    }
    (known, notes)
}

/// Whether anything of the sweep was handed to a cluster.
pub fn is_submitted(sweep: &SweepDir) -> bool {
    [SLURM, HYPERQUEUE, KUBERNETES].iter().any(|cluster| sweep.submissions(cluster).path.is_dir())
}

/// Says which lines on what was handed over cannot be read: nobody is asked about such jobs.
pub fn warn_of_lines(sweep: &SweepDir) {
    let folder = sweep.submissions(SLURM);
    for problem in folder.read().1 {
        output::tell(&format!("warning: {problem}; the job that this line is of is not known"));
    }
}

/// Tells who is about to run this plan here what of it is in the queue, and returns the ids of runs that a task is at work
/// on: those are left to it.
///
/// # Errors
/// What is in the queue is of another plan: it would be of no use any more.
pub fn beside(sweep: &SweepDir, plan: &[RunSpec]) -> Result<BTreeSet<String>, ClusterError> {
    let submissions = submissions(sweep);
    if submissions.is_empty() {
        return Ok(BTreeSet::new());
    }
    warn_of_lines(sweep);
    let known = match queue(&submissions, &plan_digest(plan)) {
        Ok(known) => known,
        Err(error) => {
            output::tell(&format!(
                "note: this sweep was submitted to Slurm, and what is in the queue is not known ({}); a run that a task is at \
                 work on is waited for",
                error.to_string().lines().next().unwrap_or_default()
            ));
            return Ok(BTreeSet::new());
        }
    };
    refuse_other_plans(sweep, &known)?;
    let at_work = |(position, task): (&usize, &Task)| {
        let id = plan.get(*position).map(|run| run.id.clone());
        id.filter(|_| task.is_alive() && !task.waits())
    };
    let elsewhere: BTreeSet<String> = known.tasks.iter().filter_map(at_work).collect();
    if let Some(words) = side_by_side(&known, elsewhere.len(), sweep) {
        output::tell(&words);
    }
    Ok(elsewhere)
}

/// What it means that tasks of the sweep are in the queue; nothing where there are none.
fn side_by_side(known: &Known, at_work: usize, sweep: &SweepDir) -> Option<String> {
    let waiting = known.tasks.values().filter(|task| task.waits()).count();
    let (waits, works) = match (waiting, at_work) {
        (0, 0) => return None,
        (0, _) => (String::new(), format!("at work on {}, left to them", runs(at_work))),
        (_, 0) => (format!("waiting for their turn with {}", runs(waiting)), String::new()),
        _ => (
            format!("waiting for their turn with {}, and ", runs(waiting)),
            format!("at work on {}, left to them", runs(at_work)),
        ),
    };
    let jobs: BTreeSet<&str> = known.tasks.values().filter_map(|task| task.task.split('_').next()).collect();
    let jobs = jobs.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!(
        "note: tasks of this sweep are in Slurm's queue (job {jobs}), {waits}{works}: both work side by side, and a task passes \
         over what is done by then\nhint: `sweep cancel {}` takes them out; they save a checkpoint first",
        typed(&sweep.path)
    ))
}

fn runs(count: usize) -> String {
    format!("{count} {}", if count == 1 { "run" } else { "runs" })
}

/// How a run stands that the scheduler has a task for.
pub fn with_task(state: State, task: Option<&Task>) -> State {
    let Some(task) = task else { return state };
    match state {
        State::Done | State::Running => state,
        _ if task.waits() => State::Queued,
        _ if task.is_alive() => State::Running,
        State::Interrupted | State::Waiting if task.has_failed() => State::Failed,
        other => other,
    }
}

/// What a task printed, where that is there.
pub fn log(sweep: &SweepDir, task: &Task) -> Option<PathBuf> {
    let logs =
        [SLURM, HYPERQUEUE].map(|cluster| sweep.submissions(cluster).path.join(format!("{}.log", task.task)));
    logs.into_iter().find(|log| log.is_file())
}

/// What to do about a task that took more memory than it had.
pub const MORE_MEMORY: &str = "hint: `mem_gb` of `launcher:`, or `--mem-gb` of `sweep submit`, asks for more memory; a smaller \
                               `training.batch_size` takes less";

/// Why a run has no end in its log, as far as the scheduler says.
pub fn reason(state: State, task: &Task) -> Option<String> {
    let is_over =
        matches!(state, State::Failed | State::Interrupted) && !task.is_alive() && task.state != "COMPLETED";
    let hint = if task.is_out_of_memory() { format!("\n{MORE_MEMORY}") } else { String::new() };
    is_over.then(|| format!("Slurm: {} (task {}){hint}", task.state, task.task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: &str) -> Task {
        Task { task: "12_3".to_owned(), state: state.to_owned(), reason: None }
    }

    #[test]
    fn who_runs_a_sweep_beside_its_tasks_is_told_what_they_do() {
        let sweep = SweepDir { path: "runs/my x".into() };
        let words = |states: &[&str], at_work| {
            let tasks = states.iter().map(|state| task(state)).enumerate().collect();
            side_by_side(&Known { tasks, ..Known::default() }, at_work, &sweep)
        };
        assert_eq!(words(&["FAILED"], 0), None);
        insta::assert_snapshot!(words(&["PENDING", "PENDING", "RUNNING"], 1).unwrap(), @"
        note: tasks of this sweep are in Slurm's queue (job 12), waiting for their turn with 2 runs, and at work on 1 run, left to them: both work side by side, and a task passes over what is done by then
        hint: `sweep cancel 'runs/my x'` takes them out; they save a checkpoint first
        ");
        insta::assert_snapshot!(words(&["PENDING"], 0).unwrap().lines().next().unwrap(), @"note: tasks of this sweep are in Slurm's queue (job 12), waiting for their turn with 1 run: both work side by side, and a task passes over what is done by then");
        insta::assert_snapshot!(words(&["RUNNING", "COMPLETING"], 2).unwrap().lines().next().unwrap(), @"note: tasks of this sweep are in Slurm's queue (job 12), at work on 2 runs, left to them: both work side by side, and a task passes over what is done by then");
    }

    #[test]
    fn the_files_count_before_the_scheduler() {
        let seen = |state, word: &str| with_task(state, Some(&task(word)));
        assert_eq!(seen(State::Done, "RUNNING"), State::Done);
        assert_eq!(seen(State::Failed, "COMPLETED"), State::Failed);
        assert_eq!(seen(State::Running, "PENDING"), State::Running, "its folder is held");
        assert_eq!(with_task(State::Interrupted, None), State::Interrupted, "the scheduler has forgotten it");
    }

    #[test]
    fn the_scheduler_tells_what_files_cannot() {
        let seen = |state, word: &str| with_task(state, Some(&task(word)));
        assert_eq!(seen(State::Waiting, "PENDING"), State::Queued);
        assert_eq!(seen(State::Failed, "PENDING"), State::Queued, "it was submitted again");
        assert_eq!(
            seen(State::Interrupted, "RUNNING"),
            State::Running,
            "a lock of another machine is not seen"
        );
        assert_eq!(seen(State::Interrupted, "OUT_OF_MEMORY"), State::Failed);
        for word in ["TIMEOUT", "NODE_FAIL", "CANCELLED", "SOMETHING_NEW"] {
            assert_eq!(seen(State::Interrupted, word), State::Interrupted);
            assert_eq!(seen(State::Waiting, word), State::Waiting);
        }
        let words = reason(State::Interrupted, &task("TIMEOUT"));
        assert_eq!(words.as_deref(), Some("Slurm: TIMEOUT (task 12_3)"));
        assert_eq!(reason(State::Running, &task("RUNNING")), None);
        let words = reason(State::Failed, &task("OUT_OF_MEMORY")).unwrap();
        assert!(words.starts_with("Slurm: OUT_OF_MEMORY (task 12_3)\nhint: `mem_gb`"), "{words}");
    }
}
