//! How a plan stands on disk: what of it is missing.

use std::collections::BTreeSet;

use super::launcher::Task;
use super::policy::{Retry, Standing};
use crate::record::store::StoreError;
use crate::record::{RunSpec, SweepDir};

/// A plan's runs by how they stand.
#[derive(Debug)]
pub struct Survey {
    /// Runs to do: those that were interrupted first, which are nearest to their result, then those that never began,
    /// and those that failed before last, so that they keep no other from its turn. Each group in the plan's order.
    pub missing: Vec<Task>,
    /// Runs that have their result.
    pub complete: usize,
    /// Runs without a result that are left out all the same, and how they stand.
    pub left_out: Vec<(String, Standing)>,
    /// Runs of the plan frozen before that this one no longer has; their folders stay.
    pub left_behind: Vec<String>,
    /// The plan frozen before is this one.
    pub is_frozen: bool,
}

/// Looks at the plan frozen before and at the journal of each run.
///
/// # Errors
/// A journal that cannot be read: its run may be finished, and would be run again.
pub fn survey(sweep: &SweepDir, runs: &[RunSpec], retry: Option<Retry>) -> Result<Survey, StoreError> {
    // An earlier plan that cannot be read says nothing worth keeping: the runs' folders carry their own settings.
    let before = if sweep.plan_path().is_file() { sweep.read_plan().unwrap_or_default() } else { Vec::new() };
    let planned: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    let is_left = |run: &&RunSpec| !planned.contains(run.id.as_str()) && sweep.run(&run.id).path.is_dir();
    let (mut missing, mut left_out, mut complete) = (Vec::new(), Vec::new(), 0);
    for (position, (spec, record)) in runs.iter().zip(sweep.read_standings(runs)).enumerate() {
        let (directory, standing) = (sweep.run(&spec.id), Standing::of(&record?));
        if standing.is_to_do(retry) {
            let task = Task { spec: spec.clone(), directory, position, until_epoch: None };
            missing.push((standing, task));
        } else if standing == Standing::Complete {
            complete += 1;
        } else {
            left_out.push((spec.id.clone(), standing));
        }
    }
    missing.sort_by_key(|(standing, _)| *standing);
    Ok(Survey {
        missing: missing.into_iter().map(|(_, task)| task).collect(),
        complete,
        left_out,
        left_behind: before.iter().filter(is_left).map(|run| run.id.clone()).collect(),
        is_frozen: before == runs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Event, Journal, Status, Store};
    use crate::run::dispatch::tests::{ended, planned, started};

    fn record(sweep: &SweepDir, id: &str, events: Vec<Event>) {
        let directory = sweep.run(id);
        std::fs::create_dir_all(&directory.path).unwrap();
        let mut journal = Journal::open(&directory.events(), 1).unwrap();
        for event in events {
            journal.append(event).unwrap();
        }
    }

    fn ids(tasks: &[Task]) -> Vec<String> {
        tasks.iter().map(|task| task.spec.id.clone()).collect()
    }

    #[test]
    fn only_runs_without_a_result_are_missing_interrupted_ones_first_and_failed_ones_last() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        let plan: Vec<RunSpec> = ["new", "done", "cut", "failed", "interrupted", "nan"].map(planned).into();
        record(&sweep, "done", vec![started("done"), ended(Status::EarlyStopped)]);
        record(&sweep, "cut", vec![started("cut")]);
        record(&sweep, "failed", vec![started("failed"), ended(Status::Failed)]);
        record(&sweep, "interrupted", vec![started("interrupted"), ended(Status::Interrupted)]);
        record(&sweep, "nan", vec![started("nan"), ended(Status::Diverged)]);
        let found = survey(&sweep, &plan, None).unwrap();
        assert_eq!(ids(&found.missing), ["cut", "interrupted", "new", "failed"]);
        assert_eq!(found.missing[0].position, 2);
        assert_eq!((found.complete, found.left_out), (1, vec![("nan".to_owned(), Standing::Diverged)]));
        assert!(!found.is_frozen);
        let only = |retry| ids(&survey(&sweep, &plan, Some(retry)).unwrap().missing).join(" ");
        assert_eq!(only(Retry::Failed), "new failed");
        assert_eq!(only(Retry::Interrupted), "cut interrupted new");
        assert_eq!(only(Retry::All), "cut interrupted new failed nan");
    }

    #[test]
    fn runs_of_the_plan_before_are_left_behind_where_they_have_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        sweep.write_plan(&["a", "b", "c"].map(planned)).unwrap();
        record(&sweep, "a", vec![started("a")]);
        record(&sweep, "b", vec![started("b")]);
        let next = survey(&sweep, &["b", "d"].map(planned), None).unwrap();
        assert_eq!((next.left_behind, next.is_frozen), (vec!["a".to_owned()], false));
        assert!(survey(&sweep, &["a", "b", "c"].map(planned), None).unwrap().is_frozen);
        assert_eq!(ids(&next.missing), ["b", "d"]);
    }

    #[test]
    fn a_run_whose_log_cannot_be_read_is_an_error_and_not_a_run_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        std::fs::create_dir_all(sweep.run("a").events()).unwrap();
        let error = survey(&sweep, &[planned("a")], None).unwrap_err().to_string();
        assert!(error.contains("events.jsonl: cannot read: "), "{error}");
    }
}
