//! A set without what is wrong with it, and a reason for all that is missing.

use std::collections::{BTreeMap, HashMap};

use super::{Checked, Kind, Removes, Set};
use crate::data::captions::Entry;

/// A caption that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub image: String,
    /// Empty where the image had none.
    pub caption: String,
    pub kind: &'static str,
    pub why: String,
}

/// The images of a set with their captions but for those with a fault that removes them, unless it is of a kind to be
/// kept. An image whose captions all go goes as well.
pub fn cleaned(set: &Set, checked: &Checked, kept: &[Kind]) -> (Vec<Entry>, Vec<Removal>) {
    // The first reason of each: faults are in the order of their kinds, and those of images come first.
    let mut images: HashMap<usize, (Kind, &str)> = HashMap::new();
    let mut captions: BTreeMap<(usize, usize), (Kind, &str)> = BTreeMap::new();
    for fault in checked.faults.iter().filter(|fault| fault.set == set.name && !kept.contains(&fault.kind)) {
        let (place, caption) = fault.place;
        let reason = (fault.kind, fault.why.as_str());
        match fault.kind.removes() {
            Removes::Image => drop(images.entry(place).or_insert(reason)),
            Removes::Caption => drop(captions.entry((place, caption.unwrap_or(0))).or_insert(reason)),
            Removes::Nothing => {}
        }
    }
    let (mut entries, mut removals) = (Vec::new(), Vec::new());
    for (place, sample) in set.samples.iter().enumerate() {
        let mut remove = |caption: &str, (kind, why): (Kind, &str)| {
            let (image, caption, why) = (sample.image.clone(), caption.to_owned(), why.to_owned());
            removals.push(Removal { image, caption, kind: kind.name(), why });
        };
        let mut left = Vec::new();
        for (number, caption) in sample.captions.iter().enumerate() {
            match images.get(&place).or_else(|| captions.get(&(place, number))) {
                Some(reason) => remove(caption, *reason),
                None => left.push(caption.clone()),
            }
        }
        if sample.captions.is_empty() {
            match images.get(&place).or_else(|| captions.get(&(place, 0))) {
                Some(reason) => remove("", *reason),
                None => entries.push(Entry { image: sample.image.clone(), captions: Vec::new() }),
            }
        } else if !left.is_empty() {
            entries.push(Entry { image: sample.image.clone(), captions: left });
        }
    }
    (entries, removals)
}
