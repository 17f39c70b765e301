//! `sweep run`, from a plan to its results.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use thiserror::Error;

use super::cache::Cache;
use super::devices::Devices;
use super::dispatch::{Dispatched, Rules, dispatch};
use super::download::fetch_models;
use super::inbox::Inbox;
use super::inputs::{self, Checked};
use super::label::{has_several_seeds, label};
use super::launcher::Task;
use super::lease::{self, Holder, Lease};
use super::outcome::{Outcome, outcome};
use super::policy::Policy;
use super::preflight::{Trial, heaviest, try_one_step};
use super::process::Processes;
use super::progress::{Progress, Sweep, duration, size};
use super::resources;
use super::room::{check_device_memory, check_disk, check_memory, disk_needed};
use super::rounds::{Contest, dispatch_in_rounds};
use super::search::{Search, SoFar};
use super::share::{Situation, Slots, Wish, share_out};
use super::signals;
use super::survey::{Survey, survey};
use super::told::look_around;
use crate::hub::HubError;
use crate::record::invocation::Invocation;
use crate::record::recipe::DataSource;
use crate::record::store::StoreError;
use crate::record::{RunSpec, Store, SweepDir};
use crate::train::{Preflight, is_accelerator};

/// A run that takes less memory than this is small: a second thread gains it nothing.
const SMALL_MODEL_BYTES: u64 = 1 << 30;

/// How to run a plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `runs/` folder.
    pub runs: PathBuf,
    pub wish: Wish,
    /// `auto`, `cpu`, `cuda:N` or `metal`.
    pub device: String,
    /// One for each run at work, in the place of `device`; empty where all compute on that.
    pub devices: Vec<String>,
    /// Tries one step and measures what it takes before the first run.
    pub preflight: bool,
    pub policy: Policy,
    /// Stops points in favour of better ones.
    pub contest: Option<Contest>,
    /// Chooses further points by the results.
    pub search: Option<Search>,
    /// How much of a run's work may be lost if it is cut off.
    pub checkpoint_every: Duration,
    /// Where states of images are kept between runs; `None` goes without.
    pub cache: Option<Cache>,
    /// Ids of runs that another machine is at work on: they are left to it.
    pub elsewhere: BTreeSet<String>,
    /// How this came to be run, for the sweep's record.
    pub invocation: Invocation,
}

/// Why a plan is not run.
#[derive(Debug, Error)]
pub enum ExecuteError {
    #[error(
        "{}: another `sweep run` is at work on this sweep{}\nhint: `sweep status {}` shows how far it is{}",
        folder.display(), holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default(), folder.display(),
        silence.map(in_words).unwrap_or_default()
    )]
    Occupied {
        folder: PathBuf,
        holder: Option<Holder>,
        /// How long a holder on another machine has been silent, and after how long a silence the folder is free.
        silence: Option<[Duration; 2]>,
    },
    #[error(
        "{}: {} free on the disk, and the sweep's checkpoints take about {}\nhint: name another folder with `--runs`, or `--no-preflight` to start all the same",
        folder.display(), size(*free), size(*needed)
    )]
    DiskFull { folder: PathBuf, free: u64, needed: u64 },
    #[error(
        "{} of memory are free, and {jobs} runs at a time take about {}\nhint: name fewer devices with `--devices`, or \
         `--no-preflight` to start all the same",
        size(*free), size(*needed)
    )]
    MemoryFull { jobs: usize, free: u64, needed: u64 },
    #[error(
        "beside one run {} of the memory of {device} are free, and {others} more at a time take about {}\nhint: let fewer \
         runs share it (`--devices`, `--jobs`), lower `batch_size`, or `--no-preflight` to start all the same",
        size(*left), size(*needed)
    )]
    DeviceMemoryFull { device: String, others: usize, left: u64, needed: u64 },
}

/// What the user may hope for whose other machine is gone.
fn in_words([silence, most]: [Duration; 2]) -> String {
    format!(
        "; should that machine be gone: its last sign of life is {} old, and after {} without one the folder is free",
        duration(silence),
        duration(most)
    )
}

/// What is done once the inputs are there and the plan is frozen, before its first run.
pub type Ready<'a> = dyn FnMut(&SweepDir, &[RunSpec], &mut dyn Progress) + 'a;

/// Runs what is missing of a plan, and of what follows from its results where points are searched. Runs that fail are
/// part of the outcome, not an error.
pub fn execute(
    name: &str,
    plan: &[RunSpec],
    options: &Options,
    progress: &mut dyn Progress,
    ready: &mut Ready,
) -> anyhow::Result<Outcome> {
    let sweep = Store::new(&options.runs).sweep(name);
    let mut sitting = Sitting { tried: options.elsewhere.clone(), ..Sitting::default() };
    let _lease = take(&sweep)?;
    let Some(search) = &options.search else {
        return work_through(&sweep, plan, options, &mut sitting, progress, ready);
    };
    let mut so_far = search.so_far(&sweep, plan, progress)?;
    follow_from_logs(search, &sweep, &mut so_far, options, progress)?;
    loop {
        let outcome = work_through(&sweep, &so_far.plan, options, &mut sitting, progress, ready)?;
        // What is unfinished may yet change what comes next.
        if outcome.halt.is_some() || outcome.unfinished() > 0 {
            return Ok(outcome);
        }
        search.begin(&sweep)?;
        if !search.go_on(&sweep, &outcome.records, &mut so_far, progress)? {
            return Ok(outcome);
        }
    }
}

/// Decides the rounds that follow from runs that all have their results, before anything is said of what is planned: those
/// whose file is gone are then in the plan as they were.
fn follow_from_logs(
    search: &Search,
    sweep: &SweepDir,
    so_far: &mut SoFar,
    options: &Options,
    progress: &mut dyn Progress,
) -> anyhow::Result<()> {
    loop {
        let outcome = outcome(sweep, &so_far.plan, &Dispatched::default(), &options.elsewhere)?;
        let has_work = !survey(sweep, &so_far.plan, options.policy.retry)?.missing.is_empty();
        if has_work || outcome.unfinished() > 0 {
            return Ok(());
        }
        search.begin(sweep)?;
        if !search.go_on(sweep, &outcome.records, so_far, progress)? {
            return Ok(());
        }
    }
}

/// One call of `sweep run`: what is found out once for all the plans that it works through.
struct Sitting {
    began: Instant,
    is_first: bool,
    inbox: Option<Inbox>,
    slots: Option<(Slots, Option<Preflight>)>,
    /// Runs that had their turn, here or elsewhere: that a search goes on is no reason to try again what failed.
    tried: BTreeSet<String>,
}

impl Default for Sitting {
    fn default() -> Self {
        Self { began: Instant::now(), is_first: true, inbox: None, slots: None, tried: BTreeSet::new() }
    }
}

/// Runs what is missing of one plan.
fn work_through(
    sweep: &SweepDir,
    plan: &[RunSpec],
    options: &Options,
    sitting: &mut Sitting,
    progress: &mut dyn Progress,
    ready: &mut Ready,
) -> anyhow::Result<Outcome> {
    let is_first = std::mem::replace(&mut sitting.is_first, false);
    let mut survey = survey(sweep, plan, options.policy.retry)?;
    survey.missing.retain(|task| !sitting.tried.contains(&task.spec.id));
    if is_first {
        look_around(sweep, plan, options, &survey, progress);
    }
    if survey.missing.is_empty() {
        freeze(sweep, plan, &survey)?;
        if is_first {
            record_call(sweep, options, None, progress);
        }
        // Sweeps of earlier versions have none.
        if !sweep.audit_path().exists() {
            ready(sweep, plan, progress);
        }
        return Ok(outcome(sweep, plan, &Dispatched::default(), &options.elsewhere)?);
    }

    let inbox = match sitting.inbox.take() {
        Some(inbox) => inbox,
        None => signals::inbox()?.until(options.policy.deadline(sitting.began)),
    };
    let checked = inbox.with_nothing_to_lose(|| inputs::check(&survey.missing, &options.runs))?;
    for warning in checked.warnings.iter().filter(|_| is_first) {
        progress.note(&format!("warning: {warning}"));
    }
    match fetch_models(&checked.to_fetch, progress, &|| inbox.was_interrupted()) {
        Err(HubError::Stopped) => {
            return Ok(outcome(sweep, plan, &Dispatched::stopped(inbox.halt()), &options.elsewhere)?);
        }
        fetched => fetched?,
    }
    let processes = processes(options)?;
    let (slots, measured) = match sitting.slots {
        Some(known) => known,
        None => {
            let measured = match trial(&survey.missing, &processes, options, &inbox)? {
                Some(Trial::Interrupted) => {
                    return Ok(outcome(sweep, plan, &Dispatched::stopped(inbox.halt()), &options.elsewhere)?);
                }
                Some(Trial::Measured(measured)) => Some(measured),
                None => None,
            };
            *sitting.slots.insert((choose_slots(&survey.missing, options, measured), measured))
        }
    };
    if let Some(measured) = measured {
        check_memory(options, slots, measured, resources::available_memory())?;
        check_disk(&sweep.path, &survey.missing, waiting(options, slots), measured)?;
    }

    freeze(sweep, plan, &survey)?;
    if let Some(search) = &options.search {
        search.begin(sweep)?;
    }
    if is_first {
        record_call(sweep, options, Some(slots), progress);
    }
    inbox.with_nothing_to_lose(|| ready(sweep, plan, progress));
    progress.note(&announcement(&survey, &checked, slots, measured.zip(Some(waiting(options, slots)))));
    progress.planned(&frame(plan, &survey));
    let processes = Processes { threads: slots.threads, ..processes };
    let rules = Rules { jobs: slots.jobs, policy: &options.policy };
    let tasks = &survey.missing;
    let dispatched = match &options.contest {
        Some(contest) => {
            dispatch_in_rounds(sweep, plan, tasks, contest, (&rules, &processes), &inbox, progress)?
        }
        None => dispatch(tasks, &rules, &processes, &inbox, progress),
    };
    sitting.tried.extend(tasks.iter().map(|task| task.spec.id.clone()));
    sitting.inbox = Some(inbox);
    Ok(outcome(sweep, plan, &dispatched, &options.elsewhere)?)
}

/// Writes the plan, which replaces an earlier one. Not before the inputs were found to be good: a slip on the command
/// line should not replace a plan that works.
pub(super) fn freeze(sweep: &SweepDir, plan: &[RunSpec], survey: &Survey) -> Result<(), StoreError> {
    if survey.is_frozen { Ok(()) } else { sweep.write_plan(plan) }
}

/// Keeps how the sweep was run. A sweep that cannot keep it runs all the same.
pub(super) fn record_call(
    sweep: &SweepDir,
    options: &Options,
    slots: Option<Slots>,
    progress: &mut dyn Progress,
) {
    let call = Invocation {
        threads: slots.map_or(options.wish.threads, |slots| Some(slots.threads)),
        jobs: slots.map_or(options.wish.jobs, |slots| Some(slots.jobs)),
        ..options.invocation.clone()
    };
    if let Err(error) = sweep.append_invocation(&call) {
        progress.note(&format!("warning: the call is not recorded: {error}"));
    }
}

pub(super) fn take(sweep: &SweepDir) -> anyhow::Result<Lease> {
    let lease = Lease::try_take(&sweep.path)
        .with_context(|| format!("{}: cannot be written", sweep.path.display()))?;
    lease.ok_or_else(|| {
        let holder = lease::holder(&sweep.path);
        ExecuteError::Occupied { folder: sweep.path.clone(), holder, silence: lease::silence(&sweep.path) }
            .into()
    })
}

fn processes(options: &Options) -> anyhow::Result<Processes> {
    let working_directory = std::env::current_dir().context("the working directory is gone")?;
    let absolute = |cache: &Cache| Cache { folder: working_directory.join(&cache.folder), ..cache.clone() };
    Ok(Processes {
        program: std::env::current_exe().context("cannot find this program")?,
        runs: working_directory.join(&options.runs),
        cache: options.cache.as_ref().map(absolute),
        working_directory,
        device: options.device.clone(),
        devices: Some(Devices::new(&options.devices)).filter(|_| !options.devices.is_empty()),
        threads: options.wish.threads.unwrap_or_else(resources::cores),
        checkpoint_every: options.checkpoint_every,
    })
}

fn trial(
    tasks: &[Task],
    processes: &Processes,
    options: &Options,
    inbox: &Inbox,
) -> anyhow::Result<Option<Trial>> {
    let Some(task) = heaviest(tasks).filter(|_| options.preflight) else { return Ok(None) };
    let Some(devices) = &processes.devices else {
        let trial = try_one_step(task, processes, inbox)?;
        if let Trial::Measured(measured) = trial {
            check_device_memory(&options.device, options.wish.jobs.unwrap_or(1), measured)?;
        }
        return Ok(Some(trial));
    };
    // Each has to be there and to hold a run. The last is as good as any to measure on.
    let mut trial = None;
    for device in devices.distinct() {
        let runs = options.devices.iter().filter(|name| **name == device).count();
        let on_device = Processes { device: device.clone(), ..processes.clone() };
        match trial.insert(try_one_step(task, &on_device, inbox)?) {
            Trial::Measured(measured) => check_device_memory(&device, runs, *measured)?,
            Trial::Interrupted => break,
        }
    }
    Ok(trial)
}

fn choose_slots(tasks: &[Task], options: &Options, measured: Option<Preflight>) -> Slots {
    let is_built_in = |task: &Task| matches!(task.spec.recipe.data, DataSource::BuiltIn(_));
    // 0 stands for not known.
    let memory_of_a_run = measured.map(|measured| measured.peak_memory_bytes).filter(|bytes| *bytes > 0);
    let situation = Situation {
        cores: resources::cores(),
        available_memory: resources::available_memory(),
        memory_of_a_run,
        is_small_model: memory_of_a_run
            .map_or_else(|| tasks.iter().all(is_built_in), |memory| memory < SMALL_MODEL_BYTES),
        on_accelerator: is_accelerator(&options.device),
        runs: tasks.len(),
    };
    share_out(options.wish, situation)
}

/// How many runs have a checkpoint to go on from at a time: those at work, or all where they wait for one another.
fn waiting(options: &Options, slots: Slots) -> usize {
    if options.contest.is_some() { usize::MAX } else { slots.jobs }
}

/// What is about to happen and what it will take.
fn announcement(
    survey: &Survey,
    checked: &Checked,
    slots: Slots,
    measured: Option<(Preflight, usize)>,
) -> String {
    let count = survey.missing.len();
    let complete =
        if survey.complete > 0 { format!(", {} complete already", survey.complete) } else { String::new() };
    let threads =
        if slots.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", slots.threads) };
    let text = format!(
        "{count} {} to do{complete}; {} at a time, {threads} each",
        if count == 1 { "run" } else { "runs" },
        slots.jobs
    );
    let Some((measured, at_work)) = measured else { return text };
    let trained = survey.missing.iter().filter(|task| task.spec.recipe.kind.fine_tunes());
    let steps: usize = trained.map(|task| checked.steps(task)).sum();
    let seconds = steps as f64 * measured.step_seconds / slots.jobs as f64;
    format!(
        "{text}\nestimate: training at most {}, memory {} a run, disk {}",
        duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
        size(measured.peak_memory_bytes),
        size(disk_needed(&survey.missing, at_work, measured)),
    )
}

fn frame(plan: &[RunSpec], survey: &Survey) -> Sweep {
    let with_seed = has_several_seeds(plan);
    let weight = |task: &Task| match task.spec.recipe.kind {
        kind if kind.fine_tunes() => task.spec.recipe.training.epochs as f64,
        _ => 1.0,
    };
    Sweep {
        name: plan.first().map(|run| run.sweep.clone()).unwrap_or_default(),
        runs: plan.len(),
        complete: survey.complete,
        labels: survey.missing.iter().map(|task| label(&task.spec, with_seed)).collect(),
        weights: survey.missing.iter().map(weight).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_of_the_same_sweep_is_refused_while_the_first_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        let _first = take(&sweep).unwrap();
        let error = take(&sweep).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(ExecuteError::Occupied { .. })), "{error}");
    }
}
