//! Captions unlike the others of their set: far longer or shorter, or of words that no other caption has.

use std::collections::{HashMap, HashSet};

use super::{Fault, Kind, Set};
use crate::analysis::text_domain::words_of;

/// Fewer captions do not show what is usual.
const ENOUGH: usize = 30;
/// Lengths this far from the median are unusual: the modified z-score of Iglewicz and Hoaglin (1993), of logarithms, and
/// above their 3.5 since captions of one kind spread widely.
const MOST_DEVIATIONS: f64 = 5.0;
/// In no case are lengths unusual that are within this factor of the median.
const LEAST_FACTOR: f64 = 3.0;
/// The median absolute deviation of a normal distribution, in standard deviations.
const MAD_OF_NORMAL: f64 = 0.6745;
/// Words that no other caption has: a caption is unusual that has so many of them, and no fewer others.
const OWN_WORDS: usize = 3;

pub fn of_set(set: &Set) -> Vec<Fault> {
    let places = set
        .samples
        .iter()
        .enumerate()
        .flat_map(|(place, sample)| (0..sample.captions.len()).map(move |caption| (place, caption)));
    let words = words_of(&set.captions().collect::<Vec<_>>());
    // Captions without any word are empty, or nothing that words can say anything of.
    let captions: Vec<((usize, usize), Vec<String>)> =
        places.zip(words).filter(|(_, words)| !words.is_empty()).collect();
    if captions.len() < ENOUGH {
        return Vec::new();
    }
    let mut faults = unusual_lengths(set, &captions);
    faults.extend(unusual_words(set, &captions));
    faults
}

fn unusual_lengths(set: &Set, captions: &[((usize, usize), Vec<String>)]) -> Vec<Fault> {
    let logarithms: Vec<f64> = captions.iter().map(|(_, words)| (words.len() as f64).ln()).collect();
    let middle = median(&logarithms);
    let spread = median(&logarithms.iter().map(|length| (length - middle).abs()).collect::<Vec<_>>());
    let is_unusual = |length: &f64| {
        let distance = (length - middle).abs();
        distance >= LEAST_FACTOR.ln() && MAD_OF_NORMAL * distance > MOST_DEVIATIONS * spread
    };
    let unusual = captions.iter().zip(&logarithms).filter(|(_, length)| is_unusual(length));
    let usual = middle.exp().round();
    unusual
        .map(|((place, words), _)| {
            let why = format!("it has {} words; {usual} are usual", words.len());
            Fault::of_caption(Kind::UnusualLength, set, *place, why)
        })
        .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

fn unusual_words(set: &Set, captions: &[((usize, usize), Vec<String>)]) -> Vec<Fault> {
    let different = |words: &'_ [String]| -> HashSet<String> { words.iter().cloned().collect() };
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (_, words) in captions {
        different(words).into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let fault = |(place, words): &((usize, usize), Vec<String>)| {
        let all = different(words);
        let mut own: Vec<&str> =
            all.iter().filter(|word| counts.get(*word) == Some(&1)).map(String::as_str).collect();
        if own.len() < OWN_WORDS || 2 * own.len() < all.len() {
            return None;
        }
        own.sort_unstable();
        let why =
            format!("{} of its {} words are in no other caption: {}", own.len(), all.len(), named(&own));
        Some(Fault::of_caption(Kind::UnusualWords, set, *place, why))
    };
    captions.iter().filter_map(fault).collect()
}

fn named(words: &[&str]) -> String {
    const SHOWN: usize = 5;
    let more = if words.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", words[..words.len().min(SHOWN)].join(", "))
}
