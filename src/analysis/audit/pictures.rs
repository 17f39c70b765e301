//! What an audit knows of pictures that it has looked at, and which of them are one picture saved twice.
//!
//! Two pictures are near-duplicates where two measures that know nothing of each other agree: the brightness of
//! neighbouring areas ([`DifferenceHash`]) and the features of the frozen vision model. Features of one domain share most
//! of their direction, so their mean is taken off before angles are measured (Mu and Viswanath 2018, "All-but-the-top").
//! In the built-in study, whose figures all stand alike before plain backgrounds, different pictures reach a cosine of 0.97
//! by features alone, and of no more than 0.85 where the hashes agree; JPEG at quality 60, other sizes and a crop by a
//! pixel, all at once, leave at least 0.95 and at most 16 bits.

use rayon::prelude::*;

use super::corpus::Corpus;
use super::{Found, style};
use crate::analysis::pairing;
use crate::data::DifferenceHash;
use crate::record::audit::{FindingKind, Severity, Unit};
use crate::record::pairing::Pairing;

/// Most bits of 256 that differ between near-duplicates.
const MOST_BITS: u32 = 16;
/// Lowest cosine of their features, the mean taken off.
const LOWEST_COSINE: f32 = 0.93;

/// A picture that the frozen vision model has seen.
#[derive(Debug, Clone)]
pub struct Picture {
    pub hash: DifferenceHash,
    /// Where its features point, a unit vector.
    pub direction: Vec<f32>,
    /// The training image whose features are nearest, by index.
    pub nearest: usize,
}

/// The pictures of the splits, in the order of their examples.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    pub train: Vec<Picture>,
    pub validation: Vec<Picture>,
    pub test: Vec<Picture>,
    /// Whether training captions belong to their pictures; absent where nothing tells.
    pub pairing: Option<Pairing>,
}

impl Pictures {
    /// Of a split that is scored.
    pub fn scored(&self, split: &str) -> &[Picture] {
        if split == "test" { &self.test } else { &self.validation }
    }

    /// Every two near-duplicates, as places in all pictures: those of training, of validation and of test.
    pub fn near_duplicates(&self) -> Vec<(usize, usize)> {
        let all: Vec<&Picture> = self.train.iter().chain(&self.validation).chain(&self.test).collect();
        let centred = centred(&all);
        let of_one = |first: usize| {
            let (all, centred) = (&all, &centred);
            let is_alike = move |second: &usize| {
                all[first].hash.distance(&all[*second].hash) <= MOST_BITS
                    && dot(&centred[first], &centred[*second]) >= LOWEST_COSINE
            };
            (first + 1..all.len()).filter(is_alike).map(move |second| (first, second)).collect::<Vec<_>>()
        };
        (0..all.len()).into_par_iter().flat_map_iter(of_one).collect()
    }
}

/// Training captions that have less to do with their pictures than the others have. Where they are written otherwise, that
/// is why.
pub(super) fn wrong_pairs(corpus: &Corpus) -> Option<Found> {
    let pairing = corpus.pictures.as_ref()?.pairing.as_ref()?;
    if style::other_style(corpus).is_some_and(|found| found.severity != Severity::Note) {
        return None;
    }
    Some(Found {
        kind: FindingKind::WrongPairs,
        severity: Severity::Severe,
        number: (1.0 - pairing.share).clamp(0.0, 1.0),
        unit: Unit::Share,
        meaning: pairing::wrong_pairs(pairing)?,
        remedy: None,
    })
}

/// The directions from their mean, as unit vectors.
fn centred(pictures: &[&Picture]) -> Vec<Vec<f32>> {
    let width = pictures.first().map_or(0, |picture| picture.direction.len());
    let mut mean = vec![0.0; width];
    for picture in pictures {
        for (mean, value) in mean.iter_mut().zip(&picture.direction) {
            *mean += value / pictures.len() as f32;
        }
    }
    let of_one = |picture: &&Picture| {
        let mut vector: Vec<f32> =
            picture.direction.iter().zip(&mean).map(|(value, mean)| value - mean).collect();
        let length = dot(&vector, &vector).sqrt().max(f32::MIN_POSITIVE);
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    };
    pictures.par_iter().map(of_one).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
