//! What says the captions of a model: BLIP's own decoder, or a small one in its place.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::config::Config;
use super::ops::{Dropout, Engine, Mask};
use super::small_decoder::SmallDecoder;
use super::text::TextDecoder;

/// The decoder of a model.
#[derive(Debug, Clone)]
pub enum Decoder {
    Bert(Box<TextDecoder>),
    Small(Box<SmallDecoder>),
}

impl Decoder {
    pub fn new(config: &Config, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        Ok(match config.small_decoder {
            None => Self::Bert(Box::new(TextDecoder::new(&config.text, config.tokens.pad, engine, vb)?)),
            Some(sizes) => Self::Small(Box::new(SmallDecoder::new(config, sizes, engine, vb)?)),
        })
    }

    /// Logits (captions, tokens, vocabulary) of what follows each token of a training step: see
    /// [`TextDecoder::training_logits`].
    pub fn training_logits(
        &self,
        ids: &[u32],
        image_embeds: &Tensor,
        mask: &Mask,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        match self {
            Self::Bert(decoder) => decoder.training_logits(ids, image_embeds, mask, dropout),
            // What comes behind the last word of a caption changes nothing before it: padding needs no mask.
            Self::Small(decoder) => decoder.training_logits(ids, image_embeds, dropout),
        }
    }
}
