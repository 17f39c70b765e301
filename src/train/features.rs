//! Hidden states of images at the frozen boundary: computed once, kept in memory as far as a budget reaches.
//!
//! Below the boundary nothing trains, so an image's state there is a constant of the run.

use anyhow::Result;
use candle_core::{Device, Tensor};

use crate::data::{Example, ImageProcessor, load_pixels};
use crate::model::ops::Dropout;
use crate::model::{Blip, Config};

/// Images encoded at once; fixed, so that a state does not depend on who asked for it.
pub(super) const ENCODE_BATCH: usize = 8;

/// Bytes of states a run keeps; beyond that, images are encoded again when they are needed.
pub const BUDGET_BYTES: usize = 4 << 30;

/// The states of a list of examples.
pub struct Features<'a> {
    examples: &'a [Example],
    processor: &'a ImageProcessor,
    config: &'a Config,
    device: Device,
    boundary: usize,
    kept: Vec<Option<Tensor>>,
    /// Images encoded so far, repetitions included.
    pub encoded: usize,
}

impl<'a> Features<'a> {
    /// No state yet; of `examples`, as many are kept as fit into `budget` bytes.
    pub fn new(
        examples: &'a [Example],
        processor: &'a ImageProcessor,
        config: &'a Config,
        device: &Device,
        boundary: usize,
        budget: usize,
    ) -> Self {
        let bytes = config.image_tokens() * config.vision.hidden_size * size_of::<f32>();
        let kept = vec![None; examples.len().min(budget / bytes.max(1))];
        Self { examples, processor, config, device: device.clone(), boundary, kept, encoded: 0 }
    }

    /// Bytes the states take when all that fit are there.
    pub fn bytes(&self) -> usize {
        self.kept.len() * self.config.image_tokens() * self.config.vision.hidden_size * size_of::<f32>()
    }

    /// States (images, tokens, width) of the examples at `indices`.
    pub fn states(&mut self, model: &Blip, indices: &[usize]) -> Result<Tensor> {
        let mut states: Vec<Option<Tensor>> =
            indices.iter().map(|i| self.kept.get(*i).and_then(Clone::clone)).collect();
        let missing: Vec<usize> = (0..indices.len()).filter(|place| states[*place].is_none()).collect();
        for places in missing.chunks(ENCODE_BATCH) {
            let wanted: Vec<usize> = places.iter().map(|place| indices[*place]).collect();
            let encoded = self.encode(model, &wanted)?;
            for (row, (place, index)) in places.iter().zip(&wanted).enumerate() {
                let state = encoded.get(row)?.copy()?;
                if let Some(slot) = self.kept.get_mut(*index) {
                    *slot = Some(state.clone());
                }
                states[*place] = Some(state);
            }
        }
        let states: Vec<Tensor> = states.into_iter().flatten().collect();
        Ok(Tensor::stack(&states, 0)?)
    }

    /// The finished image embeddings of the examples at `indices`.
    pub fn embeddings(&mut self, model: &Blip, indices: &[usize]) -> Result<Tensor> {
        self.training_embeddings(model, indices, &Dropout::NONE)
    }

    /// As [`Features::embeddings`] in a training step. The states, which are kept, have no dropout.
    pub fn training_embeddings(
        &mut self,
        model: &Blip,
        indices: &[usize],
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let states = self.states(model, indices)?;
        Ok(model.vision_model.finish_training(&states, self.boundary, dropout)?)
    }

    fn encode(&mut self, model: &Blip, indices: &[usize]) -> Result<Tensor> {
        let examples: Vec<Example> = indices.iter().map(|i| self.examples[*i].clone()).collect();
        let pixels = load_pixels(&examples, self.processor)?.concat();
        let side = self.config.vision.image_size;
        let pixels = Tensor::from_vec(pixels, (indices.len(), 3, side, side), &self.device)?;
        self.encoded += indices.len();
        Ok(model.vision_model.encode(&pixels, self.boundary)?.detach())
    }
}
