//! Pictures that cannot be used, are too small to show anything, or are there twice.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::{Fault, Kind, Set, Unusable};
use crate::data::fingerprint::Fingerprint;

/// What is wrong with the pictures of a set by themselves and beside each other.
pub fn of_set(set: &Set, least_side: u32) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut names = HashMap::new();
    for (place, sample) in set.samples.iter().enumerate() {
        let mut add = |kind, why: String| faults.push(Fault::of_image(kind, set, place, why));
        if names.insert(sample.image.as_str(), place).is_some() {
            add(Kind::RepeatedName, "an entry before it has the same name".to_owned());
            continue;
        }
        match &sample.picture {
            Err(Unusable::Missing) => add(Kind::MissingImage, "there is no such file".to_owned()),
            Err(Unusable::Broken(why)) => add(Kind::BrokenImage, why.clone()),
            Ok(picture) if picture.width.min(picture.height) < least_side => {
                add(Kind::TinyImage, format!("{} x {} pixels", picture.width, picture.height));
            }
            Ok(_) => {}
        }
    }
    faults.extend(repeated(set));
    faults
}

/// The pictures of a set with their places. Of names that occur twice, the first entry counts.
fn pictures(set: &Set) -> Vec<(usize, &Fingerprint)> {
    let mut names = std::collections::HashSet::new();
    let first = set.samples.iter().enumerate().filter(|(_, sample)| names.insert(sample.image.as_str()));
    first.filter_map(|(place, sample)| Some((place, sample.picture.as_ref().ok()?))).collect()
}

/// Pictures that repeat an earlier one of the set.
fn repeated(set: &Set) -> Vec<Fault> {
    let pictures = pictures(set);
    let mut originals: BTreeMap<usize, usize> = BTreeMap::new();
    for (first, second) in near_pairs(&pictures, None) {
        originals.entry(second).or_insert(first);
    }
    let fault = |(second, first): (usize, usize)| {
        let [(original, one), (place, other)] = [pictures[first], pictures[second]];
        let name = &set.samples[original].image;
        let (kind, why) = if one.digest == other.digest {
            (Kind::DuplicateImage, format!("the same bytes as {name}"))
        } else {
            (Kind::NearDuplicateImage, format!("the picture of {name}, saved again"))
        };
        Fault::of_image(kind, set, place, why)
    };
    originals.into_iter().map(fault).collect()
}

/// Images of the first set that are in another one as well.
pub fn leaks(sets: &[Set]) -> Vec<Fault> {
    let Some((train, scored)) = sets.split_first() else { return Vec::new() };
    let ours = pictures(train);
    let mut faults: BTreeMap<usize, Fault> = BTreeMap::new();
    for set in scored {
        let theirs = pictures(set);
        for (first, second) in near_pairs(&ours, Some(&theirs)) {
            let [(place, one), (other_place, other)] = [ours[first], theirs[second]];
            let name = &set.samples[other_place].image;
            let how =
                if one.digest == other.digest { "the same bytes as" } else { "the picture, saved again, of" };
            let why = format!("{how} {name} in {}", set.name);
            faults.entry(place).or_insert_with(|| Fault::of_image(Kind::LeakedImage, train, place, why));
        }
    }
    faults.into_values().collect()
}

/// Every two pictures that are one, by their places in the lists: within the first, each with a later one, or across.
fn near_pairs(
    ours: &[(usize, &Fingerprint)],
    theirs: Option<&[(usize, &Fingerprint)]>,
) -> Vec<(usize, usize)> {
    let of_one = |first: usize| {
        let (others, from) = theirs.map_or((ours, first + 1), |theirs| (theirs, 0));
        let is_near = move |second: &usize| {
            let (one, other) = (ours[first].1, others[*second].1);
            one.digest == other.digest || one.is_near(other)
        };
        (from..others.len()).filter(is_near).map(move |second| (first, second)).collect::<Vec<_>>()
    };
    (0..ours.len()).into_par_iter().flat_map_iter(of_one).collect()
}
