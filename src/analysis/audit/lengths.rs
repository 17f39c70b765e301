//! Captions that limits cut, and repetitions that the decoder forbids.

use std::collections::HashMap;

use super::corpus::{Corpus, pieces};
use super::reachable::copyable;
use super::subject::Subject;
use super::words::{one_of, share_of};
use super::{Found, severity};
use crate::record::audit::{FindingKind, Lengths, Quantiles, Severity, Unit};

/// Lengths of the training captions.
pub fn lengths(corpus: &Corpus) -> Lengths {
    let words = corpus.train_captions().map(|caption| caption.split_whitespace().count());
    Lengths {
        model: corpus.model.clone(),
        captions: corpus.train_captions().count(),
        tokens: quantiles(corpus.train_tokens().map(Vec::len).collect()),
        words: quantiles(words.collect()),
        unigram_nll: unigram_nll(corpus),
    }
}

/// Targets are all tokens but the first.
fn unigram_nll(corpus: &Corpus) -> f64 {
    let mut counts: HashMap<u32, f64> = HashMap::new();
    let mut all = corpus.tokenizer.vocabulary_size as f64;
    for token in corpus.train_tokens().flat_map(|tokens| tokens.iter().skip(1)) {
        *counts.entry(*token).or_insert(1.0) += 1.0;
        all += 1.0;
    }
    let validation = corpus.validation.iter().flat_map(|example| &example.tokens);
    let losses = validation
        .flat_map(|tokens| tokens.iter().skip(1))
        .map(|token| -(counts.get(token).copied().unwrap_or(1.0) / all).ln());
    let (sum, count) = losses.fold((0.0, 0usize), |(sum, count), loss| (sum + loss, count + 1));
    sum / count.max(1) as f64
}

fn quantiles(mut lengths: Vec<usize>) -> Quantiles {
    lengths.sort_unstable();
    let at = |share: f64| {
        let index = (share * lengths.len() as f64).ceil() as usize;
        lengths.get(index.saturating_sub(1)).copied().unwrap_or(0)
    };
    Quantiles {
        mean: lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64,
        median: at(0.5),
        p95: at(0.95),
        max: lengths.last().copied().unwrap_or(0),
    }
}

/// Training captions that `training.max_length` cuts.
pub fn cut_in_training(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let limit = subject.longest_trained();
    let share = share(corpus.train_tokens(), |tokens| tokens.len() > limit);
    let lengths = quantiles(corpus.train_tokens().map(Vec::len).collect());
    Some(Found {
        severity: severity(share, [0.25, 0.05, 0.002])?,
        kind: FindingKind::CutInTraining,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the training captions have more than {limit} tokens (mean {:.0}, longest {}) and are cut in \
             mid-sentence: the model learns to stop there.",
            share_of(share),
            lengths.mean,
            lengths.max
        ),
        remedy: Some(("training.max_length", subject.limit_for(lengths.max).into())),
    })
}

/// References that no caption of `generation.max_length` tokens can equal.
pub fn cut_in_generation(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let limit = subject.longest_generated();
    // The start token counts, the end token need not be said.
    let share = share(corpus.reference_tokens(), |tokens| tokens.len() > limit + 1);
    let longest = corpus.reference_tokens().chain(corpus.train_tokens()).map(Vec::len).max().unwrap_or(0);
    Some(Found {
        severity: severity(share, [0.25, 0.05, 0.002])?,
        kind: FindingKind::CutInGeneration,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the references are longer than the {limit} tokens that generation may say: their ends cannot be \
             reached.",
            share_of(share)
        ),
        remedy: Some(("generation.max_length", subject.limit_for(longest).into())),
    })
}

/// References that hold an n-gram twice where the decoder forbids it.
pub fn forbidden_repeats(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let size = subject.recipe.generation.no_repeat_ngram_size;
    if size == 0 {
        return None;
    }
    let copied = |tokens: &Vec<u32>| {
        let pieces = pieces(tokens);
        copyable(pieces, size) as f64 / pieces.len().max(1) as f64
    };
    let shares: Vec<f64> = corpus.reference_tokens().map(copied).collect();
    let share = shares.iter().filter(|copied| **copied < 1.0).count() as f64 / shares.len().max(1) as f64;
    let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    Some(Found {
        severity: severity(share, [0.4, 0.1, 0.01])?,
        kind: FindingKind::ForbiddenRepeats,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the references repeat {} that `no_repeat_ngram_size: {size}` forbids; on average only {} of a \
             reference can be said before the first.",
            share_of(share),
            match size {
                1 => "a token".to_owned(),
                2 => "a pair of tokens".to_owned(),
                _ => format!("{size} tokens in a row"),
            },
            share_of(mean)
        ),
        remedy: Some(("generation.no_repeat_ngram_size", 0.into())),
    })
}

/// References that say tokens again, which a repetition penalty makes unlikely.
pub fn repetition_penalty(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let penalty = subject.recipe.generation.repetition_penalty;
    if penalty < 1.0 {
        return Some(rewarded_repetition(penalty));
    }
    if penalty == 1.0 {
        return None;
    }
    let (mut again, mut all) = (0usize, 0usize);
    for tokens in corpus.reference_tokens() {
        let mut inner = pieces(tokens).to_vec();
        all += inner.len();
        let before = inner.len();
        inner.sort_unstable();
        inner.dedup();
        again += before - inner.len();
    }
    let share = again as f64 / all.max(1) as f64;
    // A tenth more or less of a log-probability is little, a half is much.
    let limits = if penalty >= 1.3 { [0.3, 0.1, 0.02] } else { [f64::INFINITY, 0.3, 0.05] };
    Some(Found {
        severity: severity(share, limits)?,
        kind: FindingKind::RepetitionPenalty,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the references' tokens were said before in the same caption; `repetition_penalty: {penalty}` makes \
             each of them less likely than the model thinks.",
            share_of(share)
        ),
        remedy: Some(("generation.repetition_penalty", 1.0.into())),
    })
}

/// A penalty below 1 makes likelier what was said before.
fn rewarded_repetition(penalty: f64) -> Found {
    Found {
        severity: if penalty <= 0.8 { Severity::Severe } else { Severity::Warning },
        kind: FindingKind::RepetitionPenalty,
        number: penalty,
        unit: Unit::Count,
        meaning: format!(
            "`repetition_penalty: {penalty}` is below 1 and rewards repetition: captions go round in circles."
        ),
        remedy: Some(("generation.repetition_penalty", 1.0.into())),
    }
}

/// References that are shorter than a caption may be.
pub fn min_length(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let least = subject.shortest_generated();
    // The end token may come once `min_length` tokens stand, the start token among them.
    let share = share(corpus.reference_tokens(), |tokens| tokens.len() - 1 < least);
    let shortest = corpus.reference_tokens().map(Vec::len).min().unwrap_or(0);
    Some(Found {
        severity: severity(share, [0.25, 0.05, 0.002])?,
        kind: FindingKind::MinLength,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the references are shorter than the {least} tokens that generation has to say.",
            share_of(share)
        ),
        remedy: Some(("generation.min_length", (shortest.saturating_sub(1) + subject.prompt).into())),
    })
}

fn share<'a>(captions: impl Iterator<Item = &'a Vec<u32>>, is_such: impl Fn(&Vec<u32>) -> bool) -> f64 {
    one_of(captions.map(is_such))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_occur() {
        let found = quantiles((1..=100).rev().collect());
        assert_eq!((found.mean, found.median, found.p95, found.max), (50.5, 50, 95, 100));
        assert_eq!(quantiles(Vec::new()), Quantiles::default());
        assert_eq!(quantiles(vec![7]).p95, 7);
    }
}
