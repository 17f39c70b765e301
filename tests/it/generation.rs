//! Captions token for token against `generate()` of transformers (fixtures: `tests/reference/model.py`).

use std::cell::Cell;

use candle_core::Device;
use serde::Deserialize;
use sweep::model::beam::BeamSettings;
use sweep::model::{GeneratedCaption, Unfrozen, generate, generate_while};
use sweep::record::recipe::BeamStopping;

use crate::gradients::{fixtures, read_json, tiny};
use crate::workdir::Workdir;

#[derive(Deserialize)]
struct Fixture {
    model: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: Settings,
    token_ids: Vec<Vec<u32>>,
    sequences_scores: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
pub struct Settings {
    num_beams: usize,
    max_length: usize,
    min_length: usize,
    no_repeat_ngram_size: usize,
    length_penalty: f64,
    early_stopping: BeamStopping,
    repetition_penalty: f64,
}

pub fn beam_settings(settings: &Settings, start: u32, end: u32) -> BeamSettings {
    BeamSettings {
        max_length: settings.max_length,
        min_length: settings.min_length,
        num_beams: settings.num_beams,
        no_repeat_ngram_size: settings.no_repeat_ngram_size,
        length_penalty: settings.length_penalty,
        early_stopping: settings.early_stopping,
        repetition_penalty: settings.repetition_penalty,
        start: vec![start],
        end,
    }
}

#[test]
fn captions_equal_those_of_transformers_in_batches_and_one_by_one() {
    let fixture: Fixture = read_json("tiny_generate.json");
    let pixels =
        candle_core::safetensors::load(fixtures().join("tiny_generate.safetensors"), &Device::Cpu).unwrap();
    let (config, _, model) = tiny(&fixture.model, Unfrozen::Last { vision_layers: 0, text: false });
    let depth = model.vision_model.depth();
    let hidden = model.vision_model.encode(&pixels["pixel_values"], depth).unwrap();
    let image_embeds = model.vision_model.finish(&hidden, depth).unwrap();
    assert!(fixture.cases.len() >= 8);
    for case in &fixture.cases {
        let settings = beam_settings(&case.settings, config.tokens.start, config.tokens.end);
        let together = generate(&model.text_decoder, &image_embeds, &settings).unwrap();
        let alone: Vec<GeneratedCaption> = (0..together.len())
            .map(|i| {
                generate(&model.text_decoder, &image_embeds.narrow(0, i, 1).unwrap(), &settings)
                    .unwrap()
                    .remove(0)
            })
            .collect();
        for (image, wanted) in case.token_ids.iter().enumerate() {
            assert_eq!(&together[image].ids, wanted, "image {image}, {:?}", case.settings);
            assert_eq!(&alone[image].ids, wanted, "image {image} alone, {:?}", case.settings);
            if let Some(scores) = &case.sequences_scores {
                let (ours, theirs) = (together[image].score as f64, scores[image]);
                assert!(
                    (ours - theirs).abs() <= 1e-5 * theirs.abs(),
                    "image {image}: score {ours}, not {theirs}"
                );
            }
        }
        // Who is asked to stop stops within the caption.
        let asked = Cell::new(0);
        let twice = || asked.replace(asked.get() + 1) < 2;
        let stopped = generate_while(&model.text_decoder, &image_embeds, &settings, twice).unwrap();
        assert!(stopped.is_none() && asked.get() == 3, "went on for {} tokens", asked.get());
    }
}

#[test]
fn the_command_line_takes_the_word_never_and_says_what_else_it_takes() {
    let workdir = Workdir::new();
    image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([30 * x as u8, 40 * y as u8, 90]))
        .save(workdir.path().join("a.png"))
        .unwrap();
    let captioned = workdir.sweep("caption --model lab a.png --early-stopping never --length-penalty 2");
    assert!(captioned.starts_with("exit 0") && captioned.contains("a.png\t"), "{captioned}");
    let refused = workdir.sweep("caption --model lab a.png --early-stopping sometimes");
    assert!(refused.starts_with("exit 2"), "{refused}");
    assert!(refused.contains("[possible values: true, false, never]"), "{refused}");
}
