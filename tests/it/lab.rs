//! The built-in study: the pretrained model knows its own domain and not the other one.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use sweep::data::{CaptionTokenizer, ImageProcessor};
use sweep::lab;
use sweep::model::beam::BeamSettings;
use sweep::model::{Blip, Config, Weights, generate};
use sweep::record::recipe::BeamStopping;

use crate::workdir::Workdir;

const SCENES: u64 = 96;

#[test]
fn the_pretrained_model_names_object_colour_and_place_of_unseen_scenes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab");
    let config = Config::load(&folder).unwrap();
    let weights = Weights::load(&folder, &Device::Cpu).unwrap();
    let model = Blip::new(&config, &weights).unwrap();
    let (tokenizer, processor) =
        (CaptionTokenizer::load(&folder).unwrap(), ImageProcessor::load(&folder).unwrap());
    let settings = BeamSettings {
        max_length: 32,
        min_length: 0,
        num_beams: 3,
        no_repeat_ngram_size: 0,
        length_penalty: 1.0,
        early_stopping: BeamStopping::Yes,
        repetition_penalty: 1.0,
        start: vec![config.tokens.start],
        end: config.tokens.end,
    };
    let scenes: Vec<lab::Scene> = (0..SCENES).map(|i| lab::scene(lab::study::SOURCE_SEED, i)).collect();
    let mut right = 0;
    for scenes in scenes.chunks(16) {
        let pixels: Vec<f32> = scenes.iter().flat_map(|scene| processor.process(&scene.image)).collect();
        let side = config.vision.image_size;
        let pixels = Tensor::from_vec(pixels, (scenes.len(), 3, side, side), &Device::Cpu).unwrap();
        let depth = model.vision_model.depth();
        let image_embeds =
            model.vision_model.finish(&model.vision_model.encode(&pixels, depth).unwrap(), depth);
        let captions = generate(&model.text_decoder, &image_embeds.unwrap(), &settings).unwrap();
        for (caption, scene) in captions.iter().zip(scenes) {
            let said = tokenizer.decode(&caption.ids).unwrap();
            let names = |object: &lab::scene::SceneObject| {
                said.contains(&format!("{} {}", object.colour, object.object))
            };
            right += u64::from(scene.objects.iter().all(names) && said.contains(scene.place));
        }
    }
    assert!(right * 10 >= SCENES * 8, "{right} of {SCENES} scenes are named right");
}

#[test]
fn the_study_is_written_as_ordinary_files() {
    let workdir = Workdir::new();
    let shown = workdir.sweep("lab study");
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let study = workdir.path().join("study");
    for file in
        ["model/config.json", "model/tokenizer.json", "model/model.safetensors", "source_captions.json"]
    {
        assert!(study.join(file).is_file(), "{file} is missing");
    }
    for (captions, count) in [("train", lab::study::TRAIN), ("test", lab::study::TEST)] {
        let text = std::fs::read(study.join(format!("{captions}_captions.json"))).unwrap();
        let captions: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap();
        assert_eq!(captions.len() as u64, count);
        assert!(captions.keys().all(|image| study.join("images").join(image).is_file()));
    }
    // Planning knows the length of the longest caption without drawing any.
    let tokenizer = CaptionTokenizer::load(&study.join("model")).unwrap();
    let text = std::fs::read(study.join("train_captions.json")).unwrap();
    let captions: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap();
    let tokens = captions.values().map(|caption| tokenizer.encode(caption, usize::MAX).unwrap().len());
    assert_eq!(tokens.max(), Some(lab::study::LONGEST_CAPTION));
}
