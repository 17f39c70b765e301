//! Puts sequences of token ids of different lengths into one rectangle.

use std::ops::Range;

/// Token ids of a batch, padded on the right to the longest sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// `rows x columns` ids, row by row.
    pub ids: Vec<u32>,
    /// The ids of each row that are no padding.
    pub lengths: Vec<usize>,
    pub rows: usize,
    pub columns: usize,
    /// So many ids at the beginning of each row are given and never to be predicted: the start token, and a prompt.
    pub given: usize,
}

impl TokenBatch {
    /// The same of rows that begin with a prompt of so many ids behind the start token.
    pub fn with_prompt(self, ids: usize) -> Self {
        Self { given: 1 + ids, ..self }
    }

    /// Some of the rows, as wide as all of them.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let ids = self.ids[rows.start * self.columns..rows.end * self.columns].to_vec();
        let lengths = self.lengths[rows.clone()].to_vec();
        Self { ids, lengths, rows: rows.len(), columns: self.columns, given: self.given }
    }
}

/// Joins the sequences, in their order, with `pad` after the shorter ones.
pub fn collate(sequences: &[&[u32]], pad: u32) -> TokenBatch {
    let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
    let columns = lengths.iter().copied().max().unwrap_or(0);
    let mut ids = Vec::with_capacity(sequences.len() * columns);
    for sequence in sequences {
        ids.extend_from_slice(sequence);
        ids.extend(std::iter::repeat_n(pad, columns - sequence.len()));
    }
    TokenBatch { ids, rows: sequences.len(), columns, lengths, given: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_sequences_are_padded_on_the_right_to_the_longest() {
        let batch = collate(&[&[101, 7, 102], &[101, 102], &[101, 8, 9, 102]], 0);
        assert_eq!(batch.ids, [101, 7, 102, 0, 101, 102, 0, 0, 101, 8, 9, 102]);
        assert_eq!(batch.lengths, [3, 2, 4]);
        assert_eq!((batch.rows, batch.columns), (3, 4));
    }

    #[test]
    fn rows_of_a_batch_stay_as_wide_as_it_is() {
        let batch = collate(&[&[101, 7, 102], &[101, 102], &[101, 8, 9, 102]], 0).slice(0..2);
        assert_eq!(batch.ids, [101, 7, 102, 0, 101, 102, 0, 0]);
        assert_eq!((batch.rows, batch.columns, batch.lengths), (2, 4, vec![3, 2]));
    }

    #[test]
    fn a_batch_of_nothing_has_no_columns() {
        let batch = collate(&[], 0);
        assert_eq!((batch.rows, batch.columns, batch.ids.len()), (0, 0, 0));
    }
}
