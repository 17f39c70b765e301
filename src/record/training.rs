//! The settings of a recipe that say how it trains.
//!
//! Those that may be left out of files, where they have their usual value, are so that recipes from before them keep their ids.

use serde::{Deserialize, Serialize};

use super::amount::Amount;

/// How the model is trained. Names follow `transformers.TrainingArguments` where it has the setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Vision encoder layers that train, counted from the last one; the rest of the vision model is frozen.
    pub unfrozen_vision_layers: usize,
    /// The epoch, from 1, in which the last of them begins to train; until then only the text decoder does. Left out where
    /// it is 1.
    #[serde(default = "one_unit", skip_serializing_if = "is_one_unit")]
    pub unfreeze_from_epoch: usize,
    /// Epochs after which the layer below joins; 0 trains all of them at once. Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unfreeze_every: usize,
    /// Peak learning rate of the groups whose multiplier is 1.
    pub learning_rate: f64,
    /// The vision layers' learning rate as a multiple of `learning_rate`.
    pub vision_lr_multiplier: f64,
    /// The text decoder's learning rate as a multiple of `learning_rate`.
    pub text_lr_multiplier: f64,
    /// The learning rate of each vision layer that trains as a multiple of that of the layer above it. Left out where it
    /// is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub layer_lr_decay: f64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Decays every trainable tensor; false leaves biases and layer norms alone, as `transformers.Trainer` does. Left out
    /// where it is true.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub decay_norms_and_biases: bool,
    /// Trains the text decoder; false freezes all of it.
    pub train_text_decoder: bool,
    /// Which tensors of the decoder's layers train. Left out where it is `all`.
    #[serde(default, skip_serializing_if = "TextParts::is_all")]
    pub trainable_text: TextParts,
    /// Of the decoder, only so many of its last layers train; 0 is all of it, and is left out.
    #[serde(default, skip_serializing_if = "is_none")]
    pub trainable_text_layers: usize,
    /// Trains the decoder's embeddings and head where only layers or adapters of it would train, as `modules_to_save` of peft.
    /// Left out where it is false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub train_embeddings: bool,
    /// The rank of adapters that train in the place of the weights themselves, as `r` of peft's `LoraConfig`; 0 is none, and
    /// is left out.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lora_rank: usize,
    /// What adapters add is multiplied by this over the rank. Left out where it is 8.
    #[serde(default = "usual_alpha", skip_serializing_if = "is_usual_alpha")]
    pub lora_alpha: f64,
    /// Which linear layers of what would train have adapters. Left out where it is `attention`.
    #[serde(default, skip_serializing_if = "LoraTargets::is_attention")]
    pub lora_targets: LoraTargets,
    /// Trains on so many of the training images, drawn by the seed of the split: fewer of them are a part of more. Left out
    /// where it is all of them.
    #[serde(default, skip_serializing_if = "Amount::is_all")]
    pub train_examples: Amount,
    /// How far groups of training images are evened out: a group of n images is drawn in proportion to n to the power of
    /// 1 minus this. Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub balance: f64,
    /// The [`Grouping`](super::grouping::Grouping) of the groups, left out where it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub balance_by: String,
    pub batch_size: usize,
    /// Batches of which an update is made, as of one batch of them all. Left out where it is 1.
    #[serde(default = "one_unit", skip_serializing_if = "is_one_unit")]
    pub gradient_accumulation_steps: usize,
    pub epochs: usize,
    /// Updates in all, in the place of `epochs`; 0 leaves it to them, and is left out.
    #[serde(default, skip_serializing_if = "is_none")]
    pub max_steps: usize,
    /// How the rate goes on after the warm-up. Left out where it is `linear`.
    #[serde(default, skip_serializing_if = "LrSchedule::is_linear")]
    pub lr_scheduler_type: LrSchedule,
    /// Optimizer steps over which the rate rises linearly from 0.
    pub warmup_steps: usize,
    /// The same as a share of all steps; above 0 it takes the place of `warmup_steps`. Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warmup_ratio: f64,
    /// Gradients are scaled down to this global norm.
    pub max_grad_norm: f64,
    /// The decay of a moving average of the weights, by which the run is judged and which it saves; 0 is none, and is left
    /// out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ema_decay: f64,
    /// Captions are cut to this many tokens, start and end token included.
    pub max_length: usize,
    /// The first input token in training. Generation always starts from `[DEC]`.
    pub start_token: StartToken,
    /// Words that every caption begins with, in training and when generated. They are given: no loss counts them, and no
    /// score sees them. Left out where there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// Leaves padding out of the loss.
    pub mask_padding: bool,
    /// As `torch.nn.CrossEntropyLoss(label_smoothing=...)`.
    pub label_smoothing: f64,
    /// The share of values dropped at each of BLIP's places for it (`hidden_dropout_prob`,
    /// `attention_probs_dropout_prob` and, in vision layers that train, `attention_dropout` of transformers).
    /// Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
    /// Puts the training examples into a new seeded order every epoch.
    pub shuffle: bool,
    /// The probability that a training image is mirrored, unless its captions speak of left or right. Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub horizontal_flip: f64,
    /// The least share of a training image's area that is cut out and resized. Left out where it is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub random_resized_crop: f64,
    /// The most degrees that a training image is turned by, either way. Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rotation: f64,
    /// By how much brightness, contrast and saturation of a training image may differ, as a share. Left out where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub color_jitter: f64,
    /// Different views that the four above make of an image; 0 is another one every epoch, and is left out.
    #[serde(default, skip_serializing_if = "is_none")]
    pub augmentation_views: usize,
    /// The probability that a word of a training caption which may be replaced gives way to a synonym, anew every epoch. Left out
    /// where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub synonym_replacement: f64,
    /// Words that are never replaced, beside those that name attributes. Left out where there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub protected_words: String,
    /// A file of captions, of which an image's are drawn from as well as its own, one an epoch. Left out where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub paraphrases: String,
    /// How exactly the factors of matrix products are taken, in training and in evaluation. Left out where it is `f32`.
    #[serde(default, skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
    /// Keeps of each layer only what goes into it, and computes the rest again on the way back: less memory, the same numbers.
    /// Left out where it is false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gradient_checkpointing: bool,
}

impl Training {
    /// Examples of which an update is made.
    pub fn examples_per_step(&self) -> usize {
        self.batch_size.max(1) * self.gradient_accumulation_steps.max(1)
    }

    /// Updates in an epoch that trains on so many images.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        images.div_ceil(self.examples_per_step())
    }

    /// Epochs, where so many images are trained on; `max_steps` may cut the last short.
    pub fn epochs_over(&self, images: usize) -> usize {
        match self.max_steps {
            0 => self.epochs,
            steps => steps.div_ceil(self.steps_per_epoch(images).max(1)),
        }
    }

    /// Updates in all, where so many images are trained on.
    pub fn total_steps(&self, images: usize) -> usize {
        match self.max_steps {
            0 => self.steps_per_epoch(images).saturating_mul(self.epochs),
            steps => steps,
        }
    }

    /// The epoch, from 1, in which a vision layer begins to train that has so many above it.
    pub fn unfreezes_in(&self, above: usize) -> usize {
        self.unfreeze_from_epoch.saturating_add(self.unfreeze_every.saturating_mul(above))
    }

    /// Steps of warm-up in a run of so many steps, as `transformers.TrainingArguments.get_warmup_steps`.
    pub fn warmup(&self, total_steps: usize) -> usize {
        match self.lr_scheduler_type {
            LrSchedule::Constant => 0,
            _ if self.warmup_ratio > 0.0 => (total_steps as f64 * self.warmup_ratio).ceil() as usize,
            _ => self.warmup_steps,
        }
    }
}

/// The course of the learning rate, by the names of `transformers.SchedulerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrSchedule {
    /// Falls linearly to 0.
    #[default]
    Linear,
    /// Falls to 0 along half a wave of the cosine.
    Cosine,
    /// Stays as it is, from the first step on.
    Constant,
    ConstantWithWarmup,
}

impl LrSchedule {
    fn is_linear(&self) -> bool {
        *self == Self::Linear
    }
}

/// What of the text decoder trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextParts {
    #[default]
    All,
    /// Only the layers' attention to the image, with its output projection and layer norm.
    CrossAttention,
}

impl TextParts {
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// Linear layers that have adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LoraTargets {
    /// Those of attention: queries, keys and values, and what comes out of it.
    #[default]
    #[serde(rename = "attention")]
    Attention,
    /// All but the output head, as peft has it.
    #[serde(rename = "all-linear")]
    AllLinear,
}

impl LoraTargets {
    fn is_attention(&self) -> bool {
        *self == Self::Attention
    }
}

/// peft's own.
fn usual_alpha() -> f64 {
    8.0
}

fn is_usual_alpha(alpha: &f64) -> bool {
    *alpha == usual_alpha()
}

/// How exactly the factors of matrix products are taken. Weights, sums, and all values between products are `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    F32,
    /// Rounded to `bf16`, which has 8 bits of mantissa: each with a relative error of at most 2^-8. So are those of linear
    /// layers, and those of attention where the processor has instructions for it, in training, in losses and in captions that
    /// are said; there what a caption has said is looked up in full precision.
    Bf16,
    /// Rounded to `f16`, which has 11 bits of mantissa and ends at 65504: what is larger is infinite, and what is smaller
    /// than 2^-14 loses digits. Losses are scaled for it in training; the rest is as for `bf16`.
    F16,
}

impl Precision {
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    fn is_full(&self) -> bool {
        *self == Self::F32
    }

    /// The word for it in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

fn is_none(number: &usize) -> bool {
    *number == 0
}

fn one() -> f64 {
    1.0
}

fn is_one(number: &f64) -> bool {
    *number == 1.0
}

fn yes() -> bool {
    true
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn one_unit() -> usize {
    1
}

fn is_one_unit(number: &usize) -> bool {
    *number == 1
}

/// The token a training caption begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartToken {
    /// `[CLS]`, as the processor writes it and the original recipe trained.
    Cls,
    /// `[DEC]`, as generation starts.
    Dec,
}
