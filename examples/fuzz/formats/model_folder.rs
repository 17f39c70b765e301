//! The configurations of a model folder: the model's shape, and how images are prepared.

use std::path::Path;

use image::RgbImage;
use serde_json::json;
use sweep::data::ImageProcessor;
use sweep::model::Config;
use sweep::random::Random;

use super::bytes::one_in;
use super::json::Json;
use super::{Input, Reached};

const CONFIG: &str = include_str!("../../../tests/fixtures/weight_files/safetensors/config.json");

pub fn make(random: &mut Random) -> Input {
    let (name, mut tree) = match random.below(3) {
        0 => ("config.json", Json::parsed(CONFIG)),
        1 => ("preprocessor_config.json", ImageProcessor::square(16).to_json().into()),
        _ => {
            ("processor_config.json", json!({"image_processor": ImageProcessor::square(16).to_json()}).into())
        }
    };
    if !one_in(random, 10) {
        tree.mutate(random);
    }
    Input::one(name, tree.bytes(random), random)
}

pub fn feed(folder: &Path, input: &Input) -> Reached {
    let (name, bytes) = &input.files[0];
    let result = if *name == "config.json" {
        // Loading weights asks for the shapes of all tensors.
        Config::load(folder).map(|config| drop(config.tensor_shapes())).map_err(|error| error.to_string())
    } else {
        ImageProcessor::load(folder)
            .map(|processor| drop(process(&processor)))
            .map_err(|error| error.to_string())
    };
    match result {
        Ok(()) => Reached::Accepted,
        Err(_) if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => Reached::Body,
        Err(_) => Reached::Header,
    }
}

fn process(processor: &ImageProcessor) -> Vec<f32> {
    let small = ImageProcessor {
        height: processor.height.min(64),
        width: processor.width.min(64),
        ..processor.clone()
    };
    small.process(&RgbImage::from_pixel(5, 4, image::Rgb([1, 2, 3])))
}
