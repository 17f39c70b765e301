//! `sweep submit`: hands what is missing of a sweep to a cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use super::arguments::{CHECKPOINT_EVERY, SweepFile, device, interval, typed};
use super::exit::{self, BadInput};
use super::launching::LauncherFlags;
use super::output;
use super::queued;
use super::run::{audit, retry, typed_command};
use crate::cluster::command::Worker;
use crate::cluster::slurm;
use crate::cluster::state::SLURM;
use crate::cluster::submit::{self, HYPERQUEUE, KUBERNETES, Order, Submitted};
use crate::record::invocation::Invocation;
use crate::record::submissions::plan_digest;
use crate::record::{RunSpec, Store, SweepDir};
use crate::run::Options;
use crate::run::policy::{Policy, Retry};
use crate::run::prepare::prepare;
use crate::run::progress::{self, Progress};
use crate::run::share::Wish;
use crate::run::survey::survey;
use crate::spec::{self, SweepSpec};

/// Hand what is missing of a sweep to a cluster; again to hand over what is missing then.
///
/// Writes the plan as `sweep run` does, looks at the inputs, and submits one job array for the runs that are missing or
/// failed and that nobody is at. Every task is a `sweep worker` that takes its run, saves a checkpoint before its time is up
/// and goes back into the queue. Returns at once; `sweep status` tells how far it is, `sweep cancel` takes it back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    file: SweepFile,
    /// The cluster: slurm, hyperqueue, kubernetes (writes a manifest), or local, which is `sweep run`
    #[arg(long, value_enum, value_name = "CLUSTER", hide_possible_values = true)]
    to: Cluster,
    /// Print what would be submitted, and write and submit nothing
    #[arg(long)]
    dry_run: bool,
    /// Folder of the results, which all nodes see under this path
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Folder of the report that is written behind the last run
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// Submit no job that reports behind the runs
    #[arg(long)]
    no_report: bool,
    /// Where to compute: auto, cpu, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device)]
    device: String,
    /// How much of a run's work may be lost if it is cut off, such as 30s; changes no result
    #[arg(long, value_name = "TIME", default_value = CHECKPOINT_EVERY, value_parser = interval)]
    checkpoint_every: Duration,
    /// Of the runs that began before and have no result, submit only those that `failed`, only those that were
    /// `interrupted`, or `all`, diverged ones too [default: failed and interrupted ones]
    #[arg(long, value_name = "WHICH", value_parser = retry(), hide_possible_values = true)]
    retry: Option<Retry>,
    #[command(flatten)]
    launcher: LauncherFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cluster {
    Slurm,
    Hyperqueue,
    Kubernetes,
    Local,
}

impl Cluster {
    /// The folder of what was handed to it, in the sweep's.
    fn folder(self) -> &'static str {
        match self {
            Self::Slurm => SLURM,
            Self::Hyperqueue => HYPERQUEUE,
            Self::Kubernetes => KUBERNETES,
            Self::Local => "",
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  sweep submit sweeps/unfreeze.yaml --to slurm --dry-run
  sweep submit sweeps/unfreeze.yaml --to slurm --partition gpu --gpus-per-node 1 --timeout-min 240
  sweep submit sweeps/unfreeze.yaml --to slurm epochs=5 --array-parallelism 8
  sweep submit sweeps/unfreeze.yaml --to kubernetes --image registry/sweep:1 --volume-claim study";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let overrides: Vec<String> = args.file.overrides.iter().chain(&args.launcher.0).cloned().collect();
    let mut bytes = spec::read(&args.file.spec)?;
    let spec = spec::parse_bytes(bytes.clone(), &args.file.spec, &overrides)?;
    for base in &spec.bases {
        bytes.extend(spec::read(base)?);
    }
    if args.to == Cluster::Local {
        return here(&args);
    }
    refuse_rounds(&spec)?;
    if args.to == Cluster::Kubernetes {
        submit::check_for_kubernetes(&spec.launcher)?;
    }
    let plan = args.file.expand(&spec)?.runs;
    let worker = worker(&args, &spec, &plan)?;
    if args.dry_run {
        return show(&args, &spec, &plan, &worker);
    }
    let options = Options {
        runs: args.runs.clone(),
        wish: Wish { jobs: None, threads: usize::try_from(spec.launcher.cpus()).ok() },
        device: args.device.clone(),
        devices: Vec::new(),
        preflight: false,
        policy: Policy { retry: args.retry, ..Policy::default() },
        contest: None,
        search: None,
        checkpoint_every: args.checkpoint_every,
        cache: None,
        elsewhere: Default::default(),
        invocation: Invocation::now(typed_command(), args.device.clone(), &bytes),
    };
    let (mut known, mut max_array_size) = (Default::default(), slurm::MAX_ARRAY_SIZE);
    let prepared = {
        let mut progress = progress::for_standard_error();
        let mut ready =
            |sweep: &SweepDir, progress: &mut dyn Progress| audit(sweep, &plan, &args.runs, true, progress);
        // Whatever is in the queue was submitted for the plan that is there now: it is asked before another takes its place.
        let look = |sweep: &SweepDir| {
            known = submit::look_at_queue(sweep, args.to.folder(), &worker.plan_digest)?;
            if args.to == Cluster::Slurm {
                max_array_size = submit::max_array_size()?;
            }
            Ok(())
        };
        prepare(&spec.name, &plan, &options, progress.as_mut(), &mut ready, look)?
    };
    queued::warn_of_lines(&prepared.sweep);
    let positions = submit::to_submit(&prepared.sweep, &prepared.survey, &known);
    let at_work = prepared.survey.missing.len() - positions.len();
    if at_work > 0 {
        output::tell(&format!(
            "{at_work} {} in the queue or at work already",
            if at_work == 1 { "run is" } else { "runs are" }
        ));
    }
    if positions.is_empty() {
        output::print("nothing to submit")?;
        return Ok(ExitCode::from(exit::ALL_IS_WELL));
    }
    let reports = reports(&args)?;
    let order = Order {
        sweep: &prepared.sweep,
        launcher: &spec.launcher,
        worker: &worker,
        reports: reports.as_deref(),
        positions: &positions,
    };
    let submitted = match args.to {
        Cluster::Slurm => submit::to_slurm(&order, max_array_size)?,
        Cluster::Hyperqueue => submit::to_hyperqueue(&order)?,
        Cluster::Kubernetes => submit::to_kubernetes(&order)?,
        Cluster::Local => Submitted::default(),
    };
    output::print(&in_words(&args, &submitted, positions.len()))?;
    if let Some(why) = &submitted.no_report {
        output::tell(&format!(
            "warning: no job reports behind the runs: {why}\nhint: `sweep report {}` does, once they have ended",
            typed(&args.runs)
        ));
    }
    Ok(ExitCode::from(exit::ALL_IS_WELL))
}

/// Points that are compared on the way, or follow from others, need someone who decides.
fn refuse_rounds(spec: &SweepSpec) -> Result<(), BadInput> {
    let message = if spec.early_terminate.is_some() {
        "a sweep with `early_terminate` is not one of independent runs: after each round someone has to say which go on\n\
         hint: `early_terminate=none` submits every run whole; `sweep run` does the rounds, also within one job"
    } else if spec.search.is_some() {
        "a sweep with `method: bayes` is not one of independent runs: what comes next follows from what came of others\n\
         hint: `method=random` submits points that are all known before; `sweep run` searches, also within one job"
    } else {
        return Ok(());
    };
    Err(BadInput(message.to_owned()))
}

fn worker(args: &Args, spec: &SweepSpec, plan: &[RunSpec]) -> anyhow::Result<Worker> {
    let runs = std::path::absolute(&args.runs)?;
    Ok(Worker {
        program: std::env::current_exe()?,
        working_directory: std::env::current_dir()?,
        plan: Store::new(&runs).sweep(&spec.name).plan_path(),
        runs,
        plan_digest: plan_digest(plan),
        device: args.device.clone(),
        checkpoint_every: args.checkpoint_every,
        retry: args.retry,
    })
}

fn reports(args: &Args) -> std::io::Result<Option<PathBuf>> {
    if args.no_report { Ok(None) } else { std::path::absolute(&args.out).map(Some) }
}

/// `--to local`: the same plan by `sweep run`.
fn here(args: &Args) -> anyhow::Result<ExitCode> {
    if args.dry_run {
        return Err(BadInput(
            "`--to local` has no script to show\nhint: `sweep plan SPEC` shows what would run".to_owned(),
        )
        .into());
    }
    let mut words = vec!["sweep".to_owned(), "run".to_owned()];
    words.extend(
        [&args.file.spec, Path::new("--runs"), &args.runs].map(|path| path.to_string_lossy().into_owned()),
    );
    words.extend(args.file.overrides.clone());
    words.extend(["--device".to_owned(), args.device.clone()]);
    words.extend([
        "--checkpoint-every".to_owned(),
        humantime::format_duration(args.checkpoint_every).to_string(),
    ]);
    words.extend(args.retry.into_iter().flat_map(|retry| ["--retry".to_owned(), retry.name().to_owned()]));
    super::run::run(super::run::Args::typed(words)?)
}

/// Prints what would be submitted.
fn show(args: &Args, spec: &SweepSpec, plan: &[RunSpec], worker: &Worker) -> anyhow::Result<ExitCode> {
    let sweep = Store::new(&args.runs).sweep(&spec.name);
    let survey = survey(&sweep, plan, args.retry)?;
    let known =
        submit::look_at_queue(&sweep, args.to.folder(), &worker.plan_digest).unwrap_or_else(|error| {
            output::tell(&format!("note: what is in the queue is not known: {error}"));
            Default::default()
        });
    let positions = submit::to_submit(&sweep, &survey, &known);
    if positions.is_empty() {
        output::print("nothing to submit")?;
        return Ok(ExitCode::from(exit::ALL_IS_WELL));
    }
    let reports = reports(args)?;
    let order = Order {
        sweep: &sweep,
        launcher: &spec.launcher,
        worker,
        reports: reports.as_deref(),
        positions: &positions,
    };
    let name = format!("sweep-{}", spec.name);
    let text = match args.to {
        Cluster::Slurm => {
            let most = submit::max_array_size().unwrap_or_else(|error| {
                let most = slurm::MAX_ARRAY_SIZE;
                output::tell(&format!("note: arrays of {most} tasks at most are assumed: {error}"));
                most
            });
            let scripts = submit::slurm_scripts(&order, &name, most).into_iter().map(|(_, script)| script);
            scripts.chain(submit::slurm_report(&order, &name)).collect::<Vec<_>>().join("\n")
        }
        Cluster::Hyperqueue => submit::hyperqueue_command(&order),
        Cluster::Kubernetes => submit::kubernetes_manifest(&order)?,
        Cluster::Local => String::new(),
    };
    output::print(&text)?;
    Ok(ExitCode::from(exit::ALL_IS_WELL))
}

/// What was submitted, and what to do next.
fn in_words(args: &Args, submitted: &Submitted, runs: usize) -> String {
    let files: Vec<String> = submitted.files.iter().map(|path| typed(path)).collect();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    if args.to == Cluster::Kubernetes {
        return format!(
            "{} in {}: {}\nnext: kubectl apply -f {}",
            count(runs, "run"),
            count(submitted.tasks, "pod"),
            files.join(" "),
            files.join(" ")
        );
    }
    let report = submitted
        .report
        .as_ref()
        .map(|job| format!(", and job {job} reports behind them"))
        .unwrap_or_default();
    let jobs = if submitted.jobs.len() == 1 { "job" } else { "jobs" };
    format!(
        "{} in {}, {jobs} {}{report}\n{}\nnext: sweep status {}",
        count(runs, "run"),
        count(submitted.tasks, "task"),
        submitted.jobs.join(", "),
        files.join("\n"),
        typed(&args.runs)
    )
}
