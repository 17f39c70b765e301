//! What was handed to a cluster: `runs/<sweep>/<cluster>/submissions.jsonl`, a line a job, beside the scripts themselves.
//!
//! Lines are only ever added. They say what to ask the scheduler about, never how a run stands: that is in its own log.
//! Before a scheduler is asked to take a job, what it is asked for goes into `intents.jsonl` in the same form: should its answer
//! never be written down, the job is found by its name.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{StoreError, append_rows, write_atomic};
use super::run::RunSpec;
use super::store::SweepDir;
use super::versioned;

/// The version of the format, written into every line as `v`.
const VERSION: u64 = 1;
/// A list of a million jobs is shorter.
const MAX_BYTES: u64 = 256 << 20;

/// A job that was submitted. Fields that a reader does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    pub v: u64,
    /// RFC 3339, UTC: before the scheduler was asked.
    pub at: String,
    /// The job's number, as the scheduler gave it; empty where its answer is not known.
    pub job: String,
    /// The job's name, which no other has: numbers are given again one day.
    pub name: String,
    /// The tasks, as `3,7,12-20`, what is added to each, and the runs that a task does. Absent where the job only reports.
    pub array: Option<String>,
    pub offset: usize,
    pub runs_per_task: usize,
    /// [`plan_digest`] of the plan that positions are of.
    pub plan: String,
    /// The script, in the same folder.
    pub script: String,
}

impl Submission {
    pub fn new(at: String, job: String, name: String) -> Self {
        Self {
            v: VERSION,
            at,
            job,
            name,
            array: None,
            offset: 0,
            runs_per_task: 1,
            plan: String::new(),
            script: String::new(),
        }
    }
}

impl Submission {
    /// Whether nothing is known but that the scheduler was about to be asked.
    pub fn is_open(&self) -> bool {
        self.job.is_empty()
    }
}

/// What tells a plan from another whose positions mean other runs.
pub fn plan_digest(runs: &[RunSpec]) -> String {
    let mut digest = Sha256::new();
    runs.iter().for_each(|run| digest.update(format!("{}\n", run.id)));
    format!("{:x}", digest.finalize())[..16].to_owned()
}

/// The folder of what a sweep has handed to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionDir {
    pub path: PathBuf,
}

impl SweepDir {
    /// The folder for the cluster of this name, such as `slurm`. Ids of runs begin with `r`, so that none is in the way.
    pub fn submissions(&self, cluster: &str) -> SubmissionDir {
        SubmissionDir { path: self.path.join(cluster) }
    }
}

impl SubmissionDir {
    pub fn list(&self) -> PathBuf {
        self.path.join("submissions.jsonl")
    }

    /// A number that no script here begins with: what was handed over, or refused, stays to be looked at.
    pub fn next_number(&self) -> usize {
        let names = fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let number = |name: OsString| {
            let name = name.into_string().ok()?;
            let script = name.strip_suffix(".sh")?;
            script[..script.find(|c: char| !c.is_ascii_digit()).unwrap_or(script.len())].parse::<usize>().ok()
        };
        names.filter_map(number).max().unwrap_or(0).saturating_add(1)
    }

    /// Keeps a file beside the list, such as a script.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, StoreError> {
        let path = self.path.join(name);
        write_atomic(&path, text.as_bytes())?;
        Ok(path)
    }

    fn intents(&self) -> PathBuf {
        self.path.join("intents.jsonl")
    }

    /// Writes down what the scheduler is about to be asked for.
    pub fn intend(&self, submission: &Submission) -> Result<(), StoreError> {
        append_rows(&self.intents(), std::slice::from_ref(submission))
    }

    pub fn append(&self, submission: &Submission) -> Result<(), StoreError> {
        append_rows(&self.list(), std::slice::from_ref(submission))
    }

    /// What was submitted, in its order, behind it what may have been, and what was wrong with lines left out. No file means
    /// nothing.
    pub fn read(&self) -> (Vec<Submission>, Vec<String>) {
        let (mut submitted, mut problems) = read(&self.list());
        let (mut intents, more) = read(&self.intents());
        intents.retain(|intent| submitted.iter().all(|answered| answered.script != intent.script));
        submitted.extend(intents);
        problems.extend(more);
        (submitted, problems)
    }
}

fn read(list: &Path) -> (Vec<Submission>, Vec<String>) {
    let (lines, problems) = versioned::read(list, VERSION, MAX_BYTES);
    (lines, problems.into_iter().map(|problem: String| format!("{}: {problem}", list.display())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Store;
    use crate::record::run::tests::any_run;

    #[test]
    fn what_was_submitted_is_read_back_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let slurm = Store::new(folder.path()).sweep("x").submissions("slurm");
        assert_eq!((slurm.read(), slurm.next_number()), ((Vec::new(), Vec::new()), 1));
        let line = |job: &str| Submission {
            array: Some("3,7,12-20".to_owned()),
            ..Submission::new("2026-01-09T12:00:00Z".to_owned(), job.to_owned(), "sweep-x-1".to_owned())
        };
        let script = slurm.write("0001.sh", "#!/bin/bash\n").unwrap();
        assert!(script.ends_with("x/slurm/0001.sh") && script.is_file());
        slurm.append(&line("7")).unwrap();
        slurm.append(&line("8")).unwrap();
        assert_eq!(slurm.read(), (vec![line("7"), line("8")], Vec::new()));
        // Logs begin with the numbers of jobs.
        fs::write(slurm.path.join("0008.log"), "").unwrap();
        assert_eq!(slurm.next_number(), 2);
        slurm.append(&Submission { v: 2, ..line("9") }).unwrap();
        let (rows, problems) = slurm.read();
        assert_eq!(rows, [line("7"), line("8")]);
        assert!(
            problems.len() == 1
                && problems[0].ends_with("has version 2 of the format; this program reads version 1"),
            "{problems:?}"
        );
    }

    #[test]
    fn what_a_scheduler_was_asked_for_is_open_until_its_answer_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let slurm = Store::new(folder.path()).sweep("x").submissions("slurm");
        let line = |job: &str, script: &str| Submission {
            script: script.to_owned(),
            ..Submission::new("2026-01-09T12:00:00Z".to_owned(), job.to_owned(), "sweep-x-1".to_owned())
        };
        slurm.write("0001.sh", "#!/bin/bash\n").unwrap();
        slurm.intend(&line("", "0001.sh")).unwrap();
        assert_eq!(slurm.read().0, [line("", "0001.sh")]);
        assert!(slurm.read().0[0].is_open());
        slurm.append(&line("7", "0001.sh")).unwrap();
        slurm.intend(&line("", "0002.sh")).unwrap();
        assert_eq!(slurm.read(), (vec![line("7", "0001.sh"), line("", "0002.sh")], Vec::new()));
        slurm.append(&line("8", "0002.sh")).unwrap();
        assert_eq!(slurm.read().0, [line("7", "0001.sh"), line("8", "0002.sh")]);
        slurm.intend(&Submission { v: 2, ..line("", "0003.sh") }).unwrap();
        let problems = slurm.read().1;
        assert!(problems.len() == 1 && problems[0].contains("intents.jsonl: "), "{problems:?}");
    }

    #[test]
    fn plans_of_other_runs_or_another_order_have_other_digests() {
        let digest = |ids: &[&str]| plan_digest(&ids.iter().map(|id| any_run(id)).collect::<Vec<_>>());
        assert_eq!(digest(&["r1", "r2"]), digest(&["r1", "r2"]));
        assert_ne!(digest(&["r1", "r2"]), digest(&["r2", "r1"]));
        assert_ne!(digest(&["r1", "r2"]), digest(&["r1r2"]));
        assert_eq!(digest(&[]).len(), 16);
    }
}
