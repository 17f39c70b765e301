//! Matrices rearranged for the [`kernels`](super::kernels): panels of a few columns, row after row.
//!
//! A word holds an `f32`, or two values of one column that follow each other in depth as `bf16`. The depth is cut into
//! blocks, so that a panel of a block stays in the cache while it is used.

use rayon::prelude::*;

use super::View;
use super::kernels::{COLUMNS, ROWS};
use crate::model::ops::vector::vectorised;

/// What a word of a panel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One value.
    F32,
    /// Two values, rounded to the nearest, ties to even.
    Bf16,
}

impl Format {
    /// Values of a column in a word.
    pub const fn values(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
        }
    }

    /// Words of a block, in depth: a right panel of a block takes 24 KiB.
    pub const STEPS: usize = 192;
}

/// A matrix (depth, columns) in panels of `W` columns. The last panel is filled up with zeros.
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
        for (block, deep, words) in self.blocks_of(depth, columns) {
            for (panel, words) in words.chunks_exact_mut(deep * W).enumerate() {
                pack::<W>(format, matrix, (depth, columns), block, panel, words);
            }
        }
    }

    /// The same by all threads of the pool.
    pub fn fill_in_parallel(&mut self, matrix: View, depth: usize, columns: usize) {
        let format = self.format;
        for (block, deep, words) in self.blocks_of(depth, columns) {
            let panels = words.par_chunks_exact_mut(deep * W).enumerate().with_min_len(4);
            panels.for_each(|(panel, words)| {
                pack::<W>(format, matrix, (depth, columns), block, panel, words);
            });
        }
    }

    /// Makes room for a matrix of this size: its blocks, by number, each with its steps and words.
    fn blocks_of(
        &mut self,
        depth: usize,
        columns: usize,
    ) -> impl Iterator<Item = (usize, usize, &mut [u32])> {
        self.resize(depth, columns);
        let (steps, panels) = (self.steps(), self.panels());
        let blocks = self.words.chunks_mut(Format::STEPS * W * panels).enumerate();
        blocks.map(move |(block, words)| (block, (steps - block * Format::STEPS).min(Format::STEPS), words))
    }

    fn resize(&mut self, depth: usize, columns: usize) {
        (self.depth, self.columns) = (depth, columns);
        // Every word is written: what was there need not be zeroed.
        self.words.resize(self.steps() * self.panels() * W, 0);
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

/// Packs one panel of one block.
fn pack<const W: usize>(
    format: Format,
    matrix: View,
    sizes: (usize, usize),
    block: usize,
    panel: usize,
    words: &mut [u32],
) {
    vectorised!(pack_any::<W>(format, matrix, sizes, block, panel, words));
}

#[inline(always)]
fn pack_any<const W: usize>(
    format: Format,
    matrix: View,
    (depth, columns): (usize, usize),
    block: usize,
    panel: usize,
    words: &mut [u32],
) {
    let first = panel * W;
    let width = (columns - first).min(W);
    let begin = block * Format::STEPS * format.values();
    let rows = (depth - begin).min(words.len() / W * format.values());
    let at = |row: usize, column: usize| {
        matrix.values[(begin + row) * matrix.row_stride + (first + column) * matrix.column_stride]
    };
    if width < W || !rows.is_multiple_of(format.values()) {
        words.fill(0);
    }
    if matrix.row_stride == 1 {
        for column in 0..width {
            let values = &matrix.values[(first + column) * matrix.column_stride + begin..][..rows];
            pack_column::<W>(format, values, &mut words[column..]);
        }
    } else if matrix.column_stride == 1 && width == W {
        let row = |row: usize| -> &[f32; W] {
            let values = &matrix.values[(begin + row) * matrix.row_stride + first..][..W];
            values.try_into().unwrap_or(&[0.0; W])
        };
        pack_rows::<W>(format, rows, row, words);
    } else {
        for (step, words) in words.chunks_exact_mut(W).enumerate() {
            for (column, word) in words[..width].iter_mut().enumerate() {
                *word = match format {
                    Format::F32 => at(step, column).to_bits(),
                    Format::Bf16 if 2 * step + 1 < rows => {
                        pair(at(2 * step, column), at(2 * step + 1, column))
                    }
                    Format::Bf16 => pair(at(2 * step, column), 0.0),
                };
            }
        }
    }
}

/// Writes a column, whose values follow each other, to every `W`th word.
#[inline(always)]
fn pack_column<const W: usize>(format: Format, values: &[f32], words: &mut [u32]) {
    match format {
        Format::F32 => {
            for (value, word) in values.iter().zip(words.iter_mut().step_by(W)) {
                *word = value.to_bits();
            }
        }
        Format::Bf16 => {
            let mut line = [0u32; 2 * Format::STEPS];
            for (word, value) in line.iter_mut().zip(values) {
                *word = bf16(*value);
            }
            for (pair, word) in
                line[..values.len().next_multiple_of(2)].chunks_exact(2).zip(words.iter_mut().step_by(W))
            {
                *word = pair[0] | pair[1] << 16;
            }
        }
    }
}

/// Writes rows of `W` values that follow each other.
#[inline(always)]
fn pack_rows<'a, const W: usize>(
    format: Format,
    rows: usize,
    row: impl Fn(usize) -> &'a [f32; W],
    words: &mut [u32],
) {
    for (step, words) in words.chunks_exact_mut(W).enumerate() {
        match format {
            Format::F32 => {
                for (word, value) in words.iter_mut().zip(row(step)) {
                    *word = value.to_bits();
                }
            }
            Format::Bf16 => {
                let zeros = [0.0; W];
                let upper = if 2 * step + 1 < rows { row(2 * step + 1) } else { &zeros };
                for ((word, low), high) in words.iter_mut().zip(row(2 * step)).zip(upper) {
                    *word = pair(*low, *high);
                }
            }
        }
    }
}

#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    bf16(low) | bf16(high) << 16
}

/// The upper half of an `f32`, rounded to the nearest, ties to even.
#[inline(always)]
pub fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if value.is_nan() { 0x7fc0 } else { rounded }
}
