//! `sweep submit`: what is missing of a frozen plan becomes a job array.
//!
//! Submitting returns at once, and what was submitted is written down before that, and before the scheduler is asked what it is
//! asked for: a login node is not to be held, and a scheduler that took a job is not to be asked twice. Submitting again hands over what is missing by then and not in the
//! queue.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::ClusterError;
use super::array::{Chunk, blocks, chunks, compact};
use super::ask::ask;
use super::command::{Worker, shown};
use super::refusal::{in_a_line, refused};
use super::scheduler::Known;
use super::state::{SLURM, hyperqueue_queue, queue};
use super::{hyperqueue, kubernetes, slurm};
use crate::record::SweepDir;
use crate::record::store::StoreError;
use crate::record::submissions::{Submission, SubmissionDir};
use crate::run::lease;
use crate::run::survey::Survey;
use crate::spec::Launcher;

/// The folders of what was handed to the others.
pub const HYPERQUEUE: &str = "hyperqueue";
pub const KUBERNETES: &str = "kubernetes";

/// What is submitted.
#[derive(Debug)]
pub struct Order<'a> {
    pub sweep: &'a SweepDir,
    pub launcher: &'a Launcher,
    pub worker: &'a Worker,
    /// Where the report goes that is written behind the runs; `None` for none.
    pub reports: Option<&'a Path>,
    /// Positions in the plan, ascending.
    pub positions: &'a [usize],
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Submitted {
    /// Numbers of the jobs.
    pub jobs: Vec<String>,
    pub tasks: usize,
    /// The job that reports.
    pub report: Option<String>,
    /// Why there is none although there was to be one.
    pub no_report: Option<String>,
    /// What was written.
    pub files: Vec<PathBuf>,
}

/// The runs that are missing and that nobody is at.
pub fn to_submit(sweep: &SweepDir, survey: &Survey, known: &Known) -> Vec<usize> {
    let is_free = |position: &usize, folder: &Path| {
        let is_queued = known.tasks.get(position).is_some_and(super::scheduler::Task::is_alive);
        !is_queued && !lease::is_held(folder)
    };
    let tasks = survey.missing.iter();
    let mut positions: Vec<usize> = tasks
        .filter(|task| is_free(&task.position, &sweep.run(&task.spec.id).path))
        .map(|task| task.position)
        .collect();
    positions.sort_unstable();
    positions
}

/// What the queue of Slurm or HyperQueue has of the sweep; Kubernetes is not asked.
///
/// # Errors
/// It cannot be asked although something was submitted, or has tasks of another plan, whose positions mean other runs.
pub fn look_at_queue(sweep: &SweepDir, cluster: &str, plan_digest: &str) -> Result<Known, ClusterError> {
    let known = match cluster {
        SLURM => queue(&super::state::submissions(sweep), plan_digest)?,
        HYPERQUEUE => hyperqueue_queue(sweep, plan_digest)?,
        _ => Known::default(),
    };
    refuse_other_plans(sweep, &known)?;
    Ok(known)
}

/// Makes sure that no task in the queue is of another plan of the sweep: another that took its place would make them end
/// without having done anything.
pub fn refuse_other_plans(sweep: &SweepDir, known: &Known) -> Result<(), ClusterError> {
    if known.of_other_plans.is_empty() {
        return Ok(());
    }
    Err(ClusterError(format!(
        "{}: jobs of an earlier plan of this sweep are in the queue: {}\nhint: `sweep cancel {}` takes them out, or give this \
         plan a name of its own: `name=other`",
        sweep.path.display(),
        known.of_other_plans.join(", "),
        sweep.path.display()
    )))
}

/// The scripts of the arrays that an order becomes.
pub fn slurm_scripts(order: &Order, name: &str, max_array_size: usize) -> Vec<(Chunk, String)> {
    let folder = order.sweep.submissions(SLURM).path;
    let folder = absolute(&folder);
    let tasks = blocks(order.positions, order.launcher.per_task());
    let script = |chunk: Chunk| {
        let script = slurm::array_script(name, &chunk, order.worker, order.launcher, &folder);
        (chunk, script)
    };
    chunks(&tasks, max_array_size).into_iter().map(script).collect()
}

/// The script of the job that reports.
pub fn slurm_report(order: &Order, name: &str) -> Option<String> {
    let folder = absolute(&order.sweep.submissions(SLURM).path);
    let sweep = absolute(&order.sweep.path);
    let report = |reports| {
        slurm::report_script(&reporter(name), &sweep, reports, order.worker, order.launcher, &folder)
    };
    order.reports.map(report)
}

/// Hands the order to Slurm, whose arrays have fewer tasks than `max_array_size`.
///
/// # Errors
/// Slurm refuses an array. What it took before that is in the queue and written down. That it refuses the job that reports
/// is not one: the runs are what matters, and [`Submitted::no_report`] says why there is none.
pub fn to_slurm(order: &Order, max_array_size: usize) -> anyhow::Result<Submitted> {
    let folder = order.sweep.submissions(SLURM);
    let (name, at) = name_of(order.sweep);
    let mut submitted = Submitted::default();
    for (chunk, script) in slurm_scripts(order, &name, max_array_size) {
        let (file, path, number) = written(&folder, "", &script)?;
        let asked = Submission {
            array: Some(compact(&chunk.indices)),
            offset: chunk.offset,
            runs_per_task: order.launcher.per_task(),
            plan: order.worker.plan_digest.clone(),
            script: file,
            ..Submission::new(at.clone(), String::new(), name.clone())
        };
        folder.intend(&asked)?;
        let job = sbatch(&folder, number, &path, &[])
            .map_err(|refusal| refused(&path, &name, &refusal, &submitted))?;
        folder.append(&Submission { job: job.clone(), ..asked }).with_context(|| {
            format!("job {job} is in the queue, and could not be written down\nhint: `scancel {job}` takes it back")
        })?;
        submitted.tasks += chunk.indices.len();
        submitted.jobs.push(job);
        submitted.files.push(path);
    }
    if let Some(script) = slurm_report(order, &name) {
        let (file, path, number) = written(&folder, "-report", &script)?;
        // `afterok` would judge an array by its last task, and a report is wanted of failures too.
        let behind = format!("--dependency=afterany:{}", submitted.jobs.join(":"));
        let asked = Submission { script: file, ..Submission::new(at, String::new(), reporter(&name)) };
        folder.intend(&asked)?;
        match sbatch(&folder, number, &path, &[&behind]) {
            Ok(job) => {
                folder.append(&Submission { job: job.clone(), ..asked })?;
                submitted.report = Some(job);
            }
            Err(refusal) => submitted.no_report = Some(refusal.to_string()),
        }
    }
    Ok(submitted)
}

/// Writes a script under the next number: its name, its path and the number.
fn written(folder: &SubmissionDir, what: &str, script: &str) -> Result<(String, PathBuf, usize), StoreError> {
    let number = folder.next_number();
    let file = format!("{number:04}{what}.sh");
    let path = folder.write(&file, script)?;
    Ok((file, path, number))
}

fn reporter(name: &str) -> String {
    format!("{name}-report")
}

/// Submits a script, and keeps what `sbatch` said beside it.
fn sbatch(
    folder: &SubmissionDir,
    number: usize,
    script: &Path,
    options: &[&str],
) -> Result<String, ClusterError> {
    let path = shown(&absolute(script));
    let arguments: Vec<&str> =
        ["--parsable"].into_iter().chain(options.iter().copied()).chain([path.as_str()]).collect();
    let answer = ask("sbatch", &arguments, &[])?;
    let words = format!(
        "sbatch {}\n--- stdout\n{}--- stderr\n{}",
        arguments.join(" "),
        answer.said,
        answer.complained
    );
    // For who wants to know one day; the job's number counts, and is kept elsewhere.
    let _ = folder.write(&format!("{number:04}.sbatch.txt"), &words);
    let job = slurm::job_id(&answer.said).filter(|_| answer.is_success);
    job.ok_or_else(|| ClusterError(in_a_line(answer.complaint())))
}

/// The largest array that Slurm takes.
pub fn max_array_size() -> Result<usize, ClusterError> {
    let answer = ask("scontrol", &["show", "config"], &[])?;
    if !answer.is_success {
        return Err(ClusterError(format!("scontrol: {}", answer.complaint())));
    }
    Ok(slurm::max_array_size(&answer.said).unwrap_or(slurm::MAX_ARRAY_SIZE))
}

/// Hands the order to HyperQueue.
pub fn to_hyperqueue(order: &Order) -> anyhow::Result<Submitted> {
    let folder = order.sweep.submissions(HYPERQUEUE);
    let (name, at) = name_of(order.sweep);
    let number = folder.next_number();
    let tasks = blocks(order.positions, order.launcher.per_task());
    let task = folder
        .write(&format!("{number:04}-task.sh"), &hyperqueue::task_script(order.worker, order.launcher))?;
    let place = absolute(&folder.path);
    let words =
        hyperqueue::submit_command(&name, &tasks, order.worker, order.launcher, &place, &absolute(&task));
    let script = format!("{number:04}.sh");
    let path = folder.write(&script, &format!("#!/bin/bash\n{}\n", hyperqueue::in_a_line(&words)))?;
    let asked = Submission {
        array: Some(compact(&tasks)),
        runs_per_task: order.launcher.per_task(),
        plan: order.worker.plan_digest.clone(),
        script,
        ..Submission::new(at, String::new(), name)
    };
    folder.intend(&asked)?;
    let answer = ask(&words[0], &words[1..], &[])?;
    let job = slurm::job_id(&answer.said).filter(|_| answer.is_success);
    let job =
        job.ok_or_else(|| ClusterError(format!("hq refuses {}: {}", path.display(), answer.complaint())))?;
    folder.append(&Submission { job: job.clone(), ..asked })?;
    Ok(Submitted { jobs: vec![job], tasks: tasks.len(), files: vec![path], ..Submitted::default() })
}

/// The command that HyperQueue would be given.
pub fn hyperqueue_command(order: &Order) -> String {
    let folder = absolute(&order.sweep.submissions(HYPERQUEUE).path);
    let tasks = blocks(order.positions, order.launcher.per_task());
    let (name, _) = name_of(order.sweep);
    let task = folder.join("0001-task.sh");
    let words = hyperqueue::submit_command(&name, &tasks, order.worker, order.launcher, &folder, &task);
    format!(
        "{}\n\n# {}\n{}",
        hyperqueue::in_a_line(&words),
        task.display(),
        hyperqueue::task_script(order.worker, order.launcher)
    )
}

/// The manifest for Kubernetes.
pub fn kubernetes_manifest(order: &Order) -> Result<String, ClusterError> {
    let (name, _) = name_of(order.sweep);
    let tasks = blocks(order.positions, order.launcher.per_task());
    let name = kubernetes::object_name(&name);
    kubernetes::manifest(&name, &tasks, order.worker, order.launcher).map_err(lacks)
}

/// Makes sure that everything is said that a manifest needs.
pub fn check_for_kubernetes(launcher: &Launcher) -> Result<(), ClusterError> {
    kubernetes::missing(launcher).map_or(Ok(()), |missing| Err(lacks(missing)))
}

fn lacks(missing: &str) -> ClusterError {
    ClusterError(format!(
        "Kubernetes needs `{missing}`, which nothing says\nhint: `launcher: {{{missing}: ...}}` in the sweep file, or `--{}`",
        missing.replace('_', "-")
    ))
}

/// Writes the manifest. The user hands it over: the name of the cluster and the right to use it are his.
pub fn to_kubernetes(order: &Order) -> anyhow::Result<Submitted> {
    let folder = order.sweep.submissions(KUBERNETES);
    let manifest = kubernetes_manifest(order)?;
    let digest = format!("{:x}", Sha256::digest(&manifest));
    let path = folder.write(&format!("job-{}.yaml", &digest[..8]), &manifest)?;
    let tasks = blocks(order.positions, order.launcher.per_task()).len();
    Ok(Submitted { tasks, files: vec![path], ..Submitted::default() })
}

/// A name that no other job has, for who looks at the queue, and the time that it is of.
fn name_of(sweep: &SweepDir) -> (String, String) {
    let now = SystemTime::now();
    let tag = Sha256::digest(format!(
        "{} {}",
        absolute(&sweep.path).display(),
        humantime::format_rfc3339_nanos(now)
    ));
    let tag = format!("{tag:x}");
    (format!("sweep-{}-{}", sweep.name(), &tag[..6]), humantime::format_rfc3339_seconds(now).to_string())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
