//! The longest common subsequence of two word sequences, 64 words of one of them at a time.
//!
//! Bit-parallel after Hyyrö, "Bit-parallel LCS-length computation revisited" (2004): bit i of the state is
//! cleared where the length grows at word i of the pattern.

use super::corpus::WordId;

/// A sequence prepared for comparison with many others.
pub struct Pattern {
    length: usize,
    blocks: usize,
    /// The row of each word's masks, by word; 0 for words that do not occur. As long as the largest word.
    rows: Vec<u32>,
    /// `blocks` numbers for each row: the positions where its word stands.
    masks: Vec<u64>,
}

impl Pattern {
    pub fn new(sequence: &[WordId]) -> Self {
        let blocks = sequence.len().div_ceil(64);
        let largest = sequence.iter().max().map_or(0, |&word| word as usize + 1);
        let mut rows = vec![0; largest];
        let mut masks = vec![0; blocks];
        for (position, &word) in sequence.iter().enumerate() {
            let Some(row) = rows.get_mut(word as usize) else { continue };
            if *row == 0 {
                *row = (masks.len() / blocks) as u32;
                masks.resize(masks.len() + blocks, 0);
            }
            if let Some(mask) = masks.get_mut(*row as usize * blocks + position / 64) {
                *mask |= 1 << (position % 64);
            }
        }
        Self { length: sequence.len(), blocks, rows, masks }
    }

    /// The length of the prepared sequence.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The length of the longest common subsequence with another sequence.
    pub fn common(&self, sequence: &[WordId]) -> usize {
        let mut state = vec![u64::MAX; self.blocks];
        for word in sequence {
            let row = self.rows.get(*word as usize).copied().unwrap_or(0) as usize;
            if row == 0 {
                continue;
            }
            let masks = self.masks.get(row * self.blocks..).unwrap_or_default();
            let mut carry = false;
            for (block, &mask) in state.iter_mut().zip(masks) {
                let matched = *block & mask;
                let (sum, first) = block.overflowing_add(matched);
                let (sum, second) = sum.overflowing_add(u64::from(carry));
                carry = first || second;
                *block = sum | (*block & !mask);
            }
        }
        // Bits beyond the pattern stay set, so every cleared bit is one word of the subsequence.
        state.iter().map(|block| block.count_zeros() as usize).sum()
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
