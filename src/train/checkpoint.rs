//! Checkpoints: a model folder that transformers opens, and the state needed to go on from it.
//!
//! A folder is written beside its place and then swapped in, so that there is always a whole one.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::early_stopping::Progress;
use super::optimizer::{AdamW, Moments};
use super::provenance::{self, Provenance};
use crate::model::{COMPANIONS, Weights};
use crate::record::event::Evaluated;
use crate::record::recipe::Generation;
use crate::record::store::write_atomic;

const WEIGHTS: &str = "model.safetensors";
const STATE: &str = "training_state.json";
const MOMENTS: &str = "moments.safetensors";

/// Where training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The epoch in progress, from 1.
    pub epoch: usize,
    /// Batches of it that are done.
    pub batch: usize,
    /// Optimizer updates done.
    pub step: usize,
    /// Sum of the losses of the epoch's steps so far.
    pub loss_sum: f64,
    /// Best epoch and patience.
    pub progress: Progress,
    /// The model before training.
    pub initial: Option<Evaluated>,
    /// The last evaluated epoch.
    pub last: Option<Evaluated>,
    /// Wall-clock seconds of all attempts so far.
    pub seconds: f64,
}

impl State {
    /// Before the first step.
    pub fn beginning() -> Self {
        Self {
            epoch: 1,
            batch: 0,
            step: 0,
            loss_sum: 0.0,
            progress: Progress::default(),
            initial: None,
            last: None,
            seconds: 0.0,
        }
    }
}

/// Saves a model folder: what `pretrained` holds beside its weights, the given weights, how captions are generated
/// from it (`generation_config.json`) and how it was trained (`sweep.json`).
pub fn save_model(folder: &Path, pretrained: &Path, weights: &Weights, provenance: Provenance) -> Result<()> {
    save(folder, pretrained, weights, provenance, None)
}

/// Saves a model folder together with the state that training goes on from.
pub fn save_resumable(
    folder: &Path,
    pretrained: &Path,
    weights: &Weights,
    provenance: Provenance,
    state: &State,
    optimizer: &AdamW,
) -> Result<()> {
    save(folder, pretrained, weights, provenance, Some((state, optimizer)))
}

fn save(
    folder: &Path,
    pretrained: &Path,
    weights: &Weights,
    provenance: Provenance,
    resumable: Option<(&State, &AdamW)>,
) -> Result<()> {
    let fresh = sibling(folder, "new");
    remove(&fresh)?;
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    for name in COMPANIONS {
        let source = pretrained.join(name);
        if source.is_file() {
            let bytes = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
            write_atomic(&fresh.join(name), &bytes)?;
        }
    }
    write_atomic(&fresh.join(WEIGHTS), &weights.to_bytes(DType::F32)?)?;
    let generation = generation_config(&provenance.spec.recipe.generation);
    write_atomic(&fresh.join("generation_config.json"), &serde_json::to_vec_pretty(&generation)?)?;
    write_atomic(&fresh.join(provenance::FILE), &provenance.to_bytes()?)?;
    if let Some((state, optimizer)) = resumable {
        write_atomic(&fresh.join(MOMENTS), &moments_to_bytes(optimizer)?)?;
        write_atomic(&fresh.join(STATE), &serde_json::to_vec_pretty(state)?)?;
    }
    swap_in(&fresh, folder)
}

/// The settings under the names of `transformers.GenerationConfig`.
fn generation_config(generation: &Generation) -> serde_json::Value {
    let mut value = json!(generation);
    value["do_sample"] = json!(false);
    value
}

fn sibling(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{suffix}"))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Puts `fresh` in the place of `folder`. Between the two renames the old one lies beside it as `.NAME.old`,
/// where [`settle`] finds it after a crash.
fn swap_in(fresh: &Path, folder: &Path) -> Result<()> {
    let old = sibling(folder, "old");
    remove(&old)?;
    let context = || format!("cannot put a checkpoint at {}", folder.display());
    if folder.exists() {
        fs::rename(folder, &old).with_context(context)?;
    }
    fs::rename(fresh, folder).with_context(context)?;
    remove(&old)
}

/// Restores the old folder where a crash fell between the two renames of a swap.
fn settle(folder: &Path) -> Result<()> {
    let old = sibling(folder, "old");
    if !folder.exists() && old.exists() {
        fs::rename(&old, folder).with_context(|| format!("cannot restore {}", folder.display()))?;
    }
    Ok(())
}

/// The state in a checkpoint folder, if one is there to go on from.
pub fn read_state(folder: &Path) -> Result<Option<State>> {
    settle(folder)?;
    let path = folder.join(STATE);
    match fs::read(&path) {
        Ok(bytes) => {
            let state = serde_json::from_slice(&bytes);
            Ok(Some(state.with_context(|| format!("{} is damaged", path.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Puts the weights of a checkpoint into the variables of `weights`.
pub fn restore_weights(folder: &Path, weights: &Weights, device: &Device) -> Result<()> {
    let saved = Weights::load(folder, device)?;
    for (name, var) in weights.trainable() {
        let tensor = saved.tensors().get(name);
        let tensor = tensor.with_context(|| format!("{} lacks `{name}`", folder.display()))?;
        var.set(tensor).with_context(|| format!("`{name}` of {}", folder.display()))?;
    }
    Ok(())
}

/// Takes the optimizer's moments over from a checkpoint.
pub fn restore_moments(folder: &Path, optimizer: &mut AdamW, step: usize) -> Result<()> {
    let path = folder.join(MOMENTS);
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let mut moments: BTreeMap<String, Moments> = BTreeMap::new();
    for (key, tensor) in tensors {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        if let Some((order, name)) = key.split_once('.') {
            let moments = moments
                .entry(name.to_owned())
                .or_insert_with(|| Moments { first: Vec::new(), second: Vec::new() });
            if order == "first" { moments.first = values } else { moments.second = values }
        }
    }
    ensure!(optimizer.restore(step, moments), "{} is of another set of trainable tensors", path.display());
    Ok(())
}

fn moments_to_bytes(optimizer: &AdamW) -> Result<Vec<u8>> {
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, moments) in optimizer.moments() {
        let length = moments.first.len();
        tensors.insert(format!("first.{name}"), Tensor::from_vec(moments.first, length, &Device::Cpu)?);
        tensors.insert(format!("second.{name}"), Tensor::from_vec(moments.second, length, &Device::Cpu)?);
    }
    Ok(safetensors::serialize(&tensors, None::<HashMap<String, String>>)?)
}

/// Removes what only resuming needs; the model stays.
pub fn drop_state(folder: &Path) -> Result<()> {
    for name in [STATE, MOMENTS] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {name} from {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
