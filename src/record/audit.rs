//! What an audit found before any training: `runs/<sweep>/audit.json`.
//!
//! Written by `sweep run` and `sweep audit`, read by the report, so that a report needs neither captions nor tokenizer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the file's format.
pub const VERSION: u64 = 1;

/// The findings, the worst first, and what scores can be had at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    pub v: u64,
    pub findings: Vec<Finding>,
    pub ranges: Vec<AttainableRange>,
    /// Lengths of the training captions; one for each model's tokenizer.
    pub lengths: Vec<Lengths>,
    /// The captions beside those of the domain that the model came from, where source data are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<TextDomain>,
}

/// How much a finding matters. The order is that of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good results are out of reach, or scores mean something else than they seem to.
    Severe,
    /// Results suffer.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Severe => "severe",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    CutInTraining,
    CutInGeneration,
    ForbiddenRepeats,
    RepetitionPenalty,
    MinLength,
    StartToken,
    PaddingInLoss,
    ScoringConvention,
    UnknownWords,
    WarmUp,
    FewImagesScored,
    FewValidationImages,
    FewTrainingImages,
    OtherStyle,
    WrongPairs,
    SharedImages,
    SharedCaptions,
    DuplicateCaptions,
    DuplicateImages,
    UnbalancedGroups,
    LabelSmoothing,
    WeightDecay,
    Dropout,
    VisionRate,
    FrozenDecoder,
    Clipping,
    FixedOrder,
    LengthPenalty,
    LeastGain,
}

impl FindingKind {
    /// The name as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutInTraining => "cut_in_training",
            Self::CutInGeneration => "cut_in_generation",
            Self::ForbiddenRepeats => "forbidden_repeats",
            Self::RepetitionPenalty => "repetition_penalty",
            Self::MinLength => "min_length",
            Self::StartToken => "start_token",
            Self::PaddingInLoss => "padding_in_loss",
            Self::ScoringConvention => "scoring_convention",
            Self::UnknownWords => "unknown_words",
            Self::WarmUp => "warm_up",
            Self::FewImagesScored => "few_images_scored",
            Self::FewValidationImages => "few_validation_images",
            Self::FewTrainingImages => "few_training_images",
            Self::OtherStyle => "other_style",
            Self::WrongPairs => "wrong_pairs",
            Self::SharedImages => "shared_images",
            Self::SharedCaptions => "shared_captions",
            Self::DuplicateCaptions => "duplicate_captions",
            Self::DuplicateImages => "duplicate_images",
            Self::UnbalancedGroups => "unbalanced_groups",
            Self::LabelSmoothing => "label_smoothing",
            Self::WeightDecay => "weight_decay",
            Self::Dropout => "dropout",
            Self::VisionRate => "vision_rate",
            Self::FrozenDecoder => "frozen_decoder",
            Self::Clipping => "clipping",
            Self::FixedOrder => "fixed_order",
            Self::LengthPenalty => "length_penalty",
            Self::LeastGain => "least_gain",
        }
    }
}

/// A fault of the recipe or the data, in one number and one sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: FindingKind,
    pub severity: Severity,
    /// What `unit` says: a share lies in `[0, 1]`.
    pub number: f64,
    pub unit: Unit,
    /// What it means, in a sentence.
    pub meaning: String,
    /// The setting that mends it, by dotted path, and its value as in a sweep file; absent where the data has to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// Ids of the runs that have the fault.
    pub runs: Vec<String>,
}

/// What a finding's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Share,
    Count,
    /// CIDEr-D points of 10.
    Points,
}

/// A setting and the value it should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remedy {
    pub setting: String,
    pub value: serde_json::Value,
}

/// What can be scored on a split by runs of the same settings: from captions that no picture was needed for to the best
/// that the limits on captions allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttainableRange {
    pub runs: Vec<String>,
    /// `validation` or `test`.
    pub split: String,
    /// Scoring convention.
    pub convention: String,
    /// Images that are scored.
    pub images: usize,
    /// By the metric's name: `meteor`, `rouge_l`, `cider_d`, `bleu_4`, `score`.
    pub metrics: BTreeMap<String, MetricRange>,
}

/// Floors and ceiling of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricRange {
    /// One caption for all images: the training caption most like the others.
    pub constant: f64,
    /// A training caption drawn at random for each image: the mean of several draws.
    pub random: f64,
    /// The caption of the training image that is nearest in frozen features, where images were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<f64>,
    /// The best found by rewriting each reference within the limits.
    pub ceiling: f64,
    /// Nothing can score more. Otherwise the ceiling is only what the search has found.
    pub is_bound: bool,
}

impl MetricRange {
    /// The highest floor.
    pub fn floor(&self) -> f64 {
        self.constant.max(self.random).max(self.nearest.unwrap_or(f64::NEG_INFINITY))
    }

    /// Where a score lies between the highest floor (0) and the ceiling (1); below 0 where it is beaten by captions that
    /// no model made. `None` where floor and ceiling meet.
    pub fn place(&self, score: f64) -> Option<f64> {
        let span = self.ceiling - self.floor();
        (span > 1e-9 && score.is_finite()).then(|| (score - self.floor()) / span)
    }
}

/// Lengths of the training captions under a model's tokenizer, start and end token included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    pub model: String,
    pub captions: usize,
    pub tokens: Quantiles,
    pub words: Quantiles,
    /// Mean negative log-likelihood, in nats, of a validation token by how often training captions have it, whatever
    /// stands before it (add-one smoothing): a model that does not get below has learnt no sentence.
    #[serde(default)]
    pub unigram_nll: f64,
}

/// Training captions (the target) and captions of the source domain, as texts of lower-case words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextDomain {
    pub target_captions: usize,
    pub source_captions: usize,
    /// Mean words of a caption.
    pub target_words: f64,
    pub source_words: f64,
    /// Share of the target's words that no source caption has.
    pub unknown_words: f64,
    /// Share of the target's different words that source captions have.
    pub vocabulary_overlap: f64,
    pub unigrams: Divergence,
    pub bigrams: Divergence,
    /// Share of captions that begin with one of the ten most common triples of words.
    pub target_templates: f64,
    pub source_templates: f64,
}

/// Jensen-Shannon divergences to base 2, from 0 to 1, between samples of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Between target and source.
    pub across: f64,
    /// Between halves of the target: what a divergence of nothing looks like at this size.
    pub within: f64,
}

/// How a length is spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub mean: f64,
    pub median: usize,
    /// 95 % are at most this long.
    pub p95: usize,
    pub max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_from_the_highest_floor() {
        let range =
            MetricRange { constant: 0.3, random: 0.2, nearest: Some(0.4), ceiling: 0.9, is_bound: false };
        assert_eq!(range.place(0.4), Some(0.0));
        assert!((range.place(0.65).unwrap() - 0.5).abs() < 1e-12);
        assert!(range.place(0.3).unwrap() < 0.0);
        assert_eq!(MetricRange { ceiling: 0.4, ..range }.place(0.5), None);
        assert_eq!(range.place(f64::NAN), None);
    }
}
