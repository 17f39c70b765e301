//! Percentile bootstrap of means over images (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 13).
//!
//! A paired comparison is the bootstrap of the differences: rows hold, for each image, one system's value minus
//! the other's. Every row is resampled as a whole, so that what an image makes easy for both stays paired.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde::Serialize;

use crate::model::ops::vector::vectorised;
use crate::random::Random;

/// Resamples behind every interval.
pub const RESAMPLES: usize = 10_000;

/// Share of resamples left out below and above a 95 % interval.
const TAIL: f64 = 0.025;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// Zero lies outside: a difference counts as one.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Means of the `K` columns of `rows` with 95 % percentile intervals from `resamples` resamples of the rows.
///
/// Nothing where there are fewer than two rows: one image says nothing about another. The same `seed` and
/// number of rows give the same resamples, whatever the values.
pub fn mean_intervals<const K: usize>(
    rows: &[[f64; K]],
    resamples: usize,
    seed: u64,
) -> Option<[Interval; K]> {
    if rows.len() < 2 || resamples == 0 {
        return None;
    }
    let draws = Draws { seed, purpose: "bootstrap", rows: rows.len(), resamples };
    let means = draws.each(
        |resample| Random::new(seed, "bootstrap", &[resample]),
        |drawn| mean(drawn.iter().map(|row| &rows[*row as usize]), rows.len()),
    );
    let estimates = mean(rows.iter(), rows.len());
    Some(std::array::from_fn(|column| {
        percentile_interval(estimates[column], means.iter().map(|row| row[column]).collect())
    }))
}

/// The 95 % percentile interval of what resamples came to, of which there is at least one.
pub(super) fn percentile_interval(estimate: f64, mut drawn: Vec<f64>) -> Interval {
    drawn.sort_by(f64::total_cmp);
    Interval { estimate, low: quantile(&drawn, TAIL), high: quantile(&drawn, 1.0 - TAIL) }
}

/// Means of the columns of `rows`, which are equally long and at least one, in each of `resamples` resamples.
pub(super) fn resampled_means(
    rows: &[Vec<f64>],
    resamples: usize,
    seed: u64,
    purpose: &'static str,
) -> Vec<Vec<f64>> {
    let random = Random::new(seed, purpose, &[]);
    let means = |drawn: &[u32]| {
        let mut sums = vec![0.0; rows[0].len()];
        vectorised!({
            for row in drawn {
                for (sum, value) in sums.iter_mut().zip(&rows[*row as usize]) {
                    *sum += value;
                }
            }
            for sum in &mut sums {
                *sum /= rows.len() as f64;
            }
        });
        sums
    };
    Draws { seed, purpose, rows: rows.len(), resamples }.each(|resample| random.stream(resample), means)
}

/// What decides which rows are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Draws {
    seed: u64,
    purpose: &'static str,
    rows: usize,
    resamples: usize,
}

impl Draws {
    /// Drawn rows that are kept at most, for each purpose.
    const MOST: usize = 16 << 20;

    /// What each resample comes to, drawn by the source of random numbers that `random` gives for it.
    fn each<T: Send>(
        self,
        random: impl Fn(u64) -> Random + Sync,
        value: impl Fn(&[u32]) -> T + Sync + Send,
    ) -> Vec<T> {
        let fill = |resample: usize, drawn: &mut [u32]| {
            let mut random = random(resample as u64);
            drawn.iter_mut().for_each(|row| *row = random.below(self.rows) as u32);
        };
        if self.rows * self.resamples <= Self::MOST {
            return self.kept(fill).par_chunks(self.rows).map(&value).collect();
        }
        let value = |drawn: &mut Vec<u32>, resample| {
            fill(resample, drawn);
            value(drawn)
        };
        (0..self.resamples).into_par_iter().map_init(|| vec![0; self.rows], value).collect()
    }

    /// The rows of all resamples, one after the other. They are the same for all runs that have as many images, and
    /// drawing them takes longer than adding up what they hold.
    fn kept(self, fill: impl Fn(usize, &mut [u32]) + Sync) -> Arc<Vec<u32>> {
        static KEPT: Mutex<Vec<(Draws, Arc<Vec<u32>>)>> = Mutex::new(Vec::new());
        let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, drawn)) = kept().iter().find(|(of, _)| *of == self) {
            return drawn.clone();
        }
        let mut drawn = vec![0; self.rows * self.resamples];
        drawn.par_chunks_mut(self.rows).enumerate().for_each(|(resample, drawn)| fill(resample, drawn));
        let drawn = Arc::new(drawn);
        let mut kept = kept();
        // Every purpose has its own; of those of one purpose the last is the likeliest to be asked for again.
        kept.retain(|(of, _)| of.purpose != self.purpose);
        kept.push((self, drawn.clone()));
        drawn
    }
}

fn mean<'a, const K: usize>(rows: impl Iterator<Item = &'a [f64; K]>, count: usize) -> [f64; K] {
    let mut sums = [0.0; K];
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums.map(|sum| sum / count as f64)
}

/// The quantile of values in any order, none of them NaN; it leaves them in another.
pub(super) fn quantile_of(values: &mut [f64], share: f64) -> f64 {
    let below = (share * (values.len() - 1) as f64).floor() as usize;
    let (_, _, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    // Interpolation looks at these two alone.
    if let Some(least) = (0..above.len()).min_by(|a, b| above[*a].total_cmp(&above[*b])) {
        above.swap(0, least);
    }
    quantile(values, share)
}

/// The quantile of sorted values, interpolated linearly (type 7 of Hyndman and Fan, 1996, as in NumPy).
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample of a normal distribution with this mean and standard deviation 1.
    fn sample(seed: u64, size: usize, mean: f64) -> Vec<[f64; 1]> {
        let mut random = Random::new(seed, "sample", &[]);
        (0..size).map(|_| [mean + random.normal()]).collect()
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        let quantiles = [0.0, 0.25, 0.5, 0.9, 1.0].map(|share| quantile(&sorted, share));
        for (found, expected) in quantiles.iter().zip([1.0, 1.75, 3.0, 6.8, 8.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
        for share in [0.0, 0.25, 0.5, 0.9, 1.0] {
            assert_eq!(quantile_of(&mut [4.0, 8.0, 1.0, 2.0], share), quantile(&sorted, share));
        }
        assert_eq!(quantile_of(&mut [3.0], 0.4), 3.0);
    }

    #[test]
    fn the_interval_of_a_mean_is_near_the_one_of_normal_theory() {
        let rows = sample(1, 400, 5.0);
        let [interval] = mean_intervals(&rows, RESAMPLES, 0).unwrap();
        let variance = rows.iter().map(|[x]| (x - interval.estimate).powi(2)).sum::<f64>() / 399.0;
        let half_width = 1.96 * (variance / 400.0).sqrt();
        assert!((interval.estimate - interval.low - half_width).abs() < 0.05 * half_width, "{interval:?}");
        assert!((interval.high - interval.estimate - half_width).abs() < 0.05 * half_width, "{interval:?}");
    }

    #[test]
    fn intervals_cover_the_true_mean_in_about_95_of_100_samples() {
        let trials = 400;
        let covers = |seed: &u64| {
            let [interval] = mean_intervals(&sample(*seed, 80, 1.0), 500, *seed).unwrap();
            interval.low <= 1.0 && 1.0 <= interval.high
        };
        let covered = (0..trials).filter(covers).count() as f64 / trials as f64;
        assert!((0.92..=0.98).contains(&covered), "{covered}");
    }

    #[test]
    fn pairing_finds_a_small_difference_that_two_separate_intervals_would_hide() {
        let difficulty = sample(3, 100, 0.0);
        let noise = sample(4, 100, 0.0);
        let differences: Vec<[f64; 1]> =
            difficulty.iter().zip(&noise).map(|([d], [e])| [(d + 0.05 + 0.1 * e) - d]).collect();
        let [paired] = mean_intervals(&differences, RESAMPLES, 0).unwrap();
        let [alone] = mean_intervals(&difficulty, RESAMPLES, 0).unwrap();
        assert!(paired.excludes_zero(), "{paired:?}");
        assert!(alone.high - alone.low > 0.3, "{alone:?}");
    }

    #[test]
    fn no_difference_includes_zero_and_the_same_seed_repeats_the_interval() {
        let rows = vec![[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]];
        let [nothing, something] = mean_intervals(&rows, RESAMPLES, 7).unwrap();
        assert_eq!(nothing, Interval { estimate: 0.0, low: 0.0, high: 0.0 });
        assert!(!nothing.excludes_zero() && something.excludes_zero());
        assert_eq!(mean_intervals(&rows, RESAMPLES, 7).unwrap()[1], something);
    }

    #[test]
    fn each_resample_is_drawn_from_its_own_stream_whether_it_is_kept_or_not() {
        let random = |resample| Random::new(1, "test", &[resample]);
        let sum = |drawn: &[u32]| drawn.iter().map(|row| u64::from(*row)).sum::<u64>();
        for rows in [5, Draws::MOST / 4 + 1] {
            let draws = Draws { seed: 1, purpose: "test", rows, resamples: 4 };
            let alone = |resample| {
                let mut random = random(resample);
                (0..rows).map(|_| random.below(rows) as u64).sum()
            };
            assert_eq!(draws.each(random, sum), (0..4).map(alone).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn fewer_than_two_images_have_no_interval() {
        assert_eq!(mean_intervals::<1>(&[], RESAMPLES, 0), None);
        assert_eq!(mean_intervals(&[[1.0]], RESAMPLES, 0), None);
    }
}
