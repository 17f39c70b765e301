//! A part of a frozen plan, as one task of a job array does it: its runs one after the other, each in a process of its own,
//! like those of `sweep run`.
//!
//! The sweep's folder is not taken: other tasks are at work in it. Each run's is, by its worker.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use super::dispatch::{Rules, dispatch};
use super::label::{has_several_seeds, label};
use super::launcher::Task;
use super::outcome::outcome;
use super::policy::{Policy, Retry, Standing};
use super::process::Processes;
use super::progress::{Progress, Sweep};
use super::signals::{self, Told};
use crate::record::{RunSpec, SweepDir};

/// How the part stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    pub complete: usize,
    /// Runs that would come to a result without anything being changed.
    pub unfinished: usize,
    pub failed: usize,
}

/// Works on the runs of a plan at these positions that need it, and says how they stand and what the scheduler said
/// meanwhile.
pub fn work_on(
    sweep: &SweepDir,
    plan: &[RunSpec],
    positions: Range<usize>,
    retry: Option<Retry>,
    processes: &Processes,
    progress: &mut dyn Progress,
) -> anyhow::Result<(Done, Told)> {
    let (inbox, told) = signals::inbox_of_scheduler()?;
    let part = plan.get(positions).unwrap_or_default();
    let mut tasks = Vec::new();
    for (offset, (spec, record)) in part.iter().zip(sweep.read_standings(part)).enumerate() {
        if Standing::of(&record?).is_to_do(retry) {
            let directory = sweep.run(&spec.id);
            tasks.push(Task { spec: spec.clone(), directory, position: offset, until_epoch: None });
        }
    }
    progress.planned(&frame(sweep, part, &tasks));
    let policy = Policy::default();
    let inbox = inbox.until(policy.deadline(Instant::now()));
    let dispatched = dispatch(&tasks, &Rules { jobs: 1, policy: &policy }, processes, &inbox, progress);
    let outcome = outcome(sweep, part, &dispatched, &BTreeSet::new())?;
    let complete = outcome.count(Standing::Complete);
    let unfinished = outcome.unfinished();
    Ok((Done { complete, unfinished, failed: part.len() - complete - unfinished }, told.get()))
}

fn frame(sweep: &SweepDir, part: &[RunSpec], tasks: &[Task]) -> Sweep {
    let with_seed = has_several_seeds(part);
    Sweep {
        name: sweep.name(),
        runs: part.len(),
        complete: part.len() - tasks.len(),
        labels: tasks.iter().map(|task| label(&task.spec, with_seed)).collect(),
        weights: vec![1.0; tasks.len()],
    }
}
