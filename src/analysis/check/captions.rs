//! Captions that say nothing, say it twice, say more than a model reads, or say it in another language.

use std::collections::HashSet;

use super::language::{Languages, Tongue};
use super::{Fault, Kind, Set};

/// BLIP reads no more tokens than this, start and end among them (`max_position_embeddings` of its text decoder). A word
/// or a sign is at least one token.
const MOST_TOKENS: usize = 512;

pub fn of_set(set: &Set) -> Vec<Fault> {
    let mut faults = Vec::new();
    let languages = Languages::of(set.captions());
    for (place, sample) in set.samples.iter().enumerate() {
        if sample.captions.is_empty() {
            faults.push(Fault::of_caption(Kind::EmptyCaption, set, (place, 0), "it has no caption"));
        }
        let mut said = HashSet::new();
        for (number, caption) in sample.captions.iter().enumerate() {
            let found = if caption.trim().is_empty() {
                Some((Kind::EmptyCaption, "there is nothing in it".to_owned()))
            } else if !said.insert(caption.trim()) {
                Some((Kind::RepeatedCaption, "the image has the same caption before".to_owned()))
            } else if let Some(tokens) = too_many_tokens(caption) {
                let why = format!(
                    "it has {tokens} words and signs, and BLIP reads no more than {MOST_TOKENS} tokens"
                );
                Some((Kind::OverlongCaption, why))
            } else {
                languages.other_than_usual(caption).map(|tongue: Tongue| {
                    (
                        Kind::OtherLanguage,
                        format!("it seems to be {tongue}; most captions are {}", languages.usual()),
                    )
                })
            };
            faults.extend(found.map(|(kind, why)| Fault::of_caption(kind, set, (place, number), why)));
        }
    }
    faults
}

/// How many words and signs a caption has, where they are more than a model reads.
fn too_many_tokens(caption: &str) -> Option<usize> {
    // A token has at least one letter.
    if caption.len() + 2 <= MOST_TOKENS {
        return None;
    }
    let signs = caption.chars().filter(|letter| !letter.is_alphanumeric() && !letter.is_whitespace()).count();
    let words =
        caption.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).count();
    Some(words + signs).filter(|tokens| tokens + 2 > MOST_TOKENS)
}
