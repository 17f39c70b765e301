//! Counts of the one- to four-word sequences of a text.

use super::corpus::WordId;

/// The longest sequence that is counted.
pub const LONGEST: usize = 4;

/// A sequence of up to four words: 32 bits a word, each its id plus one. Longer ones are larger numbers,
/// and sequences of different lengths never collide.
pub type Ngram = u128;

/// The sequences of each length that occur, ascending, with how often they do; index 0 has single words.
pub type NgramCounts = [Vec<(Ngram, u32)>; LONGEST];

/// Counts the sequences of one to four words.
pub fn count_ngrams(words: &[WordId]) -> NgramCounts {
    std::array::from_fn(|n| {
        let key = |window: &[WordId]| window.iter().fold(0, |key, &word| key << 32 | (Ngram::from(word) + 1));
        let mut ngrams: Vec<Ngram> = words.windows(n + 1).map(key).collect();
        ngrams.sort_unstable();
        ngrams.chunk_by(|a, b| a == b).filter_map(|run| Some((*run.first()?, run.len() as u32))).collect()
    })
}

/// How often a sequence occurs in sorted counts.
pub fn count_of(counts: &[(Ngram, u32)], ngram: Ngram) -> u32 {
    let found = counts.binary_search_by_key(&ngram, |&(other, _)| other);
    found.ok().and_then(|index| counts.get(index)).map_or(0, |&(_, count)| count)
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
        assert_eq!(count_of(&counts[0], 1), 3);
        assert_eq!(count_of(&counts[1], 1), 0);
        assert!(count_ngrams(&[7])[1].is_empty());
    }
}
