//! What is known of a sweep's tasks beyond its files: the scheduler is asked, where there is something to ask about.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ClusterError;
use super::ask::ask;
use super::hyperqueue;
use super::scheduler::{ACCOUNT_FIELDS, Known, QUEUE_FORMAT, of};
use super::submit::HYPERQUEUE;
use crate::record::SweepDir;
use crate::record::submissions::Submission;

/// The folder of what was handed to Slurm.
pub const SLURM: &str = "slurm";
/// Without it `squeue` cuts lists of tasks off.
const WHOLE_LISTS: [(&str, &str); 1] = [("SLURM_BITSTR_LEN", "0")];
/// Clocks of a login node and of the controller may differ.
const SLACK: Duration = Duration::from_secs(3600);

/// The queue as it has the jobs of a sweep.
///
/// # Errors
/// The scheduler cannot be asked.
pub fn queue(submissions: &[Submission], plan: &str) -> Result<Known, ClusterError> {
    let mut known = Known::default();
    if submissions.is_empty() {
        return Ok(known);
    }
    let names: BTreeSet<&str> = submissions.iter().map(|submission| submission.name.as_str()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(",");
    // By name, for a number that the scheduler has forgotten is an error to it.
    let arguments = ["--noheader", "--format", QUEUE_FORMAT, "--name", &names];
    let answer = ask("squeue", &arguments, &WHOLE_LISTS)?;
    if !answer.is_success {
        return Err(ClusterError(format!("squeue: {}", answer.complaint())));
    }
    known.hear_queue(submissions, plan, &answer.said);
    Ok(known)
}

/// The same of HyperQueue.
///
/// # Errors
/// It cannot be asked although something was submitted.
pub fn hyperqueue_queue(sweep: &SweepDir, plan: &str) -> Result<Known, ClusterError> {
    let submissions = sweep.submissions(HYPERQUEUE).read().0;
    let mut known = Known::default();
    if submissions.is_empty() {
        return Ok(known);
    }
    let jobs = hyperqueue::jobs(&hq(&["job", "list"])?).ok_or_else(not_understood)?;
    let jobs = jobs.into_iter().map(|job| (job.id.to_string(), job.name));
    // Numbers are given again by a server that is started anew.
    let ours: Vec<(String, String)> =
        jobs.filter(|(job, name)| of(&submissions, job, name).is_some()).collect();
    if ours.is_empty() {
        return Ok(known);
    }
    let numbers = ours.iter().map(|(job, _)| job.as_str()).collect::<Vec<_>>().join(",");
    let mut tasks = hyperqueue::tasks(&hq(&["task", "list", &numbers])?).ok_or_else(not_understood)?;
    for (job, name) in &ours {
        let Some(submission) = of(&submissions, job, name) else { continue };
        for (index, state) in tasks.remove(job).unwrap_or_default() {
            known.hear_in_queue((submission, job), plan, &index.to_string(), state, None);
        }
    }
    Ok(known)
}

fn hq(words: &[&str]) -> Result<String, ClusterError> {
    let arguments: Vec<&str> = ["--output-mode=json"].iter().chain(words).copied().collect();
    let answer = ask("hq", &arguments, &[])?;
    if answer.is_success { Ok(answer.said) } else { Err(ClusterError(format!("hq: {}", answer.complaint()))) }
}

fn not_understood() -> ClusterError {
    ClusterError("hq: its answer in JSON has no jobs or tasks with `id`, `name` and `state`".to_owned())
}

/// Adds what the accounts say of what is no more in the queue. Many clusters keep none; that is no error.
pub fn accounts(known: &mut Known, submissions: &[Submission], plan: &str) {
    let Some(first) = submissions.first().and_then(|first| humantime::parse_rfc3339_weak(&first.at).ok())
    else {
        return;
    };
    let since = humantime::format_rfc3339_seconds(first.checked_sub(SLACK).unwrap_or(first)).to_string();
    let names: BTreeSet<&str> = submissions.iter().map(|submission| submission.name.as_str()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(",");
    let arguments = [
        "--allocations",
        "--parsable2",
        "--noheader",
        "--format",
        ACCOUNT_FIELDS,
        "--name",
        &names,
        "--starttime",
        since.trim_end_matches('Z'),
    ];
    // Times without a zone are the cluster's own; told UTC, they are ours.
    if let Ok(answer) = ask("sacct", &arguments, &[("TZ", "UTC")])
        && answer.is_success
    {
        known.hear_accounts(submissions, plan, &answer.said);
    }
}

/// What a sweep has handed to Slurm.
pub fn submissions(sweep: &SweepDir) -> Vec<Submission> {
    sweep.submissions(SLURM).read().0
}
