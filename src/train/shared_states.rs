//! States of images that a run shares with other runs, through the feature cache on disk.
//!
//! [`SharedStates`] knows under which key the state of an image below each layer lies. A key stands for all that a state
//! depends on beside the image: the weights below the boundary, the sizes of the model, the processor, how many images
//! are encoded at once, and what this build computes on this processor of a sample. So a state that is found has the
//! very bits that would be computed.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Session;
use super::features::ENCODE_BATCH;
use super::material::Pretrained;
use crate::data::feature_cache::{Claim, ImageDigest, Key};
use crate::data::{FeatureCache, ImageDigests, processor};
use crate::model::{Blip, Part};

/// Which cache a run uses, and how.
#[derive(Clone)]
pub struct CacheUse<'a> {
    pub folder: PathBuf,
    /// Bytes that it may take.
    pub bytes: u64,
    /// How many vision layers other runs of the sweep unfreeze: on its way up to its own boundary a run keeps the
    /// states that they will want.
    pub unfrozen: BTreeSet<usize>,
    /// Hears what the user should know of the cache.
    pub say: &'a dyn Fn(&str),
}

/// The states of a run's images, below every layer. Clones are the same.
#[derive(Clone)]
pub struct SharedStates(Rc<RefCell<Shared>>);

struct Shared {
    cache: FeatureCache,
    /// One for each boundary, from 0 to the depth of the vision model.
    keys: Vec<Key>,
    /// Of the mean patch features at all boundaries.
    means_key: Key,
    /// Boundaries that other runs start from.
    levels: BTreeSet<usize>,
    /// Values of a state.
    values: usize,
    /// States that this run has computed or was found to share, by boundary.
    known: HashSet<(usize, ImageDigest)>,
    read: usize,
    encoding: Duration,
}

impl SharedStates {
    /// The states of the images of a data set under a model that has not been trained yet.
    pub fn new(
        how: &CacheUse,
        pretrained: &Pretrained,
        images: &ImageDigests,
        device: &Device,
    ) -> Result<Self> {
        let config = &pretrained.config;
        let keys = keys(pretrained, device)?;
        let depth = config.vision.num_hidden_layers;
        let values = config.image_tokens() * config.vision.hidden_size;
        let levels = how.unfrozen.iter().filter_map(|layers| depth.checked_sub(*layers));
        let all_levels = (images.distinct() * values * size_of::<f32>() * how.unfrozen.len()) as u64;
        // What others will want is kept only where it does not crowd out what this run wants.
        let levels = if all_levels <= how.bytes { levels.collect() } else { BTreeSet::new() };
        Ok(Self(Rc::new(RefCell::new(Shared {
            cache: FeatureCache::new(&how.folder, how.bytes),
            means_key: of_parts(&[b"means of patches", &keys[depth]]),
            keys,
            levels,
            values,
            known: HashSet::new(),
            read: 0,
            encoding: Duration::ZERO,
        }))))
    }

    /// Which of the images have no state below layer `boundary`. Those that have one count as read from now on.
    pub fn missing(&self, boundary: usize, images: &[ImageDigest]) -> Vec<ImageDigest> {
        let shared = &mut *self.0.borrow_mut();
        let missing = shared.cache.missing(&shared.keys[boundary], shared.values, images);
        let lacking: HashSet<&ImageDigest> = missing.iter().collect();
        for image in images.iter().filter(|image| !lacking.contains(image)) {
            shared.read += usize::from(shared.known.insert((boundary, *image)));
        }
        missing
    }

    /// The highest boundary from which the states of all these images are there, below `boundary`.
    pub fn highest_below(&self, boundary: usize, images: &[ImageDigest]) -> Option<usize> {
        let shared = &mut *self.0.borrow_mut();
        let is_there =
            |level: &usize| shared.cache.missing(&shared.keys[*level], shared.values, images).is_empty();
        (0..boundary).rev().find(is_there)
    }

    /// The state of an image below layer `boundary`, where it is known of.
    pub fn read(&self, boundary: usize, image: &ImageDigest) -> Option<Vec<f32>> {
        let shared = &mut *self.0.borrow_mut();
        shared.cache.read(&shared.keys[boundary], shared.values, image)
    }

    /// Keeps states below layer `boundary`, and says whether it did.
    pub fn write(&self, boundary: usize, states: &[(ImageDigest, Vec<f32>)]) -> bool {
        let shared = &mut *self.0.borrow_mut();
        shared.known.extend(states.iter().map(|(image, _)| (boundary, *image)));
        shared.cache.write(&shared.keys[boundary], states)
    }

    /// Boundaries at which states are kept on the way up to `boundary`, which is the last of them.
    pub fn levels(&self, boundary: usize) -> Vec<usize> {
        let shared = self.0.borrow();
        shared.levels.range(..boundary).copied().chain([boundary]).collect()
    }

    /// Claims the computation of states up to `boundary`.
    pub fn claim(&self, boundary: usize, images: &[ImageDigest]) -> Claim {
        let lowest = self.levels(boundary)[0];
        let shared = self.0.borrow();
        shared.cache.claim(&shared.keys[lowest], images)
    }

    /// Whether states are still taken.
    pub fn is_open(&self) -> bool {
        self.0.borrow().cache.is_open()
    }

    /// The mean patch features of an image at all boundaries, `values` in all, by the model before training.
    pub fn read_means(&self, values: usize, image: &ImageDigest) -> Option<Vec<f32>> {
        let key = self.0.borrow().means_key;
        self.read_under(&key, values, image)
    }

    /// Keeps mean patch features.
    pub fn write_means(&self, means: &[(ImageDigest, Vec<f32>)]) {
        let key = self.0.borrow().means_key;
        self.write_under(&key, means);
    }

    /// What an image has under another key.
    pub(super) fn read_under(&self, key: &Key, values: usize, image: &ImageDigest) -> Option<Vec<f32>> {
        let shared = &mut *self.0.borrow_mut();
        shared.cache.missing(key, values, &[*image]);
        shared.cache.read(key, values, image)
    }

    /// Keeps what images have under another key.
    pub(super) fn write_under(&self, key: &Key, rows: &[(ImageDigest, Vec<f32>)]) {
        self.0.borrow_mut().cache.write(key, rows);
    }

    /// The key of the states above the last layer, which all of the vision model decides.
    pub(super) fn key_of_finished(&self) -> Key {
        let shared = self.0.borrow();
        shared.keys[shared.keys.len() - 1]
    }

    /// Adds to the time that encoding took.
    pub fn add_time(&self, time: Duration) {
        self.0.borrow_mut().encoding += time;
    }

    /// Images whose states were found, and seconds that it took to encode the others.
    pub fn tally(&self) -> (usize, f64) {
        let shared = self.0.borrow();
        (shared.read, shared.encoding.as_secs_f64())
    }

    /// Says what the user should know.
    pub fn tell(&self, session: &Session) {
        let shared = &mut *self.0.borrow_mut();
        shared.cache.take_notes().iter().for_each(|note| session.say(&format!("note: {note}")));
    }
}

/// The key of the states below each layer and above the last.
fn keys(pretrained: &Pretrained, device: &Device) -> Result<Vec<Key>> {
    let Pretrained { config, weights, processor: settings, .. } = pretrained;
    let parts: Vec<Part> = std::iter::once(Part::VisionOther)
        .chain((0..config.vision.num_hidden_layers).map(Part::VisionLayer))
        .collect();
    let digests =
        parts.par_iter().map(|part| weights.fingerprint_of(*part)).collect::<Result<Vec<_>, _>>()?;
    let form = format!(
        "sweep {} {:?} {} {} {ENCODE_BATCH} {:?} {:?}",
        env!("CARGO_PKG_VERSION"),
        config.vision,
        settings.to_json(),
        processor::VERSION,
        device.location(),
        config.precision,
    );
    let sample = sample(&Blip::new(config, weights)?, device)?;
    let mut below = of_parts(&[form.as_bytes(), &sample]);
    let mut key_with = |digest: &String| {
        below = of_parts(&[&below, digest.as_bytes()]);
        below
    };
    Ok(digests.iter().map(&mut key_with).collect())
}

/// What this build makes on this processor of a sample picture, up to the second layer, as a digest. Kernels are chosen
/// at run time, and one that sums in another order gives other last bits.
fn sample(model: &Blip, device: &Device) -> Result<[u8; 32]> {
    let (vision, side) = (&model.vision_model, model.config.vision.image_size);
    let scattered = |i: u32| i.wrapping_mul(2_654_435_761) >> 8;
    let pixels: Vec<f32> =
        (0..3 * (side * side) as u32).map(|i| scattered(i) as f32 / (1 << 22) as f32 - 2.0).collect();
    let pixels = Tensor::from_vec(pixels, (1, 3, side, side), device)?;
    let state = vision.encode(&pixels, vision.depth().min(1))?.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = state.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(Sha256::digest(bytes).into())
}

/// SHA-256 over parts, each with its length.
pub(super) fn of_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
