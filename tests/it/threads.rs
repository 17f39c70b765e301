//! Results do not depend on how many threads compute them.

use std::path::Path;

use candle_core::{Device, Tensor};
use sweep::data::collate;
use sweep::model::beam::BeamSettings;
use sweep::model::blip::targets;
use sweep::model::ops::{Dropout, Precision};
use sweep::model::{Blip, Config, GeneratedCaption, Unfrozen, Weights, generate};
use sweep::random::Random;
use sweep::record::recipe::BeamStopping;
use sweep::train::optimizer::{AdamW, Multipliers, clip_scale};

/// The built-in model as it trains, with its last two vision layers, and its weights.
pub fn unfrozen(precision: Precision) -> (Weights, Blip) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab");
    let config = Config { precision, ..Config::load(&folder).unwrap() };
    let mut weights = Weights::load(&folder, &Device::Cpu).unwrap();
    let last = Unfrozen::Last { vision_layers: 2, text: true };
    weights.unfreeze(last, config.vision.num_hidden_layers).unwrap();
    let model = Blip::new(&config, &weights).unwrap();
    (weights, model)
}

/// Losses and gradient norms of a few steps of the built-in model, which is large enough that products are shared out
/// among threads, and its weights at the end.
fn trained(threads: usize, precision: Precision) -> (Vec<(u64, u64)>, String) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let (weights, model) = unfrozen(precision);
        let (config, depth) = (&model.config, model.vision_model.depth());
        let multipliers = Multipliers { text: 1.0, vision: 0.5, other: 1.0 };
        let mut optimizer = AdamW::new(&weights, 0.05, multipliers);
        let steps = (0..4).map(|step| {
            let mut random = Random::new(1, "threads", &[step]);
            let side = config.vision.image_size;
            let pixels: Vec<f32> = (0..6 * 3 * side * side).map(|_| random.normal() as f32).collect();
            let pixels = Tensor::from_vec(pixels, (6, 3, side, side), &Device::Cpu).unwrap();
            let captions: Vec<Vec<u32>> =
                (0..6).map(|i| (0..12 + 4 * i).map(|_| 5 + random.below(300) as u32).collect()).collect();
            let captions =
                collate(&captions.iter().map(Vec::as_slice).collect::<Vec<_>>(), config.tokens.pad);
            let dropout = Dropout { rate: 0.1, seed: 3, step };
            let hidden = model.vision_model.encode(&pixels, depth - 2).unwrap();
            let forward = || {
                let embeds = model.vision_model.finish_training(&hidden, depth - 2, &dropout)?;
                let logits = model.training_logits(&embeds, &captions, &dropout)?;
                model.mean_loss(&logits, &targets(&captions, false), 0.1)
            };
            let (loss, grads) = model.gradients::<candle_core::Error>(forward).unwrap();
            let norm = optimizer.gradient_norm(&grads).unwrap();
            optimizer.step(&grads, 1e-3, clip_scale(norm, 1.0)).unwrap();
            (loss.to_scalar::<f32>().unwrap().to_bits() as u64, norm.to_bits())
        });
        (steps.collect(), weights.digest().unwrap())
    })
}

/// Captions that the built-in model says of images of noise, with their scores.
fn captions(threads: usize) -> Vec<GeneratedCaption> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab");
        let config = Config::load(&folder).unwrap();
        let model = Blip::new(&config, &Weights::load(&folder, &Device::Cpu).unwrap()).unwrap();
        let mut random = Random::new(1, "noise", &[]);
        let embeds: Vec<f32> =
            (0..5 * 65 * config.vision.hidden_size).map(|_| random.normal() as f32).collect();
        let embeds = Tensor::from_vec(embeds, (5, 65, config.vision.hidden_size), &Device::Cpu).unwrap();
        let settings = BeamSettings {
            max_length: 20,
            min_length: 8,
            num_beams: 3,
            no_repeat_ngram_size: 2,
            length_penalty: 1.0,
            early_stopping: BeamStopping::Yes,
            repetition_penalty: 1.1,
            start: vec![config.tokens.start],
            end: config.tokens.end,
        };
        generate(&model.text_decoder, &embeds, &settings).unwrap()
    })
}

#[test]
fn captions_are_the_same_bits_on_one_two_and_four_threads() {
    let one = captions(1);
    assert!(one.iter().all(|caption| caption.ids.len() >= 8));
    assert_eq!(captions(2), one);
    assert_eq!(captions(4), one);
}

#[test]
fn training_gives_the_same_bits_on_one_two_and_four_threads() {
    for precision in Precision::ALL {
        let one = trained(1, precision);
        assert_eq!(trained(2, precision), one);
        assert_eq!(trained(4, precision), one);
    }
}

#[test]
fn training_on_rounded_factors_stays_near_training_on_exact_ones() {
    let losses = |precision| {
        let steps = trained(2, precision).0;
        steps.iter().map(|(loss, _)| f32::from_bits(*loss as u32)).collect::<Vec<_>>()
    };
    let exact = losses(Precision::F32);
    for (precision, within) in [(Precision::Bf16, 0.01), (Precision::F16, 0.001)] {
        let rounded = losses(precision);
        assert_ne!(exact, rounded);
        for (exact, rounded) in exact.iter().zip(&rounded) {
            assert!(
                (exact - rounded).abs() < within * exact,
                "{rounded} in place of {exact} in {precision:?}"
            );
        }
    }
}
