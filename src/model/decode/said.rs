//! Self-attention of the next token of each caption to what the caption has said.
//!
//! Keys and values are kept where they were first put. Of a beam that goes on twice, both continuations look them up in the
//! same place: a caption knows the places of its tokens, and nothing is copied when beams are chosen.

use rayon::prelude::*;

use super::columns::Columns;
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

/// What a layer's self-attention makes of the newest tokens.
#[derive(Debug, Default)]
pub struct Projected {
    pub queries: Columns,
    pub keys: Columns,
    pub values: Columns,
}

/// Adds the newest keys and values to `said`, and puts into `out` what each caption's query finds.
pub fn attend(newest: &Projected, said: &mut [Said], history: &History, out: &mut Columns) {
    let Projected { queries, keys, values } = newest;
    let head_width = queries.features / said.len();
    out.reshape(queries.features, queries.captions);
    let stride = queries.stride;
    let heads = said.par_iter_mut().zip(out.values.par_chunks_mut(head_width * stride));
    heads.enumerate().for_each(|(head, (said, out))| {
        let add = |from: &Columns, rows: &mut Vec<f32>| {
            append_transposed(from.rows(head * head_width, head_width), stride, from.captions, rows);
        };
        let mut of_head = Vec::with_capacity(head_width * queries.captions);
        add(queries, &mut of_head);
        add(keys, &mut said.keys);
        add(values, &mut said.values);
        let scale = 1.0 / (head_width as f32).sqrt();
        vectorised!({
            for value in &mut of_head {
                *value *= scale;
            }
            let mut probabilities = vec![0f32; history.length().next_multiple_of(LANES)];
            let mut found = vec![0f32; head_width];
            for (caption, (query, places)) in
                of_head.chunks_exact(head_width).zip(&history.captions).enumerate()
            {
                look_up(query, said, places, &mut probabilities, &mut found);
                for (column, value) in out.chunks_exact_mut(stride).zip(&found) {
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
