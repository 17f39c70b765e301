//! Seconds that captions take: a model of BLIP-base's size with random weights, random images, five beams, sixty tokens.
//!
//! `compare.py` runs this beside transformers on the same weights. Each repetition prints a line of JSON; the captions
//! are kept in the model's folder, so that both can be seen to say the same.

mod model;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use clap::Parser;
use serde_json::json;
use sweep::model::beam::BeamSettings;
use sweep::model::{Blip, Config, GeneratedCaption, Weights, generate};
use sweep::record::recipe::{BeamStopping, Precision};

/// Images encoded at once, as in a run.
const ENCODED_AT_ONCE: usize = 8;

#[derive(Parser)]
struct Arguments {
    /// Folder of the model; a random one of BLIP-base's size is written where it has none
    #[arg(long)]
    model: PathBuf,
    #[arg(long, default_value_t = 16)]
    images: usize,
    #[arg(long, default_value_t = 5)]
    beams: usize,
    /// Tokens of every caption, start and end token included
    #[arg(long, default_value_t = 60)]
    length: usize,
    #[arg(long, value_parser = ["f32", "bf16", "f16"], default_value = "f32")]
    precision: String,
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Threads; 0 means one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    let folder = &arguments.model;
    if !folder.join("config.json").exists() {
        model::write_random(folder)?;
    }
    let mut config = Config::load(folder)?;
    let named = Precision::ALL.into_iter().find(|precision| precision.name() == arguments.precision);
    config.precision = named.context("a precision that there is")?;
    let blip = Blip::new(&config, &Weights::load(folder, &Device::Cpu)?)?;
    let pixels = model::pixels(folder, arguments.images, config.vision.image_size)?;
    let settings = BeamSettings {
        max_length: arguments.length,
        min_length: arguments.length,
        num_beams: arguments.beams,
        no_repeat_ngram_size: 2,
        length_penalty: 1.0,
        early_stopping: BeamStopping::Yes,
        repetition_penalty: 1.1,
        start: vec![config.tokens.start],
        end: config.tokens.end,
    };
    for _ in 0..arguments.repeats {
        let (image_embeds, encode) = timed(|| embed(&blip, &pixels))?;
        let (captions, text) = timed(|| Ok(generate(&blip.text_decoder, &image_embeds, &settings)?))?;
        println!(
            "{}",
            json!({"encode_seconds": encode.wall, "text_seconds": text.wall,
                "encode_cpu_seconds": encode.cpu, "text_cpu_seconds": text.cpu})
        );
        keep(folder, &captions)?;
    }
    Ok(())
}

struct Seconds {
    wall: f64,
    /// Of all threads, user and system; `NaN` where the system does not say.
    cpu: f64,
}

fn timed<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, Seconds)> {
    let (began, before) = (Instant::now(), cpu_seconds());
    let value = f()?;
    Ok((value, Seconds { wall: began.elapsed().as_secs_f64(), cpu: cpu_seconds() - before }))
}

/// From the 14th and 15th field of `/proc/self/stat`, which are hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().into_iter().flat_map(str::split_whitespace);
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

fn embed(blip: &Blip, pixels: &Tensor) -> Result<Tensor> {
    let (images, depth) = (pixels.dim(0)?, blip.vision_model.depth());
    let parts: Vec<Tensor> = (0..images)
        .step_by(ENCODED_AT_ONCE)
        .map(|first| {
            let part = pixels.narrow(0, first, ENCODED_AT_ONCE.min(images - first))?;
            blip.vision_model.finish(&blip.vision_model.encode(&part, depth)?, depth)
        })
        .collect::<candle_core::Result<_>>()?;
    Ok(Tensor::cat(&parts, 0)?)
}

fn keep(folder: &Path, captions: &[GeneratedCaption]) -> Result<()> {
    let captions: Vec<_> =
        captions.iter().map(|caption| json!({"ids": caption.ids, "score": caption.score})).collect();
    Ok(std::fs::write(folder.join("captions.json"), json!(captions).to_string())?)
}
