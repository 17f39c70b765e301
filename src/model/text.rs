//! The caption decoder: BERT with causal self-attention, cross-attention to the image and a tied output head.
//!
//! Training runs whole captions at once ([`TextDecoder::logits`]); generation goes token by token
//! ([`Decoding`](super::decode::Decoding)).

use candle_core::{Result, Shape, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::blip_text::Config;

use super::layers::{LayerNorm, Linear, activate};
use super::ops::{Dropout, Engine, Mask, add, attention, dropout, embedding, reshape};

/// `BlipTextLMHeadModel`.
#[derive(Debug, Clone)]
pub struct TextDecoder {
    pub(super) embeddings: TextEmbeddings,
    pub(super) layers: Vec<TextLayer>,
    pub(super) predictions: Predictions,
}

impl TextDecoder {
    /// `padding_id` is the token whose lookup passes no gradient.
    pub fn new(config: &Config, padding_id: u32, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let layers = vb.pp("bert.encoder.layer");
        let embeddings = TextEmbeddings::new(config, padding_id, engine, vb.pp("bert.embeddings"))?;
        Ok(Self {
            predictions: Predictions::new(
                config,
                embeddings.word_embeddings.clone(),
                engine,
                vb.pp("cls.predictions"),
            )?,
            layers: (0..config.num_hidden_layers)
                .map(|i| TextLayer::new(config, engine, layers.pp(i)))
                .collect::<Result<_>>()?,
            embeddings,
        })
    }

    /// The logits of captions beside their own pictures and beside the next ones: there is a picture more than captions.
    pub fn logits_beside_next(&self, ids: &[u32], image_embeds: &Tensor, mask: &Mask) -> Result<[Tensor; 2]> {
        let captions = image_embeds.dim(0)? - 1;
        let hidden = self.embeddings.forward(ids, captions, 0, &Dropout::NONE)?;
        let mut both = [hidden.clone(), hidden];
        let _shared = self.engine().inputs.share(image_embeds);
        for layer in &self.layers {
            // What a picture shows is the same beside either caption.
            let (k, v) = layer.crossattention.keys_and_values(image_embeds)?;
            for (next, hidden) in both.iter_mut().enumerate() {
                let (k, v) = (k.narrow(0, next, captions)?, v.narrow(0, next, captions)?);
                *hidden = layer.forward_seeing(hidden, (&k, &v), mask, &Dropout::NONE)?;
            }
        }
        let [own, other] = both;
        Ok([self.predictions.forward(&own)?, self.predictions.forward(&other)?])
    }

    /// Logits (captions, tokens, vocabulary) of what follows each token, from `ids` (captions x tokens) and
    /// image embeddings (captions, image tokens, width). `mask` hides padding and must be causal.
    pub fn logits(&self, ids: &[u32], image_embeds: &Tensor, mask: &Mask) -> Result<Tensor> {
        self.training_logits(ids, image_embeds, mask, &Dropout::NONE)
    }

    /// As [`TextDecoder::logits`] in a training step.
    pub fn training_logits(
        &self,
        ids: &[u32],
        image_embeds: &Tensor,
        mask: &Mask,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let captions = image_embeds.dim(0)?;
        let hidden = self.embeddings.forward(ids, captions, 0, dropout)?;
        let mut layers = self.layers.iter();
        let _shared = self.engine().inputs.share(image_embeds);
        let hidden = layers.try_fold(hidden, |xs, layer| {
            let (again, mask, dropout) = (layer.clone(), mask.clone(), *dropout);
            let forward = move |inputs: &[Tensor]| again.forward(&inputs[0], &inputs[1], &mask, &dropout);
            layer.engine.recomputed(&[&xs, image_embeds], forward)
        })?;
        self.predictions.forward(&hidden)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.embeddings.engine
    }

    /// The activation of all layers.
    pub(super) fn activation(&self) -> Activation {
        self.predictions.activation
    }
}

#[derive(Debug, Clone)]
pub(super) struct TextEmbeddings {
    pub(super) word_embeddings: Tensor,
    pub(super) position_embeddings: Tensor,
    pub(super) layer_norm: LayerNorm,
    /// `padding_idx` of the lookup.
    padding_id: u32,
    engine: Engine,
    /// The name of this module in the checkpoint.
    place: String,
}

impl TextEmbeddings {
    fn new(config: &Config, padding_id: u32, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            word_embeddings: vb.get((config.vocab_size, width), "word_embeddings.weight")?,
            position_embeddings: vb
                .get((config.max_position_embeddings, width), "position_embeddings.weight")?,
            layer_norm: LayerNorm::new(width, config.layer_norm_eps, engine, vb.pp("LayerNorm"))?,
            padding_id,
            engine: engine.clone(),
            place: vb.prefix(),
        })
    }

    /// Embeds `ids` (captions x tokens), the first of which stands at position `past`.
    pub(super) fn forward(
        &self,
        ids: &[u32],
        captions: usize,
        past: usize,
        regular: &Dropout,
    ) -> Result<Tensor> {
        let tokens = ids.len() / captions;
        let positions: Vec<u32> = (0..ids.len()).map(|i| (past + i % tokens) as u32).collect();
        let words = embedding(&self.word_embeddings, ids, Some(self.padding_id), &self.engine)?;
        let positions = embedding(&self.position_embeddings, &positions, None, &self.engine)?;
        let both = add(&words, &positions, &self.engine)?;
        let both = reshape(&both, (captions, tokens, words.dim(1)?), &self.engine)?;
        dropout(&self.layer_norm.forward(&both)?, regular.at(&self.place), &self.engine)
    }
}

#[derive(Debug, Clone)]
pub(super) struct TextLayer {
    pub(super) attention: Attention,
    pub(super) crossattention: Attention,
    pub(super) intermediate: Linear,
    pub(super) output: Output,
    activation: Activation,
    engine: Engine,
}

impl TextLayer {
    fn new(config: &Config, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            attention: Attention::new(config, width, engine, vb.pp("attention"))?,
            crossattention: Attention::new(
                config,
                config.encoder_hidden_size,
                engine,
                vb.pp("crossattention"),
            )?,
            intermediate: Linear::new(width, inner, engine, vb.pp("intermediate.dense"))?,
            output: Output::new(config, inner, engine, vb.pp("output"))?,
            activation: config.hidden_act,
            engine: engine.clone(),
        })
    }

    fn forward(&self, xs: &Tensor, image_embeds: &Tensor, mask: &Mask, dropout: &Dropout) -> Result<Tensor> {
        let (k, v) = self.crossattention.keys_and_values(image_embeds)?;
        self.forward_seeing(xs, (&k, &v), mask, dropout)
    }

    /// The same from what the images show: keys and values.
    fn forward_seeing(
        &self,
        xs: &Tensor,
        seen: (&Tensor, &Tensor),
        mask: &Mask,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let (k, v) = self.attention.keys_and_values(xs)?;
        let xs = self.attention.forward(xs, &k, &v, mask, dropout)?;
        let (k, v) = seen;
        self.feed_forward(&self.crossattention.forward(&xs, k, v, &Mask::default(), dropout)?, dropout)
    }

    pub(super) fn feed_forward(&self, xs: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let inner = activate(self.activation, &self.intermediate.forward(xs)?, &self.engine)?;
        self.output.forward(&inner, xs, dropout)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Attention {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Output,
    pub(super) heads: usize,
    pub(super) engine: Engine,
    /// The name in the checkpoint of the module that holds query, key and value.
    place: String,
}

impl Attention {
    /// Attention whose keys and values come from states of width `source`.
    fn new(config: &Config, source: usize, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            query: Linear::new(width, width, engine, vb.pp("self.query"))?,
            key: Linear::new(source, width, engine, vb.pp("self.key"))?,
            value: Linear::new(source, width, engine, vb.pp("self.value"))?,
            output: Output::new(config, width, engine, vb.pp("output"))?,
            heads: config.num_attention_heads,
            engine: engine.clone(),
            place: vb.pp("self").prefix(),
        })
    }

    pub(super) fn keys_and_values(&self, source: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.key.forward(source)?, self.value.forward(source)?))
    }

    pub(super) fn forward(
        &self,
        xs: &Tensor,
        k: &Tensor,
        v: &Tensor,
        mask: &Mask,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let drops = dropout.at(&self.place);
        let context = attention(&self.query.forward(xs)?, k, v, self.heads, mask, drops, &self.engine)?;
        self.output.forward(&context, xs, dropout)
    }
}

/// `BlipTextSelfOutput` and `BlipTextOutput`: a projection with dropout, the residual and a layer norm.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) dense: Linear,
    pub(super) layer_norm: LayerNorm,
    engine: Engine,
    /// The name of this module in the checkpoint.
    place: String,
}

impl Output {
    fn new(config: &Config, ins: usize, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            dense: Linear::new(ins, config.hidden_size, engine, vb.pp("dense"))?,
            layer_norm: LayerNorm::new(
                config.hidden_size,
                config.layer_norm_eps,
                engine,
                vb.pp("LayerNorm"),
            )?,
            engine: engine.clone(),
            place: vb.prefix(),
        })
    }

    fn forward(&self, xs: &Tensor, residual: &Tensor, regular: &Dropout) -> Result<Tensor> {
        let xs = dropout(&self.dense.forward(xs)?, regular.at(&self.place), &self.engine)?;
        self.layer_norm.forward(&add(&xs, residual, &self.engine)?)
    }
}

/// `BlipTextOnlyMLMHead`; the decoder's weight is the word embeddings' unless the checkpoint has one of its own.
#[derive(Debug, Clone)]
pub(super) struct Predictions {
    pub(super) transform: Linear,
    pub(super) layer_norm: LayerNorm,
    pub(super) decoder: Linear,
    activation: Activation,
    engine: Engine,
}

impl Predictions {
    fn new(config: &Config, word_embeddings: Tensor, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            transform: Linear::new(width, width, engine, vb.pp("transform.dense"))?,
            layer_norm: LayerNorm::new(width, config.layer_norm_eps, engine, vb.pp("transform.LayerNorm"))?,
            decoder: Linear::tied(
                own_or(vb.pp("decoder"), "weight", (config.vocab_size, width), || Ok(word_embeddings))?,
                own_or(vb.pp("decoder"), "bias", config.vocab_size, || vb.get(config.vocab_size, "bias"))?,
                engine,
            ),
            activation: config.hidden_act,
            engine: engine.clone(),
        })
    }

    pub(super) fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        let hidden = activate(self.activation, &self.transform.forward(hidden)?, &self.engine)?;
        self.decoder.forward(&self.layer_norm.forward(&hidden)?)
    }
}

/// The tensor below `vb`, or the one it is tied to where there is none.
fn own_or<S: Into<Shape>>(
    vb: VarBuilder,
    name: &str,
    shape: S,
    tied: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    if vb.contains_tensor(name) { vb.get(shape.into(), name) } else { tied() }
}
