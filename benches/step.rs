//! Times training steps of a model folder, as a run makes them.
//!
//! ```text
//! cargo bench --bench step -- FOLDER [--layers N] [--batch N] [--steps N] [--cached] [--precision f32|bf16|f16]
//! ```
//!
//! FOLDER is what `prepare.py` writes. Prints one JSON object: seconds of each step after the first, losses, and the peak
//! of memory. `--cached` fills the features of all images before the steps.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use serde_json::json;
use sweep::data::{Dataset, collate};
use sweep::model::blip::targets;
use sweep::model::ops::{Dropout, Precision};
use sweep::model::{Blip, Unfrozen};
use sweep::record::recipe::{DataFiles, Split, Validation};
use sweep::train::features::Features;
use sweep::train::material::Pretrained;
use sweep::train::optimizer::{AdamW, Multipliers, clip_scale};
use sweep::train::preflight::peak_memory_bytes;

struct Arguments {
    folder: PathBuf,
    layers: usize,
    batch: usize,
    steps: usize,
    is_cached: bool,
    precision: Precision,
}

fn main() -> Result<()> {
    let Arguments { folder, layers, batch, steps, is_cached, precision } = arguments()?;
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let device = Device::Cpu;
    let mut pretrained = Pretrained::load(&folder.join("model"), &device)?;
    pretrained.config.precision = precision;
    let depth = pretrained.config.vision.num_hidden_layers;
    pretrained.weights.unfreeze(Unfrozen::Last { vision_layers: layers, text: true }, depth)?;
    let model = Blip::new(&pretrained.config, &pretrained.weights)?;
    let multipliers = Multipliers { text: 1.0, vision: 0.1, other: 1.0 };
    let mut optimizer = AdamW::new(&pretrained.weights, 0.01, multipliers);
    let path = |name: &str| folder.join(name).display().to_string();
    let split = Split { captions: path("train.json"), images: path("images") };
    let validation = Validation { fraction: Some(0.1), ..Validation::default() };
    let dataset = Dataset::load(&DataFiles { train: split, validation, test: None, source: None })?;
    let budget = if is_cached { usize::MAX } else { 0 };
    let mut features = Features::new(&dataset.train, &pretrained, &device, depth - layers, budget);
    let all: Vec<usize> = (0..dataset.train.len()).collect();
    let filled = Instant::now();
    if is_cached {
        features.states(&model, &all)?;
    }
    let fill_seconds = filled.elapsed().as_secs_f64();
    let (mut seconds, mut losses, mut tokens) = (Vec::new(), Vec::new(), 0);
    for step in 0..=steps {
        let began = Instant::now();
        let indices: Vec<usize> = (0..batch).map(|i| (step * batch + i) % all.len()).collect();
        let captions: Vec<Vec<u32>> = indices
            .iter()
            .map(|i| Ok(pretrained.tokenizer.encode(&dataset.train[*i].captions[0], 60)?))
            .collect::<Result<_>>()?;
        let rows: Vec<&[u32]> = captions.iter().map(Vec::as_slice).collect();
        let captions = collate(&rows, pretrained.config.tokens.pad);
        let (loss, gradients) = model.gradients(|| {
            let embeddings = features.training_embeddings(&model, &indices, &Dropout::NONE)?;
            let logits = model.training_logits(&embeddings, &captions, &Dropout::NONE)?;
            anyhow::Ok(model.mean_loss(&logits, &targets(&captions, true), 0.0)?)
        })?;
        let norm = optimizer.gradient_norm(&gradients)?;
        optimizer.step(&gradients, 3e-8 * step as f64, clip_scale(norm, 2.0))?;
        losses.push(loss.to_scalar::<f32>()?);
        seconds.push(began.elapsed().as_secs_f64());
        tokens += captions.columns * batch;
    }
    let mean_tokens = tokens as f64 / (batch * (steps + 1)) as f64;
    println!(
        "{}",
        json!({
            "layers": layers, "precision": format!("{precision:?}"), "cached": is_cached, "threads": rayon::current_num_threads(), "fill_seconds": fill_seconds,
            "mean_tokens": mean_tokens, "step_seconds": &seconds[1..], "losses": losses,
            "peak_memory_mb": peak_memory_bytes().unwrap_or(0) / (1 << 20),
        })
    );
    Ok(())
}

fn arguments() -> Result<Arguments> {
    // Cargo adds `--bench` to what it is given.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let folder = words.next().context("name the folder that prepare.py wrote")?;
    let mut found = Arguments {
        folder: folder.into(),
        layers: 3,
        batch: 6,
        steps: 3,
        is_cached: false,
        precision: Precision::F32,
    };
    while let Some(word) = words.next() {
        if word == "--cached" {
            found.is_cached = true;
            continue;
        }
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--layers" => found.layers = value.parse()?,
            "--batch" => found.batch = value.parse()?,
            "--steps" => found.steps = value.parse()?,
            "--precision" if value == "f32" => found.precision = Precision::F32,
            "--precision" if value == "bf16" => found.precision = Precision::Bf16,
            "--precision" if value == "f16" => found.precision = Precision::F16,
            _ => bail!(
                "{word} {value}: there are --layers, --batch, --steps, --cached and --precision f32|bf16|f16"
            ),
        }
    }
    Ok(found)
}
