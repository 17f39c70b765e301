//! A model's tensors by name: loading, freezing, fingerprints and saving.
//!
//! Names are those of `BlipForConditionalGeneration.state_dict()`. Tensors start frozen; [`Weights::unfreeze`]
//! turns some into variables, and only these ever change.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::config::Config;
use super::lora::{self, Pair};
use super::ops::slices::with_values;
use super::weight_files::{self, WeightsError, write_safetensors};
use crate::record::memory::allocatable_memory;

/// All tensors of a model.
pub struct Weights {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) trainable: BTreeMap<String, Var>,
    /// Adapters by the names of their layers. Their variables are trainable ones, and no tensors of the model's file.
    pub(super) adapters: BTreeMap<String, Pair<Var>>,
    /// What all of them are multiplied by, where there are any.
    pub(super) scaling: Option<Tensor>,
}

/// The part of the model that a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// An encoder layer of the vision model, by its number from the bottom.
    VisionLayer(usize),
    /// The vision model's embeddings and final layer norm.
    VisionOther,
    Text,
}

impl Part {
    /// The part of the tensor with this name.
    pub fn of(name: &str) -> Self {
        let layer = name.strip_prefix("vision_model.encoder.layers.").and_then(|rest| rest.split('.').next());
        match layer.and_then(|number| number.parse().ok()) {
            Some(number) => Self::VisionLayer(number),
            None if name.starts_with("vision_model.") => Self::VisionOther,
            None => Self::Text,
        }
    }
}

/// What trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfrozen {
    /// The last vision layers, and the text decoder if `text`. All else of the vision model stays frozen.
    Last { vision_layers: usize, text: bool },
    /// Everything, as in pretraining.
    All,
}

/// The tensors of the output head, each with the one that it is tied to.
const HEAD: [(&str, &str); 2] = [
    ("text_decoder.cls.predictions.decoder.weight", "text_decoder.bert.embeddings.word_embeddings.weight"),
    ("text_decoder.cls.predictions.decoder.bias", "text_decoder.cls.predictions.bias"),
];

impl Weights {
    /// Loads the weights of a model folder as `f32`, whatever form they are stored in. Tensors that the folder's
    /// `config.json` does not know are left out, as in transformers.
    ///
    /// # Errors
    /// Files that cannot be read, weights that do not fit into memory, and a tensor that is missing or has another shape
    /// than the configuration says.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, WeightsError> {
        let config = Config::load(folder)?;
        let shapes: BTreeMap<String, Vec<usize>> = config.tensor_shapes().into_iter().collect();
        check_room(folder, &shapes, allocatable_memory())?;
        let mut tensors = BTreeMap::new();
        // A head of its own has the shape of what it would be tied to.
        let tied_to = |name: &str| HEAD.iter().find(|(own, _)| *own == name).map_or("", |(_, shared)| shared);
        let wanted = |name: &str, shape: &[usize]| match shapes.get(name).or(shapes.get(tied_to(name))) {
            Some(expected) if expected != shape => Err(other_shape(shape, expected)),
            expected => Ok(expected.is_some()),
        };
        weight_files::find(folder)?.read(&wanted, &mut |name, tensor| {
            tensors.insert(name, tensor);
        })?;
        settle_head(&mut tensors, config.tied_head, folder)?;
        check(&shapes, &tensors, folder)?;
        for (name, tensor) in &mut tensors {
            *tensor = tensor.to_device(device).map_err(|error| wrong(folder, name, error.to_string()))?;
        }
        Ok(Self::from_tensors(tensors))
    }

    /// Weights made elsewhere, such as random ones.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors, trainable: BTreeMap::new(), adapters: BTreeMap::new(), scaling: None }
    }

    /// Makes variables of the tensors that train, out of a vision model of `depth` layers. Must come before
    /// the model is built.
    pub fn unfreeze(&mut self, unfrozen: Unfrozen, depth: usize) -> candle_core::Result<()> {
        self.unfreeze_those(|name| match (unfrozen, Part::of(name)) {
            (Unfrozen::All, _) => true,
            (Unfrozen::Last { vision_layers, .. }, Part::VisionLayer(layer)) => {
                layer + vision_layers >= depth
            }
            (Unfrozen::Last { text, .. }, Part::Text) => text,
            (Unfrozen::Last { .. }, Part::VisionOther) => false,
        })
    }

    /// Makes variables of the tensors that are chosen by name. Must come before the model is built.
    pub fn unfreeze_those(&mut self, chosen: impl Fn(&str) -> bool) -> candle_core::Result<()> {
        // What a head of its own takes the place of plays no part any more; words' embeddings still do.
        let has_own_bias = self.tensors.contains_key(HEAD[1].0);
        let replaced: &[&str] = if has_own_bias { &[HEAD[1].1] } else { &[] };
        for (name, tensor) in &mut self.tensors {
            if chosen(name) && !self.trainable.contains_key(name) && !replaced.contains(&name.as_str()) {
                let var = Var::from_tensor(tensor)?;
                *tensor = var.as_tensor().clone();
                self.trainable.insert(name.clone(), var);
            }
        }
        Ok(())
    }

    /// The tensors for building a model; trainable ones are the variables themselves.
    pub fn builder(&self) -> VarBuilder<'static> {
        let mut tensors: HashMap<String, Tensor> = self.tensors.clone().into_iter().collect();
        for layer in self.adapters.keys() {
            for name in Self::adapter_names(layer) {
                let var = self.trainable.get(&name).map(|var| var.as_tensor().clone());
                tensors.extend(var.map(|var| (name, var)));
            }
            let scaling = self.scaling.clone();
            tensors.extend(scaling.map(|scaling| (format!("{layer}.{}", lora::SCALING), scaling)));
        }
        VarBuilder::from_tensors(tensors, DType::F32, &self.device())
    }

    /// The same tensors for a model that only observes: it shares the values and records no graph.
    pub fn detached(&self) -> VarBuilder<'static> {
        let detach = |(name, tensor): (&String, &Tensor)| (name.clone(), tensor.detach());
        VarBuilder::from_tensors(self.tensors.iter().map(detach).collect(), DType::F32, &self.device())
    }

    fn device(&self) -> Device {
        self.tensors.values().next().map_or(Device::Cpu, |tensor| tensor.device().clone())
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// The variables, sorted by name.
    pub fn trainable(&self) -> &BTreeMap<String, Var> {
        &self.trainable
    }

    /// SHA-256 over names, shapes and values of all tensors.
    pub fn digest(&self) -> candle_core::Result<String> {
        let mut hash = Sha256::new();
        feed(self.tensors.iter(), |bytes| hash.update(bytes))?;
        Ok(format!("{:x}", hash.finalize()))
    }

    /// XXH3 in 128 bits over names, shapes and values of the tensors of one part: a tenth of the time, and it tells what
    /// differs by accident.
    pub fn fingerprint_of(&self, part: Part) -> candle_core::Result<String> {
        self.fingerprint(|name| Part::of(name) == part)
    }

    /// The same of the frozen tensors alone.
    pub fn frozen_fingerprint(&self) -> candle_core::Result<String> {
        self.fingerprint(|name| !self.trainable.contains_key(name))
    }

    fn fingerprint(&self, is_wanted: impl Fn(&str) -> bool) -> candle_core::Result<String> {
        let mut hash = Xxh3::new();
        let tensors = self.tensors.iter().filter(|(name, _)| is_wanted(name));
        feed(tensors, |bytes| hash.update(bytes))?;
        Ok(format!("{:032x}", hash.digest128()))
    }

    /// The bytes of a safetensors file that transformers opens.
    pub fn to_bytes(&self, dtype: DType) -> candle_core::Result<Vec<u8>> {
        let tensors = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(dtype)?)));
        let tensors: BTreeMap<String, Tensor> = tensors.collect::<candle_core::Result<_>>()?;
        safetensors::serialize(&tensors, Some(about())).map_err(candle_core::Error::wrap)
    }

    /// Writes that file with f32 values, holding no more than one tensor of it in memory.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let shape = |(name, tensor): (&String, &Tensor)| (name.clone(), tensor.dims().to_vec());
        let shapes: Vec<_> = self.tensors.iter().map(shape).collect();
        let mut values = |name: &str| {
            let tensor = self.tensors.get(name).ok_or(io::ErrorKind::NotFound)?;
            tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).map_err(io::Error::other)
        };
        write_safetensors(out, Some(about()), &shapes, &mut values)
    }
}

/// What transformers looks for in a file's header.
fn about() -> HashMap<String, String> {
    HashMap::from([("format".to_owned(), "pt".to_owned())])
}

/// Leaves the head only such tensors of its own as it does not share, as transformers 5 does on loading: where
/// the configuration ties the head, a stored copy with other values than those it is tied to still counts.
fn settle_head(
    tensors: &mut BTreeMap<String, Tensor>,
    tied: bool,
    folder: &Path,
) -> Result<(), WeightsError> {
    for (own, shared) in HEAD {
        match (tensors.get(own), tensors.get(shared)) {
            (None, _) if !tied => {
                let reason = "is missing, although `tie_word_embeddings` is false in config.json\nhint: if the output \
                              head is that of the word embeddings, set it to true, at the top and in `text_config`";
                return Err(wrong(folder, own, reason.to_owned()));
            }
            (Some(head), Some(other))
                if tied
                    && are_equal(head, other).map_err(|error| wrong(folder, own, error.to_string()))? =>
            {
                tensors.remove(own);
            }
            (Some(head), None) if tied => {
                tensors.insert(shared.to_owned(), head.clone());
                tensors.remove(own);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a model that cannot be held, before anything of it is read: what its files hold is no matter then.
fn check_room(
    folder: &Path,
    shapes: &BTreeMap<String, Vec<usize>>,
    free: Option<u64>,
) -> Result<(), WeightsError> {
    let values: u64 =
        shapes.values().map(|shape| shape.iter().map(|size| *size as u64).product::<u64>()).sum();
    let needed = values.saturating_mul(size_of::<f32>() as u64);
    match free {
        Some(free) if free < needed => Err(WeightsError::TooLarge { path: folder.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

fn are_equal(a: &Tensor, b: &Tensor) -> candle_core::Result<bool> {
    let values = |xs: &Tensor| xs.flatten_all()?.to_vec1::<f32>();
    Ok(a.dims() == b.dims() && values(a)? == values(b)?)
}

/// Whether every tensor of the configuration is there in its shape.
fn check(
    shapes: &BTreeMap<String, Vec<usize>>,
    tensors: &BTreeMap<String, Tensor>,
    folder: &Path,
) -> Result<(), WeightsError> {
    for (name, shape) in shapes {
        let reason = match tensors.get(name) {
            Some(tensor) if tensor.dims() == shape => continue,
            Some(tensor) => other_shape(tensor.dims(), shape),
            None => format!("is missing; config.json asks for one of shape {shape:?}"),
        };
        return Err(wrong(folder, name, reason));
    }
    Ok(())
}

fn other_shape(shape: &[usize], expected: &[usize]) -> String {
    format!("has shape {shape:?}, but config.json asks for {expected:?}")
}

fn wrong(folder: &Path, name: &str, reason: String) -> WeightsError {
    WeightsError::Tensor { path: folder.to_owned(), name: name.to_owned(), reason }
}

/// Values that are turned into bytes at a time: what fits into the first cache.
const CHUNK: usize = 2048;

/// Names, shapes and values as bytes, in order.
fn feed<'a>(
    tensors: impl Iterator<Item = (&'a String, &'a Tensor)>,
    mut update: impl FnMut(&[u8]),
) -> candle_core::Result<()> {
    let mut bytes = [0; CHUNK * size_of::<f32>()];
    let mut feed_values = |values: &[f32], update: &mut dyn FnMut(&[u8])| {
        for values in values.chunks(CHUNK) {
            let (bytes, _) = bytes.as_chunks_mut::<4>();
            for (bytes, value) in bytes.iter_mut().zip(values) {
                *bytes = value.to_le_bytes();
            }
            update(bytes[..values.len()].as_flattened());
        }
    };
    for (name, tensor) in tensors {
        update(&(name.len() as u64).to_le_bytes());
        update(name.as_bytes());
        for size in tensor.dims() {
            update(&(*size as u64).to_le_bytes());
        }
        let tensor = tensor.to_device(&Device::Cpu)?;
        with_values([&tensor], |[values]| {
            feed_values(values, &mut update);
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let names = [
            "vision_model.embeddings.class_embedding",
            "vision_model.encoder.layers.0.mlp.fc1.bias",
            "vision_model.encoder.layers.1.mlp.fc1.bias",
            "vision_model.post_layernorm.bias",
            "text_decoder.cls.predictions.bias",
        ];
        let tensors = names
            .iter()
            .map(|name| ((*name).to_owned(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap()));
        Weights::from_tensors(tensors.collect())
    }

    #[test]
    fn unfreezing_takes_the_last_vision_layers_and_never_the_rest_of_the_vision_model() {
        let trained = |vision_layers, text| {
            let mut weights = weights();
            weights.unfreeze(Unfrozen::Last { vision_layers, text }, 2).unwrap();
            weights
                .trainable()
                .keys()
                .map(|name| name.rsplit_once(".layers.").map_or("text", |p| &p.1[..1]).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(trained(0, true), ["text"]);
        assert_eq!(trained(1, true), ["text", "1"]);
        assert_eq!(trained(2, false), ["0", "1"]);
        assert_eq!(trained(9, true), ["text", "0", "1"]);
    }

    #[test]
    fn a_file_written_tensor_by_tensor_has_the_bytes_of_one_made_whole() {
        let mut tensors = weights().tensors;
        let matrix = Tensor::new(&[[1.5f32, -0.0, f32::NAN], [2.0, 3.0, 4.0]], &Device::Cpu).unwrap();
        tensors.insert("a".to_owned(), matrix.t().unwrap());
        tensors.insert("b".to_owned(), Tensor::zeros(100_000, DType::F32, &Device::Cpu).unwrap());
        let weights = Weights::from_tensors(tensors);
        let mut written = Vec::new();
        weights.write_to(&mut written).unwrap();
        assert!(written == weights.to_bytes(DType::F32).unwrap());
    }

    #[test]
    fn the_digest_of_frozen_weights_changes_only_with_them() {
        let mut weights = weights();
        weights.unfreeze(Unfrozen::Last { vision_layers: 1, text: true }, 2).unwrap();
        let (frozen, all) = (weights.frozen_fingerprint().unwrap(), weights.digest().unwrap());
        let var = &weights.trainable()["text_decoder.cls.predictions.bias"];
        var.set(&Tensor::ones(3, DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(weights.frozen_fingerprint().unwrap(), frozen);
        assert_ne!(weights.digest().unwrap(), all);
    }

    #[test]
    fn the_fingerprint_of_a_part_is_its_own_and_changes_only_with_it() {
        let parts = [Part::VisionOther, Part::VisionLayer(0), Part::VisionLayer(1), Part::Text];
        let of = |weights: &Weights| parts.map(|part| weights.fingerprint_of(part).unwrap());
        let mut weights = weights();
        let before = of(&weights);
        weights.unfreeze(Unfrozen::Last { vision_layers: 1, text: false }, 2).unwrap();
        let var = &weights.trainable()["vision_model.encoder.layers.1.mlp.fc1.bias"];
        var.set(&Tensor::ones(3, DType::F32, &Device::Cpu).unwrap()).unwrap();
        let changed = of(&weights).iter().zip(&before).map(|(now, before)| now != before).collect::<Vec<_>>();
        assert_eq!(changed, [false, false, true, false]);
    }

    /// The four tensors of a head, by their first value: word embeddings and bias, then the head's own.
    fn head(values: [Option<f32>; 4]) -> BTreeMap<String, Tensor> {
        let names = [HEAD[0].1, HEAD[1].1, HEAD[0].0, HEAD[1].0];
        let stored = names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)));
        stored.map(|(name, value)| (name.to_owned(), Tensor::new(&[value], &Device::Cpu).unwrap())).collect()
    }

    /// What is left of them.
    fn settled(values: [Option<f32>; 4], tied: bool) -> Result<[Option<f32>; 4], String> {
        let mut tensors = head(values);
        settle_head(&mut tensors, tied, Path::new("x")).map_err(|error| error.to_string())?;
        let value = |name: &str| tensors.get(name).map(|tensor| tensor.to_vec1::<f32>().unwrap()[0]);
        Ok([HEAD[0].1, HEAD[1].1, HEAD[0].0, HEAD[1].0].map(value))
    }

    #[test]
    fn a_head_is_tied_unless_it_has_values_of_its_own() {
        let (a, b, c, d) = (Some(1.0), Some(2.0), Some(3.0), Some(4.0));
        assert_eq!(settled([a, b, None, None], true), Ok([a, b, None, None]));
        assert_eq!(settled([a, b, a, b], true), Ok([a, b, None, None]));
        assert_eq!(settled([a, b, c, b], true), Ok([a, b, c, None]));
        assert_eq!(settled([a, b, a, d], true), Ok([a, b, None, d]));
        assert_eq!(settled([None, None, c, d], true), Ok([c, d, None, None]));
        assert_eq!(settled([a, b, a, b], false), Ok([a, b, a, b]));
        let refused = settled([a, b, c, None], false).unwrap_err();
        assert!(
            refused.starts_with("x: tensor `text_decoder.cls.predictions.decoder.bias` is missing, although"),
            "{refused}"
        );
    }

    #[test]
    fn a_bias_that_the_head_does_not_use_does_not_train() {
        let mut weights = Weights::from_tensors(head([Some(1.0); 4]));
        weights.unfreeze(Unfrozen::Last { vision_layers: 0, text: true }, 0).unwrap();
        let trained: Vec<&str> = weights.trainable().keys().map(String::as_str).collect();
        assert_eq!(trained, [HEAD[0].1, HEAD[1].0, HEAD[0].0]);
        let mut weights = Weights::from_tensors(head([Some(1.0), Some(1.0), None, None]));
        weights.unfreeze(Unfrozen::Last { vision_layers: 0, text: true }, 0).unwrap();
        assert_eq!(weights.trainable().len(), 2);
    }
}
