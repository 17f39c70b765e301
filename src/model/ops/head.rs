//! One head of attention, forward and backward, on plain slices.
//!
//! Where the processor has the [`kernels`](super::product::kernels), the queries are taken in blocks, so that a block's
//! scores stay in the cache ([`in_blocks`]); elsewhere all at once ([`at_once`]).

mod at_once;
mod in_blocks;

use super::attention::Mask;
use super::dropout::Drops;
use super::product::kernels::{self, ROWS};
use super::product::panels::Format;
use super::product::{Precision, View};
use super::vector::{dot, softmax, vectorised};

/// What all heads of a call share.
pub struct Rules {
    pub heads: usize,
    pub mask: Mask,
    pub drops: Option<Drops>,
    pub precision: Precision,
}

/// One head of one batch element.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub rules: &'a Rules,
    pub element: usize,
    pub head: usize,
}

impl Place<'_> {
    /// Draws the dropout factors of this head; false, and nothing drawn, where there is no dropout.
    fn draw_factors(&self, factors: &mut Vec<f32>, count: usize) -> bool {
        let Some(drops) = &self.rules.drops else { return false };
        factors.resize(count, 0.0);
        drops.factors((self.element * self.rules.heads + self.head) as u64, factors);
        true
    }

    /// Turns rows of scores, of which the first is that of the query `first`, into probabilities.
    fn to_probabilities(self, scores: &mut [f32], first: usize, keys: usize) {
        for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
            let visible = self.rules.mask.visible(self.element, first + query, keys);
            let (seen, unseen) = row.split_at_mut(visible);
            to_probabilities(seen);
            unseen.fill(0.0);
        }
    }
}

/// Sizes of all heads of a call.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub queries: usize,
    pub keys: usize,
    pub head_width: usize,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }
}

/// Queries, keys and values of one head of one batch element.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub q: View<'a>,
    pub k: View<'a>,
    pub v: View<'a>,
}

/// Gradients of a head's queries, keys and values, row by row.
#[derive(Default)]
pub struct Gradients {
    pub dq: Vec<f32>,
    pub dk: Vec<f32>,
    pub dv: Vec<f32>,
}

impl Gradients {
    fn new(sizes: Sizes) -> Self {
        let keys = sizes.keys * sizes.head_width;
        Self { dq: vec![0.0; sizes.queries * sizes.head_width], dk: vec![0.0; keys], dv: vec![0.0; keys] }
    }
}

/// Space for one head, reused from head to head.
pub enum Scratch {
    AtOnce(at_once::Scratch),
    InBlocks(Box<in_blocks::Scratch>),
}

impl Scratch {
    /// A call with fewer queries than a panel has rows, as in generation, would mostly multiply zeros in blocks.
    pub fn new(sizes: Sizes, rules: &Rules) -> Self {
        let format = Format::from(rules.precision);
        if kernels::is_available(format) && sizes.queries >= ROWS {
            Self::InBlocks(Box::new(in_blocks::Scratch::new(sizes, format)))
        } else {
            Self::AtOnce(at_once::Scratch::new(sizes))
        }
    }

    /// Writes one head's result into `out`, whose rows lie `stride` apart.
    pub fn forward(&mut self, head: Head, place: Place, out: &mut [f32], stride: usize) {
        match self {
            Self::AtOnce(scratch) => scratch.forward(head, place, out, stride),
            Self::InBlocks(scratch) => scratch.forward(head, place, out, stride),
        }
    }

    /// The gradients of one head from that of its result.
    pub fn backward(&mut self, head: Head, place: Place, grad: View) -> &Gradients {
        match self {
            Self::AtOnce(scratch) => scratch.backward(head, place, grad),
            Self::InBlocks(scratch) => scratch.backward(head, place, grad),
        }
    }
}

fn to_probabilities(scores: &mut [f32]) {
    vectorised!(softmax(scores));
}

/// Turns gradients of probabilities into gradients of their scores, row by row.
fn through_softmax(probabilities: &[f32], gradients: &mut [f32], keys: usize) {
    vectorised!({
        let rows = gradients.chunks_exact_mut(keys).zip(probabilities.chunks_exact(keys));
        for (gradients, probabilities) in rows {
            let mean = dot(probabilities, gradients);
            for (gradient, probability) in gradients.iter_mut().zip(probabilities) {
                *gradient = probability * (*gradient - mean);
            }
        }
    });
}

fn multiply_values(values: &mut [f32], factors: &[f32]) {
    vectorised!({
        for (value, factor) in values.iter_mut().zip(factors) {
            *value *= factor;
        }
    });
}

/// A view of the columns from `column` on of a matrix whose rows lie `stride` apart.
pub fn columns(values: &[f32], column: usize, stride: usize) -> View<'_> {
    View { values: &values[column..], row_stride: stride, column_stride: 1 }
}

/// Copies rows of `width` values into the columns from `column` on of `out`.
pub fn put_columns(rows: &[f32], width: usize, out: &mut [f32], column: usize, stride: usize) {
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_mut(stride)) {
        out[column..column + width].copy_from_slice(row);
    }
}
