//! The linear layer `y = x W^T + b` with `W` of shape (out, in), as `torch.nn.functional.linear`.
//!
//! One operation instead of a product and a broadcast addition: the bias is the product's starting value, and
//! the backward computes only the gradients that someone wants. candle's own matmul computes both.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use gemm::Parallelism;
use rayon::prelude::*;

use super::slices::{contiguous, gradient, is_fused, output, with_values};
use super::vector::{CHUNK_ROWS, add_in_order, vectorised};

/// Applies the layer to the last dimension of `xs`, which has any number of dimensions.
pub fn linear(xs: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if is_fused(xs) { xs.contiguous()?.apply_op3(weight, bias, Linear) } else { composed(xs, weight, bias) }
}

/// The same from candle's differentiable operations.
pub fn composed(xs: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let width = xs.dim(D::Minus1)?;
    let rows = xs.elem_count() / width;
    let mut shape = xs.dims().to_vec();
    shape.pop();
    shape.push(weight.dim(0)?);
    xs.reshape((rows, width))?.matmul(&weight.t()?)?.broadcast_add(bias)?.reshape(shape)
}

/// The parallelism of products: the size of the current thread pool.
pub fn parallelism() -> Parallelism {
    match rayon::current_num_threads() {
        1 => Parallelism::None,
        n => Parallelism::Rayon(n),
    }
}

/// A matrix inside a slice: element `(row, column)` lies at `offset + row * row_stride + column * column_stride`.
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

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.values.len()
    }
}

/// `out = scale * left * right`, or `out += ...` where `accumulate`, for (m, k) times (k, n). `out` is stored
/// row by row with `out_stride` values from row to row.
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

/// So many rows have the same bits in any larger number of rows.
///
/// gemm 0.19 sums in another order where there is one row, where the result has at most 16 x 16 values, and
/// where it has at most 64 rows and 64 columns and its sums have more than 512 terms. A caption must not depend
/// on the images it is made with, so fewer rows are filled up with zeros. Wide layers have only the first case.
fn rows_of_a_batch(width: usize, outs: usize) -> usize {
    let rows_beside_few_columns = if outs <= 64 && width > 512 { 65 } else { 2 };
    rows_beside_few_columns.max(16 * 16 / outs.max(1) + 1)
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (outs, width) = weight_layout.shape().dims2()?;
        let xs = contiguous(xs, xs_layout, self.name())?;
        let weight = contiguous(weight, weight_layout, self.name())?;
        let bias = contiguous(bias, bias_layout, self.name())?;
        let mut shape = xs_layout.dims().to_vec();
        if shape.pop() != Some(width) {
            candle_core::bail!("linear layer of width {width} applied to {:?}", xs_layout.shape());
        }
        shape.push(outs);
        let rows = xs.len() / width;
        let computed = rows.max(rows_of_a_batch(width, outs));
        let padded;
        let xs = if rows < computed {
            padded = [xs, &vec![0.0; (computed - rows) * width]].concat();
            &padded
        } else {
            xs
        };
        let mut ys = Vec::with_capacity(computed * outs);
        for _ in 0..computed {
            ys.extend_from_slice(bias);
        }
        let (shape_of_product, left) = ((computed, width, outs), View::rows(xs, width));
        let right = View::rows(weight, width).transposed();
        product(shape_of_product, left, right, 1.0, &mut ys, outs, true, parallelism());
        ys.truncate(rows * outs);
        output(ys, shape)
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _ys: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (outs, width) = weight.dims2()?;
        let rows = xs.elem_count() / width;
        with_values([xs, weight, grad], |[xs_values, weight_values, grads]| {
            let of_xs = || {
                let mut dxs = vec![0f32; rows * width];
                let (left, right) = (View::rows(grads, outs), View::rows(weight_values, width));
                product((rows, outs, width), left, right, 1.0, &mut dxs, width, false, parallelism());
                gradient(dxs, xs)
            };
            let of_weight = || {
                let mut dweight = vec![0f32; outs * width];
                let (left, right) = (View::rows(grads, outs).transposed(), View::rows(xs_values, width));
                product((outs, rows, width), left, right, 1.0, &mut dweight, width, false, parallelism());
                gradient(dweight, weight)
            };
            Ok((
                xs.track_op().then(of_xs).transpose()?,
                weight.track_op().then(of_weight).transpose()?,
                bias.track_op().then(|| gradient(sum_rows(grads, outs), bias)).transpose()?,
            ))
        })
    }
}

/// The sum over rows of a matrix stored row by row.
fn sum_rows(values: &[f32], width: usize) -> Vec<f32> {
    let partials = values
        .par_chunks(CHUNK_ROWS * width)
        .map(|rows| {
            let mut total = vec![0f32; width];
            vectorised!({
                for row in rows.chunks_exact(width) {
                    for (sum, value) in total.iter_mut().zip(row) {
                        *sum += value;
                    }
                }
            });
            total
        })
        .collect();
    add_in_order(partials, width)
}
