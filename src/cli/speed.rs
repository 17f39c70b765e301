//! How fast this machine multiplies, and how long a plan will take by that.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use crate::model::ops::{Engine, linear};
use crate::plan::{Facts, work};
use crate::record::RunSpec;
use crate::record::recipe::Precision;
use crate::run::progress::duration;

/// Rows and columns of the products that are timed: as many as a few hundred image tokens have.
const SIZE: usize = 512;
/// Products of which the quickest counts.
const TIMES: usize = 6;
/// The share of a product's speed that training and generation reach: between products there is other work.
const REACHED: f64 = 0.75;

/// How long a plan takes on this processor with one run at a time; `None` where that is not known.
pub fn time_of(runs: &[RunSpec], facts: &Facts) -> Option<Duration> {
    let mut seconds = 0.0;
    for (precision, multiplications) in work::of(runs, facts)? {
        if multiplications > 0.0 {
            seconds += multiplications / (REACHED * measured(precision).ok()?);
        }
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// In words for a plan.
pub fn in_words(runs: &[RunSpec], facts: &Facts) -> String {
    time_of(runs, facts).map_or_else(String::new, |time| {
        format!("time: about {} on this processor, less with early stopping\n", duration(time))
    })
}

/// Multiplications a second of a linear layer.
fn measured(precision: Precision) -> candle_core::Result<f64> {
    let engine = Engine::new(precision);
    let filled = |shape: &[usize]| Tensor::full(0.5f32, shape, &Device::Cpu);
    let (rows, weight, bias) = (filled(&[SIZE, SIZE])?, filled(&[SIZE, SIZE])?, filled(&[SIZE])?);
    let mut quickest = f64::INFINITY;
    for _ in 0..TIMES {
        let began = Instant::now();
        linear(&rows, &weight, &bias, &engine)?;
        quickest = quickest.min(began.elapsed().as_secs_f64());
    }
    Ok((SIZE * SIZE * SIZE) as f64 / quickest.max(1e-9))
}
