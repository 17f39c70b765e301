//! What the scheduler adds to how runs stand by their files. Files count first: the scheduler is asked only about runs that
//! have no result, and believed only where a file says nothing else.

use super::status::State;
use crate::cluster::scheduler::{Known, Task};
use crate::cluster::state::{accounts, queue, submissions};
use crate::record::submissions::plan_digest;
use crate::record::{RunSpec, SweepDir};

/// What is known of the runs of a plan that stand so, and a note where something could not be learned.
pub fn look(sweep: &SweepDir, plan: &[RunSpec], states: &[State]) -> (Known, Option<String>) {
    let submissions = submissions(sweep);
    let is_open = |state: &State| !matches!(state, State::Done);
    if submissions.is_empty() || !states.iter().any(is_open) {
        return (Known::default(), None);
    }
    let digest = plan_digest(plan);
    let (mut known, note) = match queue(&submissions, &digest) {
        Ok(known) => (known, None),
        Err(error) => {
            let note = format!(
                "note: {}: what is in Slurm's queue is not known ({}); a run counts as running where its folder is held",
                sweep.path.display(),
                error.to_string().lines().next().unwrap_or_default()
            );
            (Known::default(), Some(note))
        }
    };
    let is_silent = |(position, state): (usize, &State)| {
        matches!(state, State::Interrupted | State::Waiting) && !known.tasks.contains_key(&position)
    };
    if states.iter().enumerate().any(is_silent) {
        accounts(&mut known, &submissions, &digest);
    }
    (known, note)
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

/// Why a run has no end in its log, as far as the scheduler says.
pub fn reason(state: State, task: &Task) -> Option<String> {
    let is_over =
        matches!(state, State::Failed | State::Interrupted) && !task.is_alive() && task.state != "COMPLETED";
    is_over.then(|| format!("Slurm: {} (task {})", task.state, task.task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: &str) -> Task {
        Task { task: "12_3".to_owned(), state: state.to_owned(), reason: None }
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
    }
}
