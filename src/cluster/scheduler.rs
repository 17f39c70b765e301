//! What Slurm says of a sweep's tasks, and what that means. Pure: what it was asked is in [`super::state`].
//!
//! A scheduler forgets a job minutes after its end, gives numbers again after years or a reset, and may keep no accounts. So a
//! line counts only where number and name are those of a job of this sweep, and silence means nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::array;
use crate::record::submissions::Submission;

/// The format of `squeue` that [`Known::hear_queue`] reads. Names come last: they may hold anything.
pub const QUEUE_FORMAT: &str = "%F|%K|%T|%r|%j";
/// The fields of `sacct` that [`Known::hear_accounts`] reads.
pub const ACCOUNT_FIELDS: &str = "JobID,State,JobName";

/// A task as the scheduler has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// `123_4`.
    pub task: String,
    /// In Slurm's word, such as `PENDING` or `NODE_FAIL`.
    pub state: String,
    /// Why it waits, where it does and that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a task in this state may still do something. Only what is in the queue is.
const ALIVE: [&str; 16] = [
    "PENDING",
    "RUNNING",
    "CONFIGURING",
    "COMPLETING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "RESV_DEL_HOLD",
    "RESIZING",
    "SIGNALING",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "STOPPED",
    "SUSPENDED",
    "PREEMPTED",
    "POWER_UP_NODE",
];
const WAITING: [&str; 6] =
    ["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"];
/// What nothing comes of without something being changed.
const FAILED: [&str; 4] = ["FAILED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"];

impl Task {
    pub fn is_alive(&self) -> bool {
        ALIVE.contains(&self.state.as_str())
    }

    pub fn waits(&self) -> bool {
        WAITING.contains(&self.state.as_str())
    }

    pub fn is_out_of_memory(&self) -> bool {
        self.state == "OUT_OF_MEMORY"
    }

    pub fn has_failed(&self) -> bool {
        FAILED.contains(&self.state.as_str())
    }
}

/// What is known of the tasks of a plan.
#[derive(Debug, Default)]
pub struct Known {
    /// By the run's position in the plan; of several tasks for a run the one that may still do something.
    pub tasks: BTreeMap<usize, Task>,
    /// Numbers of jobs in the queue, also of those that only report.
    pub alive: Vec<String>,
    /// Numbers of jobs in the queue whose tasks are of an earlier plan.
    pub of_other_plans: Vec<String>,
}

impl Known {
    /// Takes in what another scheduler has. A task in the queue tells more than one that has ended.
    pub fn add(&mut self, other: Self) {
        for (position, task) in other.tasks {
            if !self.tasks.get(&position).is_some_and(Task::is_alive) {
                self.tasks.insert(position, task);
            }
        }
        self.alive.extend(other.alive);
        self.of_other_plans.extend(other.of_other_plans);
    }

    /// Takes in what `squeue` printed.
    pub fn hear_queue(&mut self, submissions: &[Submission], plan: &str, said: &str) {
        for line in said.lines() {
            let mut fields = line.splitn(5, '|').map(str::trim);
            let mut field = || fields.next().unwrap_or_default();
            let (job, tasks, state, reason, name) = (field(), field(), field(), field(), field());
            let Some(submission) = of(submissions, job, name) else { continue };
            let reason = Some(reason).filter(|reason| !["", "None", "(null)"].contains(reason));
            self.hear_in_queue((submission, job), plan, tasks, state, reason);
        }
    }

    /// Takes in what a queue has of a job that was submitted so: tasks in this state, and why they wait.
    pub fn hear_in_queue(
        &mut self,
        (submission, job): (&Submission, &str),
        plan: &str,
        tasks: &str,
        state: &str,
        reason: Option<&str>,
    ) {
        if !ALIVE.contains(&state) {
            return;
        }
        if !self.alive.iter().any(|known| known == job) {
            self.alive.push(job.to_owned());
        }
        if submission.array.is_none() || submission.plan == plan {
            self.hear((submission, job), tasks, state, reason);
        } else if !self.of_other_plans.iter().any(|known| known == job) {
            self.of_other_plans.push(job.to_owned());
        }
    }

    /// Takes in what `sacct` printed, which keeps what the queue has forgotten. What it has as alive counts only in the queue:
    /// a controller that was lost leaves jobs in the accounts that seem to run for ever.
    pub fn hear_accounts(&mut self, submissions: &[Submission], plan: &str, said: &str) {
        for line in said.lines() {
            let mut fields = line.splitn(3, '|').map(str::trim);
            let mut field = || fields.next().unwrap_or_default();
            let (id, state, name) = (field(), field(), field());
            // Steps are not asked for, and would be `12_3.batch`.
            let Some((job, tasks)) = id.split_once('_').filter(|_| !id.contains('.')) else { continue };
            let Some(submission) = of(submissions, job, name).filter(|it| it.plan == plan) else { continue };
            // `CANCELLED by 1000`.
            let state = state.split(' ').next().unwrap_or_default();
            if ALIVE.contains(&state) {
                continue;
            }
            self.hear((submission, job), tasks.trim_matches(['[', ']']), state, None);
        }
    }

    fn hear(
        &mut self,
        (submission, job): (&Submission, &str),
        tasks: &str,
        state: &str,
        reason: Option<&str>,
    ) {
        let Some(array) = submission.array.as_deref().and_then(array::parse) else { return };
        for index in array::parse(tasks).unwrap_or_default() {
            // A list that is not one of ours says nothing of our runs.
            if array.binary_search(&index).is_err() {
                continue;
            }
            let task = Task {
                task: format!("{job}_{index}"),
                state: state.to_owned(),
                reason: reason.map(str::to_owned),
            };
            for position in
                array::block(index.saturating_add(submission.offset), submission.runs_per_task, array::MOST)
            {
                let known = self.tasks.get(&position);
                // Later submissions come later, and tell more; but nothing tells more than a task in the queue.
                if !known.is_some_and(|known| known.is_alive() && !task.is_alive()) {
                    self.tasks.insert(position, task.clone());
                }
            }
        }
    }
}

/// The submission with this number and name; or with this name, where its number was never written down. One call hands
/// several jobs over under a name, but only of the last of them is the answer not known.
pub fn of<'a>(submissions: &'a [Submission], job: &str, name: &str) -> Option<&'a Submission> {
    let mut named = submissions.iter().filter(|submission| submission.name == name);
    named.clone().find(|submission| submission.job == job).or_else(|| named.find(|it| it.is_open()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(job: &str, array: &str, offset: usize, runs_per_task: usize) -> Submission {
        Submission {
            array: Some(array.to_owned()).filter(|array| !array.is_empty()),
            offset,
            runs_per_task,
            plan: "now".to_owned(),
            ..Submission::new("2026-01-09T12:00:00Z".to_owned(), job.to_owned(), format!("sweep-x-{job}"))
        }
    }

    fn words(known: &Known) -> Vec<String> {
        let line = |(position, task): (&usize, &Task)| {
            let reason = task.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{position}: {} {}{reason}", task.task, task.state)
        };
        known.tasks.iter().map(line).collect()
    }

    #[test]
    fn tasks_that_wait_come_as_a_list_and_those_at_work_one_by_one() {
        let submissions = [
            submission("12", "0-2,5,7-9", 0, 1),
            submission("13", "0-1", 1000, 2),
            submission("14", "", 0, 1),
        ];
        let mut known = Known::default();
        let said = "12|5,7-9%2|PENDING|Resources|sweep-x-12\n12|0|RUNNING|None|sweep-x-12\n\
                    13|1|COMPLETING|None|sweep-x-13\n14|N/A|PENDING|Dependency|sweep-x-14\n";
        known.hear_queue(&submissions, "now", said);
        insta::assert_snapshot!(words(&known).join("\n"), @"
        0: 12_0 RUNNING
        5: 12_5 PENDING (Resources)
        7: 12_7 PENDING (Resources)
        8: 12_8 PENDING (Resources)
        9: 12_9 PENDING (Resources)
        2002: 13_1 COMPLETING
        2003: 13_1 COMPLETING
        ");
        assert_eq!(known.alive, ["12", "13", "14"]);
        assert!(known.tasks[&5].waits() && known.tasks[&0].is_alive() && !known.tasks[&0].waits());
    }

    #[test]
    fn a_number_that_was_given_again_says_nothing() {
        let submissions = [submission("12", "0-2", 0, 1)];
        let mut known = Known::default();
        known.hear_queue(&submissions, "now", "12|0|RUNNING|None|another\n13|1|RUNNING|None|sweep-x-12\n");
        known.hear_accounts(
            &submissions,
            "now",
            "12_0|FAILED|another\n12|FAILED|sweep-x-12\n12_0.batch|FAILED|sweep-x-12\n",
        );
        // A job of this number and name, but tasks that were never ours.
        known.hear_queue(&submissions, "now", "12|7|RUNNING|None|sweep-x-12\n");
        assert_eq!(words(&known), [""; 0]);
    }

    #[test]
    fn a_job_whose_number_was_never_written_down_is_known_by_its_name() {
        let open = Submission { name: "sweep-x-12".to_owned(), ..submission("", "3,4", 10, 1) };
        let submissions = [submission("12", "0-2", 0, 1), open];
        let mut known = Known::default();
        known.hear_accounts(&submissions, "now", "13_4|OUT_OF_MEMORY|sweep-x-12\n13_3|FAILED|other\n");
        known.hear_queue(
            &submissions,
            "now",
            "12|1|PENDING|Priority|sweep-x-12\n13|3|RUNNING|None|sweep-x-12\n14|3|RUNNING|None|sweep-y\n",
        );
        insta::assert_snapshot!(words(&known).join("\n"), @"
        1: 12_1 PENDING (Priority)
        13: 13_3 RUNNING
        14: 13_4 OUT_OF_MEMORY
        ");
        assert_eq!(known.alive, ["12", "13"]);
    }

    #[test]
    fn what_the_queue_has_forgotten_is_in_the_accounts_and_the_queue_counts_first() {
        let submissions = [submission("12", "0-3", 0, 1), submission("15", "1", 0, 1)];
        let mut known = Known::default();
        known.hear_queue(&submissions, "now", "15|1|PENDING|Priority|sweep-x-15\n");
        let said = "12_0|NODE_FAIL|sweep-x-12\n12_1|CANCELLED by 1000|sweep-x-12\n12_[2-3]|OUT_OF_MEMORY|sweep-x-12\n\
                    12_0|RUNNING|sweep-x-12\n";
        known.hear_accounts(&submissions, "now", said);
        insta::assert_snapshot!(words(&known).join("\n"), @"
        0: 12_0 NODE_FAIL
        1: 15_1 PENDING (Priority)
        2: 12_2 OUT_OF_MEMORY
        3: 12_3 OUT_OF_MEMORY
        ");
        assert!(known.tasks[&2].has_failed() && !known.tasks[&0].has_failed());
    }

    #[test]
    fn tasks_of_an_earlier_plan_are_of_other_runs() {
        let mut known = Known::default();
        known.hear_queue(&[submission("12", "0-3", 0, 1)], "other", "12|0-3|PENDING|None|sweep-x-12\n");
        assert_eq!((known.tasks.len(), known.of_other_plans), (0, vec!["12".to_owned()]));
    }

    #[test]
    fn any_answer_is_survived() {
        let mut known = Known::default();
        let submissions = [submission("12", "0-3", usize::MAX, usize::MAX), submission("x", "x", 0, 1)];
        for said in
            ["", "|", "12", "12|||||||", "12|0-99999999999|RUNNING||sweep-x-12", "x|x|RUNNING|x|sweep-x-x"]
        {
            known.hear_queue(&submissions, "now", said);
            known.hear_accounts(&submissions, "now", said);
        }
        assert_eq!(words(&known), [""; 0]);
    }
}
