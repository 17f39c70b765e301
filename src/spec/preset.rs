//! The two recipes that a sweep starts from.
//!
//! `as-original` is the recipe of the study this program was made for, faults included. `corrected` mends
//! what can be mended by a setting; [`DIFFERENCES`] says what and why. Each difference is an ordinary setting,
//! so a sweep can vary them one at a time.

use crate::record::recipe::{
    Amount, BeamStopping, Convention, DataSource, EarlyStopping, Evaluation, Generation, Kind, LoraTargets,
    LrSchedule, MetricName, Precision, Recipe, StartToken, TextParts, Training, ZeroCider,
};

/// The recipe that a sweep file's own settings are laid over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    AsOriginal,
    /// The default.
    Corrected,
}

/// A setting in which the two presets differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Its dotted path.
    pub path: &'static str,
    /// Why `corrected` departs from the original, in half a line.
    pub why: &'static str,
}

/// All differences between the presets, in the order of the recipe. This is the only place that explains them.
pub const DIFFERENCES: [Difference; 13] = [
    Difference {
        path: "training.epochs",
        why: "The rate falls over all epochs; those never reached keep it high.",
    },
    Difference {
        path: "training.warmup_steps",
        why: "1000 steps are most of a run on a few hundred images.",
    },
    Difference {
        path: "training.max_length",
        why: "At 60 tokens, half of all long captions are cut in mid-sentence.",
    },
    Difference {
        path: "training.start_token",
        why: "Generation starts from [DEC]; train from what it starts from.",
    },
    Difference {
        path: "training.mask_padding",
        why: "Counted padding makes the loss fall for saying nothing.",
    },
    Difference {
        path: "evaluation.samples",
        why: "A hundred captions decide between epochs by luck; 0 means all.",
    },
    Difference {
        path: "evaluation.test_samples",
        why: "Two hundred captions leave wide intervals; 0 means all.",
    },
    Difference {
        path: "evaluation.convention",
        why: "Casing and punctuation are not what a model is judged by.",
    },
    Difference {
        path: "evaluation.cider_weight",
        why: "From 0 to 10, CIDEr-D at full weight drowns the other two.",
    },
    Difference {
        path: "early_stopping.zero_cider",
        why: "A loss is no score: one scale, and 0 is a result like any other.",
    },
    Difference { path: "generation.max_length", why: "As many tokens as in training." },
    Difference {
        path: "generation.no_repeat_ngram_size",
        why: "Most structured captions repeat a pair of tokens.",
    },
    Difference {
        path: "generation.repetition_penalty",
        why: "Structured captions repeat words because they must.",
    },
];

/// What a user of `as-original` has to know of the layers it asks for: the published code never trained them. That is
/// documented and not reproduced, since a run with no layer is the same thing and says so.
const NONE_UNFROZEN: &str = "The original's code looks for its 6 layers under a name that does not exist and trained \
                             none of them: 0 is that run, 6 is what it meant to be.";

impl Preset {
    /// The names as written in sweep files.
    pub const NAMES: [&'static str; 2] = ["as-original", "corrected"];

    pub fn name(self) -> &'static str {
        match self {
            Self::AsOriginal => "as-original",
            Self::Corrected => "corrected",
        }
    }

    /// The preset to compare with.
    pub fn other(self) -> Self {
        match self {
            Self::AsOriginal => Self::Corrected,
            Self::Corrected => Self::AsOriginal,
        }
    }

    /// What there is to know of a setting under this preset.
    pub fn note(self, path: &str) -> Option<&'static str> {
        (self == Self::AsOriginal && path == "training.unfrozen_vision_layers").then_some(NONE_UNFROZEN)
    }

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

/// What the original experiment asked for; of its vision layers see [`NONE_UNFROZEN`].
fn as_original() -> Recipe {
    Recipe {
        kind: Kind::FineTuned,
        model: "lab".to_owned(),
        data: DataSource::BuiltIn("lab".to_owned()),
        training: Training {
            unfrozen_vision_layers: 6,
            unfreeze_from_epoch: 1,
            unfreeze_every: 0,
            learning_rate: 3e-5,
            vision_lr_multiplier: 0.1,
            text_lr_multiplier: 1.0,
            layer_lr_decay: 1.0,
            weight_decay: 0.01,
            decay_norms_and_biases: true,
            train_text_decoder: true,
            trainable_text: TextParts::All,
            trainable_text_layers: 0,
            train_embeddings: false,
            lora_rank: 0,
            lora_alpha: 8.0,
            lora_targets: LoraTargets::Attention,
            train_examples: Amount::ALL,
            balance: 0.0,
            balance_by: String::new(),
            batch_size: 6,
            gradient_accumulation_steps: 1,
            epochs: 15,
            max_steps: 0,
            lr_scheduler_type: LrSchedule::Linear,
            warmup_steps: 1000,
            warmup_ratio: 0.0,
            max_grad_norm: 2.0,
            ema_decay: 0.0,
            max_length: 60,
            start_token: StartToken::Cls,
            prompt: String::new(),
            mask_padding: false,
            label_smoothing: 0.0,
            dropout: 0.0,
            shuffle: true,
            horizontal_flip: 0.0,
            random_resized_crop: 1.0,
            rotation: 0.0,
            color_jitter: 0.0,
            augmentation_views: 0,
            synonym_replacement: 0.0,
            protected_words: String::new(),
            paraphrases: String::new(),
            precision: Precision::F32,
            gradient_checkpointing: false,
        },
        evaluation: Evaluation {
            samples: 100,
            test_samples: 200,
            convention: Convention::Original,
            cider_weight: 1.0,
            batch_size: 16,
            eval_every: 1,
            diagnostics: true,
        },
        early_stopping: EarlyStopping {
            patience: 5,
            min_delta: 0.0,
            metric: MetricName::Score,
            zero_cider: ZeroCider::MinusValLoss,
        },
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

/// The original with its faults mended; [`DIFFERENCES`] says why, these comments how far.
fn corrected(original: Recipe) -> Recipe {
    Recipe {
        training: Training {
            // More than these models take to overfit.
            epochs: 10,
            warmup_steps: 100,
            // Fashion captions have up to 114 tokens, and the built-in model has 128 positions.
            max_length: 128,
            start_token: StartToken::Dec,
            mask_padding: true,
            ..original.training
        },
        evaluation: Evaluation {
            samples: 0,
            test_samples: 0,
            convention: Convention::Coco,
            cider_weight: 0.1,
            ..original.evaluation
        },
        early_stopping: EarlyStopping { zero_cider: ZeroCider::Keep, ..original.early_stopping },
        generation: Generation {
            max_length: 128,
            no_repeat_ngram_size: 0,
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
        let documented: Vec<&str> = DIFFERENCES.iter().map(|difference| difference.path).collect();
        let found = differences.iter().filter_map(|line| line.split(':').next()).collect::<Vec<_>>();
        assert_eq!(found, documented);
        insta::assert_snapshot!(differences.join("\n"), @r#"
        training.epochs: 15 -> 10
        training.warmup_steps: 1000 -> 100
        training.max_length: 60 -> 128
        training.start_token: "cls" -> "dec"
        training.mask_padding: false -> true
        evaluation.samples: 100 -> 0
        evaluation.test_samples: 200 -> 0
        evaluation.convention: "original" -> "coco"
        evaluation.cider_weight: 1.0 -> 0.1
        early_stopping.zero_cider: "minus_val_loss" -> "keep"
        generation.max_length: 60 -> 128
        generation.no_repeat_ngram_size: 2 -> 0
        generation.repetition_penalty: 1.1 -> 1.0
        "#);
    }

    #[test]
    fn every_name_has_its_preset() {
        assert!(Preset::NAMES.iter().all(|name| Preset::named(name).is_some_and(|p| p.name() == *name)));
        assert_eq!(Preset::named("original"), None);
    }
}
