//! Checkpoints: a model folder that transformers opens, and the state needed to go on from it.
//!
//! A folder is written beside its place and then swapped in ([`folder`]), so that there is always a whole one. What is
//! read back is checked before any of it is used: a damaged checkpoint changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::optimizer::{AdamW, Moments};
use super::origin::Origin;
use super::provenance::{self, Provenance};
pub use super::state::State;
use crate::model::small_decoder;
use crate::model::weight_files::write_safetensors;
use crate::model::{COMPANIONS, Weights};
use crate::record::disk::free_disk;
use crate::record::folder;
use crate::record::recipe::Generation;
use crate::record::store::{write_atomic, write_new, write_new_with};

const WEIGHTS: &str = "model.safetensors";
const STATE: &str = "training_state.json";
const MOMENTS: &str = "moments.safetensors";
/// Weights that train where the model's are others: adapters, which are merged into the model, and what a moving average is of.
const APART: &str = "trained.safetensors";
/// The version of the state's form. Rises as well when the same settings come to train to other numbers: a run is not
/// gone on with by a program that would have begun it otherwise.
const FORMAT: u64 = 1;
/// Bytes that a checkpoint leaves free for logs and results.
const RESERVE: u64 = 16 << 20;

/// What [`STATE`] holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    format: u64,
    /// What the checkpoint was made of.
    pub origin: Origin,
    pub state: State,
    /// The run that trained up to here and handed it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_by: Option<String>,
}

impl Saved {
    pub fn new(origin: &Origin, state: &State) -> Self {
        Self { format: FORMAT, origin: origin.clone(), state: state.clone(), begun_by: None }
    }

    /// The same for who did not train up to here itself.
    pub fn begun_by(self, run: &str) -> Self {
        Self { begun_by: Some(run.to_owned()), ..self }
    }
}

/// What there is to go on from.
#[derive(Debug, PartialEq)]
pub enum Found {
    Nothing,
    /// A checkpoint of no use, and why.
    Damaged(String),
    Whole(Box<Saved>),
}

/// The disk is too full for a checkpoint.
#[derive(Debug, Error)]
#[error(
    "{}: a checkpoint takes {} MB, and {} MB are free on the disk\nhint: make room and run it again; the last checkpoint is untouched",
    folder.display(), needed.div_ceil(1 << 20), free >> 20
)]
struct NoRoom {
    folder: PathBuf,
    needed: u64,
    free: u64,
}

/// Where the weights of a checkpoint come from.
#[derive(Clone, Copy)]
pub enum WeightsFrom<'a> {
    Memory(&'a Weights),
    /// Another folder. No file of a folder is changed in place, so that both may name one file.
    Saved(&'a Path),
}

impl WeightsFrom<'_> {
    /// Gives the saved file a second name; a disk that cannot do that gets the weights twice.
    fn link(&self, fresh: &Path) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Saved(folder) => fs::hard_link(folder.join(WEIGHTS), fresh.join(WEIGHTS)).is_ok(),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Memory(weights) => {
                let values: usize = weights.tensors().values().map(|tensor| tensor.elem_count()).sum();
                (values * size_of::<f32>()) as u64
            }
            Self::Saved(folder) => fs::metadata(folder.join(WEIGHTS)).map_or(0, |file| file.len()),
        }
    }

    fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match self {
            Self::Memory(weights) => weights.write_to(out),
            Self::Saved(folder) => io::copy(&mut fs::File::open(folder.join(WEIGHTS))?, out).map(drop),
        }
    }
}

/// Saves a model folder: what `pretrained` holds beside its weights, the given weights, how captions are generated
/// from it (`generation_config.json`) and how it was trained (`sweep.json`).
pub fn save_model(
    folder: &Path,
    pretrained: &Path,
    weights: WeightsFrom,
    provenance: Provenance,
) -> Result<()> {
    save(folder, pretrained, weights, provenance, None)
}

/// What training goes on from, beside the model.
#[derive(Clone, Copy)]
pub struct GoingOn<'a> {
    pub saved: &'a Saved,
    /// What training needs beside the model; absent once there is nothing left to train.
    pub training: Option<Training<'a>>,
}

/// Tensors that train on and are none of the model's.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    pub optimizer: &'a AdamW,
    /// Weights that train where others are saved.
    pub apart: &'a BTreeMap<String, Var>,
}

impl Training<'_> {
    /// Values of its tensors.
    fn count(&self) -> usize {
        2 * self.optimizer.count() + self.apart.values().map(|var| var.elem_count()).sum::<usize>()
    }
}

/// Saves a model folder together with what a run goes on from.
pub fn save_resumable(
    folder: &Path,
    pretrained: &Path,
    weights: WeightsFrom,
    provenance: Provenance,
    going_on: GoingOn,
) -> Result<()> {
    save(folder, pretrained, weights, provenance, Some(going_on))
}

fn save(
    folder: &Path,
    pretrained: &Path,
    weights: WeightsFrom,
    provenance: Provenance,
    going_on: Option<GoingOn>,
) -> Result<()> {
    let fresh = folder::fresh(folder)?;
    let unwritten = (!weights.link(&fresh)).then_some(weights);
    let filled = check_room(&fresh, size(unwritten, going_on), free_disk(&fresh))
        .and_then(|()| write_companions(&fresh, pretrained, weights))
        .and_then(|()| fill(&fresh, unwritten, provenance, going_on));
    if let Err(error) = filled {
        // Half a checkpoint is of no use, and may be what fills the disk.
        let _ = folder::remove(&fresh);
        return Err(error);
    }
    Ok(folder::replace(folder, &fresh)?)
}

/// What belongs to the weights: of the pretrained model, or of the folder that they were saved in.
fn write_companions(fresh: &Path, pretrained: &Path, weights: WeightsFrom) -> Result<()> {
    let (folder, sizes) = match weights {
        WeightsFrom::Memory(weights) => (pretrained, small_decoder::sizes_of(weights)),
        WeightsFrom::Saved(folder) => (folder, None),
    };
    for name in COMPANIONS {
        let source = folder.join(name);
        if source.is_file() {
            let unreadable = || format!("cannot read {}", source.display());
            let mut bytes = fs::read(&source).with_context(unreadable)?;
            if let Some(sizes) = sizes.filter(|_| name == "config.json") {
                bytes = small_decoder::in_config(&bytes, sizes).with_context(unreadable)?;
            }
            write_new(&fresh.join(name), &bytes)?;
        }
    }
    Ok(())
}

fn fill(
    fresh: &Path,
    weights: Option<WeightsFrom>,
    provenance: Provenance,
    going_on: Option<GoingOn>,
) -> Result<()> {
    if let Some(weights) = weights {
        write_new_with(&fresh.join(WEIGHTS), |out| weights.write_to(out))?;
    }
    let generation = generation_config(&provenance.spec.recipe.generation);
    write_new(&fresh.join("generation_config.json"), &serde_json::to_vec_pretty(&generation)?)?;
    write_new(&fresh.join(provenance::FILE), &provenance.to_bytes()?)?;
    if let Some(GoingOn { saved, training }) = going_on {
        if let Some(Training { optimizer, apart }) = training {
            write_new_with(&fresh.join(MOMENTS), |out| optimizer.write_moments(out))?;
            if !apart.is_empty() {
                write_new_with(&fresh.join(APART), |out| write_vars(apart, out))?;
            }
        }
        write_new(&fresh.join(STATE), &serde_json::to_vec_pretty(saved)?)?;
    }
    Ok(())
}

/// Replaces the state of a checkpoint whose weights and moments are still those of the run.
pub fn replace_state(folder: &Path, saved: &Saved) -> Result<()> {
    Ok(write_atomic(&folder.join(STATE), &serde_json::to_vec_pretty(saved)?)?)
}

/// Bytes of a checkpoint, about: small files are left out.
fn size(weights: Option<WeightsFrom>, going_on: Option<GoingOn>) -> u64 {
    let of_training = going_on.and_then(|going_on| going_on.training).map_or(0, |training| training.count());
    weights.map_or(0, |weights| weights.bytes()) + (of_training * size_of::<f32>()) as u64
}

fn check_room(folder: &Path, needed: u64, free: Option<u64>) -> Result<()> {
    match free {
        Some(free) if free < needed + RESERVE => {
            bail!(NoRoom { folder: folder.to_owned(), needed, free })
        }
        _ => Ok(()),
    }
}

/// The settings under the names of `transformers.GenerationConfig`.
fn generation_config(generation: &Generation) -> Value {
    let mut value = json!(generation);
    value["do_sample"] = json!(false);
    value
}

/// What a checkpoint folder holds to go on from, for a run with so many steps an epoch, and so many in all.
///
/// # Errors
/// A file that cannot be read although it may be whole, and one of another version of the program.
pub fn read_state(folder: &Path, steps_per_epoch: usize, total_steps: usize) -> Result<Found> {
    let path = folder.join(STATE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Who drops the state of a run that ended drops both.
            let is_damaged = folder.join(MOMENTS).exists();
            let missing = || Found::Damaged(format!("{} is missing", path.display()));
            return Ok(if is_damaged { missing() } else { Found::Nothing });
        }
        bytes => bytes.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let damaged = |why: String| Ok(Found::Damaged(format!("{}: {why}", path.display())));
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => return damaged(error.to_string()),
    };
    if let Some(format) = value["format"].as_u64().filter(|format| *format != FORMAT) {
        bail!(
            "{}: saved by another version of this program (form {format}; this one reads form {FORMAT})\n\
             hint: go on with the version that began the run, or remove the run's folder to run it anew",
            path.display()
        );
    }
    let saved: Saved = match serde_json::from_value(value) {
        Ok(saved) => saved,
        Err(error) => return damaged(error.to_string()),
    };
    match saved.state.check(steps_per_epoch, total_steps) {
        Ok(()) => Ok(Found::Whole(Box::new(saved))),
        Err(why) => damaged(why),
    }
}

/// Puts the weights of a checkpoint into the variables of `weights`: all of them or none.
pub fn restore_weights(folder: &Path, weights: &Weights, device: &Device) -> Result<()> {
    let saved = load_weights(folder, weights, device)?;
    put_weights(&saved, weights)
}

/// Puts weights and moments of a checkpoint into the variables, those `apart` among them, and the optimizer: all of them or
/// none.
pub fn restore(
    folder: &Path,
    weights: &Weights,
    optimizer: &mut AdamW,
    apart: &BTreeMap<String, Var>,
    step: usize,
    device: &Device,
) -> Result<()> {
    let saved = load_weights(folder, weights, device)?;
    let of_apart = load_apart(&folder.join(APART), apart)?;
    let path = folder.join(MOMENTS);
    let moments = load_moments(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(optimizer.restore(step, moments), "{} is of another set of trainable tensors", path.display());
    for (var, tensor) in of_apart {
        var.set(&tensor.to_device(device)?)?;
    }
    put_weights(&saved, weights)
}

/// Whether an error in reading a checkpoint is one of its content. What the operating system says may pass, and then the
/// checkpoint is whole; but a file that is not there will not come back.
pub fn is_damage(error: &anyhow::Error) -> bool {
    let words = format!("{error:#}").replace("(os error 2)", "");
    !words.contains("(os error ")
}

fn load_weights(folder: &Path, weights: &Weights, device: &Device) -> Result<Weights> {
    let saved = Weights::load(folder, device)?;
    for (name, var) in weights.trainable() {
        let Some(found) = saved.tensors().get(name) else { bail!("{} lacks `{name}`", folder.display()) };
        ensure!(
            found.dims() == var.dims(),
            "{}: `{name}` has the shape {:?}, not {:?}",
            folder.display(),
            found.dims(),
            var.dims()
        );
    }
    Ok(saved)
}

fn put_weights(saved: &Weights, weights: &Weights) -> Result<()> {
    for (name, var) in weights.trainable() {
        if let Some(tensor) = saved.tensors().get(name) {
            var.set(tensor).with_context(|| format!("`{name}`"))?;
        }
    }
    Ok(())
}

fn write_vars(vars: &BTreeMap<String, Var>, out: &mut dyn io::Write) -> io::Result<()> {
    let shapes: Vec<_> = vars.iter().map(|(name, var)| (name.clone(), var.dims().to_vec())).collect();
    let mut values = |name: &str| {
        let var = vars.get(name).ok_or(io::ErrorKind::NotFound)?;
        var.flatten_all().and_then(|values| values.to_vec1()).map_err(io::Error::other)
    };
    write_safetensors(out, None, &shapes, &mut values)
}

/// What a file holds of each variable.
fn load_apart<'a>(path: &Path, vars: &'a BTreeMap<String, Var>) -> Result<Vec<(&'a Var, Tensor)>> {
    if vars.is_empty() {
        return Ok(Vec::new());
    }
    let read = || -> Result<_> { Ok(candle_core::safetensors::load_buffer(&fs::read(path)?, &Device::Cpu)?) };
    let mut saved = read().with_context(|| format!("cannot read {}", path.display()))?;
    let found = vars.iter().map(|(name, var)| {
        let tensor = saved.remove(name).filter(|tensor| tensor.dims() == var.dims());
        Ok((
            var,
            tensor.with_context(|| format!("{} is of another set of trainable tensors", path.display()))?,
        ))
    });
    found.collect()
}

fn load_moments(path: &Path) -> Result<BTreeMap<String, Moments>> {
    let bytes = fs::read(path)?;
    let mut moments: BTreeMap<String, Moments> = BTreeMap::new();
    for (key, tensor) in candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)? {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        if let Some((order, name)) = key.split_once('.') {
            let moments = moments
                .entry(name.to_owned())
                .or_insert_with(|| Moments { first: Vec::new(), second: Vec::new() });
            if order == "first" { moments.first = values } else { moments.second = values }
        }
    }
    Ok(moments)
}

/// Removes what only resuming needs; the model stays.
pub fn drop_state(folder: &Path) -> Result<()> {
    for name in [STATE, MOMENTS, APART] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {name} from {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_for_which_there_is_no_room_is_not_begun() {
        let check = |free| check_room(Path::new("runs/x/r1/.last.new"), 300 << 20, free);
        assert!(check(None).is_ok() && check(Some((300 << 20) + RESERVE)).is_ok());
        insta::assert_snapshot!(check(Some(300 << 20)).unwrap_err(), @"
        runs/x/r1/.last.new: a checkpoint takes 300 MB, and 300 MB are free on the disk
        hint: make room and run it again; the last checkpoint is untouched
        ");
    }

    #[test]
    fn what_the_system_says_of_a_file_may_pass_and_its_content_does_not() {
        let of_system =
            |code| anyhow::Error::from(io::Error::from_raw_os_error(code)).context("cannot read x");
        assert!(!is_damage(&of_system(5)), "an error of the disk");
        assert!(!is_damage(&of_system(13)), "no permission");
        assert!(is_damage(&of_system(2)), "no such file");
        assert!(is_damage(&anyhow::anyhow!("x: it is too short to be a safetensors file")));
    }
}
