//! Linear layers over captions that are being said.

use candle_core::Result;
use rayon::prelude::*;

use super::columns::Columns;
use super::product::{Product, Start};
use crate::model::layers::Linear;
use crate::model::ops::Precision;
use crate::model::ops::product::panels::Left;
use crate::model::ops::product::{View, add_product_of_packed, rounded_values};
use crate::model::ops::slices::with_values;

/// A linear layer whose rows lie in memory one after the other.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
}

impl<'a> Layer<'a> {
    /// The rows that make one head's part of the result.
    pub fn head(self, head: usize, head_width: usize) -> Self {
        let depth = self.weight.len() / self.bias.len();
        Self {
            weight: &self.weight[head * head_width * depth..][..head_width * depth],
            bias: &self.bias[head * head_width..][..head_width],
        }
    }

    /// Applies the layer on this thread: `out` has as many columns as `xs`.
    fn apply(self, xs: &Columns, out: &mut [f32]) {
        let product = Product {
            left: self.weight,
            left_stride: xs.features,
            depth: xs.features,
            right: &xs.values,
            right_stride: xs.stride,
            columns: xs.stride,
            start: Start::Rows(self.bias),
        };
        product.compute(self.bias.len(), out, xs.stride);
    }

    /// Applies the layer on all threads, and `finish` to each part of the result while it is in the cache.
    fn apply_shared(self, xs: &Columns, out: &mut Columns, finish: impl Fn(&mut [f32]) + Sync) {
        out.reshape(self.bias.len(), xs.captions);
        let rows = rows_of_a_task(self.bias.len());
        let tasks = out.values.par_chunks_mut(rows * xs.stride);
        let tasks = tasks.zip(self.weight.par_chunks(rows * xs.features)).zip(self.bias.par_chunks(rows));
        tasks.for_each(|((out, weight), bias)| {
            Layer { weight, bias }.apply(xs, out);
            finish(out);
        });
    }

    /// Applies the layer on all threads by its weights packed, and `finish` to each part of the result.
    fn apply_packed(
        self,
        weight: &Left,
        xs: &Columns,
        out: &mut Columns,
        finish: impl Fn(&mut [f32]) + Sync,
    ) {
        out.reshape(self.bias.len(), xs.captions);
        let (stride, rows) = (xs.stride, rows_of_a_task(self.bias.len()));
        let tasks = out.values.par_chunks_mut(rows * stride).zip(self.bias.par_chunks(rows));
        tasks.for_each(|(out, bias)| {
            out.chunks_exact_mut(stride).zip(bias).for_each(|(row, bias)| row.fill(*bias));
        });
        let right = View::rows(&xs.values, stride);
        add_product_of_packed(weight, right, xs.captions, &mut out.values, stride);
        out.values.par_chunks_mut(rows * stride).for_each(&finish);
    }
}

/// Rows of a layer that are computed together: a few tasks a thread, of whole tiles.
fn rows_of_a_task(rows: usize) -> usize {
    match rayon::current_num_threads() {
        1 => rows,
        threads => rows.div_ceil(4 * threads).next_multiple_of(5).max(20),
    }
}

/// Calls `f` with the values of linear layers.
pub fn with_layers<T, const N: usize>(
    layers: [&Linear; N],
    f: impl FnOnce([Layer; N]) -> Result<T>,
) -> Result<T> {
    with_values(layers.map(|layer| &layer.weight), |weights| {
        with_values(layers.map(|layer| &layer.bias), |biases| {
            f(std::array::from_fn(|i| Layer { weight: weights[i], bias: biases[i] }))
        })
    })
}

/// Applies a layer on all threads in its precision, and `finish` to each part of the result.
pub fn apply(
    layer: &Linear,
    xs: &Columns,
    out: &mut Columns,
    finish: impl Fn(&mut [f32]) + Sync,
) -> Result<()> {
    let (precision, packs) = (layer.engine.precision, &layer.engine.packs);
    with_layers([layer], |[values]| {
        match packs.left(&layer.weight, precision)? {
            Some(packed) => values.apply_packed(&packed, xs, out, finish),
            None if precision == Precision::F32 => values.apply_shared(xs, out, finish),
            None => {
                let rounded = Columns { values: rounded_values(&xs.values, precision), ..*xs };
                let weight = packs.rounded(&layer.weight, precision)?;
                Layer { weight: &weight, ..values }.apply_shared(&rounded, out, finish);
            }
        }
        Ok(())
    })
}
