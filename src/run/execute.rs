//! `sweep run`, from a plan to its results.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use thiserror::Error;

use super::cache::Cache;
use super::dispatch::{Dispatched, Rules, dispatch};
use super::download::fetch_models;
use super::earlier;
use super::inbox::Inbox;
use super::inputs::{self, Checked};
use super::label::{has_several_seeds, label};
use super::launcher::Task;
use super::lease::{self, Holder, Lease};
use super::outcome::{Outcome, outcome};
use super::policy::{Policy, Retry, Standing};
use super::preflight::{Trial, heaviest, try_one_step};
use super::process::Processes;
use super::progress::{Progress, Sweep, duration, size};
use super::resources;
use super::rounds::{Contest, dispatch_in_rounds};
use super::share::{Situation, Slots, Wish, share_out};
use super::signals;
use super::survey::{Survey, survey};
use crate::hub::HubError;
use crate::record::invocation::Invocation;
use crate::record::recipe::DataSource;
use crate::record::store::StoreError;
use crate::record::{RunSpec, Status, Store, SweepDir};
use crate::train::Preflight;

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
    /// Tries one step and measures what it takes before the first run.
    pub preflight: bool,
    pub policy: Policy,
    /// Stops points in favour of better ones.
    pub contest: Option<Contest>,
    /// How much of a run's work may be lost if it is cut off.
    pub checkpoint_every: Duration,
    /// Where states of images are kept between runs; `None` goes without.
    pub cache: Option<Cache>,
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
}

/// What the user may hope for whose other machine is gone.
fn in_words([silence, most]: [Duration; 2]) -> String {
    format!(
        "; should that machine be gone: its last sign of life is {} old, and after {} without one the folder is free",
        duration(silence),
        duration(most)
    )
}

/// Runs what is missing of a plan. Runs that fail are part of the outcome, not an error.
///
/// `ready` is called once the inputs are there and the plan is frozen, before the first run.
pub fn execute(
    name: &str,
    plan: &[RunSpec],
    options: &Options,
    progress: &mut dyn Progress,
    ready: &mut dyn FnMut(&SweepDir, &mut dyn Progress),
) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let sweep = Store::new(&options.runs).sweep(name);
    let _lease = take(&sweep)?;
    let survey = survey(&sweep, plan, options.policy.retry)?;
    tell_what_stays(&survey, options.policy.retry, progress);
    if options.contest.is_none() {
        tell_what_was_stopped(&sweep, plan, progress);
    }
    for warning in earlier::look_after(&sweep, plan, &options.runs) {
        progress.note(&warning);
    }
    if survey.missing.is_empty() {
        freeze(&sweep, plan, &survey)?;
        record_call(&sweep, options, None, progress);
        // Sweeps of earlier versions have none.
        if !sweep.audit_path().exists() {
            ready(&sweep, progress);
        }
        return Ok(outcome(&sweep, plan, &Dispatched::default())?);
    }

    let inbox = signals::inbox()?.until(options.policy.deadline(began));
    let checked = inbox.with_nothing_to_lose(|| inputs::check(&survey.missing, &options.runs))?;
    for warning in &checked.warnings {
        progress.note(&format!("warning: {warning}"));
    }
    match fetch_models(&checked.to_fetch, progress, &|| inbox.was_interrupted()) {
        Err(HubError::Stopped) => return Ok(outcome(&sweep, plan, &Dispatched::stopped(inbox.halt()))?),
        fetched => fetched?,
    }
    let processes = processes(options)?;
    let measured = match trial(&survey.missing, &processes, options, &inbox)? {
        Some(Trial::Interrupted) => return Ok(outcome(&sweep, plan, &Dispatched::stopped(inbox.halt()))?),
        Some(Trial::Measured(measured)) => Some(measured),
        None => None,
    };
    let slots = choose_slots(&survey.missing, options, measured);
    if let Some(measured) = measured {
        check_disk(&sweep.path, &survey.missing, waiting(options, slots), measured)?;
    }

    freeze(&sweep, plan, &survey)?;
    record_call(&sweep, options, Some(slots), progress);
    inbox.with_nothing_to_lose(|| ready(&sweep, progress));
    progress.note(&announcement(&survey, &checked, slots, measured.zip(Some(waiting(options, slots)))));
    progress.planned(&frame(name, plan, &survey));
    let processes = Processes { threads: slots.threads, ..processes };
    let rules = Rules { jobs: slots.jobs, policy: &options.policy };
    let tasks = &survey.missing;
    let dispatched = match &options.contest {
        Some(contest) => {
            dispatch_in_rounds(&sweep, plan, tasks, contest, (&rules, &processes), &inbox, progress)?
        }
        None => dispatch(tasks, &rules, &processes, &inbox, progress),
    };
    Ok(outcome(&sweep, plan, &dispatched)?)
}

/// Writes the plan, which replaces an earlier one. Not before the inputs were found to be good: a slip on the command
/// line should not replace a plan that works.
fn freeze(sweep: &SweepDir, plan: &[RunSpec], survey: &Survey) -> Result<(), StoreError> {
    if survey.is_frozen { Ok(()) } else { sweep.write_plan(plan) }
}

/// Keeps how the sweep was run. A sweep that cannot keep it runs all the same.
fn record_call(sweep: &SweepDir, options: &Options, slots: Option<Slots>, progress: &mut dyn Progress) {
    let call = Invocation {
        threads: slots.map_or(options.wish.threads, |slots| Some(slots.threads)),
        jobs: slots.map_or(options.wish.jobs, |slots| Some(slots.jobs)),
        ..options.invocation.clone()
    };
    if let Err(error) = sweep.append_invocation(&call) {
        progress.note(&format!("warning: the call is not recorded: {error}"));
    }
}

fn take(sweep: &SweepDir) -> anyhow::Result<Lease> {
    let lease = Lease::try_take(&sweep.path)
        .with_context(|| format!("{}: cannot be written", sweep.path.display()))?;
    lease.ok_or_else(|| {
        let holder = lease::holder(&sweep.path);
        ExecuteError::Occupied { folder: sweep.path.clone(), holder, silence: lease::silence(&sweep.path) }
            .into()
    })
}

fn tell_what_stays(survey: &Survey, retry: Option<Retry>, progress: &mut dyn Progress) {
    match survey.left_behind.len() {
        0 => {}
        1 => progress.note("1 run is no longer planned; its folder stays"),
        count => progress.note(&format!("{count} runs are no longer planned; their folders stay")),
    }
    let left_out = |standing| {
        let ids = survey.left_out.iter().filter(|(_, stands)| *stands == standing).map(|(id, _)| id.as_str());
        Some(ids.collect::<Vec<_>>().join(", ")).filter(|ids| !ids.is_empty())
    };
    if let Some(ids) = left_out(Standing::Diverged) {
        progress.note(&format!(
            "diverged before, and would again: {ids}\nhint: `--retry all` runs them all the same"
        ));
    }
    let asked = retry.map(Retry::name).unwrap_or_default();
    for (standing, what) in [(Standing::Failed, "failed"), (Standing::Interrupted, "interrupted")] {
        if let Some(ids) = left_out(standing) {
            progress.note(&format!("{what} before, and left out by `--retry {asked}`: {ids}"));
        }
    }
}

/// Says which runs have their end by a rule that the sweep no longer has.
fn tell_what_was_stopped(sweep: &SweepDir, plan: &[RunSpec], progress: &mut dyn Progress) {
    if !sweep.rounds_path().is_file() {
        return;
    }
    let records = sweep.read_standings(plan).into_iter().filter_map(Result::ok);
    let stopped = records.filter(|record| record.status == Some(Status::Pruned));
    let ids: Vec<String> = stopped.map(|record| record.spec.id).collect();
    if !ids.is_empty() {
        progress.note(&format!(
            "stopped before in favour of better runs (`early_terminate`), and left so: {}\nhint: remove their folders to \
             run them whole",
            ids.join(", ")
        ));
    }
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
    match heaviest(tasks).filter(|_| options.preflight) {
        Some(task) => try_one_step(task, processes, inbox).map(Some),
        None => Ok(None),
    }
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

/// `auto` takes an accelerator where the program was built for one.
fn is_accelerator(device: &str) -> bool {
    let built_for_one = cfg!(any(feature = "cuda", feature = "metal"));
    device != "cpu" && (device != "auto" || built_for_one)
}

/// How many runs have a checkpoint to go on from at a time: those at work, or all where they wait for one another.
fn waiting(options: &Options, slots: Slots) -> usize {
    if options.contest.is_some() { usize::MAX } else { slots.jobs }
}

/// Bytes that the tasks' checkpoints take: one that stays for each, and two for each at work: the one to resume from,
/// and the next while it takes its place.
fn disk_needed(tasks: &[Task], at_work: usize, measured: Preflight) -> u64 {
    let trained = tasks.iter().filter(|task| task.spec.recipe.kind.trains()).count() as u64;
    measured.checkpoint_bytes * (trained + 2 * trained.min(at_work as u64))
}

fn check_disk(
    folder: &Path,
    tasks: &[Task],
    at_work: usize,
    measured: Preflight,
) -> Result<(), ExecuteError> {
    let needed = disk_needed(tasks, at_work, measured);
    match resources::free_disk(folder) {
        Some(free) if free < needed => {
            Err(ExecuteError::DiskFull { folder: folder.to_owned(), free, needed })
        }
        _ => Ok(()),
    }
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

fn frame(name: &str, plan: &[RunSpec], survey: &Survey) -> Sweep {
    let with_seed = has_several_seeds(plan);
    let weight = |task: &Task| match task.spec.recipe.kind {
        kind if kind.fine_tunes() => task.spec.recipe.training.epochs as f64,
        _ => 1.0,
    };
    Sweep {
        name: name.to_owned(),
        runs: plan.len(),
        complete: survey.complete,
        labels: survey.missing.iter().map(|task| label(&task.spec, with_seed)).collect(),
        weights: survey.missing.iter().map(weight).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::Kind;
    use crate::run::dispatch::tests::{planned, task};

    #[test]
    fn disk_is_needed_for_each_trained_run_and_for_resuming_those_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let mut zero_shot = planned("r0");
        zero_shot.recipe.kind = Kind::ZeroShot;
        let specs = [zero_shot, planned("r1"), planned("r2"), planned("r3")];
        let tasks = specs.map(|spec| task(folder.path(), spec));
        let measured = Preflight { step_seconds: 1.0, peak_memory_bytes: 0, checkpoint_bytes: 10 };
        let needed = |at_work| disk_needed(&tasks, at_work, measured);
        assert_eq!((needed(1), needed(2), needed(usize::MAX)), (50, 70, 90));
    }

    #[test]
    fn a_second_run_of_the_same_sweep_is_refused_while_the_first_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        let _first = take(&sweep).unwrap();
        let error = take(&sweep).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(ExecuteError::Occupied { .. })), "{error}");
    }
}
