//! What is wrong with single images and captions, so that they can be mended or left out.
//!
//! An audit says what settings make of the data as a whole; this says which image, which caption, and why. [`check`] is
//! the way in, [`cleaned`] what is left without them. Pictures are compared by their fingerprints (`pictures`), captions
//! by their words (`captions`), their language (`language`), and with each other (`outliers`); `whole` is about all of
//! them together.

mod captions;
mod cleaned;
mod language;
mod outliers;
mod pictures;
#[cfg(test)]
mod tests;
mod whole;

use serde::Serialize;

use crate::data::fingerprint::Fingerprint;

pub use cleaned::{Removal, cleaned};

/// An image of a captions file, as the file has it, and what its picture looks like or why it has none.
#[derive(Debug, Clone)]
pub struct Sample {
    pub image: String,
    pub captions: Vec<String>,
    pub picture: Result<Fingerprint, Unusable>,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    Missing,
    /// The file is there and cannot be used.
    Broken(String),
}

/// The images of a split.
#[derive(Debug, Clone)]
pub struct Set {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    pub samples: Vec<Sample>,
}

impl Set {
    pub fn captions(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().flat_map(|sample| &sample.captions).map(String::as_str)
    }
}

/// What is wrong. The order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    MissingImage,
    BrokenImage,
    TinyImage,
    RepeatedName,
    DuplicateImage,
    NearDuplicateImage,
    LeakedImage,
    EmptyCaption,
    RepeatedCaption,
    OverlongCaption,
    OtherLanguage,
    UnusualLength,
    UnusualWords,
}

/// What a cleaned copy is without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Removes {
    Image,
    Caption,
    Nothing,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::MissingImage,
        Self::BrokenImage,
        Self::TinyImage,
        Self::RepeatedName,
        Self::DuplicateImage,
        Self::NearDuplicateImage,
        Self::LeakedImage,
        Self::EmptyCaption,
        Self::RepeatedCaption,
        Self::OverlongCaption,
        Self::OtherLanguage,
        Self::UnusualLength,
        Self::UnusualWords,
    ];

    /// As in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingImage => "missing_image",
            Self::BrokenImage => "broken_image",
            Self::TinyImage => "tiny_image",
            Self::RepeatedName => "repeated_name",
            Self::DuplicateImage => "duplicate_image",
            Self::NearDuplicateImage => "near_duplicate_image",
            Self::LeakedImage => "leaked_image",
            Self::EmptyCaption => "empty_caption",
            Self::RepeatedCaption => "repeated_caption",
            Self::OverlongCaption => "overlong_caption",
            Self::OtherLanguage => "other_language",
            Self::UnusualLength => "unusual_length",
            Self::UnusualWords => "unusual_words",
        }
    }

    pub fn removes(self) -> Removes {
        match self {
            Self::MissingImage
            | Self::BrokenImage
            | Self::TinyImage
            | Self::RepeatedName
            | Self::DuplicateImage
            | Self::NearDuplicateImage
            | Self::LeakedImage => Removes::Image,
            Self::EmptyCaption | Self::RepeatedCaption | Self::OverlongCaption | Self::OtherLanguage => {
                Removes::Caption
            }
            // Unusual is not wrong: people decide.
            Self::UnusualLength | Self::UnusualWords => Removes::Nothing,
        }
    }
}

/// A fault of one image or one caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub kind: Kind,
    pub set: &'static str,
    pub image: String,
    /// The caption, where one is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// What exactly.
    pub why: String,
    /// The sample's place in its set, and the caption's in the sample.
    #[serde(skip)]
    place: (usize, Option<usize>),
}

impl Fault {
    fn of_image(kind: Kind, set: &Set, place: usize, why: impl Into<String>) -> Self {
        let image = set.samples[place].image.clone();
        Self { kind, set: set.name, image, caption: None, why: why.into(), place: (place, None) }
    }

    fn of_caption(kind: Kind, set: &Set, (place, caption): (usize, usize), why: impl Into<String>) -> Self {
        let sample = &set.samples[place];
        Self {
            kind,
            set: set.name,
            image: sample.image.clone(),
            caption: sample.captions.get(caption).cloned(),
            why: why.into(),
            place: (place, Some(caption)),
        }
    }
}

/// What all captions or images of a set are like, in a number and a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    pub kind: &'static str,
    pub set: &'static str,
    /// In `[0, 1]`.
    pub share: f64,
    pub meaning: String,
}

/// Everything that was found: faults by kind and place, notes by set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Checked {
    pub faults: Vec<Fault>,
    pub notes: Vec<Note>,
}

/// Checks sets of images. The first is to be trained on: its images that are in another one leak.
///
/// `least_side` is the least width and height of a picture.
pub fn check(sets: &[Set], least_side: u32) -> Checked {
    let mut checked = Checked::default();
    for set in sets {
        checked.faults.extend(pictures::of_set(set, least_side));
        checked.faults.extend(captions::of_set(set));
        checked.faults.extend(outliers::of_set(set));
        checked.notes.extend(whole::of_set(set));
    }
    checked.faults.extend(pictures::leaks(sets));
    let order = |set: &str| sets.iter().position(|other| other.name == set);
    checked.faults.sort_by_key(|fault| (fault.kind, order(fault.set), fault.place));
    checked
}
