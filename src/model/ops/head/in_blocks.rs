//! A head whose queries are taken in blocks, from packed keys and values.
//!
//! As in Dao et al., 2022, no scores are kept beyond a block; unlike there, a block has all keys, so that its softmax is
//! the ordinary one.

use super::{Gradients, Head, Place, Sizes, multiply_values, through_softmax};
use crate::model::ops::product::panels::{Format, Left, Right};
use crate::model::ops::product::{View, multiply};

/// Queries of a block: eight panels, whose scores over 577 keys take 260 KB.
const BLOCK: usize = 112;

/// Space for one head.
pub struct Scratch {
    sizes: Sizes,
    /// Of a block.
    probabilities: Vec<f32>,
    /// Of all queries.
    factors: Vec<f32>,
    /// Of a block.
    dscores: Vec<f32>,
    gradients: Gradients,
    /// The left operand at hand.
    left: Left,
    /// A right operand that belongs to a block.
    of_block: Right,
    /// Keys, as (width, keys) and as (keys, width).
    keys: [Right; 2],
    /// Values, likewise.
    values: [Right; 2],
}

impl Scratch {
    pub fn new(sizes: Sizes, format: Format) -> Self {
        let right = || Right::new(format);
        Self {
            sizes,
            probabilities: vec![0.0; sizes.queries.min(BLOCK) * sizes.keys],
            factors: Vec::new(),
            dscores: Vec::new(),
            gradients: Gradients::default(),
            left: Left::new(format),
            of_block: right(),
            keys: [right(), right()],
            values: [right(), right()],
        }
    }

    /// The blocks' first queries and lengths.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let queries = self.sizes.queries;
        (0..queries).step_by(BLOCK).map(move |first| (first, BLOCK.min(queries - first)))
    }

    pub fn forward(&mut self, head: Head, place: Place, out: &mut [f32], stride: usize) {
        let Sizes { queries, keys, head_width } = self.sizes;
        self.keys[0].fill(head.k.transposed(), head_width, keys);
        self.values[1].fill(head.v, keys, head_width);
        let drops = place.draw_factors(&mut self.factors, queries * keys);
        for (first, count) in self.blocks() {
            self.find_probabilities(head, place, first, count);
            let probabilities = &mut self.probabilities[..count * keys];
            if drops {
                multiply_values(probabilities, &self.factors[first * keys..][..count * keys]);
            }
            self.left.fill(View::rows(probabilities, keys).transposed(), keys, count);
            multiply(&self.left, &self.values[1], 1.0, &mut out[first * stride..], stride, false);
        }
    }

    /// Fills in the probabilities of a block, before dropout.
    fn find_probabilities(&mut self, head: Head, place: Place, first: usize, count: usize) {
        let Sizes { keys, head_width, .. } = self.sizes;
        self.left.fill(head.q.from_row(first).transposed(), head_width, count);
        let probabilities = &mut self.probabilities[..count * keys];
        multiply(&self.left, &self.keys[0], self.sizes.scale(), probabilities, keys, false);
        place.to_probabilities(probabilities, first, keys);
    }

    pub fn backward(&mut self, head: Head, place: Place, grad: View) -> &Gradients {
        let Sizes { queries, keys, head_width } = self.sizes;
        self.keys[0].fill(head.k.transposed(), head_width, keys);
        self.keys[1].fill(head.k, keys, head_width);
        self.values[0].fill(head.v.transposed(), head_width, keys);
        let drops = place.draw_factors(&mut self.factors, queries * keys);
        if self.gradients.dq.is_empty() {
            self.gradients = Gradients::new(self.sizes);
        }
        self.dscores.resize(self.probabilities.len(), 0.0);
        for (first, count) in self.blocks() {
            self.find_probabilities(head, place, first, count);
            self.backward_of_block(head, grad, drops, first, count);
        }
        &self.gradients
    }

    fn backward_of_block(&mut self, head: Head, grad: View, drops: bool, first: usize, count: usize) {
        let Sizes { keys, head_width, .. } = self.sizes;
        let Gradients { dq, dk, dv } = &mut self.gradients;
        let (adds, scale) = (first > 0, self.sizes.scale());
        let (q, grad) = (head.q.from_row(first), grad.from_row(first));
        let dscores = &mut self.dscores[..count * keys];
        let probabilities = &self.probabilities[..count * keys];
        let factors = if drops { &self.factors[first * keys..][..count * keys] } else { &[] };

        // Until they are needed, the gradients of the scores hold the probabilities that the result was made of.
        dscores.copy_from_slice(probabilities);
        multiply_values(dscores, factors);
        self.left.fill(View::rows(dscores, keys), count, keys);
        self.of_block.fill(grad, count, head_width);
        multiply(&self.left, &self.of_block, 1.0, dv, head_width, adds);

        self.left.fill(grad.transposed(), head_width, count);
        multiply(&self.left, &self.values[0], 1.0, dscores, keys, false);
        multiply_values(dscores, factors);
        through_softmax(probabilities, dscores, keys);

        self.left.fill(View::rows(dscores, keys).transposed(), keys, count);
        multiply(&self.left, &self.keys[1], scale, &mut dq[first * head_width..], head_width, false);
        self.left.fill(View::rows(dscores, keys), count, keys);
        self.of_block.fill(q, count, head_width);
        multiply(&self.left, &self.of_block, scale, dk, head_width, adds);
    }
}
