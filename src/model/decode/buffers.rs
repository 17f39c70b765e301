//! Decoding on the CPU in buffers that live as long as the captions: a step makes no tensor, and copies no cache.

use candle_core::{Result, Tensor};
use candle_nn::Activation;
use rayon::prelude::*;

use super::columns::{Columns, Layer};
use super::said::{self, History, Projections, Said};
use super::seen::{self, Image, Seen};
use crate::model::layers::{LayerNorm, Linear};
use crate::model::ops::gelu::gelu_in_place;
use crate::model::ops::slices::with_values;
use crate::model::text::{Attention, TextDecoder, TextEmbeddings};

/// Columns of the logits that one task turns into rows.
const TURNED_AT_ONCE: usize = 8;

/// What has been said and seen, and space for the next step.
#[derive(Debug)]
pub struct Buffers {
    history: History,
    layers: Vec<Heads>,
    image_tokens: usize,
    hidden: Columns,
    inner: Columns,
    out: Columns,
    logits: Columns,
}

/// Of each head of a layer.
#[derive(Debug)]
struct Heads {
    said: Vec<Said>,
    /// Of each image.
    seen: Vec<Vec<Seen>>,
}

impl Buffers {
    /// Looks at the images; `places` is how many tokens all captions will say together, at most.
    pub fn begin(decoder: &TextDecoder, image_embeds: &Tensor, places: usize) -> Result<Self> {
        let (_, image_tokens, width) = image_embeds.dims3()?;
        let layers = with_values([image_embeds], |[embeds]| {
            let images: Vec<Image> =
                embeds.par_chunks(image_tokens * width).map(|rows| Image::new(rows, width)).collect();
            let layers = decoder.layers.par_iter().map(|layer| {
                let attention = &layer.crossattention;
                let seen = with_layers([&attention.key, &attention.value], |[key, value]| {
                    Ok(seen::look_at(&images, key, value, attention.heads))
                })?;
                let heads = layer.attention.heads;
                let mut said = vec![Said::default(); heads];
                let head_width = layer.attention.query.weight.dim(0)? / heads;
                said.iter_mut().for_each(|said| said.reserve(places, head_width));
                Ok(Heads { said, seen })
            });
            layers.collect::<Result<Vec<_>>>()
        })?;
        let empty = Columns::default;
        Ok(Self {
            history: History::default(),
            layers,
            image_tokens,
            hidden: empty(),
            inner: empty(),
            out: empty(),
            logits: empty(),
        })
    }

    /// Puts the logits (rows, vocabulary) of what follows when `ids` says the next token of each row into `logits`.
    pub fn step(&mut self, decoder: &TextDecoder, ids: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let Self { history, layers, image_tokens, hidden, inner, out, logits: turned } = self;
        embed(&decoder.embeddings, ids, history.length(), hidden)?;
        history.advance(ids.len());
        for (layer, heads) in decoder.layers.iter().zip(layers) {
            let Attention { query, key, value, output, .. } = &layer.attention;
            with_layers([query, key, value], |[query, key, value]| {
                said::attend(&Projections { query, key, value }, hidden, &mut heads.said, history, inner);
                Ok(())
            })?;
            add_linear(&output.dense, &output.layer_norm, inner, hidden, out)?;

            let Attention { query, output, .. } = &layer.crossattention;
            with_layers([query], |[query]| {
                seen::attend(query, hidden, &heads.seen, *image_tokens, inner);
                Ok(())
            })?;
            add_linear(&output.dense, &output.layer_norm, inner, hidden, out)?;

            linear(&layer.intermediate, hidden, inner, gelu_in_place)?;
            add_linear(&layer.output.dense, &layer.output.layer_norm, inner, hidden, out)?;
        }
        let predictions = &decoder.predictions;
        linear(&predictions.transform, hidden, out, gelu_in_place)?;
        normalise(&predictions.layer_norm, out)?;
        linear(&predictions.decoder, out, turned, |_| ())?;
        turn(turned, logits);
        Ok(())
    }

    /// Continues with the captions at `rows`, in that order; `images` keeps the images they belong to.
    pub fn select(&mut self, rows: &[u32], images: Option<&[u32]>) {
        self.history.select(rows);
        let Some(kept) = images else { return };
        for images in self.layers.iter_mut().flat_map(|layer| &mut layer.seen) {
            let mut place = 0;
            images.retain(|_| {
                place += 1;
                kept.contains(&(place - 1))
            });
        }
    }
}

/// Whether the buffers know how to compute what `activation` says; every published BLIP has GELU.
pub fn knows(activation: Activation) -> bool {
    activation == Activation::Gelu
}

/// Calls `f` with the values of linear layers.
fn with_layers<T, const N: usize>(
    layers: [&Linear; N],
    f: impl FnOnce([Layer; N]) -> Result<T>,
) -> Result<T> {
    with_values(layers.map(|layer| &layer.weight), |weights| {
        with_values(layers.map(|layer| &layer.bias), |biases| {
            f(std::array::from_fn(|i| Layer { weight: weights[i], bias: biases[i] }))
        })
    })
}

fn linear(layer: &Linear, xs: &Columns, out: &mut Columns, finish: impl Fn(&mut [f32]) + Sync) -> Result<()> {
    with_layers([layer], |[layer]| {
        layer.apply_shared(xs, out, finish);
        Ok(())
    })
}

/// A layer over `xs` with `hidden` added and normalised, which takes the place of `hidden`.
fn add_linear(
    dense: &Linear,
    layer_norm: &LayerNorm,
    xs: &Columns,
    hidden: &mut Columns,
    out: &mut Columns,
) -> Result<()> {
    linear(dense, xs, out, |_| ())?;
    hidden.add(out);
    normalise(layer_norm, hidden)
}

fn normalise(layer_norm: &LayerNorm, xs: &mut Columns) -> Result<()> {
    with_values([&layer_norm.weight, &layer_norm.bias], |[weight, bias]| {
        xs.normalise(weight, bias, layer_norm.eps as f32);
        Ok(())
    })
}

/// Embeds the token that each caption says at `position`.
fn embed(embeddings: &TextEmbeddings, ids: &[u32], position: usize, out: &mut Columns) -> Result<()> {
    with_values([&embeddings.word_embeddings, &embeddings.position_embeddings], |[words, positions]| {
        let width = embeddings.position_embeddings.dim(1)?;
        let position = row(positions, width, position, "position")?;
        let mut rows = Vec::with_capacity(ids.len() * width);
        for id in ids {
            let word = row(words, width, *id as usize, "token id")?;
            rows.extend(word.iter().zip(position).map(|(word, position)| word + position));
        }
        out.reshape(width, ids.len());
        out.put(&rows);
        Ok(())
    })?;
    normalise(&embeddings.layer_norm, out)
}

fn row<'a>(table: &'a [f32], width: usize, id: usize, what: &str) -> Result<&'a [f32]> {
    match table.chunks_exact(width).nth(id) {
        Some(row) => Ok(row),
        None => candle_core::bail!("{what} {id} is beyond the {} of the model", table.len() / width),
    }
}

/// The columns of `from` as rows.
fn turn(from: &Columns, rows: &mut Vec<f32>) {
    rows.resize(from.features * from.captions, 0.0);
    rows.par_chunks_mut(TURNED_AT_ONCE * from.features).enumerate().for_each(|(task, rows)| {
        let first = task * TURNED_AT_ONCE;
        let captions = rows.len() / from.features;
        for (start, features) in from.values.chunks(64 * from.stride).enumerate() {
            for caption in 0..captions {
                let row = &mut rows[caption * from.features + start * 64..];
                let column = features.iter().skip(first + caption).step_by(from.stride);
                row.iter_mut().zip(column).for_each(|(to, value)| *to = *value);
            }
        }
    });
}
