//! Decoding on the CPU in buffers that live as long as the captions: a step makes no tensor, and copies no cache.

use candle_core::{Result, Tensor};
use candle_nn::Activation;
use rayon::prelude::*;

use super::columns::Columns;
use super::linear;
use super::said::{self, History, Projected, Said};
use super::seen::{self, Seen};
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
    layers: Vec<Attended>,
    image_tokens: usize,
    hidden: Columns,
    projected: Projected,
    inner: Columns,
    out: Columns,
    logits: Columns,
}

/// What a layer attends to.
#[derive(Debug)]
struct Attended {
    /// Of each head.
    said: Vec<Said>,
    seen: Seen,
}

impl Buffers {
    /// Looks at the images; `places` is how many tokens all captions will say together, at most.
    pub fn begin(decoder: &TextDecoder, image_embeds: &Tensor, places: usize) -> Result<Self> {
        let seen = seen::look_at(decoder, image_embeds)?;
        let layers = decoder.layers.iter().zip(seen).map(|(layer, seen)| {
            let heads = layer.attention.heads;
            let mut said = vec![Said::default(); heads];
            let head_width = layer.attention.query.weight.dim(0)? / heads;
            said.iter_mut().for_each(|said| said.reserve(places, head_width));
            Ok(Attended { said, seen })
        });
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let empty = Columns::default;
        Ok(Self {
            history: History::default(),
            layers,
            image_tokens: image_embeds.dim(1)?,
            hidden: empty(),
            projected: Projected::default(),
            inner: empty(),
            out: empty(),
            logits: empty(),
        })
    }

    /// Puts the logits (rows, vocabulary) of what follows when `ids` says the next token of each row into `logits`.
    pub fn step(&mut self, decoder: &TextDecoder, ids: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        let Self { history, layers, image_tokens, hidden, projected, inner, out, logits: turned } = self;
        embed(&decoder.embeddings, ids, history.length(), hidden)?;
        history.advance(ids.len());
        for (layer, Attended { said, seen }) in decoder.layers.iter().zip(layers) {
            let Attention { query, key, value, output, .. } = &layer.attention;
            linear::apply(query, hidden, &mut projected.queries, |_| ())?;
            linear::apply(key, hidden, &mut projected.keys, |_| ())?;
            linear::apply(value, hidden, &mut projected.values, |_| ())?;
            said::attend(projected, said, history, inner);
            add_linear(&output.dense, &output.layer_norm, inner, hidden, out)?;

            let Attention { query, output, .. } = &layer.crossattention;
            linear::apply(query, hidden, &mut projected.queries, |_| ())?;
            seen.attend(&projected.queries, *image_tokens, inner);
            add_linear(&output.dense, &output.layer_norm, inner, hidden, out)?;

            linear::apply(&layer.intermediate, hidden, inner, gelu_in_place)?;
            add_linear(&layer.output.dense, &layer.output.layer_norm, inner, hidden, out)?;
        }
        let predictions = &decoder.predictions;
        linear::apply(&predictions.transform, hidden, out, gelu_in_place)?;
        normalise(&predictions.layer_norm, out)?;
        linear::apply(&predictions.decoder, out, turned, |_| ())?;
        turn(turned, logits);
        Ok(())
    }

    /// Continues with the captions at `rows`, in that order; `images` keeps the images they belong to.
    pub fn select(&mut self, rows: &[u32], images: Option<&[u32]>) {
        self.history.select(rows);
        let Some(kept) = images else { return };
        self.layers.iter_mut().for_each(|layer| layer.seen.keep(kept));
    }
}

/// Whether the buffers know how to compute what `activation` says; every published BLIP has GELU.
pub fn knows(activation: Activation) -> bool {
    activation == Activation::Gelu
}

/// A layer over `xs` with `hidden` added and normalised, which takes the place of `hidden`.
fn add_linear(
    dense: &Linear,
    layer_norm: &LayerNorm,
    xs: &Columns,
    hidden: &mut Columns,
    out: &mut Columns,
) -> Result<()> {
    linear::apply(dense, xs, out, |_| ())?;
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
