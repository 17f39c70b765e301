//! Everything that determines a run's result besides its seed.
//!
//! A [`Recipe`] is complete: every setting has a value, so that a frozen plan needs no defaults of a later
//! version. Groups and keys are those of the sweep file; a setting is named by its dotted path, such as
//! `training.learning_rate`.

use serde::{Deserialize, Serialize};

pub use super::beam_stopping::BeamStopping;

/// The settings of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is done with the model.
    pub kind: Kind,
    /// A built-in model (`lab`), a folder in the Hugging Face layout, or a hub id (`owner/name[@revision]`).
    pub model: String,
    pub data: DataSource,
    pub training: Training,
    pub evaluation: Evaluation,
    pub early_stopping: EarlyStopping,
    pub generation: Generation,
}

/// What a run does: train, or serve as a point of reference for the trained ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fine-tunes the pretrained model.
    FineTuned,
    /// Evaluates the pretrained model as it is.
    ZeroShot,
    /// Floor: says the same caption, chosen on the training captions, for every image.
    ConstantCaption,
    /// Floor: says the caption of the training image that is nearest in frozen features.
    NearestImage,
}

impl Kind {
    /// The name shown to people.
    pub fn label(self) -> &'static str {
        match self {
            Self::FineTuned => "fine-tuned",
            Self::ZeroShot => "zero-shot",
            Self::ConstantCaption => "constant caption",
            Self::NearestImage => "nearest image",
        }
    }
}

/// Where images and captions come from. In files: a built-in's name or a mapping of splits.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSource {
    /// The data of a built-in study, by name.
    BuiltIn(String),
    /// The user's own files.
    Files(Box<DataFiles>),
}

/// The splits of a data set. Paths are as written, relative to the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFiles {
    pub train: Split,
    pub validation: Validation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Split>,
    /// The domain the model came from, to measure what it forgets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Split>,
}

/// A captions file (`{file name: caption}`) and the folder its images lie in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub captions: String,
    pub images: String,
}

/// The validation split: a seeded fraction of the training captions, or files of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Share of the training captions, in (0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Seed of the split; independent of the run's seed. 42 where only a fraction is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
}

/// How the model is trained. Names follow `transformers.TrainingArguments` where it has the setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Vision encoder layers that train, counted from the last one; the rest of the vision model is frozen.
    pub unfrozen_vision_layers: usize,
    /// Peak learning rate of the groups whose multiplier is 1.
    pub learning_rate: f64,
    /// The vision layers' learning rate as a multiple of `learning_rate`.
    pub vision_lr_multiplier: f64,
    /// The text decoder's learning rate as a multiple of `learning_rate`.
    pub text_lr_multiplier: f64,
    /// Decoupled weight decay of AdamW, on every trainable tensor.
    pub weight_decay: f64,
    /// Trains the text decoder; false freezes all of it.
    pub train_text_decoder: bool,
    pub batch_size: usize,
    pub epochs: usize,
    /// Optimizer steps over which the rate rises linearly from 0; it falls linearly to 0 afterwards.
    pub warmup_steps: usize,
    /// Gradients are scaled down to this global norm.
    pub max_grad_norm: f64,
    /// Captions are cut to this many tokens, start and end token included.
    pub max_length: usize,
    /// The first input token in training. Generation always starts from `[DEC]`.
    pub start_token: StartToken,
    /// Leaves padding out of the loss.
    pub mask_padding: bool,
    /// As `torch.nn.CrossEntropyLoss(label_smoothing=...)`.
    pub label_smoothing: f64,
    /// Puts the training examples into a new seeded order every epoch.
    pub shuffle: bool,
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

/// How a model is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Validation images captioned every epoch, from the first on; 0 means all.
    pub samples: usize,
    /// Test images captioned at the end, from the first on; 0 means all.
    pub test_samples: usize,
    pub convention: Convention,
    /// Images captioned at once; of no influence on the result.
    pub batch_size: usize,
}

/// The rules by which captions are scored. Their details are versioned with the scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// pycocoevalcap's ROUGE-L, CIDEr-D and BLEU on PTB tokens.
    Coco,
    /// NLTK METEOR and rouge_score ROUGE-L, CIDEr-D on raw, cased strings: what the original recipe did.
    Original,
}

/// When training ends before its last epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without a new best after which training stops; 0 never stops.
    pub patience: usize,
    /// A new best must beat the old one by more than this.
    pub min_delta: f64,
    /// The recorded metric that chooses the best epoch.
    pub metric: MetricName,
}

/// A metric that an evaluation records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    Score,
    Meteor,
    RougeL,
    CiderD,
    ValLoss,
    ValNll,
}

impl MetricName {
    /// Whether a larger value is a better one.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::ValLoss | Self::ValNll)
    }
}

/// How captions are generated. Names and meanings are those of `transformers.GenerationConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Most tokens of a caption, the start token included.
    pub max_length: usize,
    /// Fewest tokens before the end token is allowed, the start token included.
    pub min_length: usize,
    pub num_beams: usize,
    /// N-grams of this length may occur only once; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Exponent of the length by which a finished beam's score is divided.
    pub length_penalty: f64,
    /// When an image's search ends once `num_beams` captions are finished.
    pub early_stopping: BeamStopping,
    /// Divides the logit of tokens already said (multiplies where it is negative); 1 does nothing.
    pub repetition_penalty: f64,
}

impl Serialize for DataSource {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::BuiltIn(name) => serializer.serialize_str(name),
            Self::Files(files) => files.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DataSource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = DataSource;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(
                    "the name of a built-in data set (`lab`) or a mapping with `train` and `validation`",
                )
            }
            fn visit_str<E>(self, name: &str) -> Result<DataSource, E> {
                Ok(DataSource::BuiltIn(name.to_owned()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<DataSource, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Ok(DataSource::Files(Box::new(DataFiles::deserialize(map)?)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
