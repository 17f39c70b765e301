//! What the scoring convention and the tokenizer make of the words.

use super::corpus::Corpus;
use super::subject::Subject;
use super::words::{one_of, share_of};
use super::{Found, severity};
use crate::record::audit::{FindingKind, Unit};
use crate::record::recipe::Convention;

/// What a perfect answer loses because BLIP writes in lower case and with spaces around hyphens and punctuation.
pub fn scoring_convention(corpus: &Corpus, subject: &Subject, perfect_cider_d: f64) -> Option<Found> {
    let has =
        |is_such: fn(&str) -> bool| share_of(one_of(corpus.references().map(|caption| is_such(caption))));
    let lost = 1.0 - perfect_cider_d / 10.0;
    let convention = subject.recipe.evaluation.convention;
    // With several references an answer that equals one of them is far from the others, whatever the convention.
    if corpus.references().count() != corpus.validation.len() + corpus.test.len() {
        return None;
    }
    let hyphens = has(|caption| caption.contains('-'));
    let (limits, why, remedy) = match convention {
        Convention::Original => (
            [0.3, 0.1, 0.03],
            format!(
                "it compares raw words, while BLIP writes lower case and parts punctuation and hyphens ({} of the references \
                 have capitals, {hyphens} a hyphen)",
                has(|caption| caption.chars().any(char::is_uppercase)),
            ),
            Some(("evaluation.convention", "coco".into())),
        ),
        Convention::Coco => (
            [f64::INFINITY, 0.4, 0.1],
            format!(
                "BLIP parts hyphens and other signs, which makes other words of them ({hyphens} of the references have a hyphen)"
            ),
            None,
        ),
    };
    Some(Found {
        severity: severity(lost, limits)?,
        kind: FindingKind::ScoringConvention,
        number: perfect_cider_d,
        unit: Unit::Points,
        meaning: format!(
            "A perfect answer reaches a CIDEr-D of {perfect_cider_d:.2} of 10 by the {} convention: {why}.",
            convention.name(),
        ),
        remedy,
    })
}

/// Words that the vocabulary cannot write.
pub fn unknown_words(corpus: &Corpus) -> Option<Found> {
    let unknown = corpus.tokenizer.unknown?;
    let tokens =
        || corpus.splits().into_iter().flat_map(|(_, examples)| examples).flat_map(|one| &one.tokens);
    let of_tokens = one_of(tokens().flatten().map(|token| *token == unknown));
    let of_captions = one_of(tokens().map(|tokens| tokens.contains(&unknown)));
    Some(Found {
        severity: severity(of_captions, [0.5, 0.1, 0.001])?,
        kind: FindingKind::UnknownWords,
        number: of_captions,
        unit: Unit::Share,
        meaning: format!(
            "{} of the captions hold a word that the tokenizer does not know ({} of all tokens): it is learnt and said as \
             [UNK].",
            share_of(of_captions),
            share_of(of_tokens)
        ),
        remedy: None,
    })
}
