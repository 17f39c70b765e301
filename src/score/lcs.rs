//! The longest common subsequence of two word sequences, 64 words of one of them at a time.
//!
//! Bit-parallel after Hyyrö, "Bit-parallel LCS-length computation revisited" (2004): bit i of the state is
//! cleared where the length grows at word i of the pattern.

use super::corpus::WordId;

/// A sequence prepared for comparison with many others. Its size is in proportion to the sequence's.
pub struct Pattern {
    length: usize,
    /// For each word and block of 64 positions that has it, the positions in the block; ascending.
    masks: Vec<Mask>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mask {
    word: WordId,
    block: u32,
    positions: u64,
}

impl Pattern {
    pub fn new(sequence: &[WordId]) -> Self {
        let single = |(position, &word): (usize, &WordId)| Mask {
            word,
            block: (position / 64) as u32,
            positions: 1 << (position % 64),
        };
        let mut masks: Vec<Mask> = sequence.iter().enumerate().map(single).collect();
        masks.sort_unstable();
        masks.dedup_by(|next, kept| {
            let is_same = (next.word, next.block) == (kept.word, kept.block);
            kept.positions |= if is_same { next.positions } else { 0 };
            is_same
        });
        Self { length: sequence.len(), masks }
    }

    /// The length of the prepared sequence.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The length of the longest common subsequence with another sequence.
    pub fn common(&self, sequence: &[WordId]) -> usize {
        let mut state = vec![u64::MAX; self.length.div_ceil(64)];
        for &word in sequence {
            let first = self.masks.partition_point(|mask| mask.word < word);
            let masks = self.masks.get(first..).unwrap_or_default().iter();
            let (mut carry, mut next) = (false, 0);
            for mask in masks.take_while(|mask| mask.word == word) {
                let block = mask.block as usize;
                carry = carry && carry_over(state.get_mut(next..block));
                if let Some(bits) = state.get_mut(block) {
                    let (sum, first) = bits.overflowing_add(*bits & mask.positions);
                    let (sum, second) = sum.overflowing_add(u64::from(carry));
                    *bits = sum | (*bits & !mask.positions);
                    carry = first || second;
                }
                next = block + 1;
            }
            if carry {
                carry_over(state.get_mut(next..));
            }
        }
        // Bits beyond the pattern stay set, so every cleared bit is one word of the subsequence.
        state.iter().map(|block| block.count_zeros() as usize).sum()
    }
}

/// Adds a carried bit to blocks that do not have the word; whether it comes out at their end. Blocks that are all
/// ones pass it on and stay as they are, the first other one keeps it.
fn carry_over(blocks: Option<&mut [u64]>) -> bool {
    match blocks.into_iter().flatten().find(|bits| **bits != u64::MAX) {
        Some(bits) => {
            *bits |= *bits + 1;
            false
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The textbook recurrence.
    fn by_table(a: &[WordId], b: &[WordId]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    #[test]
    fn the_length_equals_that_of_the_textbook_table() {
        let mut random = Random::new(1, "lcs", &[]);
        for round in 0..400 {
            // Few different words make many matches, many make blocks of 64 words without any.
            let words = if round % 2 == 0 { 12 } else { 200 };
            let mut draw = || -> Vec<WordId> {
                let length = random.below(300);
                (0..length).map(|_| random.below(words) as WordId).collect()
            };
            let (a, b) = (draw(), draw());
            assert_eq!(Pattern::new(&a).common(&b), by_table(&a, &b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_sequence_of_any_length_has_itself_in_common() {
        for length in [0, 1, 63, 64, 65, 128, 129] {
            let sequence: Vec<WordId> = (0..length).collect();
            assert_eq!(Pattern::new(&sequence).common(&sequence), length as usize);
            assert_eq!(Pattern::new(&sequence).common(&[]), 0);
        }
    }
}
