//! The two layers both halves are made of; field names equal checkpoint names.

use candle_core::{Result, Tensor};
use candle_nn::{Activation, Module, VarBuilder};

use super::lora::Adapter;
use super::ops::{self, Engine};

/// `y = x W^T + b`, and what an adapter adds to it.
#[derive(Debug, Clone)]
pub struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    /// Where there is one, the layer trains and says no captions.
    adapter: Option<Adapter>,
    pub(super) engine: Engine,
}

impl Linear {
    /// Takes `weight` (out, in) and `bias` (out,) below `vb`.
    pub fn new(ins: usize, outs: usize, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let adapter = Adapter::find(engine, &vb)?;
        Ok(Self { adapter, ..Self::tied(vb.get((outs, ins), "weight")?, vb.get(outs, "bias")?, engine) })
    }

    /// A layer over tensors that live elsewhere, such as the tied output head.
    pub fn tied(weight: Tensor, bias: Tensor, engine: &Engine) -> Self {
        Self { weight, bias, adapter: None, engine: engine.clone() }
    }

    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let ys = ops::linear(xs, &self.weight, &self.bias, &self.engine)?;
        match &self.adapter {
            Some(adapter) => adapter.add_to(&ys, xs),
            None => Ok(ys),
        }
    }
}

/// Layer normalisation over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) eps: f64,
    engine: Engine,
}

impl LayerNorm {
    pub fn new(width: usize, eps: f64, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let (weight, bias) = (vb.get(width, "weight")?, vb.get(width, "bias")?);
        Ok(Self { weight, bias, eps, engine: engine.clone() })
    }

    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        ops::layer_norm(xs, &self.weight, &self.bias, self.eps, &self.engine)
    }
}

/// The configured activation; GELU, which every published BLIP has, by the fused operation.
pub fn activate(activation: Activation, xs: &Tensor, engine: &Engine) -> Result<Tensor> {
    match activation {
        Activation::Gelu => ops::gelu(xs, engine),
        other => ops::by_candle(xs, move |xs| other.forward(xs), engine),
    }
}
