//! Images and captions that are there twice: in one split, where they count double, or in two, where scores lie.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::corpus::{Captioned, Corpus};
use super::words::{one_of, share_of};
use super::{Found, severity};
use crate::data::image_file::file_digest;
use crate::record::audit::{FindingKind, Severity, Unit};
use crate::record::grouping::kind_of;

/// Images named in a finding.
pub const NAMED: usize = 3;
/// Groups of images beyond this are names, not groups.
const MOST_GROUPS: usize = 50;

/// Images of a scored split that are training images too: the same file, or another with the same bytes. Only files of
/// equal size are read.
pub fn shared_images(corpus: &Corpus) -> Option<Found> {
    let twins = contents(corpus);
    let content = |example: &Captioned| twins.get(example.path.as_path()).copied();
    let known: HashSet<Content> = corpus.train.iter().filter_map(content).collect();
    let leaked = |examples: &'_ [Captioned]| -> Vec<String> {
        let is_known =
            |example: &&Captioned| content(example).is_some_and(|content| known.contains(&content));
        examples.iter().filter(is_known).map(|example| example.image.clone()).collect()
    };
    let (validation, test) = (leaked(&corpus.validation), leaked(&corpus.test));
    let count = validation.len() + test.len();
    let all = corpus.validation.len() + corpus.test.len();
    let share = count as f64 / all.max(1) as f64;
    let names: Vec<&str> = validation.iter().chain(&test).take(NAMED).map(String::as_str).collect();
    Some(Found {
        severity: severity(share, [0.01, f64::MIN_POSITIVE, f64::MIN_POSITIVE])?,
        kind: FindingKind::SharedImages,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the scored images were trained on ({} of validation, {} of test, such as {}): scores on them measure \
             memory.",
            share_of(share),
            validation.len(),
            test.len(),
            names.join(", ")
        ),
        remedy: None,
    })
}

/// What tells an image's content: a number that files with the same bytes share.
type Content = [u8; 32];

/// The content of every file that may have a twin.
fn contents<'a>(corpus: &'a Corpus) -> HashMap<&'a Path, Content> {
    let paths: BTreeSet<&Path> = corpus
        .splits()
        .into_iter()
        .flat_map(|(_, examples)| examples)
        .map(|one| one.path.as_path())
        .collect();
    let mut by_size: BTreeMap<u64, Vec<&Path>> = BTreeMap::new();
    let sizes: Vec<(&Path, u64)> =
        paths.into_par_iter().filter_map(|path| Some((path, fs::metadata(path).ok()?.len()))).collect();
    for (path, size) in sizes {
        by_size.entry(size).or_default().push(path);
    }
    // A file that is in two splits is its own twin; it need not be read.
    let named = |path: &&Path| Sha256::digest(path.as_os_str().as_encoded_bytes()).into();
    by_size
        .into_values()
        .par_bridge()
        .flat_map_iter(|paths| {
            let is_alone = paths.len() == 1;
            paths.into_iter().filter_map(move |path| {
                let content = if is_alone { named(&path) } else { file_digest(path).ok()? };
                Some((path, content))
            })
        })
        .collect()
}

/// References of scored images that are training captions word for word.
pub fn shared_captions(corpus: &Corpus) -> Option<Found> {
    let known: HashSet<&str> = corpus.train_captions().collect();
    let share = one_of(corpus.references().map(|caption| known.contains(caption.as_str())));
    Some(Found {
        severity: severity(share, [f64::INFINITY, 0.3, 0.02])?,
        kind: FindingKind::SharedCaptions,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the references are training captions word for word: a model that learnt those by heart scores well \
             without looking.",
            share_of(share)
        ),
        remedy: None,
    })
}

/// Training captions that several images have.
pub fn duplicate_captions(corpus: &Corpus) -> Option<Found> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    corpus.train_captions().for_each(|caption| *counts.entry(caption).or_default() += 1);
    let share =
        one_of(corpus.train_captions().map(|caption| counts.get(caption).is_some_and(|count| *count > 1)));
    Some(Found {
        severity: severity(share, [0.95, 0.3, 0.05])?,
        kind: FindingKind::DuplicateCaptions,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the training captions stand with more than one image; different ones in all: {}.",
            share_of(share),
            counts.len()
        ),
        remedy: None,
    })
}

/// Kinds of images, as their names tell (`WOMEN-Dresses-...`, `shoes_001`), that training and test hold in other shares.
pub fn unbalanced_groups(corpus: &Corpus) -> Option<Found> {
    let (train, test) = (groups(&corpus.train), groups(&corpus.test));
    let names: BTreeSet<&str> = train.keys().chain(test.keys()).copied().collect();
    if train.is_empty() || test.is_empty() || !(2..=MOST_GROUPS).contains(&names.len()) {
        return None;
    }
    let difference =
        |name: &&str| test.get(name).copied().unwrap_or(0.0) - train.get(name).copied().unwrap_or(0.0);
    // Total variation distance: the share of test images that would have to be of another group.
    let distance = names.iter().map(|name| difference(name).abs()).sum::<f64>() / 2.0;
    let most = names.iter().max_by(|a, b| difference(a).abs().total_cmp(&difference(b).abs()))?;
    // Names that tell the split (`train_001`, `test_001`) tell no kind.
    if distance > 0.99 {
        return None;
    }
    let share = |groups: &BTreeMap<&str, f64>| share_of(groups.get(most).copied().unwrap_or(0.0));
    // Chance alone moves shares by about this much.
    let by_chance = (names.len() as f64 / corpus.test.len() as f64).sqrt();
    let severity = severity(distance - by_chance, [f64::INFINITY, 0.2, 0.1])?;
    Some(Found {
        severity: severity.max(Severity::Warning),
        kind: FindingKind::UnbalancedGroups,
        number: distance,
        unit: Unit::Share,
        meaning: format!(
            "By their names, training and test images are of other kinds: `{most}` makes up {} of training and {} of test.",
            share(&train),
            share(&test)
        ),
        remedy: None,
    })
}

/// Share of each group by the letters and hyphens that names begin with.
fn groups(examples: &[Captioned]) -> BTreeMap<&str, f64> {
    let mut groups: BTreeMap<&str, f64> = BTreeMap::new();
    for example in examples {
        *groups.entry(kind_of(&example.image)).or_default() += 1.0 / examples.len() as f64;
    }
    groups
}
