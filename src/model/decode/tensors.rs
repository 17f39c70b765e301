//! Decoding composed of tensor operations, which every device has.

use candle_core::{Result, Tensor};

use crate::model::ops::{Dropout, Mask};
use crate::model::text::{TextDecoder, TextLayer};

/// Keys and values of what has been said and of the images.
#[derive(Debug, Clone)]
pub struct Tensors {
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

impl Tensors {
    /// An empty cache for one caption an image.
    pub fn begin(decoder: &TextDecoder, image_embeds: &Tensor) -> Result<Self> {
        let layers = decoder.layers.iter().map(|layer| {
            let seen = layer.crossattention.keys_and_values(image_embeds)?;
            Ok(LayerCache { said: None, seen })
        });
        Ok(Self { length: 0, images: image_embeds.dim(0)?, layers: layers.collect::<Result<_>>()? })
    }

    /// Puts the logits (rows, vocabulary) of what follows when `ids` says the next token of each row into `logits`.
    pub fn step(&mut self, decoder: &TextDecoder, ids: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let mut hidden = decoder.embeddings.forward(ids, ids.len(), self.length, &Dropout::NONE)?;
        for (layer, cache) in decoder.layers.iter().zip(&mut self.layers) {
            hidden = step(layer, &hidden, cache, self.images)?;
        }
        self.length += 1;
        *logits = decoder.predictions.forward(&hidden)?.flatten_all()?.to_vec1()?;
        Ok(())
    }

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

/// One token a row: (rows, 1, width).
fn step(layer: &TextLayer, xs: &Tensor, cache: &mut LayerCache, images: usize) -> Result<Tensor> {
    let (rows, _, width) = xs.dims3()?;
    let (k, v) = layer.attention.keys_and_values(xs)?;
    let (k, v) = match cache.said.take() {
        Some((past_k, past_v)) => (Tensor::cat(&[past_k, k], 1)?, Tensor::cat(&[past_v, v], 1)?),
        None => (k, v),
    };
    let xs = layer.attention.forward(xs, &k, &v, &Mask::default(), &Dropout::NONE)?;
    cache.said = Some((k, v));
    // All rows of an image query its keys at once, as if they were positions of one caption.
    let xs = xs.reshape((images, rows / images, width))?;
    let (k, v) = &cache.seen;
    let xs = layer.crossattention.forward(&xs, k, v, &Mask::default(), &Dropout::NONE)?;
    layer.feed_forward(&xs.reshape((rows, 1, width))?, &Dropout::NONE)
}
