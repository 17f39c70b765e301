//! A head with all its scores at once, by the `gemm` crate, in full precision.

use gemm::Parallelism;

use super::{Gradients, Head, Place, Sizes, multiply_values, through_softmax};
use crate::model::ops::product::{View, by_gemm};

const ONE: Parallelism = Parallelism::None;

/// Space for one head.
pub struct Scratch {
    sizes: Sizes,
    probabilities: Vec<f32>,
    factors: Vec<f32>,
    dscores: Vec<f32>,
    gradients: Gradients,
}

impl Scratch {
    pub fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            probabilities: vec![0.0; sizes.queries * sizes.keys],
            factors: Vec::new(),
            dscores: Vec::new(),
            gradients: Gradients::default(),
        }
    }

    /// Fills in the probabilities of one head, before dropout.
    fn find_probabilities(&mut self, head: Head, place: Place) {
        let Sizes { queries, keys, head_width } = self.sizes;
        let (shape, scale) = ((queries, head_width, keys), self.sizes.scale());
        by_gemm(shape, head.q, head.k.transposed(), scale, &mut self.probabilities, keys, false, ONE);
        place.to_probabilities(&mut self.probabilities, 0, keys);
    }

    pub fn forward(&mut self, head: Head, place: Place, out: &mut [f32], stride: usize) {
        self.find_probabilities(head, place);
        if place.draw_factors(&mut self.factors, self.probabilities.len()) {
            multiply_values(&mut self.probabilities, &self.factors);
        }
        let left = View::rows(&self.probabilities, self.sizes.keys);
        let shape = (self.sizes.queries, self.sizes.keys, self.sizes.head_width);
        by_gemm(shape, left, head.v, 1.0, out, stride, false, ONE);
    }

    pub fn backward(&mut self, head: Head, place: Place, grad: View) -> &Gradients {
        let Sizes { queries, keys, head_width } = self.sizes;
        self.find_probabilities(head, place);
        let drops = place.draw_factors(&mut self.factors, self.probabilities.len());
        if self.gradients.dq.is_empty() {
            self.gradients = Gradients::new(self.sizes);
        }
        let Gradients { dq, dk, dv } = &mut self.gradients;
        // Until they are needed, the gradients of the scores hold the probabilities that the result was made of.
        self.dscores.clone_from(&self.probabilities);
        if drops {
            multiply_values(&mut self.dscores, &self.factors);
        }
        let used = View::rows(&self.dscores, keys).transposed();
        by_gemm((keys, queries, head_width), used, grad, 1.0, dv, head_width, false, ONE);
        let shape = (queries, head_width, keys);
        by_gemm(shape, grad, head.v.transposed(), 1.0, &mut self.dscores, keys, false, ONE);
        if drops {
            multiply_values(&mut self.dscores, &self.factors);
        }
        through_softmax(&self.probabilities, &mut self.dscores, keys);
        let (ds, scale) = (View::rows(&self.dscores, keys), self.sizes.scale());
        by_gemm((queries, keys, head_width), ds, head.k, scale, dq, head_width, false, ONE);
        by_gemm((keys, queries, head_width), ds.transposed(), head.q, scale, dk, head_width, false, ONE);
        &self.gradients
    }
}
