//! Low-rank adapters of linear layers (Hu et al., 2021, "LoRA"), with the numbers and names of Hugging Face's peft.
//!
//! A layer with the weight `W` says `x W^T + b + s (x A^T) B^T`, where `A` (rank, in) and `B` (out, rank) train, `W` and `b`
//! do not, and `s` is alpha over rank. Merged, its weight is `W + s B A`, and nobody can tell it from any other.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::VarBuilder;

use super::ops::{self, Engine, by_candle};
use super::weights::Weights;
use crate::random::Random;

/// What an adapter's matrices are called below their layer.
pub const DOWN: &str = "lora_A.weight";
pub const UP: &str = "lora_B.weight";
/// A constant that a model is built with, as a tensor like the others.
pub const SCALING: &str = "lora_scaling";

/// The two matrices of an adapter.
#[derive(Debug, Clone)]
pub struct Pair<T> {
    pub down: T,
    pub up: T,
}

impl Pair<Var> {
    /// A new adapter of the layer of this name, which changes nothing yet: `A` is uniform within one over the root of its
    /// width, as `torch.nn.Linear` and peft have it, and `B` is zero.
    pub fn begin(layer: &str, weight: &Tensor, rank: usize, seed: u64) -> Result<Self> {
        let (outs, ins) = weight.dims2()?;
        let bound = 1.0 / (ins as f64).sqrt();
        let mut random = Random::new(seed, &format!("adapter of {layer}"), &[]);
        let down = (0..rank * ins).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32);
        let down = Tensor::from_vec(down.collect::<Vec<f32>>(), (rank, ins), weight.device())?;
        let up = Tensor::zeros((outs, rank), weight.dtype(), weight.device())?;
        Ok(Self { down: Var::from_tensor(&down)?, up: Var::from_tensor(&up)? })
    }
}

/// `W + s B A`.
pub fn merged(weight: &Tensor, pair: &Pair<Tensor>, scaling: f64) -> Result<Tensor> {
    let Pair { down, up } = pair;
    weight.detach() + (up.detach().matmul(&down.detach())? * scaling)?
}

impl Weights {
    /// Puts adapters of this rank beside the linear layers whose weights are chosen by name; they begin by `seed`, and train.
    /// Must come before the model is built.
    pub fn adapt(&mut self, chosen: impl Fn(&str) -> bool, rank: usize, alpha: f64, seed: u64) -> Result<()> {
        self.scaling = Some(Tensor::new((alpha / rank as f64) as f32, &Device::Cpu)?);
        for (name, weight) in &self.tensors {
            let Some(layer) = name.strip_suffix(".weight").filter(|_| chosen(name)) else { continue };
            let pair = Pair::begin(layer, weight, rank, seed)?;
            let [down, up] = Self::adapter_names(layer);
            self.trainable.extend([(down, pair.down.clone()), (up, pair.up.clone())]);
            self.adapters.insert(layer.to_owned(), pair);
        }
        Ok(())
    }

    /// Adapters by the names of their layers.
    pub fn adapters(&self) -> &BTreeMap<String, Pair<Var>> {
        &self.adapters
    }

    /// The names of the two variables that adapt a layer.
    pub fn adapter_names(layer: &str) -> [String; 2] {
        [DOWN, UP].map(|name| format!("{layer}.{name}"))
    }

    /// The same weights without adapters: those that have one are variables apart from these, to merge them into, and so are
    /// those that train themselves where `all` are to be; what is left is shared.
    pub fn with_changes_apart(&self, all: bool) -> Result<Self> {
        let mut apart = Self::from_tensors(self.tensors.clone());
        for (name, tensor) in &mut apart.tensors {
            let is_adapted =
                name.strip_suffix(".weight").is_some_and(|layer| self.adapters.contains_key(layer));
            let var = match self.trainable.get(name) {
                Some(var) if !all => var.clone(),
                None if !is_adapted => continue,
                _ => Var::from_tensor(&tensor.detach().copy()?)?,
            };
            *tensor = var.as_tensor().clone();
            apart.trainable.insert(name.clone(), var);
        }
        Ok(apart)
    }

    /// Puts this layer's weight with an adapter merged into it in its place in `other`.
    pub fn merge_into(&self, other: &Self, layer: &str, pair: &Pair<Tensor>) -> Result<()> {
        let name = format!("{layer}.weight");
        match (self.tensors.get(&name), other.trainable.get(&name), &self.scaling) {
            (Some(weight), Some(var), Some(scaling)) => {
                var.set(&merged(weight, pair, scaling.to_scalar::<f32>()? as f64)?)
            }
            _ => candle_core::bail!("`{name}` has no place for its adapter"),
        }
    }
}

/// An adapter within a model.
#[derive(Debug, Clone)]
pub struct Adapter {
    pair: Pair<Tensor>,
    scaling: f64,
    /// Biases of its two products.
    zeros: Pair<Tensor>,
    engine: Engine,
}

impl Adapter {
    /// The adapter below `vb`, where there is one.
    pub fn find(engine: &Engine, vb: &VarBuilder) -> Result<Option<Self>> {
        if !vb.contains_tensor(DOWN) {
            return Ok(None);
        }
        let (down, up) = (vb.get_unchecked(DOWN)?, vb.get_unchecked(UP)?);
        let zeros = |rows: &Tensor| Tensor::zeros(rows.dim(0)?, rows.dtype(), rows.device());
        let zeros = Pair { down: zeros(&down)?, up: zeros(&up)? };
        let scaling = vb.get((), SCALING)?.to_device(&Device::Cpu)?.to_scalar::<f32>()? as f64;
        Ok(Some(Self { pair: Pair { down, up }, scaling, zeros, engine: engine.clone() }))
    }

    /// Adds what it says of `xs` to what its layer says.
    pub fn add_to(&self, ys: &Tensor, xs: &Tensor) -> Result<Tensor> {
        let Self { pair, scaling, zeros, engine } = self;
        let low = ops::linear(xs, &pair.down, &zeros.down, engine)?;
        let scaling = *scaling;
        let low = by_candle(&low, move |low| low * scaling, engine)?;
        ops::add(ys, &ops::linear(&low, &pair.up, &zeros.up, engine)?, engine)
    }
}
