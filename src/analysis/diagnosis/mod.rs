//! Why a sweep's captions are no better than they are: what the audit found, and what training showed.
//!
//! Nothing is named on a hunch. A fault of recipe or data is named because the audit counted it; one of training because
//! losses show it; pictures that do not belong to their captions because the model finds a caption no likelier beside
//! its own picture than beside another. Thresholds stand beside the rule they belong to.

mod pictures;
mod rate;
#[cfg(test)]
mod tests;

use super::bootstrap::Interval;
use super::picture_use::Surplus;
use crate::record::audit::{Finding, FindingKind, Remedy, Severity};
use crate::record::pairing::Pairing;

/// What the diagnosis looks at, of the run that did best.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the audit found of this run's recipe and data, and no mere note.
    pub findings: Vec<Finding>,
    pub training: Option<Training>,
    /// How much likelier references are beside their own picture than beside another: mean difference of losses over
    /// validation and test images, in nats, with its 95 % interval.
    pub image_gain: Option<Interval>,
    /// The same over training images.
    pub seen_gain: Option<Interval>,
    /// Whether validation and test images gain more than the model expects; absent where it was trained to expect too little.
    pub unseen_surplus: Option<Surplus>,
    /// The same of those and training images.
    pub surplus: Option<Surplus>,
    /// Whether training captions belong to their pictures, by frozen features.
    pub pairing: Option<Pairing>,
    /// Loss of a validation token by its frequency alone, in nats ([`crate::record::audit::Lengths::unigram_nll`]).
    pub unigram_nll: Option<f64>,
    pub train_images: Option<usize>,
    /// Fine-tuned runs that started, and those of them whose loss was no number in the end.
    pub runs: usize,
    pub diverged: usize,
    /// Relative rise of the validation loss from its lowest point to the last epoch, where it is no accident of the images.
    pub overfit_rise: Option<f64>,
}

/// How a run trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    pub learning_rate: f64,
    /// Optimizer steps.
    pub steps: usize,
    /// Mean training loss of the first epoch, of the one half-way and of the last, in nats.
    pub first_train_loss: f64,
    pub middle_train_loss: f64,
    pub last_train_loss: f64,
    /// In nats.
    pub lowest_val_nll: f64,
    /// Before training.
    pub initial_val_nll: Option<f64>,
}

/// A cause of poor captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Of recipe or data, seen before training.
    Audited(FindingKind),
    RateTooHigh,
    RateTooLow,
    /// Training captions belong to other pictures.
    CaptionsDoNotFit,
    /// A part of them does.
    CaptionsFitInPart,
    /// Captions that are scored against belong to other pictures.
    ReferencesDoNotFit,
    PicturesUnused,
    Overfitting,
}

impl Cause {
    /// The name as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audited(kind) => kind.name(),
            Self::RateTooHigh => "rate_too_high",
            Self::RateTooLow => "rate_too_low",
            Self::CaptionsDoNotFit => "captions_do_not_fit",
            Self::CaptionsFitInPart => "captions_fit_in_part",
            Self::ReferencesDoNotFit => "references_do_not_fit",
            Self::PicturesUnused => "pictures_unused",
            Self::Overfitting => "overfitting",
        }
    }
}

/// A cause with its evidence in a sentence, and what mends it.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    pub cause: Cause,
    pub severity: Severity,
    pub meaning: String,
    pub remedy: Option<Remedy>,
}

/// The share of the unigram loss above which a model has learnt no sentence.
const NOTHING_LEARNT: f64 = 0.75;
/// What alone keeps a model from learning to write the references.
const HOPELESS: [FindingKind; 9] = [
    FindingKind::WarmUp,
    FindingKind::LabelSmoothing,
    FindingKind::WeightDecay,
    FindingKind::Dropout,
    FindingKind::VisionRate,
    FindingKind::FrozenDecoder,
    FindingKind::Clipping,
    FindingKind::DuplicateCaptions,
    FindingKind::OtherStyle,
];

impl Evidence {
    /// The audit found this, at least so severe.
    fn has(&self, kind: FindingKind, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.kind == kind && finding.severity <= severity)
    }

    /// The audit found what keeps a model from learning to write: losses say no more.
    fn is_audited_as_hopeless(&self) -> bool {
        let is_severe = HOPELESS.into_iter().any(|kind| self.has(kind, Severity::Severe));
        is_severe || self.has(FindingKind::FrozenDecoder, Severity::Warning)
    }
}

/// The causes, the worst first; none where nothing stands out.
pub fn diagnose(evidence: &Evidence) -> Vec<Diagnosis> {
    let audited =
        evidence.findings.iter().filter(|finding| finding.severity != Severity::Note).map(|finding| {
            Diagnosis {
                cause: Cause::Audited(finding.kind),
                severity: finding.severity,
                meaning: finding.meaning.clone(),
                remedy: finding.remedy.clone(),
            }
        });
    let mut found: Vec<Diagnosis> = audited
        .chain(rate::rate(evidence))
        .chain(pictures::pictures(evidence))
        .chain(overfitting(evidence))
        .collect();
    found.sort_by_key(|diagnosis| (diagnosis.severity, diagnosis.cause));
    found
}

fn has_learnt(evidence: &Evidence) -> Option<bool> {
    Some(evidence.training?.lowest_val_nll < NOTHING_LEARNT * evidence.unigram_nll?)
}

fn overfitting(evidence: &Evidence) -> Option<Diagnosis> {
    let rise = evidence.overfit_rise?;
    Some(Diagnosis {
        cause: Cause::Overfitting,
        severity: Severity::Warning,
        meaning: format!(
            "The validation loss rises by {:.0} % from its lowest point while the training loss still falls, on more images \
             than chance allows.",
            100.0 * rise
        ),
        remedy: None,
    })
}
