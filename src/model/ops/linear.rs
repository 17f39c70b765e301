//! The linear layer `y = x W^T + b` with `W` of shape (out, in), as `torch.nn.functional.linear`.
//!
//! One operation instead of a product and a broadcast addition: the bias is the product's starting value, and
//! the backward computes only the gradients that someone wants. candle's own matmul computes both.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::engine::Engine;
use super::product::{Precision, View, product};
use super::slices::{contiguous, gradient, is_fused, output, with_values};
use super::vector::{CHUNK_ROWS, add_in_order, vectorised};

/// Applies the layer to the last dimension of `xs`, which has any number of dimensions.
pub fn linear(xs: &Tensor, weight: &Tensor, bias: &Tensor, engine: &Engine) -> Result<Tensor> {
    if is_fused(xs) {
        xs.contiguous()?.apply_op3(weight, bias, Linear { engine: engine.clone() })
    } else {
        composed(xs, weight, bias)
    }
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

/// So many rows have the same bits in any larger number of rows.
///
/// gemm 0.19 sums in another order where there is one row, where the result has at most 16 x 16 values, and
/// where it has at most 64 rows and 64 columns and its sums have more than 512 terms. A caption must not depend
/// on the images it is made with, so fewer rows are filled up with zeros. Wide layers have only the first case.
fn rows_of_a_batch(width: usize, outs: usize) -> usize {
    let rows_beside_few_columns = if outs <= 64 && width > 512 { 65 } else { 2 };
    rows_beside_few_columns.max(16 * 16 / outs.max(1) + 1)
}

struct Linear {
    engine: Engine,
}

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
        let computed = match self.engine.precision {
            Precision::F32 => rows.max(rows_of_a_batch(width, outs)),
            Precision::Bf16 => rows,
        };
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
        product(shape_of_product, left, right, 1.0, &mut ys, outs, true, self.engine.precision);
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
        let (rows, precision) = (xs.elem_count() / width, self.engine.precision);
        with_values([xs, weight, grad], |[xs_values, weight_values, grads]| {
            let of_xs = || {
                let mut dxs = vec![0f32; rows * width];
                let (left, right) = (View::rows(grads, outs), View::rows(weight_values, width));
                product((rows, outs, width), left, right, 1.0, &mut dxs, width, false, precision);
                gradient(dxs, xs)
            };
            let of_weight = |dweight: &mut [f32], adds: bool| {
                let (left, right) = (View::rows(grads, outs).transposed(), View::rows(xs_values, width));
                product((outs, rows, width), left, right, 1.0, dweight, width, adds, precision);
            };
            let of_bias = |dbias: &mut [f32], _: bool| sum_rows(grads, dbias);
            Ok((
                xs.track_op().then(of_xs).transpose()?,
                self.engine.gradient_of(weight, of_weight)?,
                self.engine.gradient_of(bias, of_bias)?,
            ))
        })
    }
}

fn add_rows(rows: &[f32], total: &mut [f32]) {
    vectorised!({
        for row in rows.chunks_exact(total.len()) {
            for (sum, value) in total.iter_mut().zip(row) {
                *sum += value;
            }
        }
    });
}

/// Adds the sum over rows of a matrix stored row by row.
fn sum_rows(values: &[f32], total: &mut [f32]) {
    let width = total.len();
    let partials: Vec<Vec<f32>> = values
        .par_chunks(CHUNK_ROWS * width)
        .map(|rows| {
            let mut total = vec![0f32; width];
            add_rows(rows, &mut total);
            total
        })
        .collect();
    add_rows(&add_in_order(partials, width), total);
}
