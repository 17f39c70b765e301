//! What a run says while it works: the one vocabulary for disk, progress and report.
//!
//! A run appends [`Line`]s to its `events.jsonl`, one JSON object a line. The format is a contract:
//! [`VERSION`] rises whenever a reader of the old form could be misled.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The version of the event format, written into every line as `v`.
pub const VERSION: u64 = 1;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When it happened, RFC 3339, UTC.
    pub at: String,
    /// Which start of the run this belongs to, from 1. A later attempt replays epochs after its checkpoint.
    pub attempt: u64,
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Started(Box<Started>),
    Step(Step),
    Evaluated(Box<Evaluated>),
    Checkpointed(Checkpointed),
    Ended(Box<Ended>),
}

/// What the run found when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub run: String,
    pub sweep: String,
    /// Version of this program.
    pub program: String,
    /// `cpu`, `cuda:0` or `metal`.
    pub device: String,
    pub threads: usize,
    /// SHA-256 of the weights as loaded.
    pub model_digest: String,
    /// SHA-256 of captions and image bytes of all splits.
    pub data_digest: String,
    pub train_examples: usize,
    pub validation_examples: usize,
    pub test_examples: usize,
    pub steps_per_epoch: usize,
    pub total_steps: usize,
    pub trainable: Trainable,
    /// A fingerprint of the frozen weights before training: XXH3 in 128 bits, hexadecimal.
    pub frozen_digest: String,
    /// The last whole epoch of the checkpoint that this attempt continues from; 0 begins anew, or within the first.
    pub resumed_from_epoch: usize,
    /// Optimizer steps of that checkpoint, which may lie within an epoch. Absent in logs of earlier versions, which
    /// went on from whole epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from_step: Option<usize>,
    /// What the user may not expect of this run, in words; also in the run's log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What trains, by part, in parameters (tied weights count once).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trainable {
    pub vision_layers: usize,
    pub vision_other: usize,
    pub text: usize,
    pub frozen: usize,
    /// Tensors that train.
    pub tensors: usize,
}

impl Trainable {
    pub fn total(&self) -> usize {
        self.vision_layers + self.vision_other + self.text
    }
}

/// One optimizer step. Not every step is recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub epoch: usize,
    /// Steps done, this one included.
    pub step: usize,
    /// Mean loss of this step's batch.
    #[serde(deserialize_with = "null_is_nan")]
    pub loss: f64,
    /// The rate of the text decoder in this step.
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    #[serde(deserialize_with = "null_is_nan")]
    pub gradient_norm: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub images_per_second: f64,
    /// What this step's loss was multiplied by for its gradients. Absent where losses are not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps so far, this one included, that updated nothing, since their gradients were too large for the run's precision
    /// as they were scaled: then `gradient_norm` is no number. Likewise absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<usize>,
}

/// The model after an epoch; epoch 0 is the model before training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    pub epoch: usize,
    pub step: usize,
    /// Mean over the epoch's steps; absent at epoch 0.
    pub train_loss: Option<f64>,
    /// Mean over the validation set's target tokens, in nats; pads count where the recipe counts them.
    pub val_loss: Option<f64>,
    /// The same without pads and smoothing.
    pub val_nll: Option<f64>,
    pub meteor: Option<f64>,
    pub rouge_l: Option<f64>,
    /// 0 to 10.
    pub cider_d: Option<f64>,
    pub bleu_4: Option<f64>,
    /// The mean of METEOR, ROUGE-L and CIDEr-D, the latter weighted as the recipe says. It chooses the best epoch
    /// unless the recipe names another metric.
    pub score: Option<f64>,
    /// What chose the best epoch in the place of `score`: minus the validation loss, where CIDEr-D is 0 and the recipe
    /// falls back to it. `score` is recorded as ever. Absent, also from the line, everywhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<f64>,
    /// As `val_nll` on a fixed part of the training images, with the model as it is evaluated: what `val_nll` exceeds it
    /// by is the generalisation gap, which `train_loss`, a mean over an epoch of a model that changes, cannot show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_nll: Option<f64>,
    /// Expected calibration error of the next token on the validation set, pads aside (Guo et al. 2017; 15 bins of
    /// equal width). In [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ece: Option<f64>,
    /// Mean probability of the likeliest next token there, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Share of next tokens there of which the likeliest is the reference's, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Wall-clock seconds since the previous evaluation, or since the start.
    #[serde(deserialize_with = "null_is_nan")]
    pub seconds: f64,
}

/// A checkpoint reached the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpointed {
    pub epoch: usize,
    pub step: usize,
    /// `best` or `last`.
    pub checkpoint: String,
}

/// The run is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub status: Status,
    /// Why, in words, where the status needs any.
    pub reason: Option<String>,
    pub summary: Summary,
}

/// How the reason of a run begins that waits for the sweep to compare it with others.
const PAUSED: &str = "paused after epoch ";

/// Why a run ends for now that has come as far as the sweep wants it to for the moment.
pub fn paused_after(epoch: usize) -> String {
    format!("{PAUSED}{epoch}; the sweep compares it with others before it goes on")
}

/// Whether that is how a run ended.
pub fn is_pause(status: Option<Status>, reason: Option<&str>) -> bool {
    status == Some(Status::Interrupted) && reason.is_some_and(|reason| reason.starts_with(PAUSED))
}

impl Ended {
    /// Whether the run waits for the sweep to compare it with others.
    pub fn is_paused(&self) -> bool {
        is_pause(Some(self.status), self.reason.as_deref())
    }
}

/// What a run came to; carried by its last line, so that a scan of many runs reads only that.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub epochs: usize,
    pub steps: usize,
    /// Wall-clock seconds over all attempts.
    #[serde(deserialize_with = "null_is_nan")]
    pub seconds: f64,
    /// The model before training.
    pub initial: Option<Evaluated>,
    /// The best epoch by the recipe's metric; never epoch 0 in a trained run. Absent from a complete trained run where
    /// no epoch was good enough to be one: then `test` is of the model before training.
    pub best: Option<Evaluated>,
    pub last: Option<Evaluated>,
    /// Scores on the test split of the best epoch's captions: `meteor`, `rouge_l`, `cider_d`, `bleu_1`.., `score`.
    #[serde(default, deserialize_with = "null_is_nan_in_map")]
    pub test: Option<BTreeMap<String, f64>>,
    /// The same of the training images that the best epoch captioned (split `train` of `predictions.jsonl`), to compare
    /// with what it says of images it never saw. Absent where none were.
    #[serde(default, deserialize_with = "null_is_nan_in_map", skip_serializing_if = "Option::is_none")]
    pub train: Option<BTreeMap<String, f64>>,
    /// The same after training; equals the one at the start.
    pub frozen_digest: Option<String>,
    pub peak_memory_bytes: Option<u64>,
    /// Images encoded by the frozen part of the vision model, repetitions included, over all attempts. What an attempt
    /// that was killed encoded after its last checkpoint nobody knows.
    pub images_encoded: usize,
    /// Images whose states came from the feature cache instead. Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_read: Option<usize>,
    /// Wall-clock seconds that encoding took, decoding of the images included. Absent where there was no feature cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode_seconds: Option<f64>,
    /// Steps that updated nothing, since their gradients were too large for the run's precision as they were scaled. Absent
    /// where losses are not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<usize>,
}

/// How a run stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Ran all its epochs.
    Finished,
    /// Stopped by patience; a regular end.
    EarlyStopped,
    /// Stopped by the sweep in favour of better runs; a regular end.
    Pruned,
    Failed,
    /// The loss was not a number.
    Diverged,
    OutOfMemory,
    TimedOut,
    /// Stopped by the user with a checkpoint.
    Interrupted,
}

impl Status {
    /// The run has its result: it is never run again.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Finished | Self::EarlyStopped | Self::Pruned)
    }

    /// The name as written in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::EarlyStopped => "early_stopped",
            Self::Pruned => "pruned",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
            Self::OutOfMemory => "out_of_memory",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Reads a number that may be written as `null`: JSON has no other word for NaN and infinity.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// As [`null_is_nan`], for every value of a map that may be absent.
fn null_is_nan_in_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, f64>>, D::Error> {
    let numbers = Option::<BTreeMap<String, Option<f64>>>::deserialize(deserializer)?;
    Ok(numbers.map(|numbers| {
        numbers.into_iter().map(|(name, number)| (name, number.unwrap_or(f64::NAN))).collect()
    }))
}
