//! One update: forward, backward, clipping, AdamW.

use anyhow::Result;
use candle_core::backprop::GradStore;

use super::fine_tune::Bench;
use super::optimizer::clip_scale;
use super::state::State;
use crate::data::TokenBatch;
use crate::model::blip::targets;
use crate::model::ops::Dropout;

impl Bench<'_> {
    /// Trains on the examples at `indices`, a batch at a time, in the step behind those of `state`. Returns their mean loss and
    /// the gradient norm before clipping; where the norm is no number, nothing was updated.
    pub(super) fn step(&mut self, indices: &[usize], state: &State, rate: f64) -> Result<(f64, f64)> {
        let training = &self.session.spec.recipe.training;
        let epoch = state.epoch;
        let scale = state.loss_scale.map_or(1.0, |scale| scale.factor.into());
        // Padded as one, so that accumulated gradients are those of one batch where pads count in the loss, too.
        let captions = match &self.wordings {
            Some(wordings) => wordings.training_batch(self.material, indices, epoch)?,
            None => self.material.training_batch(indices, self.session.spec.seed, epoch),
        };
        let counted = targets(&captions, !training.mask_padding).iter().flatten().count().max(1);
        let (mut loss, mut gradients) = (0.0, None);
        for (part, images) in indices.chunks(training.batch_size.max(1)).enumerate() {
            let first = part * training.batch_size.max(1);
            let captions = captions.slice(first..first + images.len());
            let (part_loss, found) = self.gradients(images, &captions, state, (part, counted, scale))?;
            loss += part_loss;
            gradients = Some(match gradients {
                None => found,
                Some(sum) => self.optimizer.sum(sum, &found)?,
            });
        }
        let gradients = gradients.unwrap_or_default();
        // The scale is a power of two: to divide by it rounds nothing.
        let norm = self.optimizer.gradient_norm(&gradients)? / scale;
        if norm.is_finite() {
            self.optimizer.step(&gradients, rate, clip_scale(norm, training.max_grad_norm) / scale)?;
            if let Some(judged) = &self.judged {
                judged.observe(&self.pretrained.weights, self.optimizer.steps)?;
            }
        }
        Ok((loss, norm))
    }

    /// The sum of a batch's losses over `counted`, which is how many there are in all batches of the step, and its gradients
    /// times `scale`. It is the batch number `part` of the step.
    fn gradients(
        &mut self,
        images: &[usize],
        captions: &TokenBatch,
        state: &State,
        (part, counted, scale): (usize, usize, f64),
    ) -> Result<(f64, GradStore)> {
        let training = &self.session.spec.recipe.training;
        let epoch = state.epoch;
        // No two batches drop the same values.
        let step = state.step * training.gradient_accumulation_steps.max(1) + part;
        let dropout = Dropout { rate: training.dropout, seed: self.session.spec.seed, step: step as u64 };
        let wanted = targets(captions, !training.mask_padding);
        let (model, features, views) = (&self.model, &mut self.train.features, &mut self.views);
        let (loss, gradients) = model.gradients(|| {
            let image_embeds = match views {
                Some(views) => views.training_embeddings(features, model, images, epoch, &dropout)?,
                None => features.training_embeddings(model, images, &dropout)?,
            };
            let logits = model.training_logits(&image_embeds, captions, &dropout)?;
            let loss = model.loss_over(&logits, &wanted, training.label_smoothing, counted)?;
            anyhow::Ok(model.scaled(&loss, scale)?)
        })?;
        Ok((loss.to_scalar::<f32>()? as f64 / scale, gradients))
    }
}
