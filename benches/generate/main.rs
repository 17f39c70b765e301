//! Seconds that captions take: a model of BLIP-base's size with random weights, random images, five beams, sixty tokens.
//!
//! `compare.py` runs this beside transformers on the same weights. Each repetition prints a line of JSON; the captions
//! are kept in the model's folder, so that both can be seen to say the same.

mod model;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};
use clap::Parser;
use serde_json::json;
use sweep::model::beam::BeamSettings;
use sweep::model::{Blip, Config, GeneratedCaption, Weights, generate};
use sweep::record::recipe::BeamStopping;

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
    let config = Config::load(folder)?;
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
        start: config.tokens.start,
        end: config.tokens.end,
    };
    for _ in 0..arguments.repeats {
        let began = Instant::now();
        let image_embeds = encode(&blip, &pixels)?;
        let encode_seconds = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let captions = generate(&blip.text_decoder, &image_embeds, &settings)?;
        let text_seconds = began.elapsed().as_secs_f64();
        println!("{}", json!({"encode_seconds": encode_seconds, "text_seconds": text_seconds}));
        keep(folder, &captions)?;
    }
    Ok(())
}

fn encode(blip: &Blip, pixels: &Tensor) -> Result<Tensor> {
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
