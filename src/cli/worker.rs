//! `sweep worker`: works on one run. Started by `sweep run`, or by whatever else hands runs out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::{CHECKPOINT_EVERY, CacheFlags, device, interval};
use crate::record::RunDir;
use crate::run::worker::{Order, try_one_step, work};

/// Work on one run.
///
/// Exit codes: 0 the run has its result, 42 it failed and would fail again, 75 it stopped with a checkpoint and
/// should be run again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder, which holds its config.yaml
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// The folder of all sweeps
    #[arg(long, value_name = "DIR")]
    runs: PathBuf,
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
    let cache = args.cache.chosen(&args.runs);
    let order = Order {
        run: RunDir { path: args.run },
        runs: args.runs,
        device: args.device,
        threads: args.threads,
        checkpoint_every: args.checkpoint_every,
        until_epoch: args.until_epoch,
        cache,
        supervised: args.supervised,
    };
    let code = if args.preflight { try_one_step(&order)? } else { work(&order)? };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(super::exit::UNEXPECTED)))
}
