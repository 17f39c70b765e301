//! Which settings can matter to a run, and a fixed value for those that cannot.
//!
//! Two combinations that differ only in what cannot matter are one run. To make that plain, a setting
//! without effect is set to a neutral value in the recipe: equal ids have equal recipes (but for
//! `evaluation.batch_size`, see [`id`](super::id)).

use super::simple;
use crate::record::Recipe;
use crate::record::recipe::{
    Amount, BeamStopping, Convention, DataSource, EarlyStopping, Evaluation, Generation, Kind, LoraTargets,
    LrSchedule, MetricName, Precision, StartToken, TextParts, Training, ZeroCider,
};
use crate::spec::setting::SETTINGS;

/// A setting that has no effect in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inactive {
    /// Its dotted path.
    pub path: &'static str,
    pub why: &'static str,
}

/// The rules for fine-tuned runs.
const VISION_MULTIPLIER: Inactive =
    Inactive { path: "training.vision_lr_multiplier", why: "no vision layer is unfrozen" };
const TEXT_MULTIPLIER: Inactive =
    Inactive { path: "training.text_lr_multiplier", why: "the text decoder is frozen" };
const EMBEDDINGS: Inactive =
    Inactive { path: "training.train_embeddings", why: "they train with all of the decoder, or not at all" };
const TEXT_PARTS: [Inactive; 2] = [
    Inactive { path: "training.trainable_text", why: "the text decoder is frozen" },
    Inactive { path: "training.trainable_text_layers", why: "the text decoder is frozen" },
];
const NO_LORA: [Inactive; 2] = [
    Inactive { path: "training.lora_alpha", why: "there are no adapters" },
    Inactive { path: "training.lora_targets", why: "there are no adapters" },
];
const UNFREEZE_FROM: Inactive =
    Inactive { path: "training.unfreeze_from_epoch", why: "no vision layer is unfrozen" };
const UNFREEZE_EVERY: Inactive =
    Inactive { path: "training.unfreeze_every", why: "fewer than two vision layers are unfrozen" };
const LAYER_DECAY: Inactive =
    Inactive { path: "training.layer_lr_decay", why: "fewer than two vision layers are unfrozen" };
const SPARED: Inactive =
    Inactive { path: "training.decay_norms_and_biases", why: "there is no weight decay" };
const NOTHING_TO_SPARE: Inactive =
    Inactive { path: "training.decay_norms_and_biases", why: "adapters are matrices" };
const BALANCE_BY: Inactive = Inactive { path: "training.balance_by", why: "`balance` is 0" };
const WARMUP_STEPS: Inactive = Inactive { path: "training.warmup_steps", why: "`warmup_ratio` is above 0" };
const NO_WARMUP: [Inactive; 2] = [
    Inactive { path: "training.warmup_steps", why: "the rate is constant" },
    Inactive { path: "training.warmup_ratio", why: "the rate is constant" },
];
const VIEWS: Inactive =
    Inactive { path: "training.augmentation_views", why: "training images are seen as they are" };
const PROTECTED: Inactive =
    Inactive { path: "training.protected_words", why: "no synonyms take the place of words" };
const EPOCHS: Inactive = Inactive { path: "training.epochs", why: "`max_steps` is set" };
const ZERO_CIDER: Inactive =
    Inactive { path: "early_stopping.zero_cider", why: "the best epoch is not chosen by the score" };

/// Whether a setting can matter to a run of this kind at all.
///
/// The zero-shot model is evaluated: its losses see captions as training would cut and begin them. The floors
/// say captions that people wrote; the nearest image is found by the pretrained model's features. Matched length takes
/// the lengths of its captions from the training captions.
pub fn matters(kind: Kind, path: &str) -> bool {
    let group = path.split('.').next().unwrap_or(path);
    match kind {
        Kind::FineTuned | Kind::ShuffledCaptions => true,
        _ if matches!(path, "evaluation.eval_every" | "evaluation.diagnostics") => false,
        Kind::MatchedLength if matches!(path, "generation.max_length" | "generation.min_length") => false,
        Kind::ZeroShot | Kind::MatchedLength => {
            matches!(group, "model" | "evaluation" | "generation")
                || matches!(
                    path,
                    "training.max_length"
                        | "training.start_token"
                        | "training.prompt"
                        | "training.mask_padding"
                        | "training.label_smoothing"
                        | "training.precision"
                )
        }
        Kind::ConstantCaption => group == "evaluation",
        Kind::NearestImage => matches!(group, "model" | "evaluation") || path == "training.precision",
        Kind::SmallDecoder => simple::matters(group, path),
    }
}

/// Sets what cannot matter to its neutral value, or to that which all runs of the kind have. Returns the settings that this run's other settings make
/// inactive; what its kind never uses goes without saying.
pub fn canonicalise(recipe: &mut Recipe) -> serde_json::Result<Vec<Inactive>> {
    let neutral = neutral();
    if recipe.training.train_examples == Amount::Share(1.0) {
        recipe.training.train_examples = Amount::ALL;
    }
    if !recipe.kind.fine_tunes() {
        let kind = recipe.kind;
        let fixed = if kind == Kind::SmallDecoder { simple::small_decoder(neutral) } else { neutral };
        for setting in SETTINGS.iter().filter(|setting| !matters(kind, setting.path)) {
            setting.write(recipe, &setting.read(&fixed))?;
        }
        return Ok(Vec::new());
    }
    let mut inactive = Vec::new();
    if recipe.training.unfrozen_vision_layers == 0 {
        recipe.training.vision_lr_multiplier = neutral.training.vision_lr_multiplier;
        recipe.training.unfreeze_from_epoch = neutral.training.unfreeze_from_epoch;
        inactive.extend([VISION_MULTIPLIER, UNFREEZE_FROM]);
    }
    if !recipe.training.train_text_decoder {
        recipe.training.text_lr_multiplier = neutral.training.text_lr_multiplier;
        recipe.training.trainable_text = neutral.training.trainable_text;
        recipe.training.trainable_text_layers = neutral.training.trainable_text_layers;
        inactive.push(TEXT_MULTIPLIER);
        inactive.extend(TEXT_PARTS);
    }
    let trains_part = recipe.training.train_text_decoder
        && (recipe.training.lora_rank > 0
            || recipe.training.trainable_text_layers > 0
            || recipe.training.trainable_text != TextParts::All);
    if !trains_part {
        recipe.training.train_embeddings = neutral.training.train_embeddings;
        inactive.push(EMBEDDINGS);
    }
    inactive.extend(canonicalise_rates(&mut recipe.training, &neutral.training));
    if recipe.training.balance == 0.0 && !recipe.training.balance_by.is_empty() {
        recipe.training.balance_by = neutral.training.balance_by;
        inactive.push(BALANCE_BY);
    }
    if recipe.training.synonym_replacement == 0.0 && !recipe.training.protected_words.is_empty() {
        recipe.training.protected_words = neutral.training.protected_words;
        inactive.push(PROTECTED);
    }
    if recipe.early_stopping.metric != MetricName::Score {
        recipe.early_stopping.zero_cider = neutral.early_stopping.zero_cider;
        inactive.push(ZERO_CIDER);
    }
    Ok(inactive)
}

fn canonicalise_rates(training: &mut Training, neutral: &Training) -> Vec<Inactive> {
    let mut inactive = Vec::new();
    if training.unfrozen_vision_layers < 2 {
        training.layer_lr_decay = neutral.layer_lr_decay;
        training.unfreeze_every = neutral.unfreeze_every;
        inactive.extend([LAYER_DECAY, UNFREEZE_EVERY]);
    }
    let is_changed =
        [training.horizontal_flip, training.rotation, training.color_jitter].iter().any(|a| *a > 0.0);
    if !is_changed && training.random_resized_crop == 1.0 {
        training.augmentation_views = neutral.augmentation_views;
        inactive.push(VIEWS);
    }
    if training.max_steps > 0 {
        training.epochs = neutral.epochs;
        inactive.push(EPOCHS);
    }
    if training.weight_decay == 0.0 {
        training.decay_norms_and_biases = neutral.decay_norms_and_biases;
        inactive.push(SPARED);
    }
    if training.lora_rank == 0 {
        (training.lora_alpha, training.lora_targets) = (neutral.lora_alpha, neutral.lora_targets);
        inactive.extend(NO_LORA);
    } else if training.weight_decay > 0.0 && !training.train_embeddings {
        training.decay_norms_and_biases = neutral.decay_norms_and_biases;
        inactive.push(NOTHING_TO_SPARE);
    }
    if training.lr_scheduler_type == LrSchedule::Constant {
        (training.warmup_steps, training.warmup_ratio) = (neutral.warmup_steps, neutral.warmup_ratio);
        inactive.extend(NO_WARMUP);
    } else if training.warmup_ratio > 0.0 {
        training.warmup_steps = neutral.warmup_steps;
        inactive.push(WARMUP_STEPS);
    }
    inactive
}

/// Whether anything trains at all.
pub fn trains(recipe: &Recipe) -> bool {
    recipe.training.train_text_decoder || recipe.training.unfrozen_vision_layers > 0
}

/// The neutral values. They are part of the ids of runs, so they never change.
fn neutral() -> Recipe {
    Recipe {
        kind: Kind::FineTuned,
        model: "none".to_owned(),
        data: DataSource::BuiltIn("none".to_owned()),
        training: Training {
            unfrozen_vision_layers: 0,
            unfreeze_from_epoch: 1,
            unfreeze_every: 0,
            learning_rate: 0.0,
            vision_lr_multiplier: 1.0,
            text_lr_multiplier: 1.0,
            layer_lr_decay: 1.0,
            weight_decay: 0.0,
            decay_norms_and_biases: true,
            train_text_decoder: false,
            trainable_text: TextParts::All,
            trainable_text_layers: 0,
            train_embeddings: false,
            lora_rank: 0,
            lora_alpha: 8.0,
            lora_targets: LoraTargets::Attention,
            train_examples: Amount::ALL,
            balance: 0.0,
            balance_by: String::new(),
            batch_size: 1,
            gradient_accumulation_steps: 1,
            epochs: 0,
            max_steps: 0,
            lr_scheduler_type: LrSchedule::Linear,
            warmup_steps: 0,
            warmup_ratio: 0.0,
            max_grad_norm: 1.0,
            ema_decay: 0.0,
            max_length: 128,
            start_token: StartToken::Dec,
            prompt: String::new(),
            mask_padding: true,
            label_smoothing: 0.0,
            dropout: 0.0,
            shuffle: false,
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
            samples: 0,
            test_samples: 0,
            convention: Convention::Coco,
            cider_weight: 0.1,
            batch_size: 1,
            eval_every: 1,
            diagnostics: true,
        },
        early_stopping: EarlyStopping {
            patience: 0,
            min_delta: 0.0,
            metric: MetricName::Score,
            zero_cider: ZeroCider::Keep,
        },
        generation: Generation {
            max_length: 128,
            min_length: 0,
            num_beams: 1,
            no_repeat_ngram_size: 0,
            length_penalty: 1.0,
            early_stopping: BeamStopping::Yes,
            repetition_penalty: 1.0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Preset;

    /// The recipe, and what has no effect in it, apart from what adapters and views would have if there were any.
    fn canonical(change: impl Fn(&mut Recipe)) -> (Recipe, Vec<Inactive>) {
        let mut recipe = Preset::AsOriginal.recipe();
        change(&mut recipe);
        let mut inactive = canonicalise(&mut recipe).unwrap();
        inactive.retain(|found| !NO_LORA.contains(found) && ![VIEWS, EMBEDDINGS].contains(found));
        (recipe, inactive)
    }

    #[test]
    fn what_is_said_of_adapters_has_no_effect_where_there_are_none() {
        let with = |rank, alpha| {
            let mut recipe = Preset::AsOriginal.recipe();
            (recipe.training.lora_rank, recipe.training.lora_alpha) = (rank, alpha);
            let inactive = canonicalise(&mut recipe).unwrap();
            (recipe.training.lora_alpha, inactive)
        };
        assert_eq!(with(0, 3.0), (8.0, [&[EMBEDDINGS, VIEWS], &NO_LORA[..]].concat()));
        assert_eq!(with(4, 3.0), (3.0, vec![VIEWS, NOTHING_TO_SPARE]));
    }

    #[test]
    fn a_fine_tuned_run_keeps_every_setting_that_can_matter() {
        let (recipe, inactive) = canonical(|_| {});
        assert_eq!((recipe, inactive), (Preset::AsOriginal.recipe(), vec![]));
    }

    #[test]
    fn the_vision_multiplier_is_inactive_without_unfrozen_layers() {
        let with = |multiplier| {
            canonical(|recipe| {
                recipe.training.unfrozen_vision_layers = 0;
                recipe.training.vision_lr_multiplier = multiplier;
            })
        };
        assert_eq!(with(0.1), with(0.5));
        assert_eq!(with(0.1).1, [VISION_MULTIPLIER, UNFREEZE_FROM, LAYER_DECAY, UNFREEZE_EVERY]);
    }

    #[test]
    fn rates_that_cannot_differ_have_no_settings_of_their_own() {
        let inactive = |change: fn(&mut Training)| canonical(|recipe| change(&mut recipe.training)).1;
        assert_eq!(inactive(|training| training.unfrozen_vision_layers = 1), [LAYER_DECAY, UNFREEZE_EVERY]);
        assert_eq!(inactive(|training| training.weight_decay = 0.0), [SPARED]);
        assert_eq!(inactive(|training| training.warmup_ratio = 0.1), [WARMUP_STEPS]);
        assert_eq!(inactive(|training| training.max_steps = 9), [EPOCHS]);
        assert_eq!(inactive(|training| training.lora_rank = 9), [NOTHING_TO_SPARE]);
        assert_eq!(inactive(|training| training.lr_scheduler_type = LrSchedule::Constant), NO_WARMUP);
        let constant = |steps, ratio| {
            canonical(|recipe| {
                recipe.training.lr_scheduler_type = LrSchedule::Constant;
                (recipe.training.warmup_steps, recipe.training.warmup_ratio) = (steps, ratio);
            })
        };
        assert_eq!(constant(10, 0.1), constant(20, 0.2));
    }

    #[test]
    fn the_text_multiplier_is_inactive_with_a_frozen_decoder() {
        let with = |multiplier| {
            canonical(|recipe| {
                recipe.training.train_text_decoder = false;
                recipe.training.text_lr_multiplier = multiplier;
            })
        };
        assert_eq!(with(0.1), with(0.5));
        assert_eq!(with(0.1).1, [&[TEXT_MULTIPLIER], &TEXT_PARTS[..]].concat());
    }

    #[test]
    fn what_replaces_a_score_is_inactive_where_no_score_chooses() {
        let with = |zero_cider| {
            canonical(|recipe| {
                recipe.early_stopping.metric = MetricName::ValLoss;
                recipe.early_stopping.zero_cider = zero_cider;
            })
        };
        assert_eq!(with(ZeroCider::Keep), with(ZeroCider::MinusValLoss));
        assert_eq!(with(ZeroCider::Keep).1, [ZERO_CIDER]);
    }

    #[test]
    fn zero_shot_keeps_how_it_is_evaluated_and_what_its_losses_see() {
        let original = Preset::AsOriginal.recipe();
        let (recipe, _) = canonical(|recipe| recipe.kind = Kind::ZeroShot);
        assert_eq!((&recipe.evaluation, &recipe.generation), (&original.evaluation, &original.generation));
        assert_eq!(recipe.model, "lab");
        let training = Training {
            max_length: 60,
            start_token: StartToken::Cls,
            mask_padding: false,
            label_smoothing: 0.0,
            ..neutral().training
        };
        assert_eq!((recipe.training, recipe.early_stopping), (training, neutral().early_stopping));
    }

    #[test]
    fn floors_do_not_depend_on_training_or_generation_and_the_constant_one_on_no_model() {
        let floor = |kind, preset: Preset, model: &str| {
            let mut recipe = preset.recipe();
            recipe.kind = kind;
            recipe.model = model.to_owned();
            recipe.evaluation = Preset::Corrected.recipe().evaluation;
            canonicalise(&mut recipe).unwrap();
            recipe
        };
        for kind in [Kind::ConstantCaption, Kind::NearestImage] {
            assert_eq!(floor(kind, Preset::AsOriginal, "lab"), floor(kind, Preset::Corrected, "lab"));
        }
        let of_model = |kind, model| floor(kind, Preset::Corrected, model);
        assert_eq!(of_model(Kind::ConstantCaption, "lab"), of_model(Kind::ConstantCaption, "other"));
        assert_ne!(of_model(Kind::NearestImage, "lab"), of_model(Kind::NearestImage, "other"));
    }

    #[test]
    fn data_matter_to_every_kind() {
        for kind in [Kind::FineTuned].into_iter().chain(Kind::REFERENCES) {
            let data = DataSource::BuiltIn("other".to_owned());
            let (recipe, _) = canonical(|recipe| {
                recipe.kind = kind;
                recipe.data = data.clone();
            });
            assert_eq!(recipe.data, data);
        }
    }
}
