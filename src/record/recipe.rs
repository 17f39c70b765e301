//! Everything that determines a run's result besides its seed.
//!
//! A [`Recipe`] is complete: every setting has a value, so that a frozen plan needs no defaults of a later
//! version. Groups and keys are those of the sweep file; a setting is named by its dotted path, such as
//! `training.learning_rate`.

use serde::{Deserialize, Serialize};

pub use super::amount::Amount;
pub use super::beam_stopping::BeamStopping;
pub use super::training::{LoraTargets, LrSchedule, Precision, StartToken, TextParts, Training};

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
    /// Simple model: a small decoder, trained from nothing on the frozen vision model's features.
    SmallDecoder,
    /// Control: the pretrained model as it is, made to say captions as long as the training captions. What it gains over
    /// the zero-shot model is length, not knowledge of the domain.
    MatchedLength,
    /// Control: fine-tunes the pretrained model on captions that were dealt out anew among the training images. What it
    /// gains over the zero-shot model needs no image.
    ShuffledCaptions,
}

impl Kind {
    /// The kinds that serve as points of reference for the fine-tuned runs, in the order of a plan.
    pub const REFERENCES: [Self; 6] = [
        Self::ZeroShot,
        Self::ConstantCaption,
        Self::NearestImage,
        Self::SmallDecoder,
        Self::MatchedLength,
        Self::ShuffledCaptions,
    ];

    /// Whether a run of this kind trains anything.
    pub fn trains(self) -> bool {
        self.fine_tunes() || self == Self::SmallDecoder
    }

    /// Whether a run of this kind trains the pretrained model.
    pub fn fine_tunes(self) -> bool {
        matches!(self, Self::FineTuned | Self::ShuffledCaptions)
    }

    /// The name shown to people.
    pub fn label(self) -> &'static str {
        match self {
            Self::FineTuned => "fine-tuned",
            Self::ZeroShot => "zero-shot",
            Self::ConstantCaption => "constant caption",
            Self::NearestImage => "nearest image",
            Self::SmallDecoder => "small GRU decoder",
            Self::MatchedLength => "matched length",
            Self::ShuffledCaptions => "shuffled captions",
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
    /// A [`Grouping`](super::grouping::Grouping) by which pictures stay on one side of the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
}

/// How a model is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "EvaluationInFile", into = "EvaluationInFile")]
pub struct Evaluation {
    /// Validation images captioned every epoch, from the first on; 0 means all.
    pub samples: usize,
    /// Test images captioned at the end, from the first on; 0 means all.
    pub test_samples: usize,
    pub convention: Convention,
    /// What CIDEr-D (0 to 10) is multiplied by in the score, the mean of METEOR, ROUGE-L and CIDEr-D.
    pub cider_weight: f64,
    /// Images captioned at once; of no influence on the result.
    pub batch_size: usize,
    /// Epochs from one evaluation to the next. The last epoch is evaluated in any case.
    pub eval_every: usize,
    /// Whether it is looked for why scores are as they are, beside how they are: losses and captions of training images, what the
    /// model makes of pictures, and what training changed in it.
    pub diagnostics: bool,
}

/// An [`Evaluation`] as files have it: the weight of CIDEr-D is written only where it is not the one that goes with
/// the convention in the two presets. Files written before it was a setting mean that one, and keep their ids.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Evaluation", deny_unknown_fields)]
struct EvaluationInFile {
    samples: usize,
    test_samples: usize,
    convention: Convention,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cider_weight: Option<f64>,
    batch_size: usize,
    /// Left out where it is 1.
    #[serde(default = "every", skip_serializing_if = "is_every")]
    eval_every: usize,
    /// Left out where it is true.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    diagnostics: bool,
}

fn yes() -> bool {
    true
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn every() -> usize {
    1
}

fn is_every(epochs: &usize) -> bool {
    *epochs == 1
}

impl From<EvaluationInFile> for Evaluation {
    fn from(file: EvaluationInFile) -> Self {
        let EvaluationInFile {
            samples,
            test_samples,
            convention,
            cider_weight,
            batch_size,
            eval_every,
            diagnostics,
        } = file;
        let cider_weight = cider_weight.unwrap_or(convention.cider_weight());
        Self { samples, test_samples, convention, cider_weight, batch_size, eval_every, diagnostics }
    }
}

impl From<Evaluation> for EvaluationInFile {
    fn from(evaluation: Evaluation) -> Self {
        let Evaluation {
            samples,
            test_samples,
            convention,
            cider_weight,
            batch_size,
            eval_every,
            diagnostics,
        } = evaluation;
        let cider_weight = Some(cider_weight).filter(|weight| *weight != convention.cider_weight());
        Self { samples, test_samples, convention, cider_weight, batch_size, eval_every, diagnostics }
    }
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

impl Convention {
    /// The weight of CIDEr-D in the score of the preset with this convention: as it is, or a tenth, so that all three
    /// metrics lie in `[0, 1]`.
    pub fn cider_weight(self) -> f64 {
        match self {
            Self::Coco => 0.1,
            Self::Original => 1.0,
        }
    }

    /// The name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Original => "original",
        }
    }
}

/// When training ends before its last epoch, and which epoch is the best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without a new best after which training stops; 0 never stops.
    pub patience: usize,
    /// A new best must beat the old one by more than this.
    pub min_delta: f64,
    /// The recorded metric that chooses the best epoch.
    pub metric: MetricName,
    /// What an epoch is compared by whose CIDEr-D is 0. Matters only where `score` chooses. Left out of files where
    /// nothing special is done, as in files written before it was a setting.
    #[serde(default, skip_serializing_if = "ZeroCider::is_keep")]
    pub zero_cider: ZeroCider,
}

/// How an epoch whose CIDEr-D is 0 is compared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroCider {
    /// By its score, like any other.
    #[default]
    Keep,
    /// By minus its validation loss, as the original script did without a word, on a scale that starts at -1: an
    /// epoch with a loss of 1 or more is never the best.
    MinusValLoss,
}

impl ZeroCider {
    fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
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
    /// The name as in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Meteor => "meteor",
            Self::RougeL => "rouge_l",
            Self::CiderD => "cider_d",
            Self::ValLoss => "val_loss",
            Self::ValNll => "val_nll",
        }
    }

    /// Whether a larger value is a better one.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::ValLoss | Self::ValNll)
    }

    /// What ranks runs that chose their best epochs by these metrics: the one of all, or the score where they differ.
    pub fn common(mut metrics: impl Iterator<Item = Self>) -> Self {
        let first = metrics.next().unwrap_or(Self::Score);
        if metrics.all(|metric| metric == first) { first } else { Self::Score }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    #[test]
    fn settings_that_are_younger_than_a_file_have_the_value_that_it_was_written_under() {
        let mut recipe = any_run("r1").recipe;
        for convention in [Convention::Coco, Convention::Original] {
            recipe.evaluation.convention = convention;
            recipe.evaluation.cider_weight = convention.cider_weight();
            let text = serde_json::to_string(&recipe).unwrap();
            assert!(!text.contains("cider_weight") && !text.contains("zero_cider"), "{text}");
            assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
        }
        recipe.evaluation.cider_weight = 0.1;
        recipe.early_stopping.zero_cider = ZeroCider::MinusValLoss;
        let text = serde_json::to_string(&recipe).unwrap();
        assert!(text.contains(r#""cider_weight":0.1"#) && text.contains(r#""zero_cider":"minus_val_loss""#));
        assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
        let strange = text.replace("cider_weight", "cider_wait");
        assert!(serde_json::from_str::<Recipe>(&strange).unwrap_err().to_string().contains("cider_wait"));
    }
}
