//! Cross-entropy of each row's logits against its target, with label smoothing and ignored rows.
//!
//! `loss = (1 - e) * nll + e / V * sum_j(-log p_j)` per row, as `torch.nn.CrossEntropyLoss` with
//! `label_smoothing = e` and `reduction="none"`; ignored rows give 0 and pass no gradient. The gradient of a
//! row is `softmax(logits) - (1 - e) * onehot - e / V`.

use std::sync::Arc;

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::buffer::copied;
use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::{CHUNK_ROWS, exp, max, softmax, sum, vectorised};

/// The wanted token of each row; `None` leaves the row out of the loss.
pub type Targets = Arc<Vec<Option<u32>>>;

/// Losses of the rows of `logits` (rows, vocabulary), in nats, of shape (rows,).
///
/// # Errors
/// A target beyond the vocabulary, or as many targets as rows not given.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &Targets,
    label_smoothing: f64,
    engine: &Engine,
) -> Result<Tensor> {
    let (rows, vocabulary) = logits.dims2()?;
    if targets.len() != rows {
        candle_core::bail!("{} targets for {rows} rows of logits", targets.len());
    }
    if let Some(id) = targets.iter().flatten().find(|id| **id as usize >= vocabulary) {
        candle_core::bail!("target {id} is beyond the vocabulary of {vocabulary}");
    }
    if !is_fused(logits) {
        return composed(logits, targets, label_smoothing);
    }
    let logits = logits.contiguous()?;
    let op = CrossEntropy { targets: targets.clone(), label_smoothing: label_smoothing as f32 };
    let losses = with_values([&logits], |[logits]| Ok(op.losses(logits, vocabulary)))?;
    let losses = Tensor::from_vec(losses, rows, logits.device())?;
    let (input, kept) = (Input::from(&logits), logits.clone());
    engine.record(&[&logits], &losses, move |grads, to| {
        let dlogits = with_values([&kept], |[logits]| Ok(op.gradients(logits, &grads)))?;
        to.give(&input, dlogits);
        Ok(())
    });
    Ok(losses)
}

/// The same from candle's differentiable operations.
pub fn composed(logits: &Tensor, targets: &Targets, label_smoothing: f64) -> Result<Tensor> {
    let device = logits.device();
    let log_p = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let ids: Vec<u32> = targets.iter().map(|target| target.unwrap_or(0)).collect();
    let kept: Vec<f32> = targets.iter().map(|target| f32::from(target.is_some())).collect();
    let ids = Tensor::from_vec(ids, (targets.len(), 1), device)?;
    let kept = Tensor::from_vec(kept, targets.len(), device)?.to_dtype(logits.dtype())?;
    let nll = log_p.gather(&ids, 1)?.squeeze(1)?.neg()?;
    let uniform = log_p.mean(D::Minus1)?.neg()?;
    ((nll * (1.0 - label_smoothing))? + (uniform * label_smoothing)?)? * kept
}

struct CrossEntropy {
    targets: Targets,
    label_smoothing: f32,
}

impl CrossEntropy {
    #[inline(always)]
    fn row_loss(&self, logits: &[f32], target: u32) -> f32 {
        let largest = max(logits);
        let total = sum(logits, |logit| exp(logit - largest));
        let log_sum = largest + total.ln();
        let nll = log_sum - logits[target as usize];
        if self.label_smoothing == 0.0 {
            return nll;
        }
        let uniform = log_sum - sum(logits, |logit| logit) / logits.len() as f32;
        (1.0 - self.label_smoothing) * nll + self.label_smoothing * uniform
    }

    /// Turns a row of logits into their gradients.
    #[inline(always)]
    fn row_gradient(&self, target: u32, grad: f32, dlogits: &mut [f32]) {
        softmax(dlogits);
        let uniform = self.label_smoothing / dlogits.len() as f32;
        for value in dlogits.iter_mut() {
            *value = grad * (*value - uniform);
        }
        dlogits[target as usize] -= grad * (1.0 - self.label_smoothing);
    }

    fn losses(&self, logits: &[f32], vocabulary: usize) -> Vec<f32> {
        let mut losses = vec![0f32; self.targets.len()];
        let chunks = logits.par_chunks(CHUNK_ROWS * vocabulary).zip(losses.par_chunks_mut(CHUNK_ROWS));
        chunks.zip(self.targets.par_chunks(CHUNK_ROWS)).for_each(|((logits, losses), targets)| {
            vectorised!({
                for ((row, loss), target) in logits.chunks_exact(vocabulary).zip(losses).zip(targets) {
                    // Not `map_or`, which would be handed a closure.
                    *loss = match target {
                        Some(target) => self.row_loss(row, *target),
                        None => 0.0,
                    };
                }
            });
        });
        losses
    }

    /// Gradients of the logits from those of the rows' losses.
    fn gradients(&self, logits: &[f32], grads: &[f32]) -> Vec<f32> {
        let vocabulary = (logits.len() / grads.len().max(1)).max(1);
        let mut dlogits = copied(logits);
        let rows = dlogits.par_chunks_mut(vocabulary).zip(grads.par_iter().zip(self.targets.par_iter()));
        rows.with_min_len(CHUNK_ROWS).for_each(|(row, (grad, target))| match target {
            Some(target) => vectorised!(self.row_gradient(*target, *grad, row)),
            None => row.fill(0.0),
        });
        dlogits
    }
}
