//! Matrix products of few rows with weights as they lie in memory.
//!
//! A general product first packs both operands, which costs more than it saves where a weight is used for a few captions
//! only. Here the captions are the columns of the right operand, which is small and stays in the cache; vectors hold
//! neighbouring columns, and each value of the left operand, read once from where it lies, multiplies some of them. Every
//! element is one sum in the order of its terms, whatever the other rows and columns are, so results depend neither on how
//! many captions there are nor on how the rows are shared out among threads.

use pulp::{Arch, Simd, WithSimd};

/// Columns come in multiples of this, which is one vector of the widest instructions.
pub const LANES: usize = 16;

/// A product `out = start + left x right`.
pub struct Product<'a> {
    /// Rows of `depth` values that begin `left_stride` apart.
    pub left: &'a [f32],
    pub left_stride: usize,
    pub depth: usize,
    /// `depth` rows of `columns` values that begin `right_stride` apart; `columns` is a multiple of [`LANES`].
    pub right: &'a [f32],
    pub right_stride: usize,
    pub columns: usize,
    pub start: Start<'a>,
}

/// What the sums start with.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Zero,
    /// A value for each row.
    Rows(&'a [f32]),
    /// A value for each column.
    Columns(&'a [f32]),
}

impl Product<'_> {
    /// Computes `rows` rows of the product into `out`, where they begin `out_stride` apart.
    pub fn compute(&self, rows: usize, out: &mut [f32], out_stride: usize) {
        if rows == 0 || self.columns == 0 {
            return;
        }
        assert!(self.columns.is_multiple_of(LANES), "columns come in whole vectors");
        assert!(self.columns <= out_stride && self.columns <= self.right_stride);
        Arch::new().dispatch(Run { product: self, rows, out, out_stride });
    }
}

struct Run<'a> {
    product: &'a Product<'a>,
    rows: usize,
    out: &'a mut [f32],
    out_stride: usize,
}

/// Calls `$run.tile::<_, V, R>` with the numbers of vectors and of rows as constants.
macro_rules! dispatch {
    ($run:ident, $simd:ident, $vectors:ident, $rows:ident, $row:expr, $column:expr; $($v:literal: $($r:literal)*;)*) => {
        match ($vectors, $rows) {
            $($(($v, $r) => $run.tile::<_, $v, $r>($simd, $row, $column),)*)*
            _ => unreachable!("no tile has {} vectors and {} rows", $vectors, $rows),
        }
    };
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = self.product.columns / S::F32_LANES;
        // The sums of a tile, a vector of each of its columns and one value fit into the registers.
        let (widest, values) = if S::REGISTER_COUNT >= 32 { (5, 25) } else { (2, 10) };
        let tiles = vectors.div_ceil(widest);
        let mut row = 0;
        while row < self.rows {
            let height = (values / vectors.div_ceil(tiles)).min(8).min(self.rows - row);
            let mut vector = 0;
            for tile in 0..tiles {
                let width = (vectors - vector).div_ceil(tiles - tile);
                let column = vector * S::F32_LANES;
                dispatch!(self, simd, width, height, row, column;
                    1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8; 4: 1 2 3 4 5 6; 5: 1 2 3 4 5;);
                vector += width;
            }
            row += height;
        }
    }
}

impl Run<'_> {
    /// The part of `R` rows from `row` on and `V` vectors of columns from `column` on.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const R: usize>(&mut self, simd: S, row: usize, column: usize) {
        let Product { left, left_stride, depth, right, right_stride, start, .. } = *self.product;
        let width = V * S::F32_LANES;
        let rows: [&[f32]; R] = std::array::from_fn(|r| &left[(row + r) * left_stride..][..depth]);
        let mut sums: [[S::f32s; V]; R] = match start {
            Start::Zero => [[simd.splat_f32s(0.0); V]; R],
            Start::Rows(values) => std::array::from_fn(|r| [simd.splat_f32s(values[row + r]); V]),
            Start::Columns(values) => [load(simd, &values[column..][..width]); R],
        };
        for k in 0..depth {
            let columns: [S::f32s; V] = load(simd, &right[k * right_stride + column..][..width]);
            for r in 0..R {
                let value = simd.splat_f32s(rows[r][k]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_e_f32s(value, columns[v], sums[r][v]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let out = &mut self.out[(row + r) * self.out_stride + column..][..width];
            S::as_mut_simd_f32s(out).0.copy_from_slice(sums);
        }
    }
}

#[inline(always)]
fn load<S: Simd, const V: usize>(_: S, values: &[f32]) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(values);
    std::array::from_fn(|v| vectors[v])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * seed).sin()).collect()
    }

    /// Sums in the order of the terms, as exact as one can be.
    fn expected(product: &Product, rows: usize) -> Vec<f64> {
        let sum = |row: usize, column: usize| {
            let start = match product.start {
                Start::Zero => 0.0,
                Start::Rows(values) => values[row],
                Start::Columns(values) => values[column],
            };
            let term = |k| {
                let left = product.left[row * product.left_stride + k] as f64;
                left * product.right[k * product.right_stride + column] as f64
            };
            start as f64 + (0..product.depth).map(term).sum::<f64>()
        };
        (0..rows).flat_map(|row| (0..product.columns).map(move |column| sum(row, column))).collect()
    }

    #[test]
    fn products_of_all_shapes_are_right_and_leave_alone_what_is_not_theirs() {
        let depth = 37;
        let (left, right) = (values(30 * 41, 0.37), values(depth * 300, 0.73));
        let starts = (values(30, 0.11), values(300, 0.17));
        for columns in (LANES..=12 * LANES).step_by(LANES) {
            for rows in 1..=19 {
                for start in [Start::Zero, Start::Rows(&starts.0), Start::Columns(&starts.1)] {
                    let product = Product {
                        left: &left,
                        left_stride: 41,
                        depth,
                        right: &right,
                        right_stride: 300,
                        columns,
                        start,
                    };
                    let stride = columns + 3;
                    let mut out = vec![f32::NAN; rows * stride];
                    product.compute(rows, &mut out, stride);
                    let found = out.chunks(stride).flat_map(|row| &row[..columns]);
                    for (found, expected) in found.zip(expected(&product, rows)) {
                        assert!(
                            (*found as f64 - expected).abs() < 1e-5,
                            "{rows} x {columns}: {found}, not {expected}"
                        );
                    }
                    assert!(out.chunks(stride).all(|row| row[columns..].iter().all(|value| value.is_nan())));
                }
            }
        }
    }

    #[test]
    fn an_element_has_the_same_bits_among_any_other_rows_and_columns() {
        let depth = 129;
        let (left, right) = (values(40 * depth, 0.31), values(depth * 160, 0.57));
        let product = |left, right, columns| Product {
            left,
            left_stride: depth,
            depth,
            right,
            right_stride: 160,
            columns,
            start: Start::Zero,
        };
        let mut all = vec![0.0; 40 * 160];
        product(&left, &right, 160).compute(40, &mut all, 160);
        for first in [0, LANES, 5 * LANES] {
            for columns in (LANES..=160 - first).step_by(LANES) {
                for (row, rows) in [(0, 40), (3, 1), (7, 6), (20, 20)] {
                    let mut part = vec![0.0; rows * columns];
                    product(&left[row * depth..], &right[first..], columns).compute(rows, &mut part, columns);
                    for (r, part) in part.chunks(columns).enumerate() {
                        assert_eq!(part, &all[(row + r) * 160 + first..][..columns]);
                    }
                }
            }
        }
    }
}
