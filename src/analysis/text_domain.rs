//! How far two sets of captions are apart as texts.
//!
//! The Jensen-Shannon divergence (Lin 1991) of any two finite samples is above zero even where both come from one source.
//! So it stands beside what random halves of the target's own captions give at the same size.

use std::collections::{HashMap, HashSet};

use crate::random::Random;
use crate::record::audit::{Divergence, TextDomain};

/// Random halvings behind the divergence within the domain.
const HALVINGS: u64 = 5;
/// First words that make a template, and how many templates are counted.
const TEMPLATE_WORDS: usize = 3;
const TEMPLATES: usize = 10;

pub(super) type Counts<'a> = HashMap<Vec<&'a str>, f64>;

/// Compares the captions to be learnt with those of the domain that the model came from. `None` where either is empty.
pub fn compare(target: &[&str], source: &[&str]) -> Option<TextDomain> {
    if target.is_empty() || source.is_empty() {
        return None;
    }
    let (target, source) = (words_of(target), words_of(source));
    let known: HashSet<&str> = source.iter().flatten().map(String::as_str).collect();
    let all: Vec<&str> = target.iter().flatten().map(String::as_str).collect();
    let types: HashSet<&str> = all.iter().copied().collect();
    let mean = |captions: &[Vec<String>]| {
        captions.iter().map(Vec::len).sum::<usize>() as f64 / captions.len() as f64
    };
    Some(TextDomain {
        target_captions: target.len(),
        source_captions: source.len(),
        target_words: mean(&target),
        source_words: mean(&source),
        unknown_words: all.iter().filter(|word| !known.contains(*word)).count() as f64
            / all.len().max(1) as f64,
        vocabulary_overlap: types.iter().filter(|word| known.contains(*word)).count() as f64
            / types.len().max(1) as f64,
        unigrams: divergence(&target, &source, 1),
        bigrams: divergence(&target, &source, 2),
        target_templates: template_share(&target),
        source_templates: template_share(&source),
    })
}

/// The words of each caption, in lower case and without punctuation.
pub(super) fn words_of(captions: &[&str]) -> Vec<Vec<String>> {
    let words = |caption: &&str| {
        let lower = caption.to_lowercase();
        lower
            .split(|sign: char| !sign.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    captions.iter().map(words).collect()
}

/// Both divergences from samples of the same size: half of the smaller set.
pub(super) fn divergence(target: &[Vec<String>], source: &[Vec<String>], size: usize) -> Divergence {
    let half = (target.len() / 2).min(source.len()).max(1);
    let (mut across, mut within) = (0.0, 0.0);
    for halving in 0..HALVINGS {
        let shuffled = |captions: &'_ [Vec<String>], purpose| {
            let mut order: Vec<usize> = (0..captions.len()).collect();
            Random::new(0, purpose, &[halving]).shuffle(&mut order);
            order
        };
        let (ours, theirs) = (shuffled(target, "target captions"), shuffled(source, "source captions"));
        let count = |captions: &[Vec<String>], order: &[usize]| -> Vec<Vec<String>> {
            order.iter().filter_map(|index| captions.get(*index)).cloned().collect()
        };
        let first = count(target, &ours[..half]);
        let second = count(target, &ours[half..(2 * half).min(ours.len())]);
        let other = count(source, &theirs[..half.min(theirs.len())]);
        across += jensen_shannon(&ngrams(&first, size), &ngrams(&other, size)) / HALVINGS as f64;
        within += jensen_shannon(&ngrams(&first, size), &ngrams(&second, size)) / HALVINGS as f64;
    }
    Divergence { across, within }
}

fn ngrams(captions: &[Vec<String>], size: usize) -> Counts<'_> {
    let mut counts = Counts::new();
    for caption in captions {
        for ngram in caption.windows(size) {
            *counts.entry(ngram.iter().map(String::as_str).collect()).or_default() += 1.0;
        }
    }
    counts
}

/// The Jensen-Shannon divergence of two distributions by their counts, to base 2: from 0 (alike) to 1 (nothing in
/// common); the square of SciPy's `jensenshannon(p, q, base=2)`. 0 where both are empty.
pub(super) fn jensen_shannon(a: &Counts, b: &Counts) -> f64 {
    let total = |counts: &Counts| counts.values().sum::<f64>();
    let (all_a, all_b) = (total(a), total(b));
    if all_a == 0.0 || all_b == 0.0 {
        return if all_a == all_b { 0.0 } else { 1.0 };
    }
    let half = |one: &Counts, all: f64, other: &Counts, all_other: f64| {
        // In a fixed order, so that the sum is the same each time.
        let mut terms: Vec<f64> = one
            .iter()
            .map(|(ngram, count)| {
                let (p, q) = (count / all, other.get(ngram).copied().unwrap_or(0.0) / all_other);
                p * (2.0 * p / (p + q)).log2()
            })
            .collect();
        terms.sort_by(f64::total_cmp);
        terms.iter().sum::<f64>() / 2.0
    };
    half(a, all_a, b, all_b) + half(b, all_b, a, all_a)
}

/// The share of captions that begin with one of the most common first words.
pub(super) fn template_share(captions: &[Vec<String>]) -> f64 {
    let mut common: Vec<usize> = starts(captions).into_values().collect();
    common.sort_unstable_by(|a, b| b.cmp(a));
    common.iter().take(TEMPLATES).sum::<usize>() as f64 / captions.len().max(1) as f64
}

/// The commonest first words, and the share of captions that begin with them.
pub(super) fn commonest_start(captions: &[Vec<String>]) -> Option<(String, f64)> {
    let start = starts(captions).into_iter().max_by_key(|(start, count)| (*count, std::cmp::Reverse(*start)));
    start.map(|(start, count)| (start.join(" "), count as f64 / captions.len() as f64))
}

/// How many captions begin with which words.
fn starts(captions: &[Vec<String>]) -> HashMap<&[String], usize> {
    let mut counts: HashMap<&[String], usize> = HashMap::new();
    let starts = captions.iter().filter_map(|caption| caption.get(..TEMPLATE_WORDS));
    starts.for_each(|start| *counts.entry(start).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_the_square_of_scipys_distance() {
        let counts = |pairs: &[(&'static str, f64)]| -> Counts<'static> {
            pairs.iter().map(|(word, count)| (vec![*word], *count)).collect()
        };
        let (a, b) = (counts(&[("a", 1.0), ("b", 3.0)]), counts(&[("b", 1.0), ("c", 1.0)]));
        // scipy.spatial.distance.jensenshannon([.25, .75, 0], [0, .5, .5], base=2) ** 2
        assert!((jensen_shannon(&a, &b) - 0.39315587846583216).abs() < 1e-12, "{}", jensen_shannon(&a, &b));
        assert_eq!(jensen_shannon(&a, &a), 0.0);
        assert_eq!(jensen_shannon(&a, &counts(&[("z", 2.0)])), 1.0);
        assert_eq!(jensen_shannon(&counts(&[]), &counts(&[])), 0.0);
    }

    #[test]
    fn one_domain_is_as_far_from_itself_as_its_halves_and_another_is_farther() {
        let colors = ["red", "green", "blue", "black"];
        let caption = |index: usize| {
            format!("The lady wears a {} {}.", colors[index % 4], ["hat", "dress", "coat"][index % 3])
        };
        let target: Vec<String> = (0..200).map(caption).collect();
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        let other: Vec<String> =
            (0..100).map(|index| format!("a {} ball on the grass", colors[index % 4])).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        let same = compare(&target, &target).unwrap();
        assert!((same.unigrams.across - same.unigrams.within).abs() < 0.01, "{same:?}");
        assert_eq!((same.unknown_words, same.vocabulary_overlap), (0.0, 1.0));
        let found = compare(&target, &other).unwrap();
        assert!(found.unigrams.across > 0.3 && found.unigrams.within < 0.05, "{found:?}");
        assert!(found.bigrams.across > found.unigrams.across);
        assert!((found.unknown_words - 3.0 / 6.0).abs() < 0.01, "{found:?}");
        assert_eq!((found.target_templates, found.target_words), (1.0, 6.0));
        assert_eq!(compare(&[], &other), None);
    }
}
