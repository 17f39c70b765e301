//! Hidden states of images at the frozen boundary: computed once, and kept.
//!
//! Below the boundary nothing trains, so an image's state there is a constant of the run, and of every other run that
//! freezes as much of the same model. Where there is a feature cache the states lie in it ([`super::shared_states`],
//! [`super::fill`]); else, or where it is full, in memory as far as a budget reaches.

use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};

use super::material::Pretrained;
use crate::data::feature_cache::ImageDigest;
use crate::data::{Example, load_pixels};
use crate::model::ops::Dropout;
use crate::model::{Blip, Config};

/// Images encoded at once; fixed, so that a state does not depend on who asked for it.
pub(super) const ENCODE_BATCH: usize = 8;

/// Bytes of states a run keeps in memory; beyond that, images are encoded again when they are needed.
pub const BUDGET_BYTES: usize = 4 << 30;

/// Bytes of finished embeddings that are kept while a model is looked at.
const FINISHED_BYTES: usize = 256 << 20;

/// Bytes of an image's state.
pub fn state_bytes(config: &Config) -> usize {
    (config.image_tokens() * config.vision.hidden_size * size_of::<f32>()).max(1)
}

/// The states of a list of examples.
pub struct Features<'a> {
    pub(super) examples: &'a [Example],
    pub(super) pretrained: &'a Pretrained,
    pub(super) device: Device,
    pub(super) boundary: usize,
    kept: Vec<Option<Tensor>>,
    /// Images encoded so far, repetitions included.
    pub encoded: usize,
}

impl<'a> Features<'a> {
    /// No state yet; of `examples`, as many are kept in memory as fit into `budget` bytes.
    pub fn new(
        examples: &'a [Example],
        pretrained: &'a Pretrained,
        device: &Device,
        boundary: usize,
        budget: usize,
    ) -> Self {
        let kept = vec![None; examples.len().min(budget / state_bytes(&pretrained.config))];
        Self { examples, pretrained, device: device.clone(), boundary, kept, encoded: 0 }
    }

    /// States (images, tokens, width) of the examples at `indices`.
    pub fn states(&mut self, model: &Blip, indices: &[usize]) -> Result<Tensor> {
        let mut states = self.found(indices)?;
        let missing: Vec<usize> = (0..indices.len()).filter(|place| states[*place].is_none()).collect();
        for places in missing.chunks(ENCODE_BATCH) {
            let wanted: Vec<usize> = places.iter().map(|place| indices[*place]).collect();
            let encoded = self.encode(model, &wanted)?;
            for (row, (place, index)) in places.iter().zip(&wanted).enumerate() {
                let state = encoded.get(row)?.copy()?;
                self.keep(*index, &state);
                states[*place] = Some(state);
            }
        }
        let states: Vec<Tensor> = states.into_iter().flatten().collect();
        Ok(Tensor::stack(&states, 0)?)
    }

    /// The states of those examples that have one, in memory or in the cache.
    fn found(&self, indices: &[usize]) -> Result<Vec<Option<Tensor>>> {
        let shape = (self.pretrained.config.image_tokens(), self.pretrained.config.vision.hidden_size);
        let in_memory = |index: &usize| self.kept.get(*index).and_then(Clone::clone);
        let mut states: Vec<Option<Tensor>> = indices.iter().map(in_memory).collect();
        let Some(shared) = &self.pretrained.states else { return Ok(states) };
        for (state, image) in states.iter_mut().zip(self.images(indices)) {
            if let (None, Some(image)) = (&state, image)
                && let Some(values) = shared.read(self.boundary, &image)
            {
                *state = Some(Tensor::from_vec(values, shape, &self.device)?);
            }
        }
        Ok(states)
    }

    /// What the images are in the cache.
    pub(super) fn images(&self, indices: &[usize]) -> Vec<Option<ImageDigest>> {
        indices.iter().map(|index| self.examples[*index].digest).collect()
    }

    /// Keeps a state in memory where there is room for it.
    pub(super) fn keep(&mut self, index: usize, state: &Tensor) {
        if let Some(slot) = self.kept.get_mut(index) {
            *slot = Some(state.clone());
        }
    }

    /// The finished image embeddings of the examples at `indices`. While the weights stand still, an image is looked at once.
    pub fn embeddings(&mut self, model: &Blip, indices: &[usize]) -> Result<Tensor> {
        if self.boundary == model.vision_model.depth() {
            // Only a norm is left to be done.
            return self.training_embeddings(model, indices, &Dropout::NONE);
        }
        let examples = self.examples;
        let name = |index: usize| std::ptr::from_ref(&examples[index]).addr();
        let mut found: Vec<Option<Tensor>> =
            indices.iter().map(|index| model.kept().result(name(*index))).collect();
        let missing: Vec<usize> = (0..indices.len()).filter(|place| found[*place].is_none()).collect();
        if !missing.is_empty() {
            let wanted: Vec<usize> = missing.iter().map(|place| indices[*place]).collect();
            let made = self.training_embeddings(model, &wanted, &Dropout::NONE)?;
            let most = FINISHED_BYTES / state_bytes(&self.pretrained.config);
            for (row, place) in missing.into_iter().enumerate() {
                let made = made.get(row)?.copy()?;
                model.kept().keep_result(name(indices[place]), most, &made);
                found[place] = Some(made);
            }
        }
        Ok(Tensor::stack(&found.into_iter().flatten().collect::<Vec<_>>(), 0)?)
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
        let began = Instant::now();
        let pixels = self.pixels(indices)?;
        let states = model.vision_model.encode(&pixels, self.boundary)?.detach();
        self.encoded += indices.len();
        if let Some(shared) = &self.pretrained.states {
            shared.add_time(began.elapsed());
        }
        Ok(states)
    }

    /// The images as the model takes them: (images, 3, side, side).
    pub(super) fn pixels(&self, indices: &[usize]) -> Result<Tensor> {
        let examples: Vec<Example> = indices.iter().map(|i| self.examples[*i].clone()).collect();
        let pixels = load_pixels(&examples, &self.pretrained.processor)?.concat();
        let side = self.pretrained.config.vision.image_size;
        self.batch(pixels, indices.len(), &[3, side, side])
    }

    /// The values of images as a batch. An accelerator may add up in another order where there are fewer images; there
    /// a batch is filled up with images of zeros, which nobody looks at.
    pub(super) fn batch(&self, mut values: Vec<f32>, images: usize, of_one: &[usize]) -> Result<Tensor> {
        let images = if self.device.is_cpu() { images } else { images.max(ENCODE_BATCH) };
        values.resize(images * of_one.iter().product::<usize>(), 0.0);
        Ok(Tensor::from_vec(values, [&[images], of_one].concat(), &self.device)?)
    }
}
