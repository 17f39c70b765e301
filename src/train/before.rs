//! What the model makes of images before training. All runs of a sweep begin there, so they share it.

use anyhow::Result;

use super::evaluate::first_batches;
use super::material::{Pretrained, beam_settings};
use super::shared_captions::SharedCaptions;
use super::shared_losses::SharedLosses;
use super::shared_states::SharedStates;
use crate::model::Part;
use crate::record::recipe::Recipe;

/// Captions and losses of the model before training, in the feature cache.
#[derive(Clone)]
pub struct Before {
    pub captions: SharedCaptions,
    pub losses: SharedLosses,
}

impl Before {
    pub fn new(states: &SharedStates, pretrained: &Pretrained, recipe: &Recipe) -> Result<Self> {
        let config = &pretrained.config;
        let text = pretrained.weights.fingerprint_of(Part::Text)?;
        let settings = beam_settings(&recipe.generation, config, &pretrained.prompt);
        let training = &recipe.training;
        let counted = (training.mask_padding, training.label_smoothing, first_batches(recipe, 0));
        let form = format!("{:?} {counted:?}", config.text);
        Ok(Self {
            captions: SharedCaptions::new(states, &text, &config.text, &settings),
            losses: SharedLosses::new(states, &text, &form),
        })
    }
}
