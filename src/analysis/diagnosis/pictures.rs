//! Captions that do not belong to their pictures, and models that make nothing of pictures.

use super::{Cause, Diagnosis, Evidence, has_learnt};
use crate::analysis::pairing::wrong_pairs;
use crate::record::audit::{FindingKind, Severity};

/// With fewer training images a model that does not look at pictures is no sign of wrong ones.
const ENOUGH_IMAGES: usize = 150;
/// A gain, in nats a token, that is nothing: a token is less than one per cent likelier.
const NOTHING: f64 = 0.01;
/// A gain on training images, in nats a token, that is no work of learning single images by heart.
const PLENTY: f64 = 0.05;

/// A share of right pairs that is as good as none.
const NONE: f64 = 0.2;

/// What is wrong between captions and pictures.
pub fn pictures(evidence: &Evidence) -> Option<Diagnosis> {
    if is_explained(evidence) {
        return None;
    }
    before_training(evidence).or_else(|| after_training(evidence))
}

/// Training captions that have less to do with their pictures than the others have.
fn before_training(evidence: &Evidence) -> Option<Diagnosis> {
    let pairing = evidence.pairing.as_ref()?;
    // What they say of pictures, they say otherwise, or of many at once.
    let kinds = [FindingKind::OtherStyle, FindingKind::DuplicateCaptions];
    if kinds.into_iter().any(|kind| evidence.has(kind, Severity::Warning)) {
        return None;
    }
    let cause = if pairing.share < NONE { Cause::CaptionsDoNotFit } else { Cause::CaptionsFitInPart };
    Some(Diagnosis { cause, severity: Severity::Severe, meaning: wrong_pairs(pairing)?, remedy: None })
}

/// What a run made of pictures that learnt to write from enough images.
fn after_training(evidence: &Evidence) -> Option<Diagnosis> {
    let unseen = evidence.image_gain?;
    if evidence.train_images? < ENOUGH_IMAGES || !has_learnt(evidence)? {
        return None;
    }
    if unseen.low > 0.0 && unseen.high > NOTHING {
        return mixed(evidence);
    }
    let seen = evidence.seen_gain;
    let expects_too_much = evidence.unseen_surplus.is_some_and(|surplus| surplus.is_missing());
    let numbers = format!(
        "{:+.3} nats a token, 95 % interval {:+.3} to {:+.3}",
        unseen.estimate, unseen.low, unseen.high
    );
    let (cause, meaning) = match seen {
        Some(seen) if seen.low <= 0.0 => (
            Cause::PicturesUnused,
            format!(
                "The model makes nothing of the pictures, not even of those that it was trained on: a caption is no likelier \
                 beside its own than beside another ({numbers}; on training images {:+.3}). The rate is too high for it or the \
                 run too short, or the captions say nothing that can be seen.",
                seen.estimate
            ),
        ),
        Some(seen) if seen.low > PLENTY && expects_too_much => (
            Cause::ReferencesDoNotFit,
            format!(
                "Training captions do not belong to their pictures and were learnt by heart, or those that are scored against \
                 belong to other pictures: on training images the model gains {:.3} nats a token from the caption's own \
                 picture, and on the scored ones nothing ({numbers}).",
                seen.estimate
            ),
        ),
        _ => (
            Cause::CaptionsDoNotFit,
            format!(
                "Training captions do not belong to their pictures, or say nothing that can be seen: the model finds a \
                 reference no likelier beside its own picture than beside another ({numbers})."
            ),
        ),
    };
    Some(Diagnosis { cause, severity: Severity::Severe, meaning, remedy: None })
}

/// Captions of which a part belongs to other pictures.
fn mixed(evidence: &Evidence) -> Option<Diagnosis> {
    let surplus = evidence.surplus.filter(|surplus| surplus.is_sure())?;
    // Images that were trained on look unseen, and are learnt by heart.
    if evidence.has(FindingKind::SharedImages, Severity::Warning) {
        return None;
    }
    Some(Diagnosis {
        cause: Cause::CaptionsFitInPart,
        severity: Severity::Severe,
        meaning: format!(
            "Training captions do not belong to their pictures in good part: the model has learnt to expect {:.3} nats a token \
             of a picture, and pictures are worth {:.3} to it ({:.1} standard errors more). Look for captions that were moved \
             to other images.",
            surplus.expected,
            surplus.gain,
            surplus.z()
        ),
        remedy: None,
    })
}

/// The audit knows why pictures are of no use.
fn is_explained(evidence: &Evidence) -> bool {
    let kinds = [
        FindingKind::VisionRate,
        FindingKind::DuplicateCaptions,
        FindingKind::OtherStyle,
        FindingKind::WrongPairs,
    ];
    kinds.into_iter().any(|kind| evidence.has(kind, Severity::Severe))
}
