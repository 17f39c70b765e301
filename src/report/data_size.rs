//! What settings score by the number of images that they were trained on.
//!
//! Means are over seeds and images, with what seeds scatter in the interval where there are several; all on the images
//! that every run captioned.

use std::collections::{BTreeMap, BTreeSet};

use super::comparison::{ImageScores, Images, SCORE, SEED as RESAMPLING, image_scores};
use super::findings::Study;
use super::gather::RowKind;
use super::settings::{SEED, TRAIN_EXAMPLES, short_label, value_text};
use super::tables::RunRow;
use crate::analysis::replication::{replicated_difference, replicated_mean};
use crate::analysis::{Interval, RESAMPLES, mean_intervals};
use crate::record::recipe::Kind;

/// Settings whose runs differ in nothing else but the number of images, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeLine {
    /// What tells these settings from the other lines'; empty for the only one.
    pub label: String,
    /// By number of images, ascending; at least two.
    pub points: Vec<SizePoint>,
}

/// A mean score.
#[derive(Debug, Clone, PartialEq)]
pub struct SizePoint {
    pub examples: usize,
    pub seeds: usize,
    pub mean: Interval,
    /// `[seed][image]`.
    scores: Vec<Vec<f64>>,
}

/// The lines of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeLines {
    pub images: Images,
    /// Images that all of the runs captioned.
    pub common: usize,
    /// The best at its largest number of images first.
    pub lines: Vec<SizeLine>,
    /// That of the small decoder beside them, which learns from as many.
    pub small: Option<SizeLine>,
    /// Settings that change with the number of images and with nothing else.
    pub bound: Vec<String>,
    common_images: BTreeSet<String>,
}

/// A run, how many images it was trained on and its scores by image.
type Sized<'a> = (&'a RunRow, usize, BTreeMap<&'a str, ImageScores>);

/// Nothing where the number of training images does not vary, or no settings have two of them.
pub fn size_lines(study: &Study, images: Images) -> Option<SizeLines> {
    if !study.varying.iter().any(|path| path == TRAIN_EXAMPLES) {
        return None;
    }
    let sized = |row| -> Option<Sized> {
        let row: &RunRow = row;
        let scores = image_scores(study.data_of(row)?, images);
        Some((row, row.origin.as_ref()?.train_examples, scores)).filter(|(_, _, scores)| scores.len() > 1)
    };
    let runs: Vec<Sized> = study.ranked().filter_map(sized).collect();
    let (bound, free) = bound_and_free(study, &runs);
    let common = runs
        .iter()
        .map(|(_, _, scores)| scores.keys().copied().collect::<BTreeSet<&str>>())
        .reduce(|a, b| a.intersection(&b).copied().collect())
        .filter(|common| common.len() > 1)?;
    let lines = lines_of(&runs, &free, &common);
    let is_small = |row: &&RunRow| row.kind == RowKind::Run(Kind::SmallDecoder);
    let mut small: Vec<Sized> = study.rows.iter().filter(is_small).filter_map(sized).collect();
    small.retain(|(_, _, scores)| common.iter().all(|image| scores.contains_key(image)));
    let small = lines_of(&small, &free, &common).into_iter().next();
    let common_images: BTreeSet<String> = common.into_iter().map(str::to_owned).collect();
    (!lines.is_empty()).then_some(SizeLines {
        images,
        common: common_images.len(),
        lines,
        small,
        bound,
        common_images,
    })
}

/// A line for each combination of the free settings that was run with several numbers of images, the best at its largest
/// number first.
fn lines_of(runs: &[Sized], free: &[String], common: &BTreeSet<&str>) -> Vec<SizeLine> {
    // By number of images and seed: a share and the count that it comes to are one size, and their runs one run.
    let mut groups: BTreeMap<String, BTreeMap<usize, BTreeMap<String, &Sized>>> = BTreeMap::new();
    for run in runs {
        let value = |path: &String| run.0.settings.get(path).map_or_else(String::new, value_text);
        let key: Vec<String> = free.iter().map(value).collect();
        let of_size = groups.entry(key.join(" ")).or_default().entry(run.1).or_default();
        of_size.entry(value(&SEED.to_owned())).or_insert(run);
    }
    let line = |sizes: BTreeMap<usize, BTreeMap<String, &Sized>>| {
        let label = short_label(&sizes.values().next()?.values().next()?.0.settings, free);
        let point = |(examples, runs): (&usize, &BTreeMap<String, &Sized>)| {
            point(*examples, &runs.values().copied().collect::<Vec<_>>(), common)
        };
        let points = sizes.iter().filter_map(point).collect();
        Some(SizeLine { label, points })
    };
    let mut lines: Vec<SizeLine> = groups.into_values().filter_map(line).collect();
    lines.retain(|line| line.points.len() > 1);
    let last = |line: &SizeLine| line.points.last().map_or(f64::NAN, |point| point.mean.estimate);
    lines.sort_by(|a, b| last(b).total_cmp(&last(a)));
    lines
}

/// The settings that vary with the number of images alone, and those that vary among runs of as many.
fn bound_and_free(study: &Study, runs: &[Sized]) -> (Vec<String>, Vec<String>) {
    let is_bound = |path: &String| {
        let mut value_of: BTreeMap<usize, Option<&serde_json::Value>> = BTreeMap::new();
        runs.iter().all(|(row, examples, _)| {
            let value = row.settings.get(path);
            *value_of.entry(*examples).or_insert(value) == value
        })
    };
    let others = study.varying.iter().filter(|path| ![SEED, TRAIN_EXAMPLES].contains(&path.as_str()));
    others.cloned().partition(is_bound)
}

fn point(examples: usize, runs: &[&Sized], common: &BTreeSet<&str>) -> Option<SizePoint> {
    let of_run = |run: &&Sized| -> Vec<f64> {
        common.iter().filter_map(|image| Some(run.2.get(image)?[SCORE])).collect()
    };
    let scores: Vec<Vec<f64>> = runs.iter().map(of_run).collect();
    let mean = match replicated_mean(&scores) {
        Some(replicated) => replicated.interval,
        None => interval(scores.first()?)?,
    };
    Some(SizePoint { examples, seeds: scores.len(), mean, scores })
}

/// The mean of one run's scores, or of differences, for other images.
fn interval(scores: &[f64]) -> Option<Interval> {
    let rows: Vec<[f64; 1]> = scores.iter().map(|score| [*score]).collect();
    mean_intervals(&rows, RESAMPLES, RESAMPLING).map(|[interval]| interval)
}

impl SizePoint {
    /// How much higher the score is than that of another number of images.
    pub fn minus(&self, other: &Self) -> Option<Interval> {
        if let Some(replicated) = replicated_difference(&self.scores, &other.scores) {
            return Some(replicated.interval);
        }
        let mean_of = |point: &Self, image: usize| {
            point.scores.iter().filter_map(|scores| scores.get(image)).sum::<f64>()
                / point.scores.len() as f64
        };
        let images = self.scores.first()?.len();
        let differences: Vec<f64> =
            (0..images).map(|image| mean_of(self, image) - mean_of(other, image)).collect();
        interval(&differences)
    }
}

impl SizeLines {
    /// The mean score of a run on the same images; nothing where it did not caption all of them.
    pub fn level(&self, study: &Study, row: &RunRow) -> Option<f64> {
        let scores = image_scores(study.data_of(row)?, self.images);
        let of_images: Option<Vec<f64>> =
            self.common_images.iter().map(|image| Some(scores.get(image.as_str())?[SCORE])).collect();
        let of_images = of_images?;
        Some(of_images.iter().sum::<f64>() / of_images.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_runs::{forget_a_test_image_each, gather_example, write_example_runs};
    use crate::report::gather::SweepData;
    use crate::report::settings::LAYERS;
    use crate::report::tables::build;

    #[test]
    fn scores_are_of_the_images_that_every_run_captioned() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let mut data = gather_example(folder.path());
        let tables = build(&data).unwrap();
        let found = |data: &SweepData| {
            let mut rows = tables.run_rows().unwrap();
            // Layers stand for numbers of images.
            for row in rows.iter_mut() {
                let layers =
                    row.settings.remove(LAYERS).and_then(|value| value.as_u64()).unwrap_or(0) as usize;
                row.settings.insert(TRAIN_EXAMPLES.to_owned(), (64 << layers.min(6)).into());
                row.origin.iter_mut().for_each(|origin| origin.train_examples = 64 << layers.min(6));
            }
            let lines = size_lines(&Study::new(data, rows, tables.ranked_by), Images::Test).unwrap();
            let scored = lines.lines.iter().flat_map(|line| &line.points).flat_map(|point| &point.scores);
            (lines.common, scored.map(Vec::len).collect::<BTreeSet<usize>>())
        };
        assert_eq!(found(&data), (128, [128].into()));
        forget_a_test_image_each(&mut data);
        assert_eq!(found(&data), (126, [126].into()));
    }

    #[test]
    fn a_gain_is_what_the_larger_number_has_more_with_one_seed_and_with_several() {
        let point = |examples, seeds: u64, score: f64| {
            let of_image = |seed: u64, image: u64| score + ((image + 7 * seed) % 5) as f64 / 100.0;
            let of_seed = |seed: u64| (0..40).map(|image| of_image(seed, image)).collect::<Vec<f64>>();
            let scores: Vec<Vec<f64>> = (0..seeds).map(of_seed).collect();
            let mean = Interval { estimate: score, low: score, high: score };
            SizePoint { examples, seeds: scores.len(), mean, scores }
        };
        for seeds in [1, 3] {
            let gain = point(200, seeds, 0.5).minus(&point(100, seeds, 0.3)).unwrap();
            assert!((gain.estimate - 0.2).abs() < 1e-9 && gain.low > 0.0, "{seeds} seeds: {gain:?}");
        }
    }
}
