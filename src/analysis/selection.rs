//! The winner's curse corrected: the score of the best run without the luck that made it the best.
//!
//! Bootstrap bias-corrected selection (BBC-CV; Tsamardinos, Greasidou and Borboudakis, "Bootstrapping the
//! out-of-sample predictions for efficient and accurate cross-validation", 2018): images are resampled, the best run
//! is chosen on the images drawn and judged on those that were not.

use rayon::prelude::*;

use super::bootstrap::{Interval, percentile_interval};
use super::winner::image_rows;
use crate::random::Random;

/// What the best of these runs (higher is better, `runs[run][image]`) would score on images that did not choose it:
/// the mean over resamples with the 95 % interval of Tsamardinos et al., the percentiles of the scores out of bag.
///
/// Nothing where there is no run, fewer than two images, a score that is not finite, or rows of unequal length.
pub fn corrected_best(runs: &[Vec<f64>], resamples: usize, seed: u64) -> Option<Interval> {
    let rows = image_rows(runs)?;
    let random = Random::new(seed, "selection", &[]);
    let score = |resample| out_of_bag(&rows, random.stream(resample));
    let scores: Vec<f64> = (0..resamples as u64).into_par_iter().filter_map(score).collect();
    if scores.is_empty() {
        return None;
    }
    let estimate = scores.iter().sum::<f64>() / scores.len() as f64;
    Some(percentile_interval(estimate, scores))
}

/// Nothing where every image was drawn.
fn out_of_bag(rows: &[Vec<f64>], mut random: Random) -> Option<f64> {
    let mut is_drawn = vec![false; rows.len()];
    let mut sums = vec![0.0; rows[0].len()];
    for _ in 0..rows.len() {
        let image = random.below(rows.len());
        is_drawn[image] = true;
        sums.iter_mut().zip(&rows[image]).for_each(|(sum, score)| *sum += score);
    }
    let best = (0..sums.len()).rev().max_by(|&a, &b| sums[a].total_cmp(&sums[b]))?;
    let left = rows.iter().zip(is_drawn).filter(|(_, is_drawn)| !is_drawn).map(|(row, _)| row[best]);
    let (sum, count) = left.fold((0.0, 0), |(sum, count), score| (sum + score, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corrected_score_of_the_best_of_many_equal_runs_is_near_their_true_score() {
        let (mut naive, mut corrected) = (0.0, 0.0);
        for seed in 0..40 {
            let mut random = Random::new(seed, "equal runs", &[]);
            let runs: Vec<Vec<f64>> =
                (0..24).map(|_| (0..100).map(|_| 0.5 + 0.2 * random.normal()).collect()).collect();
            let mean = |run: &Vec<f64>| run.iter().sum::<f64>() / 100.0;
            naive += runs.iter().map(mean).fold(f64::MIN, f64::max) / 40.0;
            corrected += corrected_best(&runs, 300, seed).unwrap().estimate / 40.0;
        }
        // The naive one is too high by about two standard errors of a mean, 0.02 each.
        assert!(naive > 0.53, "{naive}");
        assert!((corrected - 0.5).abs() < 0.012, "{corrected}");
    }

    #[test]
    fn a_run_alone_keeps_its_score() {
        let run: Vec<f64> = (0..50).map(f64::from).collect();
        let found = corrected_best(&[run], 4000, 0).unwrap();
        assert!((found.estimate - 24.5).abs() < 0.3, "{found:?}");
        assert!(found.low < 24.5 && 24.5 < found.high, "{found:?}");
        assert_eq!(corrected_best(&[], 10, 0), None);
        assert_eq!(corrected_best(&[vec![1.0]], 10, 0), None);
    }
}
