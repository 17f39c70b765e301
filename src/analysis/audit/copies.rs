//! Pictures that are there twice in files of different bytes: known only where the audit looks at images.

use std::collections::BTreeMap;
use std::fs;

use super::corpus::{Captioned, Corpus};
use super::leaks::NAMED;
use super::words::share_of;
use super::{Found, severity};
use crate::record::audit::{FindingKind, Unit};

/// What near-duplicates there are, each kind in a finding of its own; none where no picture was looked at.
pub fn copies(corpus: &Corpus) -> [Option<Found>; 2] {
    let pairs = corpus.pictures.as_ref().map(|pictures| pictures.near_duplicates()).unwrap_or_default();
    [leaked(corpus, &pairs), repeated(corpus, &pairs)]
}

/// An example by its place among all of training, validation and test.
fn example<'a>(corpus: &'a Corpus, place: usize) -> Option<&'a Captioned> {
    corpus.splits().into_iter().flat_map(|(_, examples)| examples).nth(place)
}

/// Scored images that are a training image saved anew. Those with the same bytes are found without looking.
fn leaked(corpus: &Corpus, pairs: &[(usize, usize)]) -> Option<Found> {
    let (train, validation) = (corpus.train.len(), corpus.validation.len());
    let mut of_scored: BTreeMap<usize, Vec<&Captioned>> = BTreeMap::new();
    for (first, second) in pairs.iter().filter(|(first, second)| *first < train && *second >= train) {
        of_scored.entry(*second).or_default().extend(example(corpus, *first));
    }
    of_scored.retain(|place, known| {
        example(corpus, *place).is_some_and(|scored| !known.iter().any(|known| is_same_file(known, scored)))
    });
    let of_validation = of_scored.range(..train + validation).count();
    let share = of_scored.len() as f64 / (validation + corpus.test.len()).max(1) as f64;
    let severity = severity(share, [0.01, f64::MIN_POSITIVE, f64::MIN_POSITIVE])?;
    let named = of_scored.iter().take(NAMED).filter_map(|(place, known)| {
        Some(format!("{} of {}", example(corpus, *place)?.image, known.first()?.image))
    });
    Some(Found {
        severity,
        kind: FindingKind::SharedImages,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the scored images are near-duplicates of training images ({of_validation} of validation, {} of test, such \
             as {}): one picture saved twice, resized or cropped. Scores on them measure memory.",
            share_of(share),
            of_scored.len() - of_validation,
            named.collect::<Vec<_>>().join(", ")
        ),
        remedy: None,
    })
}

/// Images that repeat an earlier one of their split, and test images that repeat one of validation.
fn repeated(corpus: &Corpus, pairs: &[(usize, usize)]) -> Option<Found> {
    let ends = [corpus.train.len(), corpus.train.len() + corpus.validation.len()];
    let split = |place: usize| ends.iter().filter(|end| place >= **end).count();
    let mut originals: BTreeMap<usize, usize> = BTreeMap::new();
    let is_no_leak = |(first, second): &&(usize, usize)| split(*first) > 0 || split(*second) == 0;
    for (first, second) in pairs.iter().filter(is_no_leak) {
        originals.entry(*second).or_insert(*first);
    }
    let all = corpus.train.len() + corpus.validation.len() + corpus.test.len();
    let share = originals.len() as f64 / all.max(1) as f64;
    let severity = severity(share, [f64::INFINITY, 0.05, f64::MIN_POSITIVE])?;
    let count = |wanted: usize| originals.keys().filter(|place| split(**place) == wanted).count();
    let named = originals.iter().take(NAMED).filter_map(|(place, original)| {
        Some(format!("{} of {}", example(corpus, *place)?.image, example(corpus, *original)?.image))
    });
    Some(Found {
        severity,
        kind: FindingKind::DuplicateImages,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} an earlier one of the same split, or of validation ({} of training, {} of validation, {} of test, such as \
             {}): such pictures count twice.",
            match originals.len() {
                1 => "1 image repeats".to_owned(),
                more => format!("{more} images repeat"),
            },
            count(0),
            count(1),
            count(2),
            named.collect::<Vec<_>>().join(", ")
        ),
        remedy: None,
    })
}

fn is_same_file(a: &Captioned, b: &Captioned) -> bool {
    let has_same_bytes = || Some(fs::read(&a.path).ok()? == fs::read(&b.path).ok()?);
    a.path == b.path || has_same_bytes().unwrap_or(false)
}
