//! BLEU-4 with intervals: counted anew from the captions and references that runs recorded.

use std::collections::BTreeMap;

use super::comparison::{Images, SEED};
use super::gather::RunData;
use crate::analysis::resampled_bleu::{bleu_differences, bleu_intervals};
use crate::analysis::{Interval, RESAMPLES};
use crate::record::run::Prediction;
use crate::score::{BleuCounts, Item, bleu_counts};

/// Place of BLEU-4 among the four.
const BLEU_4: usize = 3;
/// A recorded score that is farther from the captions' is not theirs, and their interval not its.
const SAME: f64 = 1e-6;

/// The 95 % interval of a run's BLEU-4; nothing where its captions do not come to `recorded`, which it is shown with.
pub fn bleu_interval(run: &RunData, images: Images, recorded: f64) -> Option<Interval> {
    let counts: Vec<BleuCounts> = counts(run, images).into_values().collect();
    let whole = counts.iter().copied().fold(BleuCounts::default(), BleuCounts::plus).scores()[BLEU_4];
    if (whole - recorded).abs() > SAME {
        return None;
    }
    Some(bleu_intervals(&counts, RESAMPLES, SEED)?[BLEU_4])
}

/// How much higher the BLEU-4 of `run` is than that of `other`, over the images that both captioned. Nothing where
/// these are fewer than two, or the runs split words by different conventions.
pub fn bleu_difference(run: &RunData, other: &RunData, images: Images) -> Option<Interval> {
    let convention = |run: &RunData| run.record.spec.recipe.evaluation.convention;
    if convention(run) != convention(other) {
        return None;
    }
    let (ours, theirs) = (counts(run, images), counts(other, images));
    let pairs = ours.iter().filter_map(|(image, counts)| Some((*counts, *theirs.get(image)?)));
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.unzip();
    Some(bleu_differences(&ours, &theirs, RESAMPLES, SEED)?[BLEU_4])
}

/// The counts of a run's captions by image; of an image with several rows the last counts.
fn counts<'r>(run: &'r RunData, images: Images) -> BTreeMap<&'r str, BleuCounts> {
    let by_image = run.said_of(images.name());
    let item = |row: &&'r Prediction| Item { caption: &row.caption, references: &row.references };
    let items: Vec<Item> = by_image.values().map(item).collect();
    let counts = bleu_counts(run.record.spec.recipe.evaluation.convention, &items);
    by_image.into_keys().zip(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::report::example_runs::{gather_example, write_example_runs};

    #[test]
    fn the_interval_holds_the_recorded_score_and_the_difference_is_of_the_whole_sets() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let data = gather_example(folder.path());
        let [floor, trained] = [&data.runs[1], &data.runs[3]];
        let recorded = |run: &RunData| run.record.summary.as_ref().unwrap().test.as_ref().unwrap()["bleu_4"];
        for run in [floor, trained] {
            let found = bleu_interval(run, Images::Test, recorded(run)).unwrap();
            assert!((found.estimate - recorded(run)).abs() < 1e-9, "{found:?}");
            assert!(found.low < found.estimate && found.estimate < found.high, "{found:?}");
            assert_eq!(bleu_interval(run, Images::Test, recorded(run) + 0.01), None);
            assert_eq!(bleu_interval(run, Images::Validation, recorded(run)), None);
        }
        let found = bleu_difference(trained, floor, Images::Test).unwrap();
        assert!((found.estimate - (recorded(trained) - recorded(floor))).abs() < 1e-9, "{found:?}");
    }
}
