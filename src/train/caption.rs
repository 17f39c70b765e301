//! Captions for images of one's own, with the settings the model was evaluated with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use serde::Serialize;

use super::material::{Pretrained, beam_settings};
use crate::data::read_rgb;
use crate::model::{Blip, generate};
use crate::record::recipe::{BeamStopping, Generation};

/// Images captioned at once.
const BATCH: usize = 16;

/// A captioned image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptionRow {
    pub image: String,
    pub caption: String,
    pub token_ids: Vec<u32>,
    /// Sum of log-probabilities divided by the length to the power of the length penalty.
    pub score: f32,
}

/// Settings given on the command line; what is absent comes from the checkpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationOverrides {
    pub max_length: Option<usize>,
    pub min_length: Option<usize>,
    pub num_beams: Option<usize>,
    pub no_repeat_ngram_size: Option<usize>,
    pub length_penalty: Option<f64>,
    pub early_stopping: Option<BeamStopping>,
    pub repetition_penalty: Option<f64>,
}

impl GenerationOverrides {
    fn apply(&self, generation: &mut Generation) {
        fn set<T: Copy>(value: &mut T, given: Option<T>) {
            if let Some(given) = given {
                *value = given;
            }
        }
        set(&mut generation.max_length, self.max_length);
        set(&mut generation.min_length, self.min_length);
        set(&mut generation.num_beams, self.num_beams);
        set(&mut generation.no_repeat_ngram_size, self.no_repeat_ngram_size);
        set(&mut generation.length_penalty, self.length_penalty);
        set(&mut generation.early_stopping, self.early_stopping);
        set(&mut generation.repetition_penalty, self.repetition_penalty);
    }
}

/// Settings for a model that no run has saved: five beams, as BLIP's authors and the original recipe used.
const FALLBACK: Generation = Generation {
    max_length: 60,
    min_length: 0,
    num_beams: 5,
    no_repeat_ngram_size: 0,
    length_penalty: 1.0,
    early_stopping: BeamStopping::Yes,
    repetition_penalty: 1.0,
};

/// The settings a model folder was evaluated with, from its `generation_config.json`; the second value tells
/// whether it has them.
pub fn saved_generation(model: &Path) -> Result<(Generation, bool)> {
    let path = model.join("generation_config.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((FALLBACK, false)),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let saved: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).with_context(|| format!("{} is not a mapping", path.display()))?;
    // transformers' own files have other keys, lack some of these, and leave some null.
    let said = |key: &str| saved.get(key).filter(|value| !value.is_null()).cloned();
    let mut generation = serde_json::json!(FALLBACK);
    for (key, value) in generation.as_object_mut().into_iter().flatten() {
        if let Some(saved) = said(key) {
            *value = saved;
        }
    }
    // New tokens come after the start token, and go before lengths that count it.
    for (key, new) in [("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")] {
        if let Some(tokens) = said(new).and_then(|tokens| tokens.as_u64()) {
            generation[key] = serde_json::json!(tokens.saturating_add(1));
        }
    }
    let ours = saved.contains_key("num_beams");
    Ok((
        serde_json::from_value(generation).with_context(|| format!("a setting in {}", path.display()))?,
        ours,
    ))
}

/// Captions `images` with the model in `model`, in order.
pub fn caption_images(
    model: &Path,
    images: &[PathBuf],
    overrides: &GenerationOverrides,
    device: &Device,
) -> Result<Vec<CaptionRow>> {
    let pretrained = Pretrained::load(model, device)?;
    let limit = pretrained.config.text.max_position_embeddings;
    let (mut generation, has_settings) = saved_generation(model)?;
    if !has_settings {
        generation.max_length = generation.max_length.min(limit);
    }
    overrides.apply(&mut generation);
    anyhow::ensure!(
        (2..=limit).contains(&generation.max_length) && generation.num_beams > 0,
        "max_length {} and num_beams {} do not fit the model: 2 to {limit} tokens, at least 1 beam",
        generation.max_length,
        generation.num_beams,
    );
    let blip = Blip::new(&pretrained.config, &pretrained.weights)?;
    let settings = beam_settings(&generation, &pretrained.config);
    let (side, depth) = (pretrained.config.vision.image_size, pretrained.config.vision.num_hidden_layers);
    let mut rows = Vec::with_capacity(images.len());
    for images in images.chunks(BATCH) {
        let mut pixels = Vec::with_capacity(images.len() * 3 * side * side);
        for path in images {
            pixels.extend(pretrained.processor.process(&read_rgb(path)?));
        }
        let pixels = Tensor::from_vec(pixels, (images.len(), 3, side, side), device)?;
        let image_embeds = blip.vision_model.finish(&blip.vision_model.encode(&pixels, depth)?, depth)?;
        for (path, said) in images.iter().zip(generate(&blip.text_decoder, &image_embeds, &settings)?) {
            rows.push(CaptionRow {
                image: path.display().to_string(),
                caption: pretrained.tokenizer.decode(&said.ids)?,
                token_ids: said.ids,
                score: said.score,
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(text: &str) -> Result<(Generation, bool)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("generation_config.json"), text).unwrap();
        saved_generation(folder.path())
    }

    #[test]
    fn the_settings_in_a_model_folder_are_read_as_transformers_writes_them() {
        let (generation, has_settings) = saved(
            r#"{"_from_model_config": true, "bos_token_id": 28, "do_sample": null, "early_stopping": "never",
                "length_penalty": 2, "max_length": 20, "min_length": null, "num_beams": 3, "temperature": null,
                "repetition_penalty": null, "transformers_version": "5.23.0", "use_cache": true}"#,
        )
        .unwrap();
        assert!(has_settings);
        let wanted = Generation {
            max_length: 20,
            num_beams: 3,
            length_penalty: 2.0,
            early_stopping: BeamStopping::Never,
            ..FALLBACK
        };
        assert_eq!(generation, wanted);
        assert_eq!(saved(r#"{"early_stopping": null}"#).unwrap(), (FALLBACK, false));
        assert_eq!(saved_generation(Path::new("no/such/folder")).unwrap(), (FALLBACK, false));
    }

    #[test]
    fn numbers_of_new_tokens_go_before_lengths_with_the_start_token() {
        let (generation, _) =
            saved(r#"{"max_length": 20, "max_new_tokens": 30, "min_new_tokens": 4, "num_beams": 2}"#)
                .unwrap();
        assert_eq!((generation.max_length, generation.min_length), (31, 5));
    }

    #[test]
    fn a_setting_that_cannot_be_meant_is_refused_with_the_file() {
        let error = format!("{:#}", saved(r#"{"early_stopping": "always"}"#).unwrap_err());
        assert!(error.contains("generation_config.json"), "{error}");
        assert!(error.contains("`true`, `false` or `never`"), "{error}");
    }
}
