//! Captions of a thousand images by random models of many shapes, token for token against `generate()` of
//! transformers (fixtures: `tests/reference/generation.py`).
//!
//! `SWEEP_GENERATION_FIXTURES` names another folder that the script has written, with other random models.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use flate2::read::GzDecoder;
use serde::Deserialize;
use sweep::model::{Blip, Config, GeneratedCaption, Weights, generate};

use crate::generation::{Settings, beam_settings};

/// Where the scores that decide lie further apart than this, captions must be equal.
const MARGIN: f64 = 1e-4;
/// The share of captions that must be equal, however close their scores.
const SHARE: f64 = 0.985;

#[derive(Deserialize)]
struct Captioner {
    model: String,
    images: usize,
    pixel_seed: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: Settings,
    token_ids: Vec<Vec<u32>>,
    sequences_scores: Option<Vec<f64>>,
    margins: Vec<f64>,
    /// What PyTorch says in f32, by image, where that differs.
    pytorch_f32: BTreeMap<usize, Vec<u32>>,
}

const OTHER_FOLDER: &str = "SWEEP_GENERATION_FIXTURES";

fn folder() -> PathBuf {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/generation");
    std::env::var_os(OTHER_FOLDER).map_or(committed, PathBuf::from)
}

fn read_captioners() -> Vec<Captioner> {
    let path = folder().join("captions.json.gz");
    let mut text = String::new();
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The images of `captioners.py`: each value is a hash of its number, as a multiple of 1/64 in [-2, 2).
fn pixels(seed: u64, images: usize, side: usize) -> Tensor {
    let first = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = |i: u64| {
        let x = first.wrapping_add(i);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 56) as f32 / 64.0 - 2.0
    };
    let values: Vec<f32> = (0..(images * 3 * side * side) as u64).map(value).collect();
    Tensor::from_vec(values, (images, 3, side, side), &Device::Cpu).unwrap()
}

fn load(name: &str) -> (Config, Blip) {
    let folder = folder().join(name);
    let config = Config::load(&folder).unwrap();
    let weights = Weights::load(&folder, &Device::Cpu).unwrap();
    let model = Blip::new(&config, &weights).unwrap();
    (config, model)
}

fn embed(model: &Blip, pixels: &Tensor) -> Tensor {
    let depth = model.vision_model.depth();
    model.vision_model.finish(&model.vision_model.encode(pixels, depth).unwrap(), depth).unwrap()
}

/// Numbers of captions, for the last line.
#[derive(Default)]
struct Count {
    all: usize,
    decided: usize,
    different: usize,
    pytorch_different: usize,
    worst_score: f64,
}

impl Count {
    fn compare(&mut self, name: &str, case: &Case, ours: &[GeneratedCaption]) {
        assert_eq!(ours.len(), case.token_ids.len());
        for (image, (said, wanted)) in ours.iter().zip(&case.token_ids).enumerate() {
            let margin = case.margins[image];
            self.all += 1;
            self.decided += usize::from(margin > MARGIN);
            self.pytorch_different += usize::from(case.pytorch_f32.contains_key(&image));
            if &said.ids != wanted {
                self.different += 1;
                println!("{name}, image {image}: {:?}, not {wanted:?}; margin {margin:e}", said.ids);
                assert!(margin <= MARGIN, "{name}, image {image}: margin {margin}, {:?}", case.settings);
            } else if let Some(scores) = &case.sequences_scores {
                let error = (said.score as f64 - scores[image]).abs() / scores[image].abs().max(1.0);
                self.worst_score = self.worst_score.max(error);
                assert!(error < 1e-4, "{name}, image {image}: score {}, not {}", said.score, scores[image]);
            }
        }
    }
}

#[test]
fn captions_of_a_thousand_images_equal_those_of_transformers() {
    let captioners = read_captioners();
    let mut count = Count::default();
    for captioner in &captioners {
        let (config, model) = load(&captioner.model);
        let pixels = pixels(captioner.pixel_seed, captioner.images, config.vision.image_size);
        let image_embeds = embed(&model, &pixels);
        for case in &captioner.cases {
            let settings = beam_settings(&case.settings, config.tokens.start, config.tokens.end);
            let ours = generate(&model.text_decoder, &image_embeds, &settings).unwrap();
            count.compare(&captioner.model, case, &ours);
        }
    }
    let images: usize = captioners.iter().map(|captioner| captioner.images).sum();
    println!(
        "{images} images, {} models, {} captions: {} differ, {} of them in PyTorch's own f32; \
         {} have a margin above {MARGIN}; worst difference of a score {:.1e}",
        captioners.len(),
        count.all,
        count.different,
        count.pytorch_different,
        count.decided,
        count.worst_score
    );
    let is_whole = images >= 1000 && captioners.len() >= 5 && captioners[0].cases.len() >= 16;
    assert!(is_whole || std::env::var_os(OTHER_FOLDER).is_some(), "the committed fixture is not whole");
    assert!(count.decided as f64 >= 0.9 * count.all as f64, "too few captions are decided");
    assert!((count.all - count.different) as f64 >= SHARE * count.all as f64);
}

/// Whoever captions images in other batches gets the same tokens and the same scores, to the bit: pixels of
/// each batch go through the whole model.
#[test]
fn captions_do_not_depend_on_the_images_they_are_made_with() {
    for captioner in &read_captioners() {
        let (config, model) = load(&captioner.model);
        let images = captioner.images.min(24);
        let pixels = pixels(captioner.pixel_seed, images, config.vision.image_size);
        let together = embed(&model, &pixels);
        for size in [1, 2, 7] {
            let starts: Vec<usize> = (0..images).step_by(size).collect();
            let batches =
                starts.iter().map(|first| pixels.narrow(0, *first, size.min(images - first)).unwrap());
            let batches: Vec<Tensor> = batches.map(|pixels| embed(&model, &pixels)).collect();
            for case in captioner.cases.iter().step_by(3) {
                let settings = beam_settings(&case.settings, config.tokens.start, config.tokens.end);
                let wanted = generate(&model.text_decoder, &together, &settings).unwrap();
                let parts =
                    batches.iter().map(|part| generate(&model.text_decoder, part, &settings).unwrap());
                let ours: Vec<GeneratedCaption> = parts.flatten().collect();
                assert_eq!(ours, wanted, "{} in batches of {size}, {:?}", captioner.model, case.settings);
            }
        }
    }
}
