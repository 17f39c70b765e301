//! `sweep cancel`: takes a sweep's jobs out of the queue. What runs saves a checkpoint first, if it is left the time.

use super::ClusterError;
use super::ask::ask;
use super::state::{SLURM, hyperqueue_queue, queue};
use crate::record::SweepDir;
use crate::record::submissions::plan_digest;

/// Cancels what of a sweep is still in a queue, and returns the numbers of those jobs.
///
/// # Errors
/// A scheduler that was handed something cannot be asked.
pub fn cancel(sweep: &SweepDir) -> Result<Vec<String>, ClusterError> {
    let mut cancelled = Vec::new();
    let digest = sweep.read_plan().map(|plan| plan_digest(&plan)).unwrap_or_default();
    let slurm = sweep.submissions(SLURM).read().0;
    if !slurm.is_empty() {
        let jobs = queue(&slurm, &digest)?.alive;
        if !jobs.is_empty() {
            tell("scancel", &jobs)?;
        }
        cancelled.extend(jobs);
    }
    let jobs = hyperqueue_queue(sweep, &digest)?.alive;
    if !jobs.is_empty() {
        tell("hq", &["job".to_owned(), "cancel".to_owned(), jobs.join(",")])?;
    }
    cancelled.extend(jobs);
    Ok(cancelled)
}

fn tell(program: &str, arguments: &[String]) -> Result<(), ClusterError> {
    let answer = ask(program, arguments, &[])?;
    if answer.is_success { Ok(()) } else { Err(ClusterError(format!("{program}: {}", answer.complaint()))) }
}
