//! Captions for images of one's own, with the settings the model was evaluated with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::material::{Pretrained, beam_settings};
use super::provenance::Saved;
use crate::data::read_pixels;
use crate::model::{Blip, Config, generate};
use crate::plan::consistency::mismatches;
use crate::record::bounded;
use crate::record::recipe::{BeamStopping, Generation};
use crate::spec::setting::{self, shown};

/// Images captioned at once.
const BATCH: usize = 16;

/// A captioned image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptionRow {
    pub image: String,
    pub caption: String,
    pub token_ids: Vec<u32>,
    /// Sum of log-probabilities divided by the length to the power of the length penalty: the number that a run
    /// records in `predictions.jsonl`, digit by digit.
    pub score: f64,
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

/// How captions will be generated, and what the user should know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionSettings {
    pub generation: Generation,
    /// Where the settings come from and which the command line replaced, on one line.
    pub origin: String,
    /// What of them does not fit how the model was trained; empty where all is well or nothing is known.
    pub warnings: Vec<String>,
}

impl CaptionSettings {
    /// The settings that the model in `folder` was evaluated with, where it has them, under the overrides.
    pub fn load(folder: &Path, overrides: &GenerationOverrides) -> Result<Self> {
        let positions = Config::load(folder)?.text.max_position_embeddings;
        let fallback = Generation { max_length: FALLBACK.max_length.min(positions), ..FALLBACK };
        let (before, is_saved) = saved_generation(folder, &fallback)?;
        let mut generation = before.clone();
        overrides.apply(&mut generation);
        check(&generation, positions)?;

        let mut warnings = Vec::new();
        let provenance = Saved::read(folder).unwrap_or_else(|error| {
            warnings.push(format!("{error:#}: captions are not checked against how the model was trained"));
            None
        });
        if let Some(saved) = &provenance {
            warnings.extend(mismatches(&saved.trained(), &generation));
        }
        let origin = origin(folder, is_saved, provenance.as_ref(), &fallback);
        Ok(Self { origin: origin + &changes(&before, &generation), generation, warnings })
    }
}

const GENERATION_FILE: &str = "generation_config.json";
/// Largest such file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The settings of a folder's `generation_config.json` laid over `fallback`, and whether it has that file.
fn saved_generation(folder: &Path, fallback: &Generation) -> Result<(Generation, bool)> {
    let path = folder.join(GENERATION_FILE);
    let text = match bounded::read_text(&path, MAX_FILE_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((fallback.clone(), false)),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let saved =
        serde_json::from_str(&text).with_context(|| format!("{} is not a mapping", path.display()))?;
    check_saved(fallback, &saved, &path)?;
    let generation = over(fallback, &saved).with_context(|| format!("a setting in {}", path.display()))?;
    Ok((generation, true))
}

/// `generation` with what is saved laid over it. transformers' own files have other keys, lack some of these, and leave
/// some null.
fn over(generation: &Generation, saved: &Map<String, Value>) -> serde_json::Result<Generation> {
    let said = |key: &str| saved.get(key).filter(|value| !value.is_null()).cloned();
    let mut generation = json!(generation);
    for (key, value) in generation.as_object_mut().into_iter().flatten() {
        if let Some(saved) = said(key) {
            *value = saved;
        }
    }
    // New tokens come after the start token, and go before lengths that count it.
    for (key, new) in [("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")] {
        if let Some(tokens) = said(new).and_then(|tokens| tokens.as_u64()) {
            generation[key] = json!(tokens.saturating_add(1));
        }
    }
    serde_json::from_value(generation)
}

/// Refuses what a sweep file may not say either: a search of a billion beams would fill the memory.
fn check_saved(known: &Generation, saved: &Map<String, Value>, path: &Path) -> Result<()> {
    for key in json!(known).as_object().into_iter().flat_map(Map::keys) {
        let Some(value) = saved.get(key).filter(|value| !value.is_null()) else { continue };
        let setting = setting::named(&format!("generation.{key}")).map_err(anyhow::Error::msg)?;
        if let Err(valid) = setting.check_text(&value.to_string()) {
            bail!("{}: `{key}` is {value}; {valid}", path.display());
        }
    }
    Ok(())
}

fn check(generation: &Generation, positions: usize) -> Result<()> {
    let Generation { max_length, min_length, num_beams, .. } = *generation;
    ensure!(
        (2..=positions).contains(&max_length),
        "max_length is {max_length}, but the model takes from 2 to {positions} tokens\nhint: `--max-length {positions}`"
    );
    ensure!(
        min_length <= max_length,
        "min_length is {min_length}, more than max_length, which is {max_length}"
    );
    ensure!(num_beams > 0, "num_beams is 0; it must be at least 1");
    Ok(())
}

fn origin(folder: &Path, is_saved: bool, provenance: Option<&Saved>, fallback: &Generation) -> String {
    let defaults = format!("{} beams, at most {} tokens", fallback.num_beams, fallback.max_length);
    match (provenance, is_saved) {
        (Some(saved), true) => {
            format!("settings: those that run {} of sweep {} was evaluated with", saved.run, saved.sweep)
        }
        (_, true) => {
            format!(
                "settings: {}; what it lacks by default ({defaults})",
                folder.join(GENERATION_FILE).display()
            )
        }
        (_, false) => format!("settings: defaults ({defaults}), as the model has no {GENERATION_FILE}"),
    }
}

/// `; changed: num_beams 3 -> 1`, or nothing.
fn changes(before: &Generation, after: &Generation) -> String {
    let (before, after) = (json!(before), json!(after));
    let changed: Vec<String> = before
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, old)| {
            let new = after.get(key).filter(|new| *new != old)?;
            Some(format!("{key} {} -> {}", shown(old), shown(new)))
        })
        .collect();
    if changed.is_empty() { String::new() } else { format!("; changed: {}", changed.join(", ")) }
}

/// Captions `images` with the model in `model`, in order.
pub fn caption_images(
    model: &Path,
    images: &[PathBuf],
    generation: &Generation,
    device: &Device,
) -> Result<Vec<CaptionRow>> {
    // Where the file cannot be read, the settings have said so.
    let saved = Saved::read(model).ok().flatten();
    let prompt = saved.as_ref().map_or("", Saved::prompt);
    let mut pretrained = Pretrained::load(model, device)?.with_prompt(prompt)?;
    let precision = saved.as_ref().filter(|_| device.is_cpu()).map(Saved::precision);
    pretrained.config.precision = precision.unwrap_or_default();
    let blip = Blip::new(&pretrained.config, &pretrained.weights)?;
    let settings = beam_settings(generation, &pretrained.config, &pretrained.prompt);
    let given = settings.start.len();
    ensure!(
        given < generation.max_length,
        "the model was trained with the prompt {prompt:?}, which with the start token takes {given} tokens, and max_length is {}",
        generation.max_length
    );
    let (side, depth) = (pretrained.config.vision.image_size, pretrained.config.vision.num_hidden_layers);
    let mut rows = Vec::with_capacity(images.len());
    for images in images.chunks(BATCH) {
        let mut pixels = Vec::with_capacity(images.len() * 3 * side * side);
        for path in images {
            pixels.extend(read_pixels(path, &pretrained.processor).map_err(anyhow::Error::msg)?);
        }
        let pixels = Tensor::from_vec(pixels, (images.len(), 3, side, side), device)?;
        let image_embeds = blip.vision_model.finish(&blip.vision_model.encode(&pixels, depth)?, depth)?;
        for (path, said) in images.iter().zip(generate(&blip.text_decoder, &image_embeds, &settings)?) {
            rows.push(CaptionRow {
                image: path.display().to_string(),
                caption: pretrained.tokenizer.decode(said.said(given))?,
                token_ids: said.ids,
                score: f64::from(said.score),
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
        saved_generation(folder.path(), &FALLBACK)
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
        assert_eq!(saved(r#"{"early_stopping": null}"#).unwrap(), (FALLBACK, true));
        let none = saved_generation(Path::new("no/such/folder"), &FALLBACK);
        assert_eq!(none.unwrap(), (FALLBACK, false));
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
