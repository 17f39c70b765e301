//! Hidden states of the captions that are being said, a caption a column: what products want on their right.

use super::product::LANES;
use crate::model::ops::vector::vectorised;

/// A matrix (features, captions), stored feature by feature. Columns are filled up to whole vectors; what the surplus holds
/// is of no account.
#[derive(Debug, Default)]
pub struct Columns {
    pub features: usize,
    pub captions: usize,
    /// Values from one feature to the next.
    pub stride: usize,
    pub values: Vec<f32>,
}

impl Columns {
    /// Takes another shape. What was held is lost; the memory is used again.
    pub fn reshape(&mut self, features: usize, captions: usize) {
        let stride = captions.next_multiple_of(LANES);
        *self = Self { features, captions, stride, values: std::mem::take(&mut self.values) };
        self.values.resize(features * stride, 0.0);
    }

    /// Puts the rows (captions, features) of `rows` into the columns.
    pub fn put(&mut self, rows: &[f32]) {
        let stride = self.stride;
        for (caption, row) in rows.chunks_exact(self.features).enumerate() {
            for (column, value) in self.values.chunks_exact_mut(stride).zip(row) {
                column[caption] = *value;
            }
        }
    }

    /// The values of some features, one after the other.
    pub fn rows(&self, first: usize, count: usize) -> &[f32] {
        &self.values[first * self.stride..][..count * self.stride]
    }

    /// Adds another matrix of the same shape.
    pub fn add(&mut self, other: &Self) {
        vectorised!({
            for (value, other) in self.values.iter_mut().zip(&other.values) {
                *value += other;
            }
        });
    }

    /// Normalises every column as [`layer_norm`](crate::model::ops::layer_norm()) does rows, to the bit: sums are taken in
    /// the same order.
    pub fn normalise(&mut self, weight: &[f32], bias: &[f32], eps: f32) {
        let (n, stride) = (self.features as f32, self.stride);
        let values = &mut self.values;
        vectorised!({
            let mut mean = column_sums(values, stride, |sum, row| {
                for (sum, value) in sum.iter_mut().zip(row) {
                    *sum += value;
                }
            });
            for sum in &mut mean {
                *sum /= n;
            }
            let mut scale = column_sums(values, stride, |sum, row| {
                for ((sum, value), mean) in sum.iter_mut().zip(row).zip(&mean) {
                    *sum += (value - mean) * (value - mean);
                }
            });
            for sum in &mut scale {
                *sum = 1.0 / (*sum / n + eps).sqrt();
            }
            for ((row, weight), bias) in values.chunks_exact_mut(stride).zip(weight).zip(bias) {
                for ((value, mean), scale) in row.iter_mut().zip(&mean).zip(&scale) {
                    *value = (*value - mean) * scale * weight + bias;
                }
            }
        });
    }
}

/// Sums over the rows of a matrix, in as many partial sums as [`vector::sum`](crate::model::ops::vector::sum) has and added
/// in the same order.
#[inline(always)]
fn column_sums(values: &[f32], stride: usize, add: impl Fn(&mut [f32], &[f32])) -> Vec<f32> {
    let mut lanes = vec![0f32; LANES * stride];
    for (i, row) in values.chunks_exact(stride).enumerate() {
        add(&mut lanes[i % LANES * stride..][..stride], row);
    }
    let mut width = LANES / 2;
    while width > 0 {
        let (sums, others) = lanes.split_at_mut(width * stride);
        for (sum, other) in sums.iter_mut().zip(&*others) {
            *sum += other;
        }
        width /= 2;
    }
    lanes.truncate(stride);
    lanes
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::model::ops::{Engine, layer_norm};

    #[test]
    fn columns_are_normalised_as_rows_are() {
        for (features, captions) in [(5, 1), (40, 7), (128, 33), (100, 80)] {
            let numbers =
                |n: usize, by: f32| (0..n).map(|i| (i as f32 * by).sin() + 0.3).collect::<Vec<f32>>();
            let rows = numbers(features * captions, 0.7);
            let (weight, bias) = (numbers(features, 0.4), numbers(features, 0.9));
            let mut columns = Columns::default();
            columns.reshape(features, captions);
            columns.put(&rows);
            columns.normalise(&weight, &bias, 1e-5);
            let tensor = |values, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            let rows = tensor(rows, &[captions, features]);
            let (weight, bias) = (tensor(weight, &[features]), tensor(bias, &[features]));
            let expected = layer_norm(&rows, &weight, &bias, 1e-5, &Engine::default());
            for (caption, expected) in expected.unwrap().to_vec2::<f32>().unwrap().iter().enumerate() {
                let found: Vec<f32> =
                    columns.values.chunks(columns.stride).map(|feature| feature[caption]).collect();
                assert_eq!(&found, expected);
            }
        }
    }
}
