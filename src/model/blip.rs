//! The whole model: an image encoder, a caption decoder, and the loss between them.

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{Error, Result, Tensor};
use candle_nn::VarBuilder;

use super::config::Config;
use super::decoder::Decoder;
use super::ops::still::{Packs, Still};
use super::ops::{Dropout, Engine, Mask, Targets, by_candle, cross_entropy, reshape};
use super::vision::VisionModel;
use super::weights::Weights;
use crate::data::TokenBatch;

/// `BlipForConditionalGeneration`.
#[derive(Debug, Clone)]
pub struct Blip {
    pub config: Config,
    pub vision_model: VisionModel,
    pub text_decoder: Decoder,
    engine: Engine,
}

impl Blip {
    /// Builds the model over `weights`.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape than the configuration says.
    pub fn new(config: &Config, weights: &Weights) -> Result<Self> {
        Self::from_builder(config, weights.builder())
    }

    /// Builds the model over the tensors of `vb`.
    pub fn from_builder(config: &Config, vb: VarBuilder) -> Result<Self> {
        let mut engine = Engine::new(config.precision);
        engine.recomputes = config.gradient_checkpointing;
        Ok(Self {
            config: config.clone(),
            vision_model: VisionModel::new(&config.vision, &engine, vb.pp("vision_model"))?,
            text_decoder: Decoder::new(config, &engine, vb.pp("text_decoder"))?,
            engine,
        })
    }

    /// What is kept of the weights while they stand still.
    pub fn kept(&self) -> &Packs {
        &self.engine.packs
    }

    /// A loss of this model that `forward` computes, and its gradients with respect to all variables. What is computed
    /// outside of it has none.
    pub fn gradients<E: From<Error>>(
        &self,
        forward: impl FnOnce() -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<(Tensor, GradStore), E> {
        self.engine.gradients(forward)
    }

    /// Promises that the weights do not change for as long as the result lives: batches that are looked at until then are
    /// quicker for it.
    pub fn hold_still(&self) -> Still {
        self.engine.packs.hold()
    }

    /// Logits (captions x (tokens - 1), vocabulary) of each caption token from those before it.
    ///
    /// The last token of a row predicts nothing and, with a causal mask, nothing sees it: it is left out.
    pub fn logits(&self, image_embeds: &Tensor, captions: &TokenBatch) -> Result<Tensor> {
        self.training_logits(image_embeds, captions, &Dropout::NONE)
    }

    /// As [`Blip::logits`] in a training step.
    pub fn training_logits(
        &self,
        image_embeds: &Tensor,
        captions: &TokenBatch,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let (ids, mask) = inputs(captions)?;
        let logits = self.text_decoder.training_logits(&ids, image_embeds, &mask, dropout)?;
        self.by_token(&logits)
    }

    /// [`Blip::logits`] of captions beside their own pictures and beside the next ones: there is a picture more than captions.
    pub fn logits_beside_next(&self, image_embeds: &Tensor, captions: &TokenBatch) -> Result<[Tensor; 2]> {
        let (ids, mask) = inputs(captions)?;
        let [own, other] = self.text_decoder.logits_beside_next(&ids, image_embeds, &mask)?;
        Ok([self.by_token(&own)?, self.by_token(&other)?])
    }

    /// Logits (captions, tokens, vocabulary) token by token.
    fn by_token(&self, logits: &Tensor) -> Result<Tensor> {
        let (captions, tokens, vocabulary) = logits.dims3()?;
        reshape(logits, (captions * tokens, vocabulary), &self.engine)
    }

    /// The losses of logits, row by row: [`cross_entropy`].
    pub fn losses(&self, logits: &Tensor, targets: &Targets, label_smoothing: f64) -> Result<Tensor> {
        cross_entropy(logits, targets, label_smoothing, &self.engine)
    }

    /// The mean loss over the targets that count, a scalar.
    pub fn mean_loss(&self, logits: &Tensor, targets: &Targets, label_smoothing: f64) -> Result<Tensor> {
        self.loss_over(logits, targets, label_smoothing, targets.iter().flatten().count().max(1))
    }

    /// The sum of the losses over `count`, a scalar.
    pub fn loss_over(
        &self,
        logits: &Tensor,
        targets: &Targets,
        label_smoothing: f64,
        count: usize,
    ) -> Result<Tensor> {
        let losses = self.losses(logits, targets, label_smoothing)?;
        by_candle(&losses, move |losses| losses.sum_all()? / count as f64, &self.engine)
    }

    /// A loss times a factor, so that its gradients are that much larger.
    pub fn scaled(&self, loss: &Tensor, factor: f64) -> Result<Tensor> {
        by_candle(loss, move |loss| loss * factor, &self.engine)
    }
}

/// What goes into a decoder of captions: all their tokens but the last, and which of them are seen.
fn inputs(captions: &TokenBatch) -> Result<(Vec<u32>, Mask)> {
    let inputs = captions.columns.saturating_sub(1);
    if inputs == 0 {
        candle_core::bail!("a batch of captions with fewer than two tokens has nothing to predict");
    }
    let ids = captions.ids.chunks_exact(captions.columns).flat_map(|row| &row[..inputs]).copied().collect();
    let lengths = captions.lengths.iter().map(|length| (*length).min(inputs)).collect();
    Ok((ids, Mask { causal: true, key_lengths: Some(Arc::new(lengths)) }))
}

/// The tokens that the logits of [`Blip::logits`] should predict: none that are given, and padding only where `pads_count`.
pub fn targets(captions: &TokenBatch, pads_count: bool) -> Targets {
    let rows = captions.ids.chunks_exact(captions.columns.max(1)).zip(&captions.lengths);
    let targets = rows.flat_map(|(row, length)| {
        let counts = move |i| i >= captions.given && (pads_count || i < *length);
        row.iter().enumerate().skip(1).map(move |(i, id)| counts(i).then_some(*id))
    });
    Arc::new(targets.collect())
}
