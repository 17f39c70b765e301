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
        let form = format!("{:?} {}", config.text, counted(recipe));
        Ok(Self {
            captions: SharedCaptions::new(states, &text, &config.text, &settings),
            losses: SharedLosses::new(states, &text, &form),
        })
    }
}

/// How the recipe counts losses, beside what batches say of themselves.
fn counted(recipe: &Recipe) -> String {
    let training = &recipe.training;
    format!("{:?}", (training.mask_padding, training.label_smoothing, first_batches(recipe, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    #[test]
    fn losses_that_are_counted_in_another_way_are_told_apart() {
        let of = |change: fn(&mut Recipe)| {
            let mut recipe = any_run("r1").recipe;
            (recipe.training.batch_size, recipe.evaluation.samples) = (2, 100);
            change(&mut recipe);
            counted(&recipe)
        };
        let plain = of(|_| ());
        assert_eq!(plain, of(|recipe| recipe.training.learning_rate *= 2.0));
        // The original script's loss is of so many batches as hold the images that are captioned, and of 50 at least.
        assert_ne!(plain, of(|recipe| recipe.evaluation.samples = 102));
        assert_eq!(plain, of(|recipe| recipe.evaluation.samples = 98));
        assert_ne!(plain, of(|recipe| recipe.training.label_smoothing = 0.1));
        assert_ne!(plain, of(|recipe| recipe.training.mask_padding = !recipe.training.mask_padding));
    }
}
