//! Intervals of BLEU, and of the difference of two runs' BLEU on the same images.
//!
//! BLEU belongs to a whole set: it is not the mean of the images' BLEU, so neither is a resample's. Each resample
//! therefore sums the images' counts anew and has a BLEU of its own (Koehn, "Statistical Significance Tests for
//! Machine Translation Evaluation", 2004). A difference is paired: both runs are judged on the images that were drawn.

use rayon::prelude::*;

use super::bootstrap::{Interval, percentile_interval};
use crate::random::Random;
use crate::score::BleuCounts;

/// BLEU-1 to BLEU-4 of a run's images with 95 % percentile intervals. Nothing for fewer than two images.
pub fn bleu_intervals(images: &[BleuCounts], resamples: usize, seed: u64) -> Option<[Interval; 4]> {
    intervals([images], resamples, seed, |[scores]| scores)
}

/// How much higher BLEU-1 to BLEU-4 of `one` are than those of `other`, which holds the same images in the same order.
/// Nothing for fewer than two images and for unequal numbers of them.
pub fn bleu_differences(
    one: &[BleuCounts],
    other: &[BleuCounts],
    resamples: usize,
    seed: u64,
) -> Option<[Interval; 4]> {
    intervals([one, other], resamples, seed, |[one, other]| std::array::from_fn(|n| one[n] - other[n]))
}

/// Intervals of what `statistic` makes of the BLEU of `K` runs on the same images.
fn intervals<const K: usize>(
    runs: [&[BleuCounts]; K],
    resamples: usize,
    seed: u64,
    statistic: impl Fn([[f64; 4]; K]) -> [f64; 4] + Sync,
) -> Option<[Interval; 4]> {
    let images = runs[0].len();
    if images < 2 || resamples == 0 || runs.iter().any(|run| run.len() != images) {
        return None;
    }
    let random = Random::new(seed, "resampled BLEU", &[]);
    let drawn = |resample: u64| {
        let mut random = random.stream(resample);
        statistic(bleu_of(runs, (0..images).map(|_| random.below(images))))
    };
    let drawn: Vec<[f64; 4]> = (0..resamples as u64).into_par_iter().map(drawn).collect();
    let estimates = statistic(bleu_of(runs, 0..images));
    Some(std::array::from_fn(|n| {
        percentile_interval(estimates[n], drawn.iter().map(|scores| scores[n]).collect())
    }))
}

/// The BLEU of each run on a sample of images.
fn bleu_of<const K: usize>(runs: [&[BleuCounts]; K], sample: impl Iterator<Item = usize>) -> [[f64; 4]; K] {
    let mut sums = [BleuCounts::default(); K];
    for image in sample {
        for (sum, run) in sums.iter_mut().zip(runs) {
            *sum = sum.plus(run[image]);
        }
    }
    sums.map(|sum| sum.scores())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::Convention;
    use crate::score::{Item, bleu_counts, score};

    /// A caption has the words of its reference whose difficulty is below its quality, is now and then cut short, and
    /// is lucky or unlucky of its own in three words of ten.
    fn texts(seed: u64, images: usize, quality: f64) -> Vec<(String, Vec<String>)> {
        let mut shared = Random::new(seed, "difficulty", &[]);
        let mut own = Random::new(seed, "luck", &[quality.to_bits()]);
        let text =
            |words: &[usize]| words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        let mut image = || {
            let reference: Vec<usize> = (0..6 + shared.below(8)).map(|_| shared.below(40)).collect();
            let said = reference.len() - shared.below(3);
            let mut word = |word: &usize| {
                let (difficulty, luck, other) = (shared.uniform(), own.uniform(), own.below(40));
                let is_right = if own.chance(0.3) { luck < quality } else { difficulty < quality };
                if is_right { *word } else { other }
            };
            let caption: Vec<usize> = reference[..said].iter().map(&mut word).collect();
            (text(&caption), vec![text(&reference)])
        };
        (0..images).map(|_| image()).collect()
    }

    fn items(texts: &[(String, Vec<String>)]) -> Vec<Item<'_>> {
        texts.iter().map(|(caption, references)| Item { caption, references }).collect()
    }

    fn counts(seed: u64, images: usize, quality: f64) -> Vec<BleuCounts> {
        bleu_counts(Convention::Original, &items(&texts(seed, images, quality)))
    }

    fn corpus_bleu(counts: &[BleuCounts]) -> [f64; 4] {
        counts.iter().copied().fold(BleuCounts::default(), BleuCounts::plus).scores()
    }

    #[test]
    fn the_estimate_is_the_bleu_of_the_whole_set_under_both_conventions() {
        let texts = texts(0, 30, 0.8);
        for convention in [Convention::Original, Convention::Coco] {
            let items = items(&texts);
            let found = bleu_intervals(&bleu_counts(convention, &items), 200, 0).unwrap();
            assert_eq!(found.map(|interval| interval.estimate), score(convention, &items).bleu);
            assert!(
                found.iter().all(|bleu| bleu.low < bleu.estimate && bleu.estimate < bleu.high),
                "{found:?}"
            );
        }
    }

    /// How many of 2000 samples of `size` images have an interval that covers the truth.
    fn coverage(images: usize, size: usize, covers: impl Fn(&[usize], u64) -> [bool; 4] + Sync) -> [f64; 4] {
        let sample = |seed: u64| {
            let mut random = Random::new(seed, "sample", &[]);
            covers(&(0..size).map(|_| random.below(images)).collect::<Vec<_>>(), seed)
        };
        let covered: Vec<[bool; 4]> = (0..2000).into_par_iter().map(sample).collect();
        std::array::from_fn(|n| covered.iter().filter(|covered| covered[n]).count() as f64 / 2000.0)
    }

    fn covers(found: [Interval; 4], truth: [f64; 4]) -> [bool; 4] {
        std::array::from_fn(|n| found[n].low <= truth[n] && truth[n] <= found[n].high)
    }

    #[test]
    fn intervals_cover_the_bleu_of_all_images_in_93_to_97_of_100_samples() {
        let everything = counts(1, 4000, 0.8);
        let truth = corpus_bleu(&everything);
        for size in [100, 300] {
            let found = coverage(4000, size, |sample, seed| {
                let sample: Vec<BleuCounts> = sample.iter().map(|&image| everything[image]).collect();
                covers(bleu_intervals(&sample, 1000, seed).unwrap(), truth)
            });
            println!("{size} images: {found:?}");
            assert!(found.iter().all(|found| (0.93..=0.97).contains(found)), "{size} images: {found:?}");
        }
    }

    #[test]
    fn paired_differences_cover_the_true_ones_in_93_to_97_of_100_samples() {
        let (better, worse) = (counts(2, 4000, 0.8), counts(2, 4000, 0.75));
        let (high, low) = (corpus_bleu(&better), corpus_bleu(&worse));
        let truth = std::array::from_fn(|n| high[n] - low[n]);
        let found = coverage(4000, 150, |sample, seed| {
            let of = |run: &[BleuCounts]| sample.iter().map(|&image| run[image]).collect::<Vec<_>>();
            covers(bleu_differences(&of(&better), &of(&worse), 1000, seed).unwrap(), truth)
        });
        println!("differences: {found:?}");
        assert!(found.iter().all(|found| (0.93..=0.97).contains(found)), "{found:?}");
    }

    #[test]
    fn pairing_narrows_a_difference() {
        let (one, other) = (counts(2, 200, 0.8), counts(2, 200, 0.75));
        let width = |interval: Interval| interval.high - interval.low;
        let [.., paired] = bleu_differences(&one, &other, 2000, 0).unwrap().map(width);
        let [apart, alone] = [one, other].map(|run| bleu_intervals(&run, 2000, 0).unwrap().map(width)[3]);
        assert!(paired < 0.8 * apart.hypot(alone), "{paired} and {}", apart.hypot(alone));
    }

    #[test]
    fn a_run_does_not_differ_from_itself() {
        let run = counts(3, 40, 0.7);
        let nothing = Interval { estimate: 0.0, low: 0.0, high: 0.0 };
        assert_eq!(bleu_differences(&run, &run, 100, 0), Some([nothing; 4]));
        assert_eq!(bleu_intervals(&run, 100, 5), bleu_intervals(&run, 100, 5));
    }

    #[test]
    fn what_cannot_be_resampled_has_no_interval() {
        let run = counts(4, 3, 0.7);
        assert_eq!(bleu_intervals(&run[..1], 10, 0), None);
        assert_eq!(bleu_intervals(&run, 0, 0), None);
        assert_eq!(bleu_differences(&run, &run[..2], 10, 0), None);
    }

    #[test]
    #[ignore = "prints a time: cargo test --release --lib resampled_in_a_second -- --ignored --nocapture"]
    fn two_runs_of_5000_images_are_resampled_in_a_second_or_two() {
        let (one, other) = (counts(5, 5000, 0.8), counts(5, 5000, 0.7));
        let start = std::time::Instant::now();
        let found = bleu_differences(&one, &other, 10_000, 0).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds:.2} s: {found:?}");
        assert!(seconds < 5.0, "{seconds} s");
    }
}
