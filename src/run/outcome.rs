//! How a plan stands once its runs were dispatched: results, and what became of the others.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::dispatch::Dispatched;
use super::label::{has_several_seeds, label, short_id};
use super::lease;
use super::log::telling_lines;
use super::policy::{Halt, Standing};
use crate::record::store::StoreError;
use crate::record::{RunRecord, RunSpec, Status, SweepDir};

/// How the plan stands afterwards.
#[derive(Debug)]
pub struct Outcome {
    /// How each run of the plan stands, in the plan's order.
    pub records: Vec<RunRecord>,
    /// Ids of the runs that another process, or a task of a cluster, is at work on.
    pub elsewhere: BTreeSet<String>,
    pub failures: Vec<Failure>,
    /// Why it was over before all runs that were to be done had ended.
    pub halt: Option<Halt>,
}

impl Outcome {
    /// Runs that stand so and that nobody is at work on.
    pub fn count(&self, standing: Standing) -> usize {
        let is_here = |record: &&RunRecord| !self.elsewhere.contains(&record.spec.id);
        self.records.iter().filter(is_here).filter(|record| Standing::of(record) == standing).count()
    }

    /// Runs that would still come to a result without anything being mended.
    pub fn unfinished(&self) -> usize {
        self.count(Standing::Interrupted) + self.count(Standing::New) + self.elsewhere.len()
    }
}

/// A run without a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub id: String,
    pub label: String,
    pub status: Status,
    pub reason: String,
    pub log: PathBuf,
    /// The end of the log.
    pub last_lines: Vec<String>,
}

/// What the journals say now, and of runs whose end could not be recorded what became of them. `tasks` are ids of runs that
/// a task of a cluster was at work on.
///
/// # Errors
/// A journal that cannot be read: its run may be finished, and would count as one that is not.
pub fn outcome(
    sweep: &SweepDir,
    plan: &[RunSpec],
    dispatched: &Dispatched,
    tasks: &BTreeSet<String>,
) -> Result<Outcome, StoreError> {
    let with_seed = has_several_seeds(plan);
    let told = |record: Result<RunRecord, StoreError>| {
        let mut record = record?;
        if let Some(ended) = dispatched.unrecorded.get(&record.spec.id) {
            record.status = Some(ended.status);
            record.reason = ended.reason.clone();
            record.summary = Some(ended.summary.clone());
        }
        Ok(record)
    };
    let records =
        sweep.read_standings(plan).into_iter().map(told).collect::<Result<Vec<RunRecord>, StoreError>>()?;
    // What was at work here has ended. A task that has just begun may hold nothing yet.
    let is_elsewhere = |record: &&RunRecord| {
        let id = &record.spec.id;
        Standing::of(record) != Standing::Complete
            && (lease::is_held(&sweep.run(id).path) || record.attempts == 0 && tasks.contains(id))
    };
    let elsewhere: BTreeSet<String> =
        records.iter().filter(is_elsewhere).map(|record| record.spec.id.clone()).collect();
    let failure = |record: &RunRecord| {
        let status = record.status.filter(|s| !s.is_complete() && *s != Status::Interrupted)?;
        if elsewhere.contains(&record.spec.id) {
            return None;
        }
        let log = sweep.run(&record.spec.id).log();
        Some(Failure {
            id: short_id(&record.spec.id).to_owned(),
            label: label(&record.spec, with_seed),
            status,
            reason: record.reason.clone().unwrap_or_default(),
            last_lines: telling_lines(&log),
            log,
        })
    };
    let failures = records.iter().filter_map(failure).collect();
    Ok(Outcome { records, elsewhere, failures, halt: dispatched.halt })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Event, Journal, Store};
    use crate::run::dispatch::tests::{ended, planned, started};

    #[test]
    fn what_another_process_or_a_task_is_at_work_on_is_unfinished_however_it_ended_before() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        let plan: Vec<RunSpec> = ["done", "again", "failed", "begins", "cut", "new"].map(planned).into();
        let log = |id: &str, end: Option<Status>| {
            std::fs::create_dir_all(&sweep.run(id).path).unwrap();
            let mut journal = Journal::open(&sweep.run(id).events(), 1).unwrap();
            let events: Vec<Event> = [started(id)].into_iter().chain(end.map(ended)).collect();
            events.into_iter().for_each(|event| drop(journal.append(event).unwrap()));
        };
        log("done", Some(Status::Finished));
        log("again", Some(Status::Failed));
        log("failed", Some(Status::Failed));
        log("cut", None);
        let _held = ["done", "again"].map(|id| lease::Lease::try_take(&sweep.run(id).path).unwrap().unwrap());
        let tasks = ["begins", "cut", "failed"].map(str::to_owned).into();
        let found = outcome(&sweep, &plan, &Dispatched::default(), &tasks).unwrap();
        assert_eq!(found.elsewhere, ["again", "begins"].map(str::to_owned).into());
        let counts = [Standing::Complete, Standing::Interrupted, Standing::New, Standing::Failed];
        assert_eq!(counts.map(|standing| found.count(standing)), [1; 4]);
        assert_eq!(found.unfinished(), 4);
        let failures: Vec<&str> = found.failures.iter().map(|failure| failure.id.as_str()).collect();
        assert_eq!(failures, ["failed"]);
    }
}
