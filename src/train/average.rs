//! Exponential moving averages of weights, updated in place.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Var};
use rayon::prelude::*;

use crate::model::ops::slices::{contiguous, is_fused};
use crate::model::ops::vector::vectorised;

/// Values that one task updates.
const CHUNK: usize = 64 * 1024;

/// What is kept of the average after so many updates. As in `tf.train.ExponentialMovingAverage` with `num_updates` and in
/// `diffusers.training_utils.EMAModel`, less at first, so that a short run does not remember where it began.
pub fn decay_after(decay: f64, updates: usize) -> f64 {
    decay.min((1.0 + updates as f64) / (10.0 + updates as f64))
}

/// `average = keep * average + (1 - keep) * value`.
pub fn update(average: &Var, value: &Var, keep: f64) -> Result<()> {
    if is_fused(average) {
        average.inplace_op2(value, &Towards((1.0 - keep) as f32))
    } else {
        let new = (average.as_tensor().detach() * keep)? + (value.as_tensor().detach() * (1.0 - keep))?;
        average.set(&new?)
    }
}

/// Moves values by a share of the way to others.
struct Towards(f32);

impl InplaceOp2 for Towards {
    fn name(&self) -> &'static str {
        "moving average"
    }

    fn cpu_fwd(
        &self,
        average: &mut CpuStorage,
        layout: &Layout,
        values: &CpuStorage,
        of_values: &Layout,
    ) -> Result<()> {
        let values = contiguous(values, of_values, "moving average")?;
        let (CpuStorage::F32(average), Some((start, end))) = (average, layout.contiguous_offsets()) else {
            candle_core::bail!("a moving average needs contiguous f32 values");
        };
        let share = self.0;
        average[start..end].par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK)).for_each(
            |(average, values)| {
                vectorised!({
                    for (average, value) in average.iter_mut().zip(values) {
                        *average += share * (value - *average);
                    }
                });
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn an_average_is_the_weighted_sum_of_all_values_so_far() {
        let values: Vec<f64> = (0..40).map(|step| (step as f64 * 0.7).sin()).collect();
        let var = |value: f64| {
            Var::from_tensor(&Tensor::full(value as f32, 100_000, &Device::Cpu).unwrap()).unwrap()
        };
        let (average, mut wanted) = (var(values[0]), values[0]);
        for (updates, value) in values.iter().enumerate().skip(1) {
            let keep = decay_after(0.6, updates);
            update(&average, &var(*value), keep).unwrap();
            wanted = keep * wanted + (1.0 - keep) * value;
        }
        let found = average.to_vec1::<f32>().unwrap();
        assert!(
            found.iter().all(|value| (*value as f64 - wanted).abs() < 1e-6),
            "{} is not {wanted}",
            found[0]
        );
    }

    #[test]
    fn little_is_kept_at_first_and_never_more_than_the_decay() {
        assert_eq!(decay_after(0.999, 1), 2.0 / 11.0);
        assert_eq!(decay_after(0.999, 90), 0.91);
        assert_eq!(decay_after(0.9, 90), 0.9);
    }
}
