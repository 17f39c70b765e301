//! How a plan stands once its runs were dispatched: results, and what became of the others.

use std::path::PathBuf;

use super::dispatch::Dispatched;
use super::label::{has_several_seeds, label, short_id};
use super::log::telling_lines;
use super::policy::{Halt, Standing};
use crate::record::store::StoreError;
use crate::record::{RunRecord, RunSpec, Status, SweepDir};

/// How the plan stands afterwards.
#[derive(Debug)]
pub struct Outcome {
    /// How each run of the plan stands, in the plan's order.
    pub records: Vec<RunRecord>,
    pub failures: Vec<Failure>,
    /// Why it was over before all runs that were to be done had ended.
    pub halt: Option<Halt>,
}

impl Outcome {
    /// Runs that stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.records.iter().filter(|record| Standing::of(record) == standing).count()
    }

    /// Runs that would still come to a result without anything being mended.
    pub fn unfinished(&self) -> usize {
        self.count(Standing::Interrupted) + self.count(Standing::New)
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

/// What the journals say now, and of runs whose end could not be recorded what became of them.
///
/// # Errors
/// A journal that cannot be read: its run may be finished, and would count as one that is not.
pub fn outcome(sweep: &SweepDir, plan: &[RunSpec], dispatched: &Dispatched) -> Result<Outcome, StoreError> {
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
    let failure = |record: &RunRecord| {
        let status = record.status.filter(|s| !s.is_complete() && *s != Status::Interrupted)?;
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
    Ok(Outcome { records, failures, halt: dispatched.halt })
}
