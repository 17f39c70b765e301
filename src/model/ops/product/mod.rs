//! Matrix products of `f32` values, summed in `f32`.
//!
//! Large products in full precision are the `gemm` crate's. Where the processor has AVX-512, those of attention, whose
//! matrices are small, and all products of values rounded to `bf16` or `f16` are made here, from [`panels`] by [`kernels`].

pub mod kernels;
pub mod packing;
pub mod panels;

use gemm::Parallelism;
use rayon::prelude::*;

use super::buffer::{repeated, zeros};
use kernels::{COLUMNS, ROWS, Tile};
use panels::{Format, Left, Panels, Right};

pub use crate::record::recipe::Precision;

/// A matrix inside a slice: element `(row, column)` lies at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub values: &'a [f32],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> View<'a> {
    /// A matrix stored row by row.
    pub fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, row_stride: width, column_stride: 1 }
    }

    /// The transposed matrix.
    pub fn transposed(self) -> Self {
        Self { values: self.values, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    /// The matrix without its first rows.
    pub fn from_row(self, row: usize) -> Self {
        self.from_place(row * self.row_stride)
    }

    /// The matrix that begins with a later value.
    pub fn from_place(self, place: usize) -> Self {
        Self { values: &self.values[place..], ..self }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.values.len()
    }
}

/// Rows and columns of a task's part of the result, in panels: its operands fit into the second cache.
const TASK_PANELS: usize = 8;

/// `out = scale * left * right`, or `out += ...` where `accumulate`, for (m, k) times (k, n), by all threads of the pool.
/// `out` is stored row by row with `out_stride` values from row to row.
#[expect(
    clippy::too_many_arguments,
    reason = "these are the operands of a product; a struct would rename them"
)]
pub fn product(
    (m, k, n): (usize, usize, usize),
    left: View,
    right: View,
    scale: f32,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
    precision: Precision,
) {
    if m == 0 || n == 0 {
        return;
    }
    let Some(format) = packed(precision) else {
        return unpacked((m, k, n), left, right, scale, out, out_stride, accumulate, precision);
    };
    with_panels(format, |of_left, of_right| {
        of_left.fill_in_parallel(left.transposed(), k, m);
        of_right.fill_in_parallel(right, k, n);
        multiply_in_parallel(of_left, of_right, scale, out, out_stride, accumulate);
    });
}

/// The same by the `gemm` crate, from operands that are rounded before.
#[expect(
    clippy::too_many_arguments,
    reason = "these are the operands of a product; a struct would rename them"
)]
fn unpacked(
    (m, k, n): (usize, usize, usize),
    left: View,
    right: View,
    scale: f32,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
    precision: Precision,
) {
    if precision == Precision::F32 {
        return by_gemm((m, k, n), left, right, scale, out, out_stride, accumulate, parallelism());
    }
    let round = rounding(precision);
    let (left, right) = (rounded((m, k), left, round), rounded((k, n), right, round));
    let (left, right) = (View::rows(&left, k), View::rows(&right, n));
    by_gemm((m, k, n), left, right, scale, out, out_stride, accumulate, parallelism());
}

/// How operands of large products are packed; `None` where the `gemm` crate takes them as they are, or rounded before.
pub fn packed(precision: Precision) -> Option<Format> {
    let format = Format::from(precision);
    (precision != Precision::F32 && kernels::is_available(format)).then_some(format)
}

/// `left * right + bias`, for (m, k) times (k, n) and a value for each column, row by row: the same bits as [`product`]'s on what
/// was the bias before. No value is written twice.
pub fn new_product(
    (m, k, n): (usize, usize, usize),
    left: View,
    right: View,
    bias: Option<&[f32]>,
    precision: Precision,
) -> Vec<f32> {
    match packed(precision) {
        Some(format) => product_of_sides(format, Side::left(left, m, k), Side::right(right, k, n), bias),
        None => {
            let mut out = bias.map_or_else(|| zeros(m * n), |bias| repeated(bias, m));
            product((m, k, n), left, right, 1.0, &mut out, n, bias.is_some(), precision);
            out
        }
    }
}

/// A side of a product: a matrix, or its panels where they are there already.
#[derive(Clone, Copy)]
pub enum Side<'a, const W: usize> {
    Matrix { matrix: View<'a>, depth: usize, columns: usize },
    Packed(&'a Panels<W>),
}

impl<'a> Side<'a, ROWS> {
    /// A matrix of so many rows, and `depth` columns.
    pub fn left(matrix: View<'a>, rows: usize, depth: usize) -> Self {
        Self::Matrix { matrix: matrix.transposed(), depth, columns: rows }
    }
}

impl<'a> Side<'a, COLUMNS> {
    pub fn right(matrix: View<'a>, depth: usize, columns: usize) -> Self {
        Self::Matrix { matrix, depth, columns }
    }
}

impl<'a, const W: usize> Side<'a, W> {
    /// Its panels, in `space` where they are not there yet.
    fn panels(self, space: &'a mut Panels<W>) -> &'a Panels<W> {
        match self {
            Self::Matrix { matrix, depth, columns } => {
                space.fill_in_parallel(matrix, depth, columns);
                space
            }
            Self::Packed(panels) => panels,
        }
    }
}

/// [`new_product`] from panels of this format.
pub fn product_of_sides(
    format: Format,
    left: Side<ROWS>,
    right: Side<COLUMNS>,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    with_panels(format, |of_left, of_right| multiplied(left.panels(of_left), right.panels(of_right), bias))
}

/// `out += left * right` for a packed matrix and one of `columns` columns: the same bits as [`product`]'s.
pub fn add_product_of_packed(left: &Left, right: View, columns: usize, out: &mut [f32], out_stride: usize) {
    if left.columns == 0 || columns == 0 {
        return;
    }
    with_panels(left.format(), |_, of_right| {
        of_right.fill_in_parallel(right, left.depth, columns);
        multiply_in_parallel(left, of_right, 1.0, out, out_stride, true);
    });
}

/// The same in full precision by the `gemm` crate.
#[expect(
    clippy::too_many_arguments,
    reason = "these are the operands of a product; a struct would rename them"
)]
pub fn by_gemm(
    (m, k, n): (usize, usize, usize),
    left: View,
    right: View,
    scale: f32,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
    parallelism: Parallelism,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(left.covers(m, k) && right.covers(k, n), "an operand is smaller than its shape says");
    assert!((m - 1) * out_stride + n <= out.len(), "the output is smaller than its shape says");
    // SAFETY: the asserts above keep every element that the shape names inside its slice.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The parallelism of products: the size of the current thread pool.
fn parallelism() -> Parallelism {
    match rayon::current_num_threads() {
        1 => Parallelism::None,
        n => Parallelism::Rayon(n),
    }
}

/// Values rounded as operands of products are.
pub fn rounded_values(values: &[f32], precision: Precision) -> Vec<f32> {
    let round = rounding(precision);
    values.par_iter().map(|value| round(*value)).collect()
}

/// How operands are rounded.
fn rounding(precision: Precision) -> fn(f32) -> f32 {
    match precision {
        Precision::F32 => |value| value,
        Precision::Bf16 => |value| f32::from_bits(packing::bf16(value) << 16),
        Precision::F16 => packing::f16,
    }
}

/// A matrix with its values rounded, row by row.
fn rounded((rows, columns): (usize, usize), matrix: View, round: fn(f32) -> f32) -> Vec<f32> {
    assert!(matrix.covers(rows, columns), "an operand is smaller than its shape says");
    let value = |place: usize| {
        let (row, column) = (place / columns, place % columns);
        matrix.values[row * matrix.row_stride + column * matrix.column_stride]
    };
    (0..rows * columns).into_par_iter().map(|place| round(value(place))).collect()
}

/// Lends this thread's panels for rounded values, whose memory stays for the next product of the same format.
fn with_panels<T>(format: Format, work: impl FnOnce(&mut Left, &mut Right) -> T) -> T {
    thread_local! {
        static PANELS: std::cell::Cell<Option<(Left, Right)>> = const { std::cell::Cell::new(None) };
    }
    let kept = PANELS.take().filter(|(left, _)| left.format() == format);
    let (mut left, mut right) = kept.unwrap_or_else(|| (Left::new(format), Right::new(format)));
    let result = work(&mut left, &mut right);
    PANELS.set(Some((left, right)));
    result
}

/// `out = scale * left * right` from packed operands, or `out += ...` where `accumulate`, by this thread alone.
pub fn multiply(
    left: &Left,
    right: &Right,
    scale: f32,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    let task = Task::new(left, right, scale, out, out_stride, accumulate);
    // SAFETY: the borrow of `out` is this thread's.
    unsafe { task.run(0..left.panels(), 0..right.panels()) };
}

fn multiply_in_parallel(
    left: &Left,
    right: &Right,
    scale: f32,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    let task = Task::new(left, right, scale, out, out_stride, accumulate);
    // SAFETY: the borrow of `out` is held here.
    unsafe { task.run_in_parallel() };
}

/// `left * right + bias`, from packed operands.
fn multiplied(left: &Left, right: &Right, bias: Option<&[f32]>) -> Vec<f32> {
    let (rows, columns) = (left.columns, right.columns);
    if left.depth == 0 {
        return bias.map_or_else(|| zeros(rows * columns), |bias| repeated(bias, rows));
    }
    assert!(bias.is_none_or(|bias| bias.len() == columns), "a bias has a value for each column");
    let mut out = Vec::with_capacity(rows * columns);
    let target = Target { values: out.as_mut_ptr(), stride: columns, adds: false, bias };
    let task = Task::to(left, right, 1.0, target);
    // SAFETY: there is room for all rows and columns, and where there is any depth each of them is written.
    unsafe {
        task.run_in_parallel();
        out.set_len(rows * columns);
    }
    out
}

/// Where a product goes.
#[derive(Clone, Copy)]
struct Target<'a> {
    values: *mut f32,
    stride: usize,
    adds: bool,
    bias: Option<&'a [f32]>,
}

struct Task<'a> {
    left: &'a Left,
    right: &'a Right,
    scale: f32,
    target: Target<'a>,
}

// SAFETY: tasks of one product write to different tiles, see `Task::run_in_parallel`.
unsafe impl Sync for Task<'_> {}

impl<'a> Task<'a> {
    /// Operands that fit together, and a result that holds their product.
    fn new(
        left: &'a Left,
        right: &'a Right,
        scale: f32,
        out: &mut [f32],
        stride: usize,
        accumulate: bool,
    ) -> Self {
        let needed = left.columns.saturating_sub(1) * stride + right.columns;
        assert!(right.columns <= stride && needed <= out.len(), "the output is smaller than its shape says");
        Self::to(
            left,
            right,
            scale,
            Target { values: out.as_mut_ptr(), stride, adds: accumulate, bias: None },
        )
    }

    /// The same where the result is known to be large enough.
    fn to(left: &'a Left, right: &'a Right, scale: f32, target: Target<'a>) -> Self {
        let is_one_kind = left.depth == right.depth && left.format() == right.format();
        assert!(is_one_kind, "the operands do not fit together");
        assert!(kernels::is_available(left.format()), "this processor has no such kernel");
        Self { left, right, scale, target }
    }

    /// By all threads of the pool.
    ///
    /// # Safety
    /// The result that the task was made with still lives, and nobody else uses it.
    unsafe fn run_in_parallel(&self) {
        let (left, right) = (self.left, self.right);
        let (rows, columns) = (left.panels().div_ceil(TASK_PANELS), right.panels().div_ceil(TASK_PANELS));
        let part = |i: usize, panels: usize| i * TASK_PANELS..((i + 1) * TASK_PANELS).min(panels);
        (0..rows * columns).into_par_iter().for_each(|i| {
            // SAFETY: the caller's promise, and no two tasks write to the same tile.
            unsafe { self.run(part(i % rows, left.panels()), part(i / rows, right.panels())) };
        });
    }

    /// # Safety
    /// The result that the task was made with still lives, and nobody else uses these tiles of it.
    unsafe fn run(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) {
        let Self { left, right, scale, target: Target { values, stride, adds, bias } } = *self;
        for block in 0..left.blocks() {
            for column in columns.clone() {
                let of_right = right.panel(block, column);
                let bias = bias.map_or(std::ptr::null(), |bias| bias[column * COLUMNS..].as_ptr());
                for row in rows.clone() {
                    let of_left = left.panel(block, row);
                    let tile = Tile {
                        out: values.wrapping_add(row * ROWS * stride + column * COLUMNS),
                        stride,
                        rows: (left.columns - row * ROWS).min(ROWS),
                        columns: (right.columns - column * COLUMNS).min(COLUMNS),
                        scale,
                        adds: adds || block > 0,
                        bias,
                    };
                    let steps = of_left.len() / ROWS;
                    // SAFETY: the panels are of one depth, and the tile lies inside the result.
                    unsafe { kernels::run(left.format(), steps, of_left.as_ptr(), of_right.as_ptr(), tile) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
