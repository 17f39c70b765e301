//! Makes the built-in study's pretrained model: a small BLIP from random weights, taught on drawn scenes.
//!
//! The recipe is part of the study and is documented with it: every scene is new (nothing is seen twice),
//! AdamW on all tensors, a short warm-up and a linear fall. The result is committed as `f16`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::scene_at;
use crate::data::{CaptionTokenizer, ImageProcessor, TokenBatch, collate};
use crate::model::blip::targets;
use crate::model::{Blip, Config, Unfrozen, Weights};
use crate::random::Random;
use crate::train::optimizer::{AdamW, Multipliers, clip_scale};
use crate::train::schedule::linear_with_warmup;

/// How the pretrained model is made.
#[derive(Debug, Clone, Copy)]
pub struct Pretraining {
    /// Optimizer steps; each sees `batch_size` new scenes.
    pub steps: usize,
    pub batch_size: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub warmup_steps: usize,
    pub max_grad_norm: f64,
}

/// The recipe of the committed weights.
pub const RECIPE: Pretraining = Pretraining {
    steps: 7_000,
    batch_size: 16,
    learning_rate: 1e-3,
    weight_decay: 0.01,
    warmup_steps: 300,
    max_grad_norm: 1.0,
};

/// Scenes the model learns from are drawn from this seed; held-out ones from another.
pub const PRETRAINING_SEED: u64 = 0;

/// Random weights as `transformers` initialises BLIP: normal with standard deviation 0.02, biases 0, norms 1.
pub fn random_weights(config: &Config, seed: u64) -> Result<Weights> {
    let mut tensors = BTreeMap::new();
    for (name, shape) in config.tensor_shapes() {
        let count: usize = shape.iter().product();
        let mut random = Random::new(seed, &name, &[]);
        let values: Vec<f32> = match name.rsplit_once('.').map_or(name.as_str(), |(_, last)| last) {
            "bias" => vec![0.0; count],
            "weight" if name.to_lowercase().contains("norm") => vec![1.0; count],
            _ => (0..count).map(|_| (0.02 * random.normal()) as f32).collect(),
        };
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    Ok(Weights::from_tensors(tensors))
}

/// Pretrains over `steps` of `recipe`, reporting (step, loss) now and then.
pub fn pretrain(
    config: &Config,
    tokenizer: &CaptionTokenizer,
    processor: &ImageProcessor,
    recipe: &Pretraining,
    mut report: impl FnMut(usize, f64),
) -> Result<Weights> {
    let mut weights = random_weights(config, PRETRAINING_SEED)?;
    weights.unfreeze(Unfrozen::All, config.vision.num_hidden_layers)?;
    let model = Blip::new(config, &weights)?;
    let multipliers = Multipliers { text: 1.0, vision: 1.0, other: 1.0 };
    let mut optimizer = AdamW::new(&weights, recipe.weight_decay, multipliers);
    let mut running = 0.0;
    for step in 0..recipe.steps {
        let (pixels, captions) = scenes(config, tokenizer, processor, step, recipe.batch_size)?;
        let (loss, grads) = model.gradients(|| {
            let image_embeds = model.vision_model.finish(&model.vision_model.encode(&pixels, 0)?, 0)?;
            let logits = model.logits(&image_embeds, &captions)?;
            anyhow::Ok(model.mean_loss(&logits, &targets(&captions, false), 0.0)?)
        })?;
        let rate = recipe.learning_rate * linear_with_warmup(step, recipe.warmup_steps, recipe.steps);
        let scale = clip_scale(optimizer.gradient_norm(&grads)?, recipe.max_grad_norm);
        optimizer.step(&grads, rate, scale)?;
        running += loss.to_scalar::<f32>()? as f64;
        if (step + 1) % 100 == 0 {
            report(step + 1, running / 100.0);
            running = 0.0;
        }
    }
    Ok(weights)
}

/// The pixels and captions of one batch of new scenes; captions start with `[DEC]`, as generation does.
fn scenes(
    config: &Config,
    tokenizer: &CaptionTokenizer,
    processor: &ImageProcessor,
    step: usize,
    batch_size: usize,
) -> Result<(Tensor, TokenBatch)> {
    let side = config.vision.image_size;
    let examples: Vec<(Vec<f32>, Vec<u32>)> = (0..batch_size)
        .into_par_iter()
        .map(|i| {
            let scene = scene_at(PRETRAINING_SEED, (step * batch_size + i) as u64, side as u32);
            let mut ids = tokenizer.encode(&scene.caption, config.text.max_position_embeddings)?;
            if let Some(first) = ids.first_mut() {
                *first = config.tokens.start;
            }
            Ok((processor.process(&scene.image), ids))
        })
        .collect::<Result<_>>()?;
    let pixels: Vec<f32> = examples.iter().flat_map(|(pixels, _)| pixels).copied().collect();
    let ids: Vec<&[u32]> = examples.iter().map(|(_, ids)| ids.as_slice()).collect();
    let pixels = Tensor::from_vec(pixels, (batch_size, 3, side, side), &Device::Cpu)?;
    Ok((pixels, collate(&ids, config.tokens.pad)))
}

/// The bytes of the committed file.
pub fn to_file(weights: &Weights) -> Result<Arc<[u8]>> {
    Ok(weights.to_bytes(DType::F16).context("cannot write the pretrained weights")?.into())
}
