//! What the limits on captions leave of a reference: the best ways found to say it within them.
//!
//! No exact search is affordable: the number of captions is astronomical and the metrics look at all of one. A few
//! rewritings are tried instead, each of which a decoder under these limits could produce; the best of them is what a
//! model that knew the reference would reach at least.

use std::collections::HashSet;

/// The hard limits on a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Most word pieces, start and end token not counted.
    pub pieces: usize,
    /// N-grams of this length may occur once; 0 allows all.
    pub no_repeat_ngram_size: usize,
}

/// Word pieces of a tokenizer that the rewritings treat in a way of their own.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// Without a letter or digit.
    pub punctuation: HashSet<u32>,
    /// May be put where a repetition would stand, the most common first.
    pub fillers: Vec<u32>,
}

/// The n-grams that have been said.
struct Said {
    size: usize,
    ngrams: HashSet<Vec<u32>>,
    caption: Vec<u32>,
}

impl Said {
    fn new(size: usize) -> Self {
        Self { size, ngrams: HashSet::new(), caption: Vec::new() }
    }

    /// The n-gram that a piece would complete.
    fn ngram_with(&self, piece: u32) -> Option<Vec<u32>> {
        let before = self.size.checked_sub(1)?;
        let from = self.caption.len().checked_sub(before)?;
        Some(self.caption.get(from..)?.iter().copied().chain([piece]).collect())
    }

    fn is_forbidden(&self, piece: u32) -> bool {
        self.ngram_with(piece).is_some_and(|ngram| self.ngrams.contains(&ngram))
    }

    fn say(&mut self, piece: u32) {
        self.ngrams.extend(self.ngram_with(piece));
        self.caption.push(piece);
    }
}

/// How many pieces can be said in order before one completes an n-gram that occurred before
/// (`transformers.NoRepeatNGramLogitsProcessor`); all of them where none does.
pub fn copyable(pieces: &[u32], no_repeat_ngram_size: usize) -> usize {
    let mut said = Said::new(no_repeat_ngram_size);
    for (at, &piece) in pieces.iter().enumerate() {
        if said.is_forbidden(piece) {
            return at;
        }
        said.say(piece);
    }
    pieces.len()
}

/// Captions within the limits that are close to the reference, no two alike; the reference alone where it is within
/// them. Never empty.
pub fn rewritings(reference: &[u32], limits: Limits, special: &Pieces) -> Vec<Vec<u32>> {
    let first_forbidden = copyable(reference, limits.no_repeat_ngram_size);
    if reference.len() <= limits.pieces && first_forbidden == reference.len() {
        return vec![reference.to_vec()];
    }
    let words: Vec<u32> =
        reference.iter().copied().filter(|piece| !special.punctuation.contains(piece)).collect();
    let mut found = vec![
        reference.iter().copied().take(first_forbidden.min(limits.pieces)).collect(),
        without_repeats(reference, limits, &[]),
        without_repeats(reference, limits, &special.fillers),
        without_repeats(&words, limits, &[]),
        without_repeats(&words, limits, &special.fillers),
    ];
    let mut seen = HashSet::new();
    found.retain(|caption: &Vec<u32>| seen.insert(caption.clone()));
    found
}

/// The pieces in order; where one is forbidden a filler stands before it if that makes it allowed, else it is left out.
fn without_repeats(pieces: &[u32], limits: Limits, fillers: &[u32]) -> Vec<u32> {
    let mut said = Said::new(limits.no_repeat_ngram_size);
    for &piece in pieces {
        if said.caption.len() >= limits.pieces {
            break;
        }
        if !said.is_forbidden(piece) {
            said.say(piece);
            continue;
        }
        // Two more pieces must fit.
        let has_room = said.caption.len() + 2 <= limits.pieces;
        if let Some(filler) =
            fillers.iter().copied().find(|filler| has_room && separates(&mut said, *filler, piece))
        {
            said.say(filler);
            said.say(piece);
        }
    }
    said.caption
}

/// Whether a filler is allowed here, and the piece behind it.
fn separates(said: &mut Said, filler: u32, piece: u32) -> bool {
    if said.is_forbidden(filler) {
        return false;
    }
    said.caption.push(filler);
    let is_allowed = !said.is_forbidden(piece);
    said.caption.pop();
    is_allowed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn special() -> Pieces {
        Pieces { punctuation: [9].into(), fillers: vec![7, 8] }
    }

    #[test]
    fn a_caption_is_copied_up_to_its_first_repeated_pair() {
        assert_eq!(copyable(&[1, 2, 3, 1, 2, 4], 2), 4);
        assert_eq!(copyable(&[1, 1, 1], 2), 2);
        assert_eq!(copyable(&[1, 2, 1], 1), 2);
        assert_eq!(copyable(&[1, 2, 3, 1, 2, 4], 0), 6);
        assert_eq!(copyable(&[1, 2, 3, 1, 2, 4], 3), 6);
    }

    #[test]
    fn what_is_within_the_limits_stays_as_it_is() {
        let limits = Limits { pieces: 4, no_repeat_ngram_size: 2 };
        assert_eq!(rewritings(&[1, 2, 9, 1], limits, &special()), [[1, 2, 9, 1]]);
    }

    #[test]
    fn a_repetition_is_cut_left_out_or_split_by_a_filler() {
        let limits = Limits { pieces: 10, no_repeat_ngram_size: 2 };
        let found = rewritings(&[1, 2, 3, 1, 2, 4], limits, &special());
        assert_eq!(found, [vec![1, 2, 3, 1], vec![1, 2, 3, 1, 4], vec![1, 2, 3, 1, 7, 2, 4]]);
    }

    #[test]
    fn a_caption_that_is_too_long_may_go_without_punctuation() {
        let limits = Limits { pieces: 3, no_repeat_ngram_size: 0 };
        assert_eq!(rewritings(&[1, 9, 2, 9, 3], limits, &special()), [[1, 9, 2], [1, 2, 3]]);
    }

    proptest! {
        #[test]
        fn every_rewriting_is_within_the_limits(
            reference in prop::collection::vec(0u32..12, 0..40), pieces in 0usize..30, size in 0usize..5,
        ) {
            let limits = Limits { pieces, no_repeat_ngram_size: size };
            let found = rewritings(&reference, limits, &special());
            prop_assert!(!found.is_empty());
            for caption in found {
                prop_assert!(caption.len() <= pieces);
                prop_assert_eq!(copyable(&caption, size), caption.len());
            }
        }
    }
}
