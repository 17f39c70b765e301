//! Keys and values of an image, rounded and packed: in `bf16`, half the bytes to read for every token.

use super::Look;
use crate::model::decode::product::LANES;
use crate::model::ops::product::panels::{Format, Left, Right};
use crate::model::ops::product::{View, multiply};
use crate::model::ops::vector::{softmax, vectorised};

/// Of an image in one head of a layer.
#[derive(Debug)]
pub struct Seen {
    /// (width, image tokens).
    keys: Right,
    /// (image tokens, width).
    values: Right,
}

impl Seen {
    /// From (image tokens, width) each, views of one head's columns.
    pub fn new(format: Format, keys: View, values: View, tokens: usize, head_width: usize) -> Self {
        let mut seen = Self { keys: Right::new(format), values: Right::new(format) };
        seen.keys.fill(keys.transposed(), head_width, tokens);
        seen.values.fill(values, tokens, head_width);
        seen
    }
}

/// Space for the captions of one image in one head.
pub struct Scratch {
    captions: usize,
    tokens: usize,
    head_width: usize,
    left: Left,
    probabilities: Vec<f32>,
    found: Vec<f32>,
}

impl Look for Seen {
    type Scratch = Scratch;

    fn scratch(&self, captions: usize, tokens: usize, head_width: usize) -> Scratch {
        let probabilities = vec![0f32; captions * tokens];
        let found = vec![0f32; captions * head_width.next_multiple_of(LANES)];
        Scratch { captions, tokens, head_width, left: Left::new(self.keys.format()), probabilities, found }
    }

    fn look_up<'a>(&self, queries: &[f32], scratch: &'a mut Scratch) -> &'a [f32] {
        let Scratch { captions, tokens, head_width, left, probabilities, found } = scratch;
        left.fill(View::rows(queries, *head_width).transposed(), *head_width, *captions);
        multiply(left, &self.keys, 1.0, probabilities, *tokens, false);
        vectorised!({
            for row in probabilities.chunks_exact_mut(*tokens) {
                softmax(row);
            }
        });
        left.fill(View::rows(probabilities, *tokens).transposed(), *tokens, *captions);
        multiply(left, &self.values, 1.0, found, head_width.next_multiple_of(LANES), false);
        found
    }
}
