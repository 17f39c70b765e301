//! Why a sweep's captions are no better than they are: what the audit found, and what training showed.
//!
//! Nothing is named on a hunch. A fault of recipe or data is named because the audit counted it; one of training because
//! losses show it; pictures that do not belong to their captions because the model finds a caption no likelier beside
//! its own picture than beside another. Thresholds stand beside the rule they belong to.

use serde_json::json;

use super::bootstrap::Interval;
use crate::record::audit::{Finding, FindingKind, Remedy, Severity};

/// What the diagnosis looks at, of the run that did best.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What the audit found of this run's recipe and data, and no mere note.
    pub findings: Vec<Finding>,
    pub training: Option<Training>,
    /// How much likelier references are beside their own picture than beside another: mean difference of losses over
    /// validation images, in nats, with its 95 % interval.
    pub image_gain: Option<Interval>,
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
}

/// A cause of poor captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Of recipe or data, seen before training.
    Audited(FindingKind),
    RateTooHigh,
    RateTooLow,
    CaptionsDoNotFit,
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
/// A training loss that fell by this share in the second half of the epochs is still falling.
const STILL_FALLING: f64 = 0.05;
/// With fewer steps a loss that stands still is no sign of a rate that is too high.
const ENOUGH_STEPS: usize = 100;
/// With fewer training images a model that does not look at pictures is no sign of wrong ones.
const ENOUGH_IMAGES: usize = 150;

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
        .chain(rate(evidence))
        .chain(captions_do_not_fit(evidence))
        .chain(overfitting(evidence))
        .collect();
    found.sort_by_key(|diagnosis| (diagnosis.severity, diagnosis.cause));
    found
}

fn has_learnt(evidence: &Evidence) -> Option<bool> {
    Some(evidence.training?.lowest_val_nll < NOTHING_LEARNT * evidence.unigram_nll?)
}

/// A learning rate with which the model learnt no sentence: too high where the loss stays where it is or is no number,
/// too low where it still falls.
fn rate(evidence: &Evidence) -> Option<Diagnosis> {
    let lower = |training: Training| Remedy {
        setting: "training.learning_rate".to_owned(),
        value: json!(training.learning_rate / 10.0),
    };
    if evidence.runs > 0 && evidence.diverged == evidence.runs {
        return Some(Diagnosis {
            cause: Cause::RateTooHigh,
            severity: Severity::Severe,
            meaning: "The loss was not a number in the end, in every run: the learning rate is far too high."
                .to_owned(),
            remedy: evidence.training.map(lower),
        });
    }
    let (training, unigram) = (evidence.training?, evidence.unigram_nll?);
    if has_learnt(evidence)? {
        return None;
    }
    let fell = 1.0 - training.last_train_loss / training.middle_train_loss;
    let numbers = format!(
        "the validation loss got to {:.2} nats a token, and {unigram:.2} is had by the frequency of words alone; the training \
         loss went from {:.2} in the first epoch to {:.2}",
        training.lowest_val_nll, training.first_train_loss, training.last_train_loss
    );
    let (cause, why, remedy) = if fell < STILL_FALLING && training.steps >= ENOUGH_STEPS {
        let why = "The learning rate is far too high: the model has learnt no sentence";
        (Cause::RateTooHigh, why, Some(lower(training)))
    } else {
        let why = "The learning rate is too low or the run too short: the model has learnt no sentence yet";
        (Cause::RateTooLow, why, None)
    };
    Some(Diagnosis { cause, severity: Severity::Severe, meaning: format!("{why} ({numbers})."), remedy })
}

/// A model that has learnt to write but makes nothing of the pictures.
fn captions_do_not_fit(evidence: &Evidence) -> Option<Diagnosis> {
    let gain = evidence.image_gain?;
    let is_enough = evidence.train_images? >= ENOUGH_IMAGES;
    (is_enough && has_learnt(evidence)? && gain.low <= 0.0).then(|| Diagnosis {
        cause: Cause::CaptionsDoNotFit,
        severity: Severity::Severe,
        meaning: format!(
            "Training captions do not belong to their pictures, or say nothing that can be seen: the model finds a \
             reference no likelier beside its own picture than beside another ({:+.3} nats a token, 95 % interval {:+.3} to \
             {:+.3}).",
            gain.estimate, gain.low, gain.high
        ),
        remedy: None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Evidence {
        Evidence {
            training: Some(Training {
                learning_rate: 1e-3,
                steps: 500,
                first_train_loss: 5.0,
                middle_train_loss: 0.7,
                last_train_loss: 0.5,
                lowest_val_nll: 0.6,
            }),
            image_gain: Some(Interval { estimate: 0.03, low: 0.02, high: 0.04 }),
            unigram_nll: Some(4.0),
            train_images: Some(300),
            runs: 3,
            ..Evidence::default()
        }
    }

    fn causes(evidence: &Evidence) -> Vec<Cause> {
        diagnose(evidence).iter().map(|diagnosis| diagnosis.cause).collect()
    }

    #[test]
    fn a_sound_study_has_no_cause() {
        assert_eq!(causes(&sound()), []);
        assert_eq!(causes(&Evidence::default()), []);
        assert_eq!(causes(&Evidence { diverged: 2, ..sound() }), [], "some of several rates may be too high");
    }

    #[test]
    fn a_rate_is_too_high_where_nothing_is_learnt_and_the_loss_stands_still() {
        assert_eq!(causes(&Evidence { diverged: 3, ..sound() }), [Cause::RateTooHigh]);
        let with = |first_train_loss, middle_train_loss, last_train_loss| Evidence {
            training: Some(Training {
                learning_rate: 1e-3,
                steps: 500,
                first_train_loss,
                middle_train_loss,
                last_train_loss,
                lowest_val_nll: 3.9,
            }),
            image_gain: Some(Interval { estimate: 0.0, low: -0.1, high: 0.1 }),
            ..sound()
        };
        assert_eq!(causes(&with(5.5, 4.1, 4.0)), [Cause::RateTooHigh]);
        assert_eq!(causes(&with(8.0, 6.0, 4.0)), [Cause::RateTooLow]);
        let mut short = with(5.5, 4.1, 4.0);
        short.training.as_mut().unwrap().steps = 40;
        assert_eq!(causes(&short), [Cause::RateTooLow]);
    }

    #[test]
    fn pictures_that_do_not_help_are_named_only_where_there_are_enough() {
        let blind = Interval { estimate: 0.001, low: -0.002, high: 0.004 };
        let evidence = Evidence { image_gain: Some(blind), ..sound() };
        assert_eq!(causes(&evidence), [Cause::CaptionsDoNotFit]);
        assert_eq!(causes(&Evidence { train_images: Some(40), ..evidence }), []);
    }

    #[test]
    fn what_the_audit_found_comes_by_its_severity_and_notes_are_no_cause() {
        let finding = |kind, severity| Finding {
            kind,
            severity,
            number: 1.0,
            unit: crate::record::audit::Unit::Share,
            meaning: String::new(),
            remedy: None,
            runs: Vec::new(),
        };
        let findings = vec![
            finding(FindingKind::StartToken, Severity::Warning),
            finding(FindingKind::ForbiddenRepeats, Severity::Severe),
            finding(FindingKind::SharedCaptions, Severity::Note),
        ];
        let found = causes(&Evidence { findings, overfit_rise: Some(0.2), ..sound() });
        let audited = [FindingKind::ForbiddenRepeats, FindingKind::StartToken].map(Cause::Audited);
        assert_eq!(found, [audited[0], audited[1], Cause::Overfitting]);
    }
}
