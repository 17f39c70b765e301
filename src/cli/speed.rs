//! How fast this machine multiplies, and how long a plan will take by that.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use crate::model::ops::{Engine, linear};
use crate::plan::{Facts, work};
use crate::record::RunSpec;
use crate::record::recipe::Precision;
use crate::run::progress::duration;

/// Rows and columns of the products that are timed: as large as a model's.
const SIDE: usize = 768;
/// How long products are timed.
const LEAST: Duration = Duration::from_millis(30);

/// What a plan takes with one run at a time, in words; nothing where that is not known.
pub fn in_words(runs: &[RunSpec], facts: &Facts) -> anyhow::Result<String> {
    let mut seconds = 0.0;
    let Some(works) = work::of(runs, facts) else { return Ok(String::new()) };
    for (precision, work) in works {
        if work.trained + work.said > 0.0 {
            seconds += work.seconds(multiplications(precision)?);
        }
    }
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Ok(format!("time: about {} on this processor, less with early stopping\n", duration(time)))
}

/// Multiplications a second, each with an addition, in products as large as a model's, on all cores.
pub fn multiplications(precision: Precision) -> anyhow::Result<f64> {
    let engine = Engine::new(precision);
    let filled = |shape: &[usize]| Tensor::full(0.5f32, shape, &Device::Cpu);
    let (matrix, bias) = (filled(&[SIDE, SIDE])?, filled(&[SIDE])?);
    // The first product starts threads and warms caches.
    let product = || linear(&matrix, &matrix, &bias, &engine);
    product()?;
    let (began, mut fastest) = (Instant::now(), Duration::MAX);
    while began.elapsed() < LEAST {
        let start = Instant::now();
        product()?;
        // What else the machine does for the moment only makes a product slower.
        fastest = fastest.min(start.elapsed());
    }
    Ok((SIDE * SIDE * SIDE) as f64 / fastest.as_secs_f64().max(1e-9))
}
