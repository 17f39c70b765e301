//! Self-attention of the next token of each caption to what the caption has said.
//!
//! Keys and values are kept where they were first put. Of a beam that goes on twice, both continuations look them up in the
//! same place: a caption knows the places of its tokens, and nothing is copied when beams are chosen.

use rayon::prelude::*;

use super::columns::{Columns, Layer};
use super::product::LANES;
use crate::model::ops::vector::{dot, softmax, vectorised};

/// Where the keys and values of each caption's tokens lie, first token first.
#[derive(Debug, Clone, Default)]
pub struct History {
    captions: Vec<Vec<u32>>,
    places: u32,
}

impl History {
    /// Every caption says one more token.
    pub fn advance(&mut self, captions: usize) {
        self.captions.resize(captions, Vec::new());
        for caption in &mut self.captions {
            caption.push(self.places);
            self.places += 1;
        }
    }

    /// Continues with the captions at `rows`, in that order.
    pub fn select(&mut self, rows: &[u32]) {
        self.captions = rows.iter().map(|row| self.captions[*row as usize].clone()).collect();
    }

    /// Tokens said so far.
    pub fn length(&self) -> usize {
        self.captions.first().map_or(0, Vec::len)
    }
}

/// Keys and values of one head of a layer, a row of its width for each place.
#[derive(Debug, Clone, Default)]
pub struct Said {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Said {
    /// Makes room for the keys and values of `places` tokens.
    pub fn reserve(&mut self, places: usize, head_width: usize) {
        self.keys.reserve_exact(places * head_width);
        self.values.reserve_exact(places * head_width);
    }
}

/// The projections of a layer's self-attention.
pub struct Projections<'a> {
    pub query: Layer<'a>,
    pub key: Layer<'a>,
    pub value: Layer<'a>,
}

/// Adds the keys and values of `xs`, the newest tokens, to `said`, and puts into `out` what each caption's query finds.
pub fn attend(
    projections: &Projections,
    xs: &Columns,
    said: &mut [Said],
    history: &History,
    out: &mut Columns,
) {
    let head_width = projections.query.bias.len() / said.len();
    out.reshape(projections.query.bias.len(), xs.captions);
    let heads = said.par_iter_mut().zip(out.values.par_chunks_mut(head_width * xs.stride));
    heads.enumerate().for_each(|(head, (said, out))| {
        let mut projected = vec![0f32; head_width * xs.stride];
        let mut project = |layer: Layer, rows: &mut Vec<f32>| {
            layer.head(head, head_width).apply(xs, &mut projected);
            append_transposed(&projected, xs.stride, xs.captions, rows);
        };
        let mut queries = Vec::with_capacity(head_width * xs.captions);
        project(projections.query, &mut queries);
        project(projections.key, &mut said.keys);
        project(projections.value, &mut said.values);
        let scale = 1.0 / (head_width as f32).sqrt();
        vectorised!({
            for value in &mut queries {
                *value *= scale;
            }
            let mut probabilities = vec![0f32; history.length().next_multiple_of(LANES)];
            let mut found = vec![0f32; head_width];
            for (caption, (query, places)) in
                queries.chunks_exact(head_width).zip(&history.captions).enumerate()
            {
                look_up(query, said, places, &mut probabilities, &mut found);
                for (column, value) in out.chunks_exact_mut(xs.stride).zip(&found) {
                    column[caption] = *value;
                }
            }
        });
    });
}

/// What one query finds in the tokens at `places`.
#[inline(always)]
fn look_up(query: &[f32], said: &Said, places: &[u32], probabilities: &mut [f32], found: &mut [f32]) {
    let width = query.len();
    // Filled up to whole vectors, which a loop takes in one step each.
    probabilities.fill(f32::NEG_INFINITY);
    for (probability, place) in probabilities.iter_mut().zip(places) {
        *probability = dot(query, &said.keys[*place as usize * width..][..width]);
    }
    softmax(probabilities);
    found.fill(0.0);
    for (probability, place) in probabilities.iter().zip(places) {
        let value = &said.values[*place as usize * width..][..width];
        for (found, value) in found.iter_mut().zip(value) {
            *found += probability * value;
        }
    }
}

/// Appends the columns of a matrix, of which the first `columns` count, as rows.
pub fn append_transposed(matrix: &[f32], stride: usize, columns: usize, rows: &mut Vec<f32>) {
    for column in 0..columns {
        rows.extend(matrix.iter().skip(column).step_by(stride));
    }
}
