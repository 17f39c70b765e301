//! One head of attention, forward and backward, on plain slices.

use gemm::Parallelism;

use super::attention::Mask;
use super::dropout::Drops;
use super::linear::{View, product};
use super::vector::{softmax, sum, vectorised};

/// What all heads of a call share.
pub struct Rules {
    pub heads: usize,
    pub mask: Mask,
    pub drops: Option<Drops>,
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
}

/// Sizes of all heads of a call.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub queries: usize,
    pub keys: usize,
    pub head_width: usize,
}

/// Queries, keys and values of one head of one batch element.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub q: View<'a>,
    pub k: View<'a>,
    pub v: View<'a>,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }

    /// Fills `scores` (queries, keys) with the probabilities of one head, before dropout.
    fn probabilities(&self, head: Head, place: Place, scores: &mut [f32]) {
        let Self { queries, keys, head_width } = *self;
        let shape = (queries, head_width, keys);
        product(shape, head.q, head.k.transposed(), self.scale(), scores, keys, false, Parallelism::None);
        vectorised!({
            for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
                let visible = place.rules.mask.visible(place.element, query, keys);
                let (seen, unseen) = row.split_at_mut(visible);
                softmax(seen);
                unseen.fill(0.0);
            }
        });
    }
}

/// Space for one head, reused from head to head.
#[derive(Default)]
pub struct Scratch {
    probabilities: Vec<f32>,
    factors: Vec<f32>,
    dscores: Vec<f32>,
    pub dq: Vec<f32>,
    pub dk: Vec<f32>,
    pub dv: Vec<f32>,
}

impl Scratch {
    pub fn for_forward(sizes: Sizes) -> Self {
        Self { probabilities: vec![0.0; sizes.queries * sizes.keys], ..Self::default() }
    }

    pub fn for_backward(sizes: Sizes) -> Self {
        let keys = sizes.keys * sizes.head_width;
        Self {
            dscores: vec![0.0; sizes.queries * sizes.keys],
            dq: vec![0.0; sizes.queries * sizes.head_width],
            dk: vec![0.0; keys],
            dv: vec![0.0; keys],
            ..Self::for_forward(sizes)
        }
    }

    /// Writes one head's result into `out`, whose rows lie `stride` apart.
    pub fn forward(&mut self, sizes: Sizes, head: Head, place: Place, out: &mut [f32], stride: usize) {
        sizes.probabilities(head, place, &mut self.probabilities);
        if place.draw_factors(&mut self.factors, self.probabilities.len()) {
            multiply(&mut self.probabilities, &self.factors);
        }
        let left = View::rows(&self.probabilities, sizes.keys);
        let shape = (sizes.queries, sizes.keys, sizes.head_width);
        product(shape, left, head.v, 1.0, out, stride, false, Parallelism::None);
    }

    /// Fills `dq`, `dk` and `dv` of one head from the gradient of its result.
    pub fn backward(&mut self, sizes: Sizes, head: Head, place: Place, grad: View) {
        let Sizes { queries, keys, head_width } = sizes;
        let one = Parallelism::None;
        sizes.probabilities(head, place, &mut self.probabilities);
        let drops = place.draw_factors(&mut self.factors, self.probabilities.len());
        // Until they are needed, the gradients of the scores hold the probabilities that the result was made of.
        self.dscores.copy_from_slice(&self.probabilities);
        if drops {
            multiply(&mut self.dscores, &self.factors);
        }
        let used = View::rows(&self.dscores, keys).transposed();
        product((keys, queries, head_width), used, grad, 1.0, &mut self.dv, head_width, false, one);
        let shape = (queries, head_width, keys);
        product(shape, grad, head.v.transposed(), 1.0, &mut self.dscores, keys, false, one);
        if drops {
            multiply(&mut self.dscores, &self.factors);
        }
        vectorised!({
            let rows = self.dscores.chunks_exact_mut(keys).zip(self.probabilities.chunks_exact(keys));
            for (dscores, probabilities) in rows {
                let mean = sum(keys, |i| probabilities[i] * dscores[i]);
                for (dscore, probability) in dscores.iter_mut().zip(probabilities) {
                    *dscore = probability * (*dscore - mean);
                }
            }
        });
        let (ds, scale) = (View::rows(&self.dscores, keys), sizes.scale());
        product((queries, keys, head_width), ds, head.k, scale, &mut self.dq, head_width, false, one);
        let shape = (keys, queries, head_width);
        product(shape, ds.transposed(), head.q, scale, &mut self.dk, head_width, false, one);
    }
}

fn multiply(values: &mut [f32], factors: &[f32]) {
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
