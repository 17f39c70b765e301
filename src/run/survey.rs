//! How a plan stands on disk: what of it is missing.

use std::collections::BTreeSet;

use super::launcher::Task;
use crate::record::store::StoreError;
use crate::record::{RunSpec, Status, SweepDir};

/// A plan's runs by how they stand.
#[derive(Debug)]
pub struct Survey {
    /// Runs without a result: those that have begun first, each group in the plan's order.
    pub missing: Vec<Task>,
    /// Runs that have theirs.
    pub complete: usize,
    /// Runs that diverged before. The same settings diverge again, to the bit, so they are not repeated.
    pub diverged: Vec<String>,
    /// Runs of the plan frozen before that this one no longer has; their folders stay.
    pub left_behind: Vec<String>,
    /// The plan frozen before is this one.
    pub is_frozen: bool,
}

/// Looks at the plan frozen before and at the journal of each run.
///
/// # Errors
/// A journal that cannot be read: its run may be finished, and would be run again.
pub fn survey(sweep: &SweepDir, runs: &[RunSpec]) -> Result<Survey, StoreError> {
    // An earlier plan that cannot be read says nothing worth keeping: the runs' folders carry their own settings.
    let before = if sweep.plan_path().is_file() { sweep.read_plan().unwrap_or_default() } else { Vec::new() };
    let planned: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    let is_left = |run: &&RunSpec| !planned.contains(run.id.as_str()) && sweep.run(&run.id).path.is_dir();
    let mut survey = Survey {
        missing: Vec::new(),
        complete: 0,
        diverged: Vec::new(),
        left_behind: before.iter().filter(is_left).map(|run| run.id.clone()).collect(),
        is_frozen: before == runs,
    };
    let mut begun = Vec::new();
    for (position, spec) in runs.iter().enumerate() {
        let directory = sweep.run(&spec.id);
        let record = directory.try_read_record(spec.clone())?;
        let task = Task { spec: spec.clone(), directory, position };
        match record.status {
            Some(status) if status.is_complete() => survey.complete += 1,
            Some(Status::Diverged) => survey.diverged.push(spec.id.clone()),
            _ if record.attempts > 0 => begun.push(task),
            _ => survey.missing.push(task),
        }
    }
    // What has begun is the nearest to its result.
    survey.missing.splice(0..0, begun);
    Ok(survey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Event, Journal, Store};
    use crate::run::dispatch::tests::{ended, planned, started};

    fn record(sweep: &SweepDir, id: &str, events: Vec<Event>) {
        let directory = sweep.run(id);
        std::fs::create_dir_all(&directory.path).unwrap();
        let mut journal = Journal::open(&directory.events(), 1).unwrap();
        for event in events {
            journal.append(event).unwrap();
        }
    }

    fn ids(tasks: &[Task]) -> Vec<&str> {
        tasks.iter().map(|task| task.spec.id.as_str()).collect()
    }

    #[test]
    fn only_runs_without_a_result_are_missing_and_those_that_have_begun_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        let plan: Vec<RunSpec> = ["new", "done", "cut", "failed", "interrupted", "nan"].map(planned).into();
        record(&sweep, "done", vec![started("done"), ended(Status::EarlyStopped)]);
        record(&sweep, "cut", vec![started("cut")]);
        record(&sweep, "failed", vec![started("failed"), ended(Status::Failed)]);
        record(&sweep, "interrupted", vec![started("interrupted"), ended(Status::Interrupted)]);
        record(&sweep, "nan", vec![started("nan"), ended(Status::Diverged)]);
        let survey = survey(&sweep, &plan).unwrap();
        assert_eq!(ids(&survey.missing), ["cut", "failed", "interrupted", "new"]);
        assert_eq!(survey.missing[0].position, 2);
        assert_eq!((survey.complete, survey.diverged), (1, vec!["nan".to_owned()]));
        assert!(!survey.is_frozen);
    }

    #[test]
    fn runs_of_the_plan_before_are_left_behind_where_they_have_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        sweep.write_plan(&["a", "b", "c"].map(planned)).unwrap();
        record(&sweep, "a", vec![started("a")]);
        record(&sweep, "b", vec![started("b")]);
        let next = survey(&sweep, &["b", "d"].map(planned)).unwrap();
        assert_eq!((next.left_behind, next.is_frozen), (vec!["a".to_owned()], false));
        assert!(survey(&sweep, &["a", "b", "c"].map(planned)).unwrap().is_frozen);
        assert_eq!(ids(&next.missing), ["b", "d"]);
    }

    #[test]
    fn a_run_whose_log_cannot_be_read_is_an_error_and_not_a_run_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        std::fs::create_dir_all(sweep.run("a").events()).unwrap();
        let error = survey(&sweep, &[planned("a")]).unwrap_err().to_string();
        assert!(error.contains("events.jsonl: cannot read: "), "{error}");
    }
}
