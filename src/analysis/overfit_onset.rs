//! From which epoch on a run surely overfits: its images' losses stay above those of its best epoch.
//!
//! Two things make such an epoch appear where there is none. The best epoch is chosen by the very losses that judge
//! it, so even among epochs that are alike it seems better than the last. Each later epoch's interval is therefore
//! widened until it holds for every choice among the epochs before it (largest studentised difference of each
//! resample; Romano and Wolf 2005, as for the best run in [`super::winner`]). And many epochs are looked at; but as
//! the rise must last to the end, they are judged from the last one backwards, up to the first that is not above:
//! tests in a fixed order need no further correction (Maurer, Hothorn and Lehmacher 1995; Westfall and Krishen 2001).
//!
//! Where the loss only falls and then stays, an onset is found in 2 to 4 of 100 simulated runs of 15 epochs.
//!
//! What is sure is a rise of this run's loss on all images like these; another seed's may not rise.

use super::bootstrap::{Interval, quantile_of, resampled_means};
use super::distributions::{normal_cdf, t_quantile};
use super::winner::{NO_SPREAD, image_rows, mean_of_rows, standard_error};
use crate::model::ops::vector::vectorised;

/// Level of the intervals.
const COVERED: f64 = 0.95;

/// The loss of every validation image at an epoch, in nats a token and in one order.
#[derive(Debug, Clone, Copy)]
pub struct EpochLosses<'a> {
    pub epoch: usize,
    pub per_image: &'a [f64],
}

/// How far the mean loss of an epoch lies above that of the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rise {
    pub epoch: usize,
    /// 95 %, whichever of the epochs before was the best.
    pub above_lowest: Interval,
}

/// Whether and from when on a run overfits.
#[derive(Debug, Clone, PartialEq)]
pub struct Onset {
    /// Where the mean loss was lowest (the first such epoch).
    pub lowest_epoch: usize,
    /// Of the last epochs, from the latest one after the lowest that is not surely above it; of all where each is.
    pub rises: Vec<Rise>,
    /// The first epoch after the lowest from which on every rise is surely above zero, to the end.
    pub epoch: Option<usize>,
}

/// Judges a curve in the order of its epochs; epoch 0, the model before training, and epochs with a loss that is not
/// finite do not count. Nothing where no epoch is left, where there are fewer than two images, or where epochs differ
/// in their number of images.
pub fn overfit_onset(curve: &[EpochLosses], resamples: usize, seed: u64) -> Option<Onset> {
    let counts =
        |losses: &&EpochLosses| losses.epoch > 0 && losses.per_image.iter().all(|loss| loss.is_finite());
    let curve: Vec<&EpochLosses> = curve.iter().filter(counts).collect();
    let losses: Vec<Vec<f64>> = curve.iter().map(|losses| losses.per_image.to_vec()).collect();
    let rows = image_rows(&losses)?;
    if resamples == 0 {
        return None;
    }
    let means = mean_of_rows(&rows);
    let lowest = (0..means.len()).min_by(|&a, &b| means[a].total_cmp(&means[b]))?;
    if lowest + 1 == means.len() {
        return Some(Onset { lowest_epoch: curve[lowest].epoch, rises: Vec::new(), epoch: None });
    }
    let departures = departures(&rows, &means, resamples, seed);
    let rise = |later: usize| {
        let estimate = means[later] - means[lowest];
        let half = critical(&departures, &losses, later) * standard_error(&losses[later], &losses[lowest]);
        let above_lowest = Interval { estimate, low: estimate - half, high: estimate + half };
        Rise { epoch: curve[later].epoch, above_lowest }
    };
    let mut rises = Vec::new();
    let mut epoch = None;
    for rise in (lowest + 1..means.len()).rev().map(rise) {
        rises.insert(0, rise);
        if rise.above_lowest.low <= 0.0 {
            break;
        }
        epoch = Some(rise.epoch);
    }
    Some(Onset { lowest_epoch: curve[lowest].epoch, epoch, rises })
}

/// How far each epoch's mean lies from the measured one, resample by resample.
fn departures(rows: &[Vec<f64>], means: &[f64], resamples: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut drawn = resampled_means(rows, resamples, seed, "overfit onset");
    for resample in &mut drawn {
        resample.iter_mut().zip(means).for_each(|(drawn, mean)| *drawn -= mean);
    }
    drawn
}

/// How many standard errors an epoch must lie above one before it, whichever that is.
fn critical(departures: &[Vec<f64>], losses: &[Vec<f64>], later: usize) -> f64 {
    let precisions: Vec<f64> = losses[..later]
        .iter()
        .map(|before| standard_error(&losses[later], before))
        .map(|error| if error > NO_SPREAD { 1.0 / error } else { 0.0 })
        .collect();
    let mut largest = vec![0.0; departures.len()];
    vectorised!({
        for (largest, resample) in largest.iter_mut().zip(departures) {
            *largest = largest_distance(resample[later], &resample[..later], &precisions);
        }
    });
    as_students_t(quantile_of(&mut largest, COVERED), losses[later].len())
}

/// The largest studentised distance from one value to others, none of them NaN; by lanes, which vector instructions take.
#[inline(always)]
fn largest_distance(from: f64, to: &[f64], precisions: &[f64]) -> f64 {
    const LANES: usize = 8;
    let studentised = |to: f64, precision: f64| (from - to).abs() * precision;
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let (to, precisions) = (to.as_chunks::<LANES>(), precisions.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (to, precisions) in to.0.iter().zip(precisions.0) {
        for i in 0..LANES {
            lanes[i] = larger(lanes[i], studentised(to[i], precisions[i]));
        }
    }
    let mut largest = 0.0;
    for (to, precision) in to.1.iter().zip(precisions.1) {
        largest = larger(largest, studentised(*to, *precision));
    }
    lanes.into_iter().fold(largest, larger)
}

/// Resampled means are normal and scatter by `(images - 1) / images` of the variance, in known errors; a mean over its
/// estimated error follows Student's t. The value of the latter that is as rare.
fn as_students_t(normal: f64, images: usize) -> f64 {
    let freedom = (images - 1) as f64;
    let share = normal_cdf(normal * (images as f64 / freedom).sqrt());
    t_quantile(share.min(1.0 - 1e-12), freedom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Losses by epoch of images with a difficulty of their own. `drift` says how much of an image's luck at an epoch
    /// is still there at the next.
    fn run(seed: u64, images: usize, means: &[f64], drift: f64) -> Vec<Vec<f64>> {
        let mut random = Random::new(seed, "simulated run", &[]);
        let difficulty: Vec<f64> = (0..images).map(|_| 0.5 * random.normal()).collect();
        let mut luck = vec![0.0; images];
        let mut epoch = |mean: &f64| {
            luck.iter_mut().for_each(|luck| *luck = drift * *luck + 0.2 * random.normal());
            difficulty.iter().zip(&luck).map(|(difficulty, luck)| mean + difficulty + luck).collect()
        };
        means.iter().map(&mut epoch).collect()
    }

    fn judge(losses: &[Vec<f64>], seed: u64) -> Onset {
        let epochs = losses.iter().enumerate();
        let curve: Vec<EpochLosses> =
            epochs.map(|(i, per_image)| EpochLosses { epoch: i + 1, per_image }).collect();
        overfit_onset(&curve, 400, seed).unwrap()
    }

    fn false_onsets(images: usize, drift: f64) -> usize {
        // A loss that falls for four epochs and then stays.
        let means: Vec<f64> = (1..=15).map(|epoch| 2.0 + (4.0 - f64::from(epoch)).max(0.0) * 0.3).collect();
        (0..400).filter(|seed| judge(&run(*seed, images, &means, drift), *seed).epoch.is_some()).count()
    }

    #[test]
    fn where_the_loss_only_stays_an_onset_is_found_in_no_more_than_5_of_100_runs() {
        for (images, drift) in [(30, 0.0), (100, 0.0), (100, 1.0), (300, 0.7)] {
            let found = false_onsets(images, drift);
            println!("{images} images, drift {drift}: {found} of 400");
            // 5 of 100 are 20; the two ends of the intervals make about half of that likely.
            assert!(found <= 20, "{found} of 400 with {images} images and drift {drift}");
        }
    }

    #[test]
    fn a_plain_comparison_of_the_last_epoch_with_the_best_would_be_fooled() {
        let fooled = |seed: &u64| {
            let losses = run(*seed, 100, &[2.0; 12], 0.0);
            let found = judge(&losses, *seed);
            let (Some(last), lowest) = (found.rises.last(), &losses[found.lowest_epoch - 1]) else {
                return false;
            };
            last.above_lowest.estimate > 1.96 * standard_error(&losses[11], lowest)
        };
        let fooled = (0..200).filter(fooled).count();
        assert!(fooled > 40, "{fooled} of 200");
    }

    #[test]
    fn a_rise_is_found_soon_after_it_begins_and_never_before() {
        let means: Vec<f64> = (1..=12).map(|epoch| 2.0 + 0.05 * (f64::from(epoch) - 5.0).abs()).collect();
        for seed in 0..40 {
            let found = judge(&run(seed, 200, &means, 0.3), seed);
            assert!((4..=6).contains(&found.lowest_epoch), "{found:?}");
            let onset = found.epoch.unwrap();
            assert!(onset > found.lowest_epoch && (6..=8).contains(&onset), "{onset}: {found:?}");
        }
    }

    #[test]
    fn a_rise_that_passes_is_no_onset() {
        let means = [2.5, 2.0, 2.6, 2.6, 2.01];
        assert_eq!(judge(&run(1, 200, &means, 0.0), 1).epoch, None);
        let means = [2.5, 2.0, 2.6, 2.01, 2.6];
        assert_eq!(judge(&run(1, 200, &means, 0.0), 1).epoch, Some(5));
    }

    #[test]
    fn epochs_that_cannot_count_are_passed_over() {
        let losses = [vec![0.1, 0.2], vec![2.0, 1.0], vec![f64::NAN, 0.0], vec![3.0, 2.0]];
        let curve: Vec<EpochLosses> =
            losses.iter().enumerate().map(|(epoch, per_image)| EpochLosses { epoch, per_image }).collect();
        let found = overfit_onset(&curve, 50, 0).unwrap();
        // All images rise alike, by one.
        assert_eq!((found.lowest_epoch, found.epoch), (1, Some(3)));
        assert_eq!(found.rises[0].above_lowest, Interval { estimate: 1.0, low: 1.0, high: 1.0 });
        assert_eq!(overfit_onset(&curve[..1], 50, 0), None);
        assert_eq!(overfit_onset(&[EpochLosses { epoch: 1, per_image: &[1.0] }], 50, 0), None);
    }
}
