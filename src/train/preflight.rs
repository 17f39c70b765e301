//! One step before the first long run: does it work, how long does it take, how much memory does it need?

use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Session;
use super::chosen::unfreeze;
use super::device::free_memory;
use super::execute::Loaded;
use super::features::Features;
use crate::model::Blip;
use crate::model::blip::targets;
use crate::model::ops::Dropout;

/// What one forward and backward step took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    pub step_seconds: f64,
    /// Of this process so far, in bytes; 0 where the system does not tell.
    pub peak_memory_bytes: u64,
    /// Of one checkpoint with the state to resume from.
    pub checkpoint_bytes: u64,
    /// Of the accelerator that the step was made on; absent where there is none, or it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_memory: Option<DeviceMemory>,
}

/// Bytes of an accelerator's memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeviceMemory {
    /// That a run takes.
    pub of_a_run: u64,
    /// That nobody had at the height of the step.
    pub left: u64,
}

/// What a process takes of an accelerator's memory before it computes anything: CUDA's context and cuBLAS.
const PROCESS_BYTES: u64 = 512 << 20;

/// Runs one step on the longest captions, without changing anything.
pub fn preflight(session: &Session) -> Result<Preflight> {
    let free_before = free_memory(&session.device);
    let Loaded { mut pretrained, material, .. } = Loaded::new(session)?;
    let training = &session.spec.recipe.training;
    let depth = pretrained.config.vision.num_hidden_layers;
    let unfrozen = training.unfrozen_vision_layers.min(depth);
    if session.spec.recipe.kind.trains() {
        unfreeze(session, &mut pretrained)?;
    }
    let model = Blip::new(&pretrained.config, &pretrained.weights)?;
    let train = &material.dataset.train;
    let mut features = Features::new(train, &pretrained, &session.device, depth - unfrozen, 0);

    let mut longest: Vec<usize> = (0..train.len()).collect();
    longest.sort_by_key(|i| std::cmp::Reverse(material.train[*i].iter().map(Vec::len).max()));
    longest.truncate(training.batch_size.max(1));
    let captions = material.batch(&material.train, &longest);
    let dropout = Dropout { rate: training.dropout, seed: session.spec.seed, step: 0 };
    let wanted = targets(&captions, !training.mask_padding);
    let mut step = || {
        model.gradients(|| {
            let image_embeds = features.training_embeddings(&model, &longest, &dropout)?;
            let logits = model.training_logits(&image_embeds, &captions, &dropout)?;
            anyhow::Ok(model.mean_loss(&logits, &wanted, training.label_smoothing)?)
        })
    };
    if !session.device.is_cpu() {
        // The first step of an accelerator compiles and loads its programs, the next one shows what it takes.
        step()?;
        session.device.synchronize()?;
    }
    let began = Instant::now();
    let (loss, grads) = step()?;
    session.device.synchronize()?;
    let step_seconds = began.elapsed().as_secs_f64();
    // With the loss there is all that its gradients were found from.
    let left = free_memory(&session.device);
    drop(loss);
    for (name, var) in pretrained.weights.trainable() {
        anyhow::ensure!(grads.get(var).is_some(), "no gradient reached the trainable tensor `{name}`");
    }
    let values = |tensors: &mut dyn Iterator<Item = usize>| tensors.sum::<usize>() as u64 * 4;
    let is_apart = training.ema_decay > 0.0 || training.lora_rank > 0;
    let all = values(&mut pretrained.weights.tensors().values().map(|tensor| tensor.elem_count()));
    let trained = values(&mut pretrained.weights.trainable().values().map(|var| var.elem_count()));
    Ok(Preflight {
        step_seconds,
        peak_memory_bytes: peak_memory_bytes().unwrap_or(0),
        checkpoint_bytes: all + (2 + is_apart as u64) * trained,
        device_memory: free_before.zip(left).map(|(before, left)| {
            // The optimizer's moments come to it.
            let of_a_run = before.saturating_sub(left) + 2 * trained + PROCESS_BYTES;
            DeviceMemory { of_a_run, left }
        }),
    })
}

/// The most memory this process ever held, in bytes. Linux tells it in `/proc/self/status`.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
