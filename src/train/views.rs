//! Training images as each epoch sees them: changed at random, the same in a resumed run.
//!
//! A changed image has another state below the frozen layers, which is a constant only of that view of it. Where views come
//! again, since there are but so many or all there is to them is a mirror, their states are kept in memory as far as a budget
//! reaches; else every step encodes its images from the pixels.

use std::collections::HashMap;

use anyhow::Result;
use candle_core::Tensor;

use super::Session;
use super::features::{ENCODE_BATCH, Features};
use super::material::Material;
use crate::data::augmentation::{Augmentation, View, names_sides};
use crate::data::{Example, load_views};
use crate::model::Blip;
use crate::model::ops::Dropout;
use crate::random::Random;
use crate::record::recipe::Training;

/// The views of the training images of a run.
pub struct Views {
    augmentation: Augmentation,
    /// Different views of an image; 0 is another one every epoch.
    count: usize,
    seed: u64,
    /// Whether an image may be mirrored.
    may_flip: Vec<bool>,
    kept: HashMap<usize, Vec<(View, Tensor)>>,
    /// So many states may still be kept.
    room: usize,
    /// Images encoded so far, repetitions included.
    pub encoded: usize,
}

impl Views {
    /// `None` where images are seen as they are. At most `room` states are kept.
    pub fn of(session: &Session, material: &Material, room: usize) -> Option<Self> {
        let training = &session.spec.recipe.training;
        let augmentation = augmentation(training);
        let may_flip = |example: &Example| !example.captions.iter().any(|caption| names_sides(caption));
        let is_mirror_alone = augmentation
            == Augmentation { horizontal_flip: training.horizontal_flip, ..Augmentation::default() };
        augmentation.is_on().then(|| Self {
            augmentation,
            count: training.augmentation_views,
            seed: session.spec.seed,
            may_flip: material.dataset.train.iter().map(may_flip).collect(),
            kept: HashMap::new(),
            room: if training.augmentation_views > 0 || is_mirror_alone { room } else { 0 },
            encoded: 0,
        })
    }

    /// Whether some images are seen as they are.
    pub fn has_plain(&self) -> bool {
        (0..self.may_flip.len()).any(|index| self.view(index, 1).is_plain())
    }

    /// How an image is seen in an epoch.
    fn view(&self, index: usize, epoch: usize) -> View {
        let image = index as u64;
        let number = match self.count {
            0 => epoch as u64,
            count => Random::new(self.seed, "view", &[epoch as u64, image]).below(count) as u64,
        };
        let random = Random::new(self.seed, "augmentation", &[image, number]);
        self.augmentation.draw(random, self.may_flip[index])
    }

    /// The finished image embeddings of the examples at `indices` in a step of this epoch.
    pub fn training_embeddings(
        &mut self,
        features: &mut Features,
        model: &Blip,
        indices: &[usize],
        epoch: usize,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let views: Vec<View> = indices.iter().map(|index| self.view(*index, epoch)).collect();
        let mut states: Vec<Option<Tensor>> =
            indices.iter().zip(&views).map(|(index, view)| self.known(*index, view)).collect();
        let plain: Vec<usize> = (0..indices.len()).filter(|place| views[*place].is_plain()).collect();
        if !plain.is_empty() {
            let wanted: Vec<usize> = plain.iter().map(|place| indices[*place]).collect();
            let found = features.states(model, &wanted)?;
            for (row, place) in plain.into_iter().enumerate() {
                states[place] = Some(found.get(row)?);
            }
        }
        let missing: Vec<usize> = (0..indices.len()).filter(|place| states[*place].is_none()).collect();
        for places in missing.chunks(ENCODE_BATCH) {
            let changed: Vec<(&Example, View)> =
                places.iter().map(|place| (&features.examples[indices[*place]], views[*place])).collect();
            let encoded = self.encode(features, model, &changed)?;
            for (row, place) in places.iter().enumerate() {
                let state = encoded.get(row)?.copy()?;
                self.keep(indices[*place], views[*place], &state);
                states[*place] = Some(state);
            }
        }
        let states: Vec<Tensor> = states.into_iter().flatten().collect();
        let states = Tensor::stack(&states, 0)?;
        Ok(model.vision_model.finish_training(&states, features.boundary, dropout)?)
    }

    fn encode(&mut self, features: &Features, model: &Blip, changed: &[(&Example, View)]) -> Result<Tensor> {
        let pixels = load_views(changed, &features.pretrained.processor)?.concat();
        let side = features.pretrained.config.vision.image_size;
        let pixels = features.batch(pixels, changed.len(), &[3, side, side])?;
        self.encoded += changed.len();
        Ok(model.vision_model.encode(&pixels, features.boundary)?.detach())
    }

    fn known(&self, index: usize, view: &View) -> Option<Tensor> {
        self.kept.get(&index)?.iter().find(|(other, _)| other == view).map(|(_, state)| state.clone())
    }

    fn keep(&mut self, index: usize, view: View, state: &Tensor) {
        if self.room > 0 {
            self.room -= 1;
            self.kept.entry(index).or_default().push((view, state.clone()));
        }
    }
}

/// What a recipe does to training images.
fn augmentation(training: &Training) -> Augmentation {
    Augmentation {
        horizontal_flip: training.horizontal_flip,
        random_resized_crop: training.random_resized_crop,
        rotation: training.rotation,
        color_jitter: training.color_jitter,
    }
}

/// Images that the recipe would mirror if their captions did not speak of sides.
pub fn note(training: &Training, examples: &[Example]) -> Option<String> {
    let names_one = |example: &&Example| example.captions.iter().any(|caption| names_sides(caption));
    let count = examples.iter().filter(names_one).count();
    (training.horizontal_flip > 0.0 && count > 0).then(|| {
        format!(
            "{count} of {} training images are never mirrored, since their captions speak of left or right",
            examples.len()
        )
    })
}
