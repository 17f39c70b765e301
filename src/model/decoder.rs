//! What says the captions of a model: BLIP's own decoder, or a small one in its place.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::config::Config;
use super::ops::still::Still;
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

    /// Promises that the weights do not change for as long as the result lives.
    pub fn hold_still(&self) -> Still {
        match self {
            Self::Bert(decoder) => decoder.engine().packs.hold(),
            Self::Small(decoder) => decoder.engine.packs.hold(),
        }
    }

    /// The logits of captions beside their own pictures and beside the next ones: there is a picture more than captions.
    pub fn logits_beside_next(&self, ids: &[u32], image_embeds: &Tensor, mask: &Mask) -> Result<[Tensor; 2]> {
        match self {
            Self::Bert(decoder) => decoder.logits_beside_next(ids, image_embeds, mask),
            Self::Small(decoder) => {
                let captions = image_embeds.dim(0)? - 1;
                let beside = |next| {
                    decoder.training_logits(ids, &image_embeds.narrow(0, next, captions)?, &Dropout::NONE)
                };
                Ok([beside(0)?, beside(1)?])
            }
        }
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
