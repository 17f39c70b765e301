//! Training captions that are written otherwise than those they are scored against.

use super::corpus::{Captioned, Corpus};
use super::{Found, severity};
use crate::analysis::text_domain::{divergence, words_of};
use crate::record::audit::{FindingKind, Severity, Unit};

/// With fewer captions, those of one source look like two.
const ENOUGH: usize = 30;
/// Captions of a split that are compared: more change nothing.
const MOST: usize = 2000;

/// Lengths or words of training captions and of a scored split that differ by far more than two halves of the training
/// captions do: by mean words a caption, and by the Jensen-Shannon divergence of words.
pub fn other_style(corpus: &Corpus) -> Option<Found> {
    let worst =
        corpus.evaluated().into_iter().filter_map(|(split, examples)| of_split(corpus, split, examples));
    worst.min_by_key(|found| found.severity)
}

fn of_split(corpus: &Corpus, split: &str, examples: &[Captioned]) -> Option<Found> {
    let first = |examples: &[Captioned]| -> Vec<Vec<String>> {
        let captions: Vec<&str> =
            examples.iter().filter_map(|example| example.captions.first()).map(String::as_str).collect();
        let every = captions.len().div_ceil(MOST).max(1);
        words_of(&captions.into_iter().step_by(every).collect::<Vec<_>>())
    };
    let (train, scored) = (first(&corpus.train), first(examples));
    if train.len() < ENOUGH || scored.len() < ENOUGH {
        return None;
    }
    let mean = |captions: &[Vec<String>]| {
        captions.iter().map(Vec::len).sum::<usize>() as f64 / captions.len() as f64
    };
    let (ours, theirs) = (mean(&train), mean(&scored));
    let ratio = (ours / theirs.max(1e-9)).max(theirs / ours.max(1e-9));
    let words = divergence(&train, &scored, 1);
    let apart = words.across - words.within;
    let by_length = severity(ratio, [2.0, 1.25, 1.15]);
    let by_words = severity(apart, [0.3, 0.05, 0.03]);
    let severity: Severity = by_length.into_iter().chain(by_words).min()?;
    Some(Found {
        severity,
        kind: FindingKind::OtherStyle,
        number: apart,
        unit: Unit::Share,
        meaning: format!(
            "Training captions are written otherwise than those of {split}, by which they are scored: {ours:.0} words on \
             average against {theirs:.0}, and a divergence of words of {:.2} where chance makes {:.2}. The model learns a \
             style that scores punish.",
            words.across, words.within
        ),
        remedy: None,
    })
}
