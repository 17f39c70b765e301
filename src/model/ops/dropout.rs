//! Dropout: zeroes values at random and scales up those that stay, in training and nowhere else.
//!
//! Masks are drawn from counters, never from the state of a generator: a mask is a function of the run's seed,
//! the step, the place in the model and the position of the value. So it is the same whatever the number of
//! threads, a resumed run draws what the undisturbed one would have drawn, and the backward draws the mask again
//! instead of keeping it. `tests/reference/training_parts/dropout.py` writes the generator down a second time.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::buffer::copied;
use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::vectorised;
use crate::random::Random;

/// Values of a stream of their own; fixed, because it determines the masks.
const PIECE: usize = 16 * 1024;

/// The dropout of one training step.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// The share of values that are dropped, in [0, 1).
    pub rate: f64,
    /// The run's seed.
    pub seed: u64,
    /// Updates done before this step.
    pub step: u64,
}

impl Dropout {
    /// Drops nothing.
    pub const NONE: Self = Self { rate: 0.0, seed: 0, step: 0 };

    /// The masks of the module with this name in the checkpoint; `None` where nothing is dropped.
    pub fn at(&self, place: &str) -> Option<Drops> {
        (self.rate > 0.0).then(|| Drops {
            random: Random::new(self.seed, &format!("dropout {place}"), &[self.step]),
            below: (self.rate * (1u64 << 32) as f64) as u32,
            kept: (1.0 / (1.0 - self.rate)) as f32,
        })
    }
}

/// The masks of one place in one step, as many streams as it needs.
#[derive(Debug, Clone)]
pub struct Drops {
    random: Random,
    /// A value is dropped where its random word is below this.
    below: u32,
    /// The factor of the values that stay.
    kept: f32,
}

impl Drops {
    /// Fills `factors` with 0 or `1 / (1 - rate)`, from the beginning of a stream.
    pub fn factors(&self, stream: u64, factors: &mut [f32]) {
        let mut random = self.random.stream(stream);
        let mut words = [0u32; 256];
        for factors in factors.chunks_mut(words.len()) {
            let words = &mut words[..factors.len()];
            random.fill(words);
            for (factor, word) in factors.iter_mut().zip(words) {
                *factor = if *word < self.below { 0.0 } else { self.kept };
            }
        }
    }

    /// Multiplies each value by its factor.
    fn multiply(&self, values: &mut [f32]) {
        values.par_chunks_mut(PIECE).enumerate().for_each(|(stream, values)| {
            let mut factors = vec![0f32; values.len()];
            self.factors(stream as u64, &mut factors);
            vectorised!({
                for (value, factor) in values.iter_mut().zip(&factors) {
                    *value *= factor;
                }
            });
        });
    }

    /// The factors of the first `streams` streams, `length` of each, one after the other.
    pub fn all_factors(&self, streams: usize, length: usize) -> Vec<f32> {
        let mut factors = vec![0f32; streams * length];
        factors
            .chunks_mut(length.max(1))
            .zip(0..)
            .for_each(|(factors, stream)| self.factors(stream, factors));
        factors
    }
}

/// Applies dropout to hidden states: to every value on its own.
pub fn dropout(xs: &Tensor, drops: Option<Drops>, engine: &Engine) -> Result<Tensor> {
    let Some(drops) = drops else { return Ok(xs.clone()) };
    if !is_fused(xs) {
        return composed(xs, &drops);
    }
    let xs = xs.contiguous()?;
    let mut ys = with_values([&xs], |[xs]| Ok(copied(xs)))?;
    drops.multiply(&mut ys);
    let ys = Tensor::from_vec(ys, xs.shape(), xs.device())?;
    let input = Input::from(&xs);
    engine.record(&[&xs], &ys, move |mut grads, to| {
        drops.multiply(&mut grads);
        to.give(&input, grads);
        Ok(())
    });
    Ok(ys)
}

/// The same from candle's differentiable operations.
pub fn composed(xs: &Tensor, drops: &Drops) -> Result<Tensor> {
    let mut factors = drops.all_factors(xs.elem_count().div_ceil(PIECE), PIECE);
    factors.truncate(xs.elem_count());
    xs * Tensor::from_vec(factors, xs.shape(), xs.device())?.to_dtype(xs.dtype())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 1 << 16;

    fn kept(dropout: Dropout, place: &str, stream: u64) -> Vec<f64> {
        let mut factors = vec![0f32; COUNT];
        dropout.at(place).unwrap().factors(stream, &mut factors);
        let kept = (1.0 / (1.0 - dropout.rate)) as f32;
        assert!(factors.iter().all(|factor| *factor == 0.0 || *factor == kept));
        factors.iter().map(|factor| f64::from(*factor > 0.0)).collect()
    }

    /// Correlation of two masks, in standard deviations of what chance gives independent ones.
    fn correlation(a: &[f64], b: &[f64], rate: f64) -> f64 {
        let centred = a.iter().zip(b).map(|(a, b)| (a - 1.0 + rate) * (b - 1.0 + rate));
        centred.sum::<f64>() / (rate * (1.0 - rate)) / (a.len() as f64).sqrt()
    }

    #[test]
    fn as_many_values_are_dropped_as_the_rate_says() {
        for rate in [0.01, 0.1, 0.5, 0.9] {
            let mask = kept(Dropout { rate, seed: 1, step: 0 }, "somewhere", 0);
            let deviation = (rate * (1.0 - rate) * COUNT as f64).sqrt();
            let dropped = COUNT as f64 - mask.iter().sum::<f64>();
            let off = (dropped - rate * COUNT as f64) / deviation;
            assert!(off.abs() < 4.0, "at {rate}, {dropped} of {COUNT} are dropped: {off} deviations");
        }
    }

    #[test]
    fn masks_of_other_places_steps_seeds_streams_and_positions_are_independent() {
        let here = Dropout { rate: 0.2, seed: 1, step: 5 };
        let mask = kept(here, "layer.0", 0);
        assert_eq!(mask, kept(here, "layer.0", 0), "the same key gave another mask");
        for (what, other) in [
            ("place", kept(here, "layer.1", 0)),
            ("step", kept(Dropout { step: 6, ..here }, "layer.0", 0)),
            ("seed", kept(Dropout { seed: 2, ..here }, "layer.0", 0)),
            ("stream", kept(here, "layer.0", 1)),
            ("next position", [&mask[1..], &mask[..1]].concat()),
            ("position 64 later", [&mask[64..], &mask[..64]].concat()),
        ] {
            let correlation = correlation(&mask, &other, here.rate);
            assert!(correlation.abs() < 4.0, "{what}: {correlation} deviations");
        }
    }

    #[test]
    fn a_rate_of_zero_draws_nothing() {
        assert!(Dropout::NONE.at("somewhere").is_none());
        assert!(Dropout { rate: 0.1, seed: 0, step: 0 }.at("somewhere").is_some());
    }
}
