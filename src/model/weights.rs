//! A model's tensors by name: loading, freezing, fingerprints and saving.
//!
//! Names are those of `BlipForConditionalGeneration.state_dict()`. Tensors start frozen; [`Weights::unfreeze`]
//! turns some into variables, and only these ever change.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::weight_files::{self, WeightsError};

/// All tensors of a model.
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    trainable: BTreeMap<String, Var>,
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

/// Tensors that are one and the same in the model: the one that is kept, and its other name. Files hold one
/// of the two or both.
const TIED: [(&str, &str); 2] = [
    ("text_decoder.bert.embeddings.word_embeddings.weight", "text_decoder.cls.predictions.decoder.weight"),
    ("text_decoder.cls.predictions.bias", "text_decoder.cls.predictions.decoder.bias"),
];

/// The tensors without those that only repeat another, each under the name that is kept.
fn one_of_each(mut tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    for (kept, other) in TIED {
        if let Some(tensor) = tensors.remove(other) {
            tensors.entry(kept.to_owned()).or_insert(tensor);
        }
    }
    tensors
}

impl Weights {
    /// Loads the weights of a model folder as `f32`, whatever form they are stored in.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, WeightsError> {
        let files = weight_files::find(folder)?;
        let mut loaded = BTreeMap::new();
        files.read(&mut |name, tensor| drop(loaded.insert(name, tensor)))?;
        let mut tensors = one_of_each(loaded);
        for (name, tensor) in &mut tensors {
            *tensor = tensor.to_device(device).map_err(|error| WeightsError::Tensor {
                path: folder.to_owned(),
                name: name.clone(),
                reason: error.to_string(),
            })?;
        }
        Ok(Self::from_tensors(tensors))
    }

    /// Whether all tensors of a model of this shape are there; `folder` is where they were loaded from. Others
    /// do no harm.
    pub fn check(&self, config: &Config, folder: &Path) -> Result<(), WeightsError> {
        for (name, shape) in config.tensor_shapes() {
            let reason = match self.tensors.get(&name) {
                Some(tensor) if tensor.dims() == shape => continue,
                Some(tensor) => format!("has shape {:?}, but config.json asks for {shape:?}", tensor.dims()),
                None => format!("is missing; config.json asks for one of shape {shape:?}"),
            };
            return Err(WeightsError::Tensor { path: folder.to_owned(), name, reason });
        }
        Ok(())
    }

    /// Weights made elsewhere, such as random ones.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors, trainable: BTreeMap::new() }
    }

    /// Makes variables of the tensors that train, out of a vision model of `depth` layers. Must come before
    /// the model is built.
    pub fn unfreeze(&mut self, unfrozen: Unfrozen, depth: usize) -> candle_core::Result<()> {
        for (name, tensor) in &mut self.tensors {
            let trains = match (unfrozen, Part::of(name)) {
                (Unfrozen::All, _) => true,
                (Unfrozen::Last { vision_layers, .. }, Part::VisionLayer(layer)) => {
                    layer + vision_layers >= depth
                }
                (Unfrozen::Last { text, .. }, Part::Text) => text,
                (Unfrozen::Last { .. }, Part::VisionOther) => false,
            };
            if trains && !self.trainable.contains_key(name) {
                let var = Var::from_tensor(tensor)?;
                *tensor = var.as_tensor().clone();
                self.trainable.insert(name.clone(), var);
            }
        }
        Ok(())
    }

    /// The tensors for building a model; trainable ones are the variables themselves.
    pub fn builder(&self) -> VarBuilder<'static> {
        let tensors: HashMap<String, Tensor> = self.tensors.clone().into_iter().collect();
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
        digest(self.tensors.iter())
    }

    /// The same of the frozen tensors alone.
    pub fn frozen_digest(&self) -> candle_core::Result<String> {
        digest(self.tensors.iter().filter(|(name, _)| !self.trainable.contains_key(*name)))
    }

    /// The bytes of a safetensors file that transformers opens.
    pub fn to_bytes(&self, dtype: DType) -> candle_core::Result<Vec<u8>> {
        let tensors = self.tensors.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(dtype)?)));
        let tensors: BTreeMap<String, Tensor> = tensors.collect::<candle_core::Result<_>>()?;
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize(&tensors, Some(metadata)).map_err(candle_core::Error::wrap)
    }
}

fn digest<'a>(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> candle_core::Result<String> {
    let mut hash = Sha256::new();
    for (name, tensor) in tensors {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        for size in tensor.dims() {
            hash.update((*size as u64).to_le_bytes());
        }
        for values in tensor.flatten_all()?.to_vec1::<f32>()?.chunks(4096) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(&bytes);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
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
    fn the_digest_of_frozen_weights_changes_only_with_them() {
        let mut weights = weights();
        weights.unfreeze(Unfrozen::Last { vision_layers: 1, text: true }, 2).unwrap();
        let (frozen, all) = (weights.frozen_digest().unwrap(), weights.digest().unwrap());
        let var = &weights.trainable()["text_decoder.cls.predictions.bias"];
        var.set(&Tensor::ones(3, DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(weights.frozen_digest().unwrap(), frozen);
        assert_ne!(weights.digest().unwrap(), all);
    }

    #[test]
    fn saved_weights_load_back_as_the_same_bits() {
        let weights = weights();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let bytes = weights.to_bytes(DType::F32).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let loaded = Weights::load(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(loaded.digest().unwrap(), weights.digest().unwrap());
        for kept in 0..bytes.len() {
            std::fs::write(&path, &bytes[..kept]).unwrap();
            assert!(Weights::load(folder.path(), &Device::Cpu).is_err(), "cut to {kept} bytes");
        }
    }

    #[test]
    fn a_tied_tensor_is_found_under_either_name_and_the_kept_name_wins() {
        let filled = |value: f32| Tensor::full(value, 2, &Device::Cpu).unwrap();
        let [(kept, other), _] = TIED;
        let values = |named: &[(&str, f32)]| {
            let tensors = named.iter().map(|(name, value)| ((*name).to_owned(), filled(*value)));
            let tied = one_of_each(tensors.collect());
            assert_eq!(tied.len(), 1);
            tied[kept].to_vec1::<f32>().unwrap()[0]
        };
        assert_eq!(values(&[(kept, 1.0)]), 1.0);
        assert_eq!(values(&[(other, 2.0)]), 2.0);
        assert_eq!(values(&[(kept, 1.0), (other, 2.0)]), 1.0);
    }
}
