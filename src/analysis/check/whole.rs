//! What the captions and images of a set are like together: of one pattern, the same again and again, of few kinds.

use std::collections::HashMap;

use super::{Note, Set};
use crate::analysis::audit::share_of;
use crate::analysis::text_domain::{commonest_start, template_share, words_of};
use crate::record::grouping::kind_of;

/// Fewer captions have no pattern.
const ENOUGH: usize = 30;
/// From this share on captions are templated, and from this one on repeated.
const TEMPLATED: f64 = 0.5;
const REPEATED: f64 = 0.05;
/// More kinds than this are names, not kinds.
const MOST_KINDS: usize = 50;
/// Kinds are unbalanced where the largest has so many times as many images as the smallest.
const UNBALANCED: usize = 10;

pub fn of_set(set: &Set) -> Vec<Note> {
    [templated(set), repeated(set), unbalanced(set)].into_iter().flatten().collect()
}

fn templated(set: &Set) -> Option<Note> {
    let captions: Vec<&str> = set.captions().collect();
    let words = words_of(&captions);
    let share = template_share(&words);
    let (start, of_start) = commonest_start(&words)?;
    (captions.len() >= ENOUGH && share >= TEMPLATED).then(|| Note {
        kind: "templated_captions",
        set: set.name,
        share,
        meaning: format!(
            "{} of the captions begin with one of ten triples of words, {} with `{start}`: a model learns the pattern first, \
             and scores count it",
            share_of(share),
            share_of(of_start)
        ),
    })
}

fn repeated(set: &Set) -> Option<Note> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    set.captions().for_each(|caption| *counts.entry(caption).or_default() += 1);
    let all: usize = counts.values().sum();
    let several = counts.values().filter(|count| **count > 1).sum::<usize>();
    let (commonest, most) =
        counts.into_iter().max_by_key(|(caption, count)| (*count, std::cmp::Reverse(*caption)))?;
    let share = several as f64 / all as f64;
    (share >= REPEATED).then(|| Note {
        kind: "shared_captions",
        set: set.name,
        share,
        meaning: format!(
            "{} of the captions stand word for word with more than one image; the commonest with {most}: `{}`",
            share_of(share),
            shortened(commonest)
        ),
    })
}

fn unbalanced(set: &Set) -> Option<Note> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    set.samples.iter().for_each(|sample| *counts.entry(kind_of(&sample.image)).or_default() += 1);
    let (all, kinds) = (set.samples.len(), counts.len());
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let [(largest, most), .., (smallest, least)] = counts.as_slice() else { return None };
    let share = *most as f64 / all as f64;
    (all >= ENOUGH && kinds <= MOST_KINDS && *most >= UNBALANCED * least).then(|| Note {
        kind: "unbalanced_groups",
        set: set.name,
        share,
        meaning: format!(
            "by their names the images are of {kinds} kinds, {} of them `{largest}` and {} `{smallest}`: a model learns to \
             guess the common ones (`balance` evens them out)",
            share_of(share),
            share_of(*least as f64 / all as f64)
        ),
    })
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
