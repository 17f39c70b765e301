//! The training images that a run is evaluated on beside the validation images, so that what it learnt by heart shows.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Session;
use super::evaluate::{self, Speaker, Split};
use super::features::Features;
use super::material::Material;
use crate::random::Random;
use crate::record::recipe::DataFiles;

/// At most this many training images have their loss taken at every evaluation.
const MOST: usize = 256;
/// At most this many of them are captioned at the end.
const MOST_CAPTIONED: usize = 64;
/// The seed of the validation split where none is written.
const DEFAULT_SEED: u64 = 42;

/// The training split, evaluated on as many images as the validation split has, at most [`MOST`]. They are drawn by the
/// seed of the split: the same in all runs on a data set, whatever their own seeds.
pub fn training_split<'a>(session: &Session, material: &'a Material, features: Features<'a>) -> Split<'a> {
    let dataset = &material.dataset;
    let count = dataset.validation.len().min(MOST);
    let observed = training_images(session, dataset.train.len(), count);
    Split { observed, ..Split::whole("train", &dataset.train, &material.train, features) }
}

/// At most `count` training images of so many examples; the first of them are those of the training split.
pub fn training_images(session: &Session, examples: usize, count: usize) -> Vec<usize> {
    chosen(&session.inputs.data, "observed training images", examples, count)
}

/// `count` of `examples` indices in a random order: the first of them are a random choice of their own.
pub fn chosen(files: &DataFiles, purpose: &str, examples: usize, count: usize) -> Vec<usize> {
    let seed = files.validation.seed.unwrap_or(DEFAULT_SEED);
    let mut indices: Vec<usize> = (0..examples).collect();
    Random::new(seed, purpose, &[]).shuffle(&mut indices);
    indices.truncate(count);
    indices
}

/// Captions and scores the first of the observed training images, and adds their rows to the run's files.
pub fn caption_training(
    session: &Session,
    speaker: &mut Speaker,
    split: &mut Split,
    material: &Material,
) -> Result<Option<BTreeMap<String, f64>>> {
    evaluate::record(session, speaker, split, material, MOST_CAPTIONED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::{Split as Files, Validation};

    #[test]
    fn the_choice_depends_on_the_seed_of_the_split_alone_and_a_smaller_one_is_its_beginning() {
        let split = Files { captions: "c".into(), images: "i".into() };
        let with = |seed| {
            let validation = Validation { fraction: Some(0.1), seed, ..Validation::default() };
            DataFiles { train: split.clone(), validation, test: None, source: None }
        };
        let of = |seed, count| chosen(&with(seed), "x", 100, count);
        assert_eq!(of(None, 30), of(Some(42), 30));
        assert_ne!(of(None, 30), of(Some(1), 30));
        assert_eq!(of(None, 30)[..10], of(None, 10));
        let mut distinct = of(None, 30);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 30);
        assert_eq!(chosen(&with(None), "x", 5, 30).len(), 5, "no more than there are");
    }
}
