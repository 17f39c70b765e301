//! The two recipes that a sweep starts from.
//!
//! `as-original` is the recipe of the study this program was made for, faults included. `corrected` mends
//! what can be mended by a setting; [`Preset::recipe`] says what and why, difference by difference. Each
//! difference is an ordinary setting, so a sweep can vary them one at a time.

use crate::record::recipe::{
    BeamStopping, Convention, DataSource, EarlyStopping, Evaluation, Generation, Kind, MetricName, Recipe,
    StartToken, Training,
};

/// The recipe that a sweep file's own settings are laid over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    AsOriginal,
    /// The default.
    Corrected,
}

impl Preset {
    /// The names as written in sweep files.
    pub const NAMES: [&'static str; 2] = ["as-original", "corrected"];

    /// The preset of a name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "as-original" => Some(Self::AsOriginal),
            "corrected" => Some(Self::Corrected),
            _ => None,
        }
    }

    /// All settings, for the built-in model and its data until a sweep says otherwise.
    pub fn recipe(self) -> Recipe {
        let original = as_original();
        match self {
            Self::AsOriginal => original,
            Self::Corrected => corrected(original),
        }
    }
}

/// What the original experiment asked for.
///
/// It asked for six unfrozen vision layers and, through a misspelt attribute, trained none;
/// `unfrozen_vision_layers: 0` reproduces what it did, the default what it meant.
fn as_original() -> Recipe {
    Recipe {
        kind: Kind::FineTuned,
        model: "lab".to_owned(),
        data: DataSource::BuiltIn("lab".to_owned()),
        training: Training {
            unfrozen_vision_layers: 6,
            learning_rate: 3e-5,
            vision_lr_multiplier: 0.1,
            text_lr_multiplier: 1.0,
            weight_decay: 0.01,
            train_text_decoder: true,
            batch_size: 6,
            epochs: 15,
            warmup_steps: 1000,
            max_grad_norm: 2.0,
            max_length: 60,
            start_token: StartToken::Cls,
            mask_padding: false,
            label_smoothing: 0.0,
            shuffle: true,
        },
        evaluation: Evaluation {
            samples: 100,
            test_samples: 200,
            convention: Convention::Original,
            batch_size: 16,
        },
        early_stopping: EarlyStopping { patience: 5, min_delta: 0.0, metric: MetricName::Score },
        generation: Generation {
            max_length: 60,
            min_length: 0,
            num_beams: 5,
            no_repeat_ngram_size: 2,
            length_penalty: 1.0,
            early_stopping: BeamStopping::Yes,
            repetition_penalty: 1.1,
        },
    }
}

/// The original with its faults mended.
fn corrected(original: Recipe) -> Recipe {
    Recipe {
        training: Training {
            // Generation starts from [DEC]; a model trained to start from [CLS] has never seen its first input.
            start_token: StartToken::Dec,
            // Counting pads teaches the model to say nothing after [SEP], and makes the loss fall for it.
            mask_padding: true,
            // Fashion captions have up to 114 tokens; at 60, more than half of them are cut in mid-sentence.
            // 128 fits them all and the built-in model's positions.
            max_length: 128,
            // 1000 steps are most of a run on a few hundred images: the rate would never reach its peak.
            warmup_steps: 100,
            // The rate falls to zero over all epochs, so epochs never reached keep it high. Ten are more than
            // these models take to overfit.
            epochs: 10,
            ..original.training
        },
        evaluation: Evaluation {
            // A hundred captions decide between epochs by luck; all of them cost little when batched.
            samples: 0,
            test_samples: 0,
            // Casing and punctuation are not what the model is judged by, and numbers compare with papers.
            convention: Convention::Coco,
            ..original.evaluation
        },
        generation: Generation {
            max_length: 128,
            // Nearly every reference repeats a pair of tokens (". the"): forbidding that forbids the answer.
            no_repeat_ngram_size: 0,
            // For the same reason: structured captions repeat words because they must.
            repetition_penalty: 1.0,
            ..original.generation
        },
        ..original
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::SETTINGS;
    use super::*;

    #[test]
    fn the_presets_differ_in_exactly_the_documented_settings() {
        let (original, corrected) = (Preset::AsOriginal.recipe(), Preset::Corrected.recipe());
        let differences: Vec<String> = SETTINGS
            .iter()
            .filter(|setting| setting.read(&original) != setting.read(&corrected))
            .map(|setting| {
                format!("{}: {} -> {}", setting.path, setting.read(&original), setting.read(&corrected))
            })
            .collect();
        insta::assert_snapshot!(differences.join("\n"), @r#"
        training.epochs: 15 -> 10
        training.warmup_steps: 1000 -> 100
        training.max_length: 60 -> 128
        training.start_token: "cls" -> "dec"
        training.mask_padding: false -> true
        evaluation.samples: 100 -> 0
        evaluation.test_samples: 200 -> 0
        evaluation.convention: "original" -> "coco"
        generation.max_length: 60 -> 128
        generation.no_repeat_ngram_size: 2 -> 0
        generation.repetition_penalty: 1.1 -> 1.0
        "#);
    }

    #[test]
    fn every_name_has_its_preset() {
        assert!(Preset::NAMES.iter().all(|name| Preset::named(name).is_some()));
        assert_eq!(Preset::named("original"), None);
    }
}
