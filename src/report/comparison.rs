//! Runs compared image by image: who is better, and is the difference real?

use std::collections::BTreeMap;

use super::gather::RunData;
use super::metrics::Metric;
use crate::analysis::{Interval, RESAMPLES, mean_intervals};
use crate::record::run::PerImage;
use crate::score::mean_score;

/// The metrics that exist for single images, in the order of [`ImageScores`]. BLEU is defined for whole sets.
pub const PAIRED: [Metric; 4] = [Metric::Meteor, Metric::RougeL, Metric::CiderD, Metric::Score];

/// A caption's scores, by [`PAIRED`].
pub type ImageScores = [f64; 4];

/// Place of the score in [`ImageScores`].
pub const SCORE: usize = 3;

/// Seed of all resampling: a report made again is the same.
pub const SEED: u64 = 0;

/// Place of a metric in [`ImageScores`]; nothing for BLEU.
pub fn place(metric: Metric) -> Option<usize> {
    PAIRED.iter().position(|paired| *paired == metric)
}

/// Which images a comparison is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    Test,
    /// Where there is no test split. The best epoch was chosen on these, so its scores are optimistic.
    Validation,
}

impl Images {
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
        }
    }
}

/// One run minus another, image by image.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Images that both runs captioned.
    pub images: usize,
    /// By [`PAIRED`].
    pub differences: [Interval; 4],
}

impl Comparison {
    /// Of [`paired_differences`]; nothing of fewer than two images.
    pub fn of_images(differences: &[ImageScores]) -> Option<Self> {
        let means = mean_intervals(differences, RESAMPLES, SEED)?;
        Some(Self { images: differences.len(), differences: means })
    }

    pub fn of(&self, metric: Metric) -> Option<Interval> {
        self.differences.get(place(metric)?).copied()
    }
}

/// The scores of a run's captions, by image, at its best epoch.
pub fn image_scores(run: &RunData, images: Images) -> BTreeMap<&str, ImageScores> {
    let cider_weight = run.record.spec.recipe.evaluation.cider_weight;
    let scores = |row: &PerImage| -> Option<ImageScores> {
        let (meteor, rouge_l, cider_d) = (row.meteor?, row.rouge_l?, row.cider_d?);
        let scores = [meteor, rouge_l, cider_d, mean_score(cider_weight, meteor, rouge_l, cider_d)];
        scores.iter().all(|score| score.is_finite()).then_some(scores)
    };
    let epoch = scored_epoch(run, images);
    run.per_image
        .iter()
        .filter(|row| row.split == images.name() && Some(row.epoch) == epoch)
        .filter_map(|row| Some((row.image.as_str(), scores(row)?)))
        .collect()
}

/// The best epoch where it has rows; test images are captioned only then, so theirs is the last that has any.
fn scored_epoch(run: &RunData, images: Images) -> Option<usize> {
    let epochs = || run.per_image.iter().filter(|row| row.split == images.name()).map(|row| row.epoch);
    // A run whose epochs were none of them good enough to be the best counts as the model before training.
    let best = run.record.summary.as_ref().map(|summary| summary.best.as_ref().map_or(0, |best| best.epoch));
    match (images, best) {
        (Images::Validation, Some(best)) if epochs().any(|epoch| epoch == best) => Some(best),
        _ => epochs().max(),
    }
}

/// Mean scores with intervals, one run alone.
pub fn mean_scores(run: &RunData, images: Images) -> Option<[Interval; 4]> {
    let rows: Vec<ImageScores> = image_scores(run, images).into_values().collect();
    mean_intervals(&rows, RESAMPLES, SEED)
}

/// `run` minus `other`, over the images that both captioned. Nothing where these are fewer than two.
pub fn compare(run: &RunData, other: &RunData, images: Images) -> Option<Comparison> {
    Comparison::of_images(&paired_differences(run, other, images))
}

/// `run` minus `other` on each image that both captioned.
pub fn paired_differences(run: &RunData, other: &RunData, images: Images) -> Vec<ImageScores> {
    let (scores, others) = (image_scores(run, images), image_scores(other, images));
    let difference = |(image, score): (&&str, &ImageScores)| -> Option<ImageScores> {
        let other = others.get(image)?;
        Some(std::array::from_fn(|index| score[index] - other[index]))
    };
    scores.iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_has_its_place_and_bleu_none() {
        assert_eq!((place(Metric::Score), place(Metric::Bleu4)), (Some(SCORE), None));
    }
}
