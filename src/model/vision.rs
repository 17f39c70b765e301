//! The image encoder: a vision transformer with pre-normalised layers.
//!
//! A forward pass is `encode` up to a boundary between layers and `finish` from there. What lies below the
//! boundary may be frozen, and is then a constant of the image.

use candle_core::{Result, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::blip::VisionConfig;

use super::layers::{LayerNorm, Linear, activate};
use super::ops::{Dropout, Engine, add, packed_attention, patch_tokens};

/// `BlipVisionModel`.
#[derive(Debug, Clone)]
pub struct VisionModel {
    embeddings: VisionEmbeddings,
    layers: Vec<EncoderLayer>,
    post_layernorm: LayerNorm,
}

impl VisionModel {
    pub fn new(config: &VisionConfig, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let layers = vb.pp("encoder.layers");
        Ok(Self {
            embeddings: VisionEmbeddings::new(config, engine, vb.pp("embeddings"))?,
            layers: (0..config.num_hidden_layers)
                .map(|i| EncoderLayer::new(config, engine, layers.pp(i)))
                .collect::<Result<_>>()?,
            post_layernorm: LayerNorm::new(
                config.hidden_size,
                config.layer_norm_eps,
                engine,
                vb.pp("post_layernorm"),
            )?,
        })
    }

    /// The hidden state (images, tokens, width) below layer `boundary`, from pixels (images, 3, side, side).
    pub fn encode(&self, pixels: &Tensor, boundary: usize) -> Result<Tensor> {
        self.advance(&self.embeddings.forward(pixels)?, 0, boundary)
    }

    /// The hidden state below layer `to` from that below layer `from`, with the same bits as from the pixels.
    pub fn advance(&self, hidden: &Tensor, from: usize, to: usize) -> Result<Tensor> {
        let mut layers = self.layers[from..to].iter();
        layers.try_fold(hidden.clone(), |xs, layer| layer.forward(&xs, &Dropout::NONE))
    }

    /// The image embeddings (images, tokens, width) from the hidden state below layer `boundary`.
    pub fn finish(&self, hidden: &Tensor, boundary: usize) -> Result<Tensor> {
        self.finish_training(hidden, boundary, &Dropout::NONE)
    }

    /// As [`VisionModel::finish`] in a training step. Layers below `boundary` are constants of the image and have
    /// no dropout.
    pub fn finish_training(&self, hidden: &Tensor, boundary: usize, dropout: &Dropout) -> Result<Tensor> {
        let mut layers = self.layers[boundary..].iter();
        let xs = layers.try_fold(hidden.clone(), |xs, layer| {
            let (again, dropout) = (layer.clone(), *dropout);
            layer.engine.recomputed(&[&xs], move |inputs| again.forward(&inputs[0], &dropout))
        })?;
        self.post_layernorm.forward(&xs)
    }

    /// The hidden states below the layers from `boundary` on and above the last, from the one below layer `boundary`.
    pub fn states(&self, hidden: &Tensor, boundary: usize) -> Result<Vec<Tensor>> {
        let mut states = vec![hidden.clone()];
        let mut xs = hidden.clone();
        for layer in &self.layers[boundary..] {
            xs = layer.forward(&xs, &Dropout::NONE)?;
            states.push(xs.clone());
        }
        Ok(states)
    }

    /// Layers of the encoder.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }
}

#[derive(Debug, Clone)]
struct VisionEmbeddings {
    class_embedding: Tensor,
    patch_embedding: Linear,
    position_embedding: Tensor,
    patch_size: usize,
    engine: Engine,
}

impl VisionEmbeddings {
    fn new(config: &VisionConfig, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let (width, patch) = (config.hidden_size, config.patch_size);
        let side = config.image_size / patch;
        let weight = vb.get((width, 3, patch, patch), "patch_embedding.weight")?.reshape((width, ()))?;
        Ok(Self {
            class_embedding: vb.get((1, 1, width), "class_embedding")?,
            patch_embedding: Linear::tied(weight, vb.get(width, "patch_embedding.bias")?, engine),
            position_embedding: vb.get((1, side * side + 1, width), "position_embedding")?,
            patch_size: patch,
            engine: engine.clone(),
        })
    }

    /// A convolution whose stride is its size is a linear layer over the patches.
    fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let (images, channels, height, width) = pixels.dims4()?;
        let patch = self.patch_size;
        let (rows, columns) = (height / patch, width / patch);
        let patches = pixels
            .narrow(2, 0, rows * patch)?
            .narrow(3, 0, columns * patch)?
            .reshape(&[images, channels, rows, patch, columns, patch][..])?
            .permute(vec![0, 2, 4, 1, 3, 5])?
            .reshape((images, rows * columns, channels * patch * patch))?;
        let patches = self.patch_embedding.forward(&patches)?;
        patch_tokens(&patches, &self.class_embedding, &self.position_embedding, &self.engine)
    }
}

#[derive(Debug, Clone)]
struct EncoderLayer {
    layer_norm1: LayerNorm,
    self_attn: SelfAttention,
    layer_norm2: LayerNorm,
    mlp: Mlp,
    engine: Engine,
}

impl EncoderLayer {
    fn new(config: &VisionConfig, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let norm = |name| LayerNorm::new(config.hidden_size, config.layer_norm_eps, engine, vb.pp(name));
        Ok(Self {
            layer_norm1: norm("layer_norm1")?,
            self_attn: SelfAttention::new(config, engine, vb.pp("self_attn"))?,
            layer_norm2: norm("layer_norm2")?,
            mlp: Mlp::new(config, engine, vb.pp("mlp"))?,
            engine: engine.clone(),
        })
    }

    fn forward(&self, xs: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let xs = add(xs, &self.self_attn.forward(&self.layer_norm1.forward(xs)?, dropout)?, &self.engine)?;
        add(&xs, &self.mlp.forward(&self.layer_norm2.forward(&xs)?)?, &self.engine)
    }
}

#[derive(Debug, Clone)]
struct SelfAttention {
    qkv: Linear,
    projection: Linear,
    heads: usize,
    engine: Engine,
    /// The name of this module in the checkpoint.
    place: String,
}

impl SelfAttention {
    fn new(config: &VisionConfig, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            qkv: Linear::new(width, 3 * width, engine, vb.pp("qkv"))?,
            projection: Linear::new(width, width, engine, vb.pp("projection"))?,
            heads: config.num_attention_heads,
            engine: engine.clone(),
            place: vb.prefix(),
        })
    }

    fn forward(&self, xs: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let drops = dropout.at(&self.place);
        self.projection.forward(&packed_attention(&self.qkv.forward(xs)?, self.heads, drops, &self.engine)?)
    }
}

#[derive(Debug, Clone)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    engine: Engine,
}

impl Mlp {
    fn new(config: &VisionConfig, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            fc1: Linear::new(width, inner, engine, vb.pp("fc1"))?,
            fc2: Linear::new(inner, width, engine, vb.pp("fc2"))?,
            activation: config.hidden_act,
            engine: engine.clone(),
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.fc2.forward(&activate(self.activation, &self.fc1.forward(xs)?, &self.engine)?)
    }
}
