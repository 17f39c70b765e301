//! `sweep audit`: what a recipe makes unreachable, before any training.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use candle_core::Device;

use super::arguments::{SweepFile, device};
use super::auditing;
use super::exit::BadInput;
use super::output::{self, Format};
use crate::spec;
use crate::train::open_device;

/// Say what a sweep's settings and data make unreachable, before any training.
///
/// Looks at captions and settings alone, and with --images at pictures too: what length limits cut, what the decoder
/// forbids, what the loss counts and the scores punish, images and captions that are there twice. For every metric it
/// says what captions score that look at no picture, and what a perfect answer would score within the limits. Each
/// finding names the setting that mends it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    file: SweepFile,
    /// Folder of the results, where the built-in study is written to
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Load the model and encode all images, of training, validation and test: for what the nearest training image's
    /// caption scores, and for pictures that are there twice in other files. As slow as a pass over the data
    #[arg(long)]
    images: bool,
    /// Where to encode images: auto, cpu, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device, requires = "images")]
    device: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sweep audit sweeps/unfreeze.yaml
  sweep audit sweeps/unfreeze.yaml generation.max_length=32,96    which limit costs what
  sweep audit sweeps/unfreeze.yaml --images                       look at every picture, too
  sweep audit sweeps/as_original.yaml --format json";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let spec = spec::load(&args.file.spec, &args.file.overrides)?;
    let plan = args.file.expand(&spec)?;
    let device = if args.images { Some(device_of(&args)?) } else { None };
    let audit = auditing::of_plan(&plan.runs, &args.runs, device.as_ref())?;
    match args.format {
        Format::Text => output::print(&auditing::in_full(&audit, &plan.runs))?,
        Format::Json => output::print_json(&audit)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn device_of(args: &Args) -> anyhow::Result<Device> {
    let (device, _) =
        open_device(&args.device).context(BadInput(format!("cannot use --device {}", args.device)))?;
    Ok(device)
}
