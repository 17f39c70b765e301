//! A run as planned ([`RunSpec`]), as it stands ([`RunRecord`]), and the rows it leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{Evaluated, Started, Status, Step, Summary};
use super::recipe::Recipe;

/// One run of a plan, self-contained: a line of `plan.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Hash of what determines the result; begins with a letter.
    pub id: String,
    pub sweep: String,
    /// The settings that the sweep varies, by dotted path: those that have an effect in this run. A zero-shot
    /// run or floor has only those it depends on, most often none.
    pub point: BTreeMap<String, Value>,
    pub seed: u64,
    pub recipe: Recipe,
}

/// What is known of a run: its events folded, with lines that a later attempt replayed left out.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    pub spec: RunSpec,
    /// `None` where the run has not started, or its log was cut off or is still growing.
    pub status: Option<Status>,
    pub reason: Option<String>,
    /// Starts so far; 0 where it never started.
    pub attempts: u64,
    pub started: Option<Started>,
    pub steps: Vec<Step>,
    /// One entry an epoch, in order, from epoch 0.
    pub curve: Vec<Evaluated>,
    /// Present when the run ended.
    pub summary: Option<Summary>,
    /// Time of the last line, RFC 3339.
    pub last_seen: Option<String>,
    /// What was wrong with the log, in words; the rest of it was used.
    pub problems: Vec<String>,
}

/// A row of `predictions.jsonl`: what the best epoch said of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// File name as in the captions file.
    pub image: String,
    /// `validation`, `test` or `train`: a fixed part of the training images, to compare with images never seen.
    pub split: String,
    pub caption: String,
    pub references: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ids: Vec<u32>,
    /// The beam's score; absent for captions that no model generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// A row of `per_image.jsonl`: what statistics need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerImage {
    pub epoch: usize,
    pub image: String,
    /// `validation`, `test` or `train`: a fixed part of the training images, to compare with images never seen.
    pub split: String,
    /// Mean negative log-likelihood of the reference's tokens, without pads and smoothing, in nats.
    pub loss: Option<f64>,
    pub meteor: Option<f64>,
    pub rouge_l: Option<f64>,
    pub cider_d: Option<f64>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::recipe::*;

    /// A run with settings that no test of the files looks at.
    pub(crate) fn any_run(id: &str) -> RunSpec {
        let training = Training {
            unfrozen_vision_layers: 2,
            unfreeze_from_epoch: 1,
            unfreeze_every: 0,
            learning_rate: 5e-4,
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
            batch_size: 8,
            gradient_accumulation_steps: 1,
            epochs: 20,
            max_steps: 0,
            lr_scheduler_type: LrSchedule::Linear,
            warmup_steps: 20,
            warmup_ratio: 0.0,
            max_grad_norm: 2.0,
            ema_decay: 0.0,
            max_length: 60,
            start_token: StartToken::Dec,
            prompt: String::new(),
            mask_padding: true,
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
        };
        let generation = Generation {
            max_length: 60,
            min_length: 0,
            num_beams: 5,
            no_repeat_ngram_size: 0,
            length_penalty: 1.0,
            early_stopping: BeamStopping::Yes,
            repetition_penalty: 1.0,
        };
        let recipe = Recipe {
            kind: Kind::FineTuned,
            model: "lab".to_owned(),
            data: DataSource::BuiltIn("lab".to_owned()),
            training,
            evaluation: Evaluation {
                samples: 0,
                test_samples: 0,
                convention: Convention::Coco,
                cider_weight: 0.1,
                batch_size: 16,
                eval_every: 1,
                diagnostics: true,
            },
            early_stopping: EarlyStopping {
                patience: 5,
                min_delta: 0.0,
                metric: MetricName::Score,
                zero_cider: ZeroCider::Keep,
            },
            generation,
        };
        let point = [("training.learning_rate".to_owned(), Value::from(5e-4))].into();
        RunSpec { id: id.to_owned(), sweep: "unfreeze".to_owned(), point, seed: 0, recipe }
    }
}
