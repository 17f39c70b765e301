//! Matrices rearranged for the [`kernels`](super::kernels): panels of a few columns, row after row.
//!
//! A word holds an `f32`, which may be one that `f16` has, or two values of one column that follow each other in depth as
//! `bf16`. The depth is cut into blocks, so that a panel of a block stays in the cache while it is used.

use rayon::prelude::*;

use super::kernels::{COLUMNS, ROWS};
use super::packing::{Part, pack};
use super::{Precision, View};

/// What a word of a panel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One value.
    F32,
    /// Two values, rounded to the nearest, ties to even.
    Bf16,
    /// One value, rounded to `f16`, as the `f32` that is equal to it: AVX-512 has no product of `f16` that sums in `f32`.
    F16,
}

impl From<Precision> for Format {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
            Precision::F16 => Self::F16,
        }
    }
}

impl Format {
    /// Values of a column in a word.
    pub const fn values(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Bf16 => 2,
        }
    }

    /// Words of a block, in depth: a right panel of a block takes 24 KiB.
    pub const STEPS: usize = 192;
}

/// A matrix (depth, columns) in panels of `W` columns. The last panel is filled up with zeros.
#[derive(Debug)]
pub struct Panels<const W: usize> {
    words: Vec<u32>,
    format: Format,
    pub depth: usize,
    pub columns: usize,
}

/// The left operand, transposed.
pub type Left = Panels<ROWS>;
pub type Right = Panels<COLUMNS>;

impl<const W: usize> Panels<W> {
    /// No matrix yet; [`Panels::fill`] reuses the memory.
    pub fn new(format: Format) -> Self {
        Self { words: Vec::new(), format, depth: 0, columns: 0 }
    }

    /// Takes in a matrix.
    pub fn fill(&mut self, matrix: View, depth: usize, columns: usize) {
        let format = self.format;
        for (row, rows, words) in self.blocks_of(depth, columns) {
            for (panel, words) in words.chunks_exact_mut(rows.div_ceil(format.values()) * W).enumerate() {
                let (column, columns) = (panel * W, (columns - panel * W).min(W));
                pack::<W>(format, Part { matrix, row, column, rows, columns }, words);
            }
        }
    }

    /// The same by all threads of the pool.
    pub fn fill_in_parallel(&mut self, matrix: View, depth: usize, columns: usize) {
        let format = self.format;
        for (row, rows, words) in self.blocks_of(depth, columns) {
            let panels = words.par_chunks_exact_mut(rows.div_ceil(format.values()) * W).enumerate();
            panels.with_min_len(4).for_each(|(panel, words)| {
                let (column, columns) = (panel * W, (columns - panel * W).min(W));
                pack::<W>(format, Part { matrix, row, column, rows, columns }, words);
            });
        }
    }

    /// Makes room for a matrix of this size: its blocks, each with its first row, how many it has, and its words. What was
    /// there stays until it is written over, as all of it is.
    fn blocks_of(
        &mut self,
        depth: usize,
        columns: usize,
    ) -> impl Iterator<Item = (usize, usize, &mut [u32])> {
        (self.depth, self.columns) = (depth, columns);
        let (panels, deep) = (self.panels(), Format::STEPS * self.format.values());
        let count = self.steps() * panels * W;
        if self.words.len() < count {
            self.words.resize(count, 0);
        }
        let blocks = self.words[..count].chunks_mut(Format::STEPS * W * panels).enumerate();
        blocks.map(move |(block, words)| (block * deep, (depth - block * deep).min(deep), words))
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Words of a column.
    fn steps(&self) -> usize {
        self.depth.div_ceil(self.format.values())
    }

    pub fn panels(&self) -> usize {
        self.columns.div_ceil(W)
    }

    pub fn blocks(&self) -> usize {
        self.steps().div_ceil(Format::STEPS)
    }

    /// The words of a panel in a block of the depth: rows of `W`.
    pub fn panel(&self, block: usize, panel: usize) -> &[u32] {
        let before = block * Format::STEPS;
        let deep = (self.steps() - before).min(Format::STEPS);
        &self.words[(before * self.panels() + panel * deep) * W..][..deep * W]
    }
}
