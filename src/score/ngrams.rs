//! Counts of the one- to four-word sequences of a text.

use super::corpus::{Image, WordId};

/// The longest sequence that is counted.
pub const LONGEST: usize = 4;

/// A sequence of up to four words: 32 bits a word, each its id plus one. Longer ones are larger numbers,
/// and sequences of different lengths never collide.
pub type Ngram = u128;

/// The sequences of each length that occur, ascending, with how often they do; index 0 has single words.
pub type NgramCounts = [Vec<(Ngram, u32)>; LONGEST];

/// The sequences of an image's caption and of each of its references.
pub struct ImageCounts {
    pub caption: NgramCounts,
    pub references: Vec<NgramCounts>,
}

impl ImageCounts {
    pub fn of(image: &Image) -> Self {
        let references = image.references.iter().map(|words| count_ngrams(words)).collect();
        Self { caption: count_ngrams(&image.caption), references }
    }
}

/// Counts the sequences of one to four words.
pub fn count_ngrams(words: &[WordId]) -> NgramCounts {
    std::array::from_fn(|n| {
        let key = |window: &[WordId]| window.iter().fold(0, |key, &word| key << 32 | (Ngram::from(word) + 1));
        let mut ngrams: Vec<Ngram> = words.windows(n + 1).map(key).collect();
        ngrams.sort_unstable();
        let mut counts = Vec::with_capacity(ngrams.len());
        counts
            .extend(ngrams.chunk_by(|a, b| a == b).filter_map(|run| Some((*run.first()?, run.len() as u32))));
        counts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_sequences_are_counted_and_lengths_kept_apart() {
        let counts = count_ngrams(&[0, 1, 0, 1, 0]);
        let times = |n: usize| counts[n].iter().map(|&(_, count)| count).collect::<Vec<_>>();
        assert_eq!(
            [times(0), times(1), times(2), times(3)],
            [vec![3, 2], vec![2, 2], vec![2, 1], vec![1, 1]]
        );
        assert!(count_ngrams(&[7])[1].is_empty());
    }
}
