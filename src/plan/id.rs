//! A run's id: a hash of everything that determines its result.
//!
//! The id is `r` and the first ten hexadecimal digits of the SHA-256 of this JSON text:
//!
//! ```text
//! {"format":1,"recipe":{...},"seed":0}
//! ```
//!
//! with keys sorted by their bytes at every level, no white space, strings as JSON writes them, whole numbers
//! in decimal digits and all others in Rust's shortest exponent form (`1e-5`, `3.5e0`). `recipe` is the
//! canonical recipe (see [`canonical`](super::canonical)), with absent optional fields left out and
//! `evaluation.batch_size`, which is of no influence on the result, set to 1. So the id depends neither on
//! the order in which a file is written, nor on how its numbers are spelt, nor on the machine.
//!
//! Ten digits are 40 bits: among a thousand runs of a sweep two ids are equal by chance with a probability
//! of one in two million.

use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::record::Recipe;

/// Rises when the rules above change, so that ids of old and new rules never meet.
const FORMAT: u64 = 1;

/// The id of a run with this canonical recipe and seed.
pub fn of(recipe: &Recipe, seed: u64) -> serde_json::Result<String> {
    Ok(Ids::of(recipe)?.with_seed(seed))
}

/// The ids of a recipe's runs: a plan has many seeds of each, and all but the seed is hashed once.
pub struct Ids(Sha256);

impl Ids {
    /// Of a canonical recipe.
    pub fn of(recipe: &Recipe) -> serde_json::Result<Self> {
        Ok(Self(Sha256::new_with_prefix(text_before_seed(recipe)?)))
    }

    pub fn with_seed(&self, seed: u64) -> String {
        let digest = self.0.clone().chain_update(text_of_seed(seed)).finalize();
        let mut id = String::with_capacity(11);
        id.push('r');
        for byte in digest.iter().take(5) {
            // Writing into a string cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

/// The text that is hashed, up to the seed.
fn text_before_seed(recipe: &Recipe) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(recipe)?;
    value["evaluation"]["batch_size"] = json!(1);
    if let Some(training) = value["training"].as_object_mut() {
        training.remove("gradient_checkpointing");
    }
    let mut text = String::with_capacity(1024);
    let _ = write!(text, r#"{{"format":{FORMAT},"recipe":"#);
    write_canonical(&value, &mut text)?;
    text.push_str(r#","seed":"#);
    Ok(text)
}

fn text_of_seed(seed: u64) -> String {
    format!("{seed}}}")
}

/// Sorts keys itself: whether `serde_json`'s maps do depends on features that other crates switch on.
fn write_canonical(value: &Value, text: &mut String) -> serde_json::Result<()> {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            for (index, (key, value)) in fields.into_iter().enumerate() {
                text.push(if index == 0 { '{' } else { ',' });
                text.push_str(&serde_json::to_string(key)?);
                text.push(':');
                write_canonical(value, text)?;
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text)?;
            }
            text.push(']');
        }
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => {
                let _ = write!(text, "{number:e}");
            }
            None => {
                let _ = write!(text, "{number}");
            }
        },
        scalar => text.push_str(&serde_json::to_string(scalar)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical_text(recipe: &Recipe, seed: u64) -> serde_json::Result<String> {
        Ok(text_before_seed(recipe)? + &text_of_seed(seed))
    }

    use crate::record::recipe::{BeamStopping, DataFiles, DataSource, Split, Validation};
    use crate::spec::Preset;
    use crate::spec::setting::SETTINGS;

    #[test]
    fn the_hashed_text_is_as_documented() {
        let text = canonical_text(&Preset::Corrected.recipe(), 7).unwrap();
        insta::assert_snapshot!(text, @r#"{"format":1,"recipe":{"data":"lab","early_stopping":{"metric":"score","min_delta":0e0,"patience":5},"evaluation":{"batch_size":1,"convention":"coco","samples":0,"test_samples":0},"generation":{"early_stopping":true,"length_penalty":1e0,"max_length":128,"min_length":0,"no_repeat_ngram_size":0,"num_beams":5,"repetition_penalty":1e0},"kind":"fine_tuned","model":"lab","training":{"batch_size":6,"epochs":10,"label_smoothing":0e0,"learning_rate":3e-5,"mask_padding":true,"max_grad_norm":2e0,"max_length":128,"shuffle":true,"start_token":"dec","text_lr_multiplier":1e0,"train_text_decoder":true,"unfrozen_vision_layers":6,"vision_lr_multiplier":1e-1,"warmup_steps":100,"weight_decay":1e-2}},"seed":7}"#);
    }

    #[test]
    fn ids_are_the_same_on_every_machine_and_version() {
        let ids = [Preset::Corrected, Preset::AsOriginal].map(|preset| of(&preset.recipe(), 0).unwrap());
        insta::assert_debug_snapshot!(ids, @r#"
        [
            "rfdca8eecf7",
            "r8b4672d6d2",
        ]
        "#);
    }

    #[test]
    fn when_beam_search_ends_is_hashed_as_a_flag_or_a_word() {
        let mut recipe = Preset::Corrected.recipe();
        let ids = [BeamStopping::Yes, BeamStopping::No, BeamStopping::Never].map(|stopping| {
            recipe.generation.early_stopping = stopping;
            of(&recipe, 0).unwrap()
        });
        assert_eq!(ids[0], "rfdca8eecf7");
        assert!(ids[1] != ids[0] && ids[2] != ids[0] && ids[2] != ids[1], "{ids:?}");
        assert!(canonical_text(&recipe, 0).unwrap().contains(r#""early_stopping":"never""#));
    }

    #[test]
    fn optional_parts_of_the_data_are_hashed_when_present_and_absent_otherwise() {
        let split = Split { captions: "c.json".into(), images: "i".into() };
        let validation = Validation { fraction: Some(0.1), seed: Some(42), ..Validation::default() };
        let mut files = DataFiles { train: split.clone(), validation, test: None, source: None };
        let mut recipe = Preset::Corrected.recipe();
        recipe.data = DataSource::Files(Box::new(files.clone()));
        let without = canonical_text(&recipe, 0).unwrap();
        assert!(without.contains(
            r#""data":{"train":{"captions":"c.json","images":"i"},"validation":{"fraction":1e-1,"seed":42}}"#
        ));
        files.test = Some(split);
        recipe.data = DataSource::Files(Box::new(files));
        assert_ne!(canonical_text(&recipe, 0).unwrap(), without);
    }

    #[test]
    fn every_setting_but_those_of_no_influence_changes_the_id() {
        let corrected = Preset::Corrected.recipe();
        let id = of(&corrected, 0).unwrap();
        assert_ne!(of(&corrected, 1).unwrap(), id, "seed");
        for setting in &SETTINGS {
            let other = match setting.read(&corrected) {
                Value::Bool(flag) => json!(!flag),
                Value::Number(number) if number.is_f64() => json!(0.123),
                Value::Number(_) => json!(7),
                _ => match setting.path {
                    "training.start_token" => json!("cls"),
                    "training.precision" => json!("bf16"),
                    "training.trainable_text" => json!("cross_attention"),
                    "training.lora_targets" => json!("all-linear"),
                    "training.lr_scheduler_type" => json!("cosine"),
                    "evaluation.convention" => json!("original"),
                    "early_stopping.metric" => json!("meteor"),
                    "early_stopping.zero_cider" => json!("minus_val_loss"),
                    _ => json!("other"),
                },
            };
            let mut recipe = corrected.clone();
            setting.write(&mut recipe, &other).unwrap();
            let is_same = of(&recipe, 0).unwrap() == id;
            let is_of_none =
                ["evaluation.batch_size", "training.gradient_checkpointing"].contains(&setting.path);
            assert_eq!(is_same, is_of_none, "{setting:?}");
        }
    }
}
