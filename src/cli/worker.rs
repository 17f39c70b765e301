//! `sweep worker`: works on one run, or on those of one task of a job array. Started by `sweep run`, or by whatever else
//! hands runs out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::{CHECKPOINT_EVERY, CacheFlags, device, interval, positive};
use super::exit::{self, BadInput};
use super::output;
use super::run::retry;
use crate::cluster::task::{self, Asked};
use crate::record::submissions::plan_digest;
use crate::record::{RunDir, SweepDir};
use crate::run::cache::Cache;
use crate::run::launcher::exit_code;
use crate::run::part::work_on;
use crate::run::policy::Retry;
use crate::run::process::Processes;
use crate::run::progress;
use crate::run::worker::{Order, try_one_step, work};
use crate::spec::variables;

/// Work on one run (--run), or on those of a task of a job array (--plan).
///
/// A task finds its index in --index, SWEEP_INDEX, SLURM_ARRAY_TASK_ID (plus SWEEP_INDEX_OFFSET), HQ_TASK_ID or
/// JOB_COMPLETION_INDEX, from 0. SIGUSR2 and SIGTERM let it save a checkpoint and end; after SIGUSR2 it puts itself back
/// into Slurm's queue, SWEEP_MAX_REQUEUES times at most.
///
/// Exit codes: 0 the run has its result, 42 it failed and would fail again, 75 it stopped with a checkpoint and
/// should be run again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder, which holds its config.yaml
    #[arg(long, value_name = "DIR", required_unless_present = "plan", requires = "runs")]
    run: Option<PathBuf>,
    /// A sweep's frozen plan, plan.jsonl in its folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "supervised", "preflight", "until_epoch"])]
    plan: Option<PathBuf>,
    /// The task's index, from 0 [default: of the scheduler's variables]
    #[arg(long, value_name = "N", requires = "plan")]
    index: Option<usize>,
    /// The index counts in this list, such as 3,7,12-20
    #[arg(long, value_name = "LIST", requires = "plan")]
    indices: Option<String>,
    /// Runs of a task: those of index 2 are the third so many of the plan
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive, requires = "plan")]
    runs_per_task: usize,
    /// Refuse a plan that is another one by now
    #[arg(long, value_name = "DIGEST", requires = "plan")]
    plan_digest: Option<String>,
    /// Which runs that began before are done, as for `sweep run`
    #[arg(long, value_name = "WHICH", value_parser = retry(), hide_possible_values = true, requires = "plan")]
    retry: Option<Retry>,
    /// The folder of all sweeps [default: the one above the plan's]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Where to compute: auto, cpu, cuda:N or metal
    #[arg(long, default_value = "auto", value_parser = device)]
    device: String,
    /// Threads, as they are recorded; RAYON_NUM_THREADS and CANDLE_NUM_THREADS limit them
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How much work may be lost if the run is cut off, such as 30s or 5m; 0s saves every step
    #[arg(long, value_name = "TIME", default_value = CHECKPOINT_EVERY, value_parser = interval)]
    checkpoint_every: Duration,
    /// Save a checkpoint and stop after this epoch, if the run has more
    #[arg(long, value_name = "N")]
    until_epoch: Option<usize>,
    #[command(flatten)]
    cache: CacheFlags,
    /// Stop, with a checkpoint, when standard input ends
    #[arg(long)]
    supervised: bool,
    /// Make one step and print what it took
    #[arg(long)]
    preflight: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let code = match (&args.plan, &args.run, &args.runs) {
        (Some(plan), ..) => work_on_task(plan, &args)?,
        (None, Some(run), Some(runs)) => work_on_run(run, runs, &args)?,
        _ => return Err(BadInput("`--run` needs `--runs`".to_owned()).into()),
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(exit::UNEXPECTED)))
}

fn work_on_run(run: &Path, runs: &Path, args: &Args) -> anyhow::Result<i32> {
    let order = Order {
        run: RunDir { path: run.to_owned() },
        runs: runs.to_owned(),
        device: args.device.clone(),
        threads: args.threads,
        checkpoint_every: args.checkpoint_every,
        until_epoch: args.until_epoch,
        cache: args.cache.chosen(runs),
        supervised: args.supervised,
    };
    if args.preflight { try_one_step(&order) } else { work(&order) }
}

fn work_on_task(plan: &Path, args: &Args) -> anyhow::Result<i32> {
    let variable = |name: &str| std::env::var(name).ok();
    let number = |name: &str| variable(name).and_then(|text| text.parse::<u64>().ok());
    let plan = std::path::absolute(plan)?;
    let folder = plan.parent().unwrap_or(Path::new("/"));
    let sweep = SweepDir { path: folder.to_owned() };
    if plan != sweep.plan_path() {
        return Err(BadInput(format!(
            "{}: a plan is called plan.jsonl, in its sweep's folder",
            plan.display()
        ))
        .into());
    }
    let specs = sweep.read_plan()?;
    if args.plan_digest.as_ref().is_some_and(|digest| *digest != plan_digest(&specs)) {
        output::tell(&format!(
            "error: {}: this is not the plan that the task was submitted for\nhint: `sweep submit` hands over what is missing of it",
            plan.display()
        ));
        return Ok(exit_code::FAILED);
    }
    let cache = match completed(&args.cache) {
        Ok(cache) => cache,
        Err(error) => {
            output::tell(&error);
            return Ok(exit_code::FAILED);
        }
    };
    let asked = Asked { index: args.index, indices: args.indices.clone(), runs_per_task: args.runs_per_task };
    let positions = task::positions(&asked, variable, specs.len())?;
    let restarts = number("SLURM_RESTART_COUNT").unwrap_or(0);
    // What failed in this task's last turn is not tried again by the way.
    let retry = if restarts > 0 && args.retry.is_none() { Some(Retry::Interrupted) } else { args.retry };
    let processes = processes(args, &cache, folder)?;
    let (done, told) = {
        let mut progress = progress::for_standard_error();
        work_on(&sweep, &specs, positions, retry, &processes, progress.as_mut())?
    };
    let end = task::end_of(done, told, restarts, number("SWEEP_MAX_REQUEUES").unwrap_or(0));
    if end.is_requeued {
        match task::requeue(variable) {
            Ok(task) => output::tell(&format!("out of time: task {task} goes back into the queue")),
            Err(error) => {
                output::tell(&format!("warning: the task does not go back into the queue: {error}"))
            }
        }
    }
    Ok(end.code)
}

/// The cache's folder with the variables of this machine in it. One that is not set would be another folder, on a disk that
/// nobody meant.
fn completed(cache: &CacheFlags) -> Result<CacheFlags, String> {
    let folder = cache.cache_dir.as_ref().map(|folder| {
        let text = folder.to_string_lossy();
        variables::completed(&text, |name| std::env::var(name).ok()).map(PathBuf::from).map_err(|error| {
            format!(
                "error: the feature cache in `{text}`: {error} on this node\nhint: `cache_dir` of `launcher:` names another \
                 folder; `${{NAME:-/tmp}}` stands for /tmp where NAME is not set"
            )
        })
    });
    Ok(CacheFlags { cache_dir: folder.transpose()?, ..cache.clone() })
}

fn processes(args: &Args, cache: &CacheFlags, folder: &Path) -> anyhow::Result<Processes> {
    let working_directory = std::env::current_dir()?;
    let runs = match &args.runs {
        Some(runs) => std::path::absolute(runs)?,
        None => folder.parent().unwrap_or(folder).to_owned(),
    };
    let cache = cache.chosen(&runs);
    Ok(Processes {
        program: std::env::current_exe()?,
        cache: cache.map(|cache| Cache { folder: working_directory.join(&cache.folder), ..cache }),
        runs,
        working_directory,
        device: args.device.clone(),
        devices: None,
        threads: args.threads,
        checkpoint_every: args.checkpoint_every,
    })
}
