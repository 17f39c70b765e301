//! The caption decoder: BERT with causal self-attention, cross-attention to the image and a tied output head.
//!
//! Training runs whole captions at once ([`TextDecoder::logits`]); generation goes token by token with cached
//! keys and values ([`TextDecoder::begin`], [`TextDecoder::step`]).

use candle_core::{Result, Shape, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::blip_text::Config;

use super::layers::{LayerNorm, Linear, activate};
use super::ops::{Dropout, Engine, Mask, attention, dropout, embedding};

/// `BlipTextLMHeadModel`.
#[derive(Debug, Clone)]
pub struct TextDecoder {
    embeddings: TextEmbeddings,
    layers: Vec<TextLayer>,
    predictions: Predictions,
}

/// Keys and values of what has been said and of the images, for generation.
///
/// Rows are captions, the same number for every image and grouped by image.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Tokens said so far.
    length: usize,
    /// Images, of which each has as many rows as the others.
    images: usize,
    layers: Vec<LayerCache>,
}

#[derive(Debug, Clone)]
struct LayerCache {
    /// Keys and values of the tokens, (rows, tokens, width); absent before the first token.
    said: Option<(Tensor, Tensor)>,
    /// Keys and values of the images, (images, image tokens, width): shared by all rows of an image.
    seen: (Tensor, Tensor),
}

impl Cache {
    /// Continues with the captions at `rows`, in that order; `images` keeps the images they belong to.
    pub fn select(&mut self, rows: &[u32], images: Option<&[u32]>) -> Result<()> {
        for layer in &mut self.layers {
            if let Some((k, v)) = &mut layer.said {
                let rows = Tensor::new(rows, k.device())?;
                *k = k.index_select(&rows, 0)?;
                *v = v.index_select(&rows, 0)?;
            }
            if let Some(images) = images {
                let images = Tensor::new(images, layer.seen.0.device())?;
                layer.seen = (layer.seen.0.index_select(&images, 0)?, layer.seen.1.index_select(&images, 0)?);
            }
        }
        self.images = images.map_or(self.images, <[u32]>::len);
        Ok(())
    }
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
        let hidden = layers.try_fold(hidden, |xs, layer| layer.forward(&xs, image_embeds, mask, dropout))?;
        self.predictions.forward(&hidden)
    }

    /// An empty cache for one caption an image.
    pub fn begin(&self, image_embeds: &Tensor) -> Result<Cache> {
        let layers = self.layers.iter().map(|layer| {
            let seen = layer.crossattention.keys_and_values(image_embeds)?;
            Ok(LayerCache { said: None, seen })
        });
        Ok(Cache { length: 0, images: image_embeds.dim(0)?, layers: layers.collect::<Result<_>>()? })
    }

    /// Logits (rows, vocabulary) of what follows when `ids` says the next token of each row.
    pub fn step(&self, ids: &[u32], cache: &mut Cache) -> Result<Tensor> {
        let mut hidden = self.embeddings.forward(ids, ids.len(), cache.length, &Dropout::NONE)?;
        for (layer, state) in self.layers.iter().zip(&mut cache.layers) {
            hidden = layer.step(&hidden, state, cache.images)?;
        }
        cache.length += 1;
        self.predictions.forward(&hidden)?.squeeze(1)
    }
}

#[derive(Debug, Clone)]
struct TextEmbeddings {
    word_embeddings: Tensor,
    position_embeddings: Tensor,
    layer_norm: LayerNorm,
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
            layer_norm: LayerNorm::new(width, config.layer_norm_eps, vb.pp("LayerNorm"))?,
            padding_id,
            engine: engine.clone(),
            place: vb.prefix(),
        })
    }

    /// Embeds `ids` (captions x tokens), the first of which stands at position `past`.
    fn forward(&self, ids: &[u32], captions: usize, past: usize, regular: &Dropout) -> Result<Tensor> {
        let tokens = ids.len() / captions;
        let positions: Vec<u32> = (0..ids.len()).map(|i| (past + i % tokens) as u32).collect();
        let words = embedding(&self.word_embeddings, ids, Some(self.padding_id), &self.engine)?;
        let positions = embedding(&self.position_embeddings, &positions, None, &self.engine)?;
        let hidden = self.layer_norm.forward(&(words + positions)?.reshape((captions, tokens, ()))?)?;
        dropout(&hidden, regular.at(&self.place))
    }
}

#[derive(Debug, Clone)]
struct TextLayer {
    attention: Attention,
    crossattention: Attention,
    intermediate: Linear,
    output: Output,
    activation: Activation,
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
        })
    }

    fn forward(&self, xs: &Tensor, image_embeds: &Tensor, mask: &Mask, dropout: &Dropout) -> Result<Tensor> {
        let (k, v) = self.attention.keys_and_values(xs)?;
        let xs = self.attention.forward(xs, &k, &v, mask, dropout)?;
        let (k, v) = self.crossattention.keys_and_values(image_embeds)?;
        self.feed_forward(&self.crossattention.forward(&xs, &k, &v, &Mask::default(), dropout)?, dropout)
    }

    /// One token a row: (rows, 1, width).
    fn step(&self, xs: &Tensor, cache: &mut LayerCache, images: usize) -> Result<Tensor> {
        let (rows, _, width) = xs.dims3()?;
        let (k, v) = self.attention.keys_and_values(xs)?;
        let (k, v) = match cache.said.take() {
            Some((past_k, past_v)) => (Tensor::cat(&[past_k, k], 1)?, Tensor::cat(&[past_v, v], 1)?),
            None => (k, v),
        };
        let xs = self.attention.forward(xs, &k, &v, &Mask::default(), &Dropout::NONE)?;
        cache.said = Some((k, v));
        // All rows of an image query its keys at once, as if they were positions of one caption.
        let xs = xs.reshape((images, rows / images, width))?;
        let (k, v) = &cache.seen;
        let xs = self.crossattention.forward(&xs, k, v, &Mask::default(), &Dropout::NONE)?;
        self.feed_forward(&xs.reshape((rows, 1, width))?, &Dropout::NONE)
    }

    fn feed_forward(&self, xs: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let inner = activate(self.activation, &self.intermediate.forward(xs)?)?;
        self.output.forward(&inner, xs, dropout)
    }
}

#[derive(Debug, Clone)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Output,
    heads: usize,
    engine: Engine,
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

    fn keys_and_values(&self, source: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((self.key.forward(source)?, self.value.forward(source)?))
    }

    fn forward(&self, xs: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask, dropout: &Dropout) -> Result<Tensor> {
        let drops = dropout.at(&self.place);
        let context =
            attention(&self.query.forward(xs)?, k, v, self.heads, mask, drops, self.engine.precision)?;
        self.output.forward(&context, xs, dropout)
    }
}

/// `BlipTextSelfOutput` and `BlipTextOutput`: a projection with dropout, the residual and a layer norm.
#[derive(Debug, Clone)]
struct Output {
    dense: Linear,
    layer_norm: LayerNorm,
    /// The name of this module in the checkpoint.
    place: String,
}

impl Output {
    fn new(config: &Config, ins: usize, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            dense: Linear::new(ins, config.hidden_size, engine, vb.pp("dense"))?,
            layer_norm: LayerNorm::new(config.hidden_size, config.layer_norm_eps, vb.pp("LayerNorm"))?,
            place: vb.prefix(),
        })
    }

    fn forward(&self, xs: &Tensor, residual: &Tensor, regular: &Dropout) -> Result<Tensor> {
        let xs = dropout(&self.dense.forward(xs)?, regular.at(&self.place))?;
        self.layer_norm.forward(&(xs + residual)?)
    }
}

/// `BlipTextOnlyMLMHead`; the decoder's weight is the word embeddings' unless the checkpoint has one of its own.
#[derive(Debug, Clone)]
struct Predictions {
    transform: Linear,
    layer_norm: LayerNorm,
    decoder: Linear,
    activation: Activation,
}

impl Predictions {
    fn new(config: &Config, word_embeddings: Tensor, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            transform: Linear::new(width, width, engine, vb.pp("transform.dense"))?,
            layer_norm: LayerNorm::new(width, config.layer_norm_eps, vb.pp("transform.LayerNorm"))?,
            decoder: Linear::tied(
                own_or(vb.pp("decoder"), "weight", (config.vocab_size, width), || Ok(word_embeddings))?,
                own_or(vb.pp("decoder"), "bias", config.vocab_size, || vb.get(config.vocab_size, "bias"))?,
                engine,
            ),
            activation: config.hidden_act,
        })
    }

    fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        let hidden = activate(self.activation, &self.transform.forward(hidden)?)?;
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
