//! Settings over their seeds: what combinations of settings score when the chance of training counts as well.
//!
//! A run is one draw of its settings. Where the same settings were run with several seeds, their mean is judged for
//! other seeds and other images ([`crate::analysis::replication`]). Settings are ordered by what ranks the runs, on
//! validation, and judged on the test images where there are any.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::comparison::{ImageScores, Images, SCORE, image_scores, place};
use super::findings::Study;
use super::metrics::Metric;
use super::settings::SEED;
use super::tables::RunRow;
use crate::analysis::replication::{Replicated, replicated_difference, replicated_mean, replications};

/// Every combination of settings that has a run with scores, the best first.
pub struct Seeds<'a> {
    pub images: Images,
    /// Images that all of these runs captioned.
    pub common: usize,
    pub settings: Vec<SeededSettings<'a>>,
}

/// A combination of settings.
pub struct SeededSettings<'a> {
    /// A run a seed, the best first.
    pub runs: Vec<&'a RunRow>,
    /// Over seeds and images, by [`crate::report::comparison::PAIRED`].
    pub means: [f64; 4],
    /// What the means are worth, by [`PAIRED`]; absent for a single seed.
    pub replicated: [Option<Replicated>; 4],
    /// Mean over the seeds. BLEU belongs to a whole set, so it has no scatter over images to judge it by.
    pub bleu_4: Option<f64>,
    /// How much higher the best settings' mean score is; absent for these, and where either has a single seed.
    pub behind: Option<Replicated>,
}

impl SeededSettings<'_> {
    pub fn mean(&self, metric: Metric) -> Option<f64> {
        match place(metric) {
            Some(place) => self.means.get(place).copied(),
            None => self.bleu_4,
        }
    }

    pub fn replicated(&self, metric: Metric) -> Option<Replicated> {
        self.replicated.get(place(metric)?).copied().flatten()
    }

    /// The best run's settings stand for all: only the seed differs.
    pub fn best_run(&self) -> Option<&RunRow> {
        self.runs.first().copied()
    }

    pub fn has_several_seeds(&self) -> bool {
        self.runs.len() > 1
    }
}

/// A run with the scores of its captions.
struct Scored<'a> {
    row: &'a RunRow,
    /// What ranks it.
    ranked_value: f64,
    scores: BTreeMap<&'a str, ImageScores>,
}

/// Nothing where no settings have several seeds, or the runs have less than two images in common.
pub fn seeds<'a>(study: &'a Study, images: Images) -> Option<Seeds<'a>> {
    let runs: Vec<Scored> = study.ranked().filter_map(|row| scored(study, row, images)).collect();
    let mut groups = grouped(&runs);
    if groups.iter().all(|group| group.len() < 2) {
        return None;
    }
    let direction = if study.ranked_by.higher_is_better() { -1.0 } else { 1.0 };
    let ranked = |group: &[&Scored]| {
        direction * group.iter().map(|run| run.ranked_value).sum::<f64>() / group.len() as f64
    };
    groups.sort_by(|a, b| ranked(a).total_cmp(&ranked(b)));
    let common = common_images(groups.iter().flatten().copied());
    if common.len() < 2 {
        return None;
    }
    let tables: Vec<Vec<Vec<ImageScores>>> =
        groups.iter().map(|group| group.iter().map(|run| on_images(run, &common)).collect()).collect();
    let settings =
        groups.iter().zip(&tables).map(|(group, table)| summed_up(group, table, &tables[0], images));
    let mut settings: Vec<SeededSettings> = settings.collect();
    if let Some(best) = settings.first_mut() {
        best.behind = None;
    }
    Some(Seeds { images, common: common.len(), settings })
}

fn scored<'a>(study: &'a Study, row: &'a RunRow, images: Images) -> Option<Scored<'a>> {
    let scores = image_scores(study.data_of(row)?, images);
    let ranked_value = study.ranked_value(row)?;
    (!scores.is_empty()).then_some(Scored { row, ranked_value, scores })
}

/// Runs of equal settings, one a seed.
fn grouped<'r, 'a>(runs: &'r [Scored<'a>]) -> Vec<Vec<&'r Scored<'a>>> {
    let key = |run: &Scored<'a>| {
        let seed = run.row.settings.get(SEED).and_then(Value::as_u64).unwrap_or_default();
        let others = run.row.settings.iter().filter(|(path, _)| *path != SEED);
        (others.map(|(path, value)| format!("{path}={value}\n")).collect::<String>(), seed)
    };
    let keys: Vec<_> = runs.iter().map(key).collect();
    replications(&keys).into_iter().map(|group| group.into_iter().map(|run| &runs[run]).collect()).collect()
}

fn common_images<'r, 'a: 'r>(runs: impl Iterator<Item = &'r Scored<'a>>) -> BTreeSet<&'a str> {
    let images = runs.map(|run| run.scores.keys().copied().collect::<BTreeSet<&str>>());
    images.reduce(|a, b| a.intersection(&b).copied().collect()).unwrap_or_default()
}

fn on_images(run: &Scored, images: &BTreeSet<&str>) -> Vec<ImageScores> {
    images.iter().filter_map(|image| run.scores.get(image).copied()).collect()
}

/// `table` and `best` are `[seed][image]`.
fn summed_up<'a>(
    group: &[&Scored<'a>],
    table: &[Vec<ImageScores>],
    best: &[Vec<ImageScores>],
    images: Images,
) -> SeededSettings<'a> {
    let column = |table: &[Vec<ImageScores>], metric: usize| -> Vec<Vec<f64>> {
        table.iter().map(|seed| seed.iter().map(|scores| scores[metric]).collect()).collect()
    };
    let mean = |metric: usize| {
        let scores: Vec<f64> = table.iter().flatten().map(|scores| scores[metric]).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let bleu = |run: &&Scored| run.row.scores_on(images).of(Metric::Bleu4);
    let bleu: Option<Vec<f64>> = group.iter().map(bleu).collect();
    SeededSettings {
        runs: group.iter().map(|run| run.row).collect(),
        means: std::array::from_fn(mean),
        replicated: std::array::from_fn(|metric| replicated_mean(&column(table, metric))),
        bleu_4: bleu.map(|bleu| bleu.iter().sum::<f64>() / bleu.len() as f64),
        behind: replicated_difference(&column(best, SCORE), &column(table, SCORE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::report::example_runs::{
        forget_a_test_image_each, gather_example, write_example_runs, write_runs_with_seeds,
    };
    use crate::report::gather::SweepData;
    use crate::report::tables::build;

    fn with_seeds(write: fn(&std::path::Path) -> anyhow::Result<()>, check: impl Fn(Option<Seeds>)) {
        changed(write, |_| (), check);
    }

    fn changed(
        write: fn(&std::path::Path) -> anyhow::Result<()>,
        change: impl Fn(&mut SweepData),
        check: impl Fn(Option<Seeds>),
    ) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let mut data = gather_example(folder.path());
        change(&mut data);
        let tables = build(&data).unwrap();
        let study = Study::new(&data, tables.run_rows().unwrap(), tables.ranked_by);
        check(seeds(&study, Images::Test));
    }

    #[test]
    fn runs_of_equal_settings_are_one_row_with_the_mean_of_their_test_scores() {
        with_seeds(write_runs_with_seeds, |seeds| {
            let seeds = seeds.unwrap();
            assert_eq!(seeds.common, 128);
            let counts: Vec<usize> = seeds.settings.iter().map(|settings| settings.runs.len()).collect();
            assert_eq!(
                {
                    let mut sorted = counts.clone();
                    sorted.sort();
                    sorted
                },
                [1, 3, 3]
            );
            for settings in &seeds.settings {
                let of_runs: f64 =
                    settings.runs.iter().map(|run| run.test.of(Metric::Meteor).unwrap()).sum::<f64>();
                let mean = settings.mean(Metric::Meteor).unwrap();
                assert!((mean - of_runs / settings.runs.len() as f64).abs() < 1e-9, "{mean}");
                let replicated = settings.replicated(Metric::Meteor);
                assert_eq!(replicated.is_some(), settings.has_several_seeds());
                assert!(replicated.is_none_or(|found| (found.interval.estimate - mean).abs() < 1e-9));
                assert!(settings.runs.is_sorted_by_key(|run| run.rank));
            }
            assert_eq!(seeds.settings[0].behind, None);
            let judged = seeds.settings[1..].iter().filter(|settings| settings.behind.is_some()).count();
            assert_eq!(judged, 1, "settings with one seed cannot be judged");
        });
    }

    #[test]
    fn an_image_that_a_run_did_not_caption_counts_for_no_other() {
        let means = |change: fn(&mut SweepData), common| {
            let found = std::cell::Cell::new(None);
            changed(write_runs_with_seeds, change, |seeds| {
                let seeds = seeds.unwrap();
                assert_eq!(seeds.common, common);
                found.set(Some(seeds.settings.last().unwrap().means[SCORE]));
            });
            found.get().unwrap()
        };
        assert_ne!(means(forget_a_test_image_each, 126), means(|_| (), 128), "the others' count no more");
    }

    #[test]
    fn settings_with_one_seed_each_have_no_table() {
        with_seeds(write_example_runs, |seeds| assert!(seeds.is_none()));
    }
}
