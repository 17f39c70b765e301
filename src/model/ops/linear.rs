//! The linear layer `y = x W^T + b` with `W` of shape (out, in), as `torch.nn.functional.linear`.
//!
//! One operation instead of a product and a broadcast addition: the bias is the product's starting value, and
//! the backward computes only the gradients that someone wants. candle's own matmul computes both.

use std::sync::Arc;

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::product::panels::{Format, Right};
use super::product::{Precision, Side, View, new_product, packed, product, product_of_sides};
use super::shared_input::Packed;
use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::{CHUNK_ROWS, add_in_order, vectorised};

/// Applies the layer to the last dimension of `xs`, which has any number of dimensions.
pub fn linear(xs: &Tensor, weight: &Tensor, bias: &Tensor, engine: &Engine) -> Result<Tensor> {
    if !is_fused(xs) {
        return composed(xs, weight, bias);
    }
    let (outs, width) = weight.dims2()?;
    let mut shape = xs.dims().to_vec();
    if shape.pop() != Some(width) {
        candle_core::bail!("linear layer of width {width} applied to {:?}", xs.shape());
    }
    shape.push(outs);
    let (xs, precision) = (xs.contiguous()?, engine.precision);
    let (shared, kept) = (engine.inputs.find(&xs), engine.packs.right(weight, precision)?);
    let ys = with_values([&xs, weight, bias], |[xs, weight, bias]| {
        Ok(match packed(precision) {
            Some(format) => by_panels(format, (xs, shared.as_deref()), (weight, kept.as_deref()), bias),
            None => by_gemm(xs, weight, bias, precision),
        })
    })?;
    let ys = Tensor::from_vec(ys, shape, xs.device())?;
    record((xs, shared), weight, bias, &ys, engine);
    Ok(ys)
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

fn by_gemm(xs: &[f32], weight: &[f32], bias: &[f32], precision: Precision) -> Vec<f32> {
    let outs = bias.len();
    let width = weight.len() / outs;
    let rows = xs.len() / width;
    let computed = rows.max(rows_of_a_batch(width, outs));
    let padded;
    let xs = if rows < computed {
        padded = [xs, &vec![0.0; (computed - rows) * width]].concat();
        &padded
    } else {
        xs
    };
    let (left, right) = (View::rows(xs, width), View::rows(weight, width).transposed());
    let mut ys = new_product((computed, width, outs), left, right, Some(bias), precision);
    ys.truncate(rows * outs);
    ys
}

/// From panels of the input and of the weights, those that are there already among them. Rows have the same bits in any
/// number of them.
fn by_panels(
    format: Format,
    (xs, shared): (&[f32], Option<&Packed>),
    (weight, kept): (&[f32], Option<&Right>),
    bias: &[f32],
) -> Vec<f32> {
    let outs = bias.len();
    let width = weight.len() / outs;
    let shared = shared.map(|shared| shared.left(format, xs, width));
    let left = match &shared {
        Some(panels) => Side::Packed(&**panels),
        None => Side::left(View::rows(xs, width), xs.len() / width, width),
    };
    let right = match kept {
        Some(panels) => Side::Packed(panels),
        None => Side::right(View::rows(weight, width).transposed(), width, outs),
    };
    product_of_sides(format, left, right, Some(bias))
}

/// What goes into a layer, and its panels where other layers take it, too.
type SharedInput = (Tensor, Option<Arc<Packed>>);

fn record((xs, shared): SharedInput, weight: &Tensor, bias: &Tensor, ys: &Tensor, engine: &Engine) {
    let [of_xs, of_weight, of_bias] = [&xs, weight, bias].map(Input::from);
    let (kept, precision) = ([xs.clone(), weight.clone()], engine.precision);
    engine.record(&[&xs, weight, bias], ys, move |grads, to| {
        let (outs, width) = kept[1].dims2()?;
        let rows = grads.len() / outs;
        let grads = &grads[..];
        with_values(kept.each_ref(), |[xs, weight]| {
            let by_output = View::rows(grads, outs).transposed();
            to.put_new(
                &of_weight,
                || match (packed(precision), &shared) {
                    (Some(format), Some(shared)) => {
                        let (left, right) =
                            (Side::left(by_output, outs, rows), shared.right(format, xs, width));
                        product_of_sides(format, left, Side::Packed(&*right), None)
                    }
                    _ => new_product((outs, rows, width), by_output, View::rows(xs, width), None, precision),
                },
                |sums| {
                    let xs = View::rows(xs, width);
                    product((outs, rows, width), by_output, xs, 1.0, sums, width, true, precision);
                },
            );
            let (shape, left, right) =
                ((rows, outs, width), View::rows(grads, outs), View::rows(weight, width));
            to.put_new(
                &of_xs,
                || new_product(shape, left, right, None, precision),
                |sums| product(shape, left, right, 1.0, sums, width, true, precision),
            );
            to.put(&of_bias, |dbias, _| sum_rows(grads, dbias));
            Ok(())
        })
    });
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
