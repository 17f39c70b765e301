//! What the sweep found, as numbers and run names; [`super::page`] puts it into words.

use std::collections::{BTreeMap, BTreeSet};

use super::comparison::{Comparison, Images, compare, image_scores};
use super::contest::{Contest, contest};
use super::diagnosis::{diagnosis, image_gain};
use super::format::list;
use super::gather::{RowKind, RunData, SweepData};
use super::metrics::Metric;
use super::seeds::{Seeds, seeds};
use super::settings::{Settings, drawn, value_text, varying};
use super::tables::RunRow;
use crate::analysis::Interval;
use crate::analysis::diagnosis::Diagnosis;
use crate::record::recipe::{Kind, MetricName};

/// A sweep's tables as plain values, with the runs they came from.
pub struct Study<'a> {
    pub sweep: &'a SweepData,
    /// Best first, as in the `runs` table.
    pub rows: Vec<RunRow>,
    pub ranked_by: MetricName,
    /// Paths of the settings that differ between the fine-tuned runs.
    pub varying: Vec<String>,
    /// Those of them whose values were drawn: each run has one of its own.
    pub drawn: BTreeSet<String>,
    data: BTreeMap<&'a str, &'a RunData>,
}

impl<'a> Study<'a> {
    pub fn new(sweep: &'a SweepData, rows: Vec<RunRow>, ranked_by: MetricName) -> Self {
        let settings: Vec<&Settings> =
            rows.iter().filter(|row| !row.is_reference()).map(|row| &row.settings).collect();
        let data = sweep.runs.iter().map(|run| (run.id(), run)).collect();
        let varying = varying(&settings);
        let drawn = drawn(&settings, &varying);
        Self { sweep, rows, ranked_by, drawn, varying, data }
    }

    pub fn data_of(&self, row: &RunRow) -> Option<&'a RunData> {
        self.data.get(row.run.as_str()).copied()
    }

    /// The names of the scoring conventions, one in all but odd sweeps.
    pub fn conventions(&self) -> String {
        let names: BTreeSet<&str> = self.rows.iter().map(|row| row.convention.as_str()).collect();
        list(&names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    }

    /// Fine-tuned runs that have a rank, best first.
    pub fn ranked(&self) -> impl Iterator<Item = &RunRow> {
        self.rows.iter().filter(|row| row.rank.is_some())
    }

    pub fn fine_tuned(&self) -> impl Iterator<Item = &RunRow> {
        self.rows.iter().filter(|row| !row.is_reference())
    }

    /// Other systems' captions, in the order of the tables.
    pub fn others(&self) -> impl Iterator<Item = &RunRow> {
        self.rows.iter().filter(|row| row.kind == RowKind::Other)
    }

    /// The row that people mean by `1` or `#1` (a rank), by an id or its beginning, by `zero-shot` or another kind of
    /// reference run, or by the name of another system. Nothing where none or several fit.
    pub fn find(&self, name: &str) -> Option<&RunRow> {
        let rank: Option<usize> = name.strip_prefix('#').unwrap_or(name).parse().ok();
        let is_called = |row: &RunRow| {
            row.is_reference() && row.name().replace([' ', '_'], "-") == name.replace([' ', '_'], "-")
        };
        let exactly =
            |row: &&RunRow| (rank.is_some() && row.rank == rank) || row.run == name || is_called(row);
        if let Some(row) = self.rows.iter().find(exactly) {
            return Some(row);
        }
        let mut beginning = self.rows.iter().filter(|row| row.run.starts_with(name));
        beginning.next().filter(|_| beginning.next().is_none())
    }

    /// The value by which a run is ranked.
    pub fn ranked_value(&self, row: &RunRow) -> Option<f64> {
        match self.ranked_by {
            MetricName::Score => row.validation.of(Metric::Score),
            MetricName::Meteor => row.validation.of(Metric::Meteor),
            MetricName::RougeL => row.validation.of(Metric::RougeL),
            MetricName::CiderD => row.validation.of(Metric::CiderD),
            MetricName::ValLoss => row.val_loss,
            MetricName::ValNll => row.val_nll,
        }
    }

    /// The reference run of a kind that was evaluated as `run` was; the best of them where several were.
    pub fn reference(&self, kind: Kind, run: &RunRow) -> Option<&RunRow> {
        let mut of_kind = self.rows.iter().filter(|row| row.kind == RowKind::Run(kind));
        self.alike(kind, run).next().or_else(|| of_kind.next())
    }

    /// The reference runs of a kind that were evaluated as `run` was, the best first.
    pub fn alike(&self, kind: Kind, run: &RunRow) -> impl Iterator<Item = &RunRow> {
        let is_alike = |row: &&RunRow| {
            row.settings.iter().all(|(path, value)| run.settings.get(path).is_none_or(|other| other == value))
        };
        self.rows.iter().filter(move |row| row.kind == RowKind::Run(kind)).filter(is_alike)
    }
}

/// A setting whose best value is the first or last that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    pub path: String,
    pub value: f64,
    pub is_highest: bool,
    /// Settings without which it never changed, as where they are zipped: nothing tells what it does by itself.
    pub bound: Vec<String>,
}

/// The difference to the stronger floor, which may be another one for each metric.
#[derive(Debug, Clone, PartialEq)]
pub struct FloorGain {
    pub metric: Metric,
    pub floor: Kind,
    pub gain: Interval,
}

pub struct Findings<'a> {
    pub best: Option<&'a RunRow>,
    pub images: Images,
    pub zero_shot: Option<&'a RunRow>,
    pub floors: Vec<&'a RunRow>,
    pub over_zero_shot: Option<Comparison>,
    pub over_floors: Vec<FloorGain>,
    /// The small decoder that was trained and evaluated on the same as the best run, and the best minus it.
    pub small_decoder: Option<(&'a RunRow, Option<Comparison>)>,
    /// Other systems, and the best run minus each.
    pub others: Vec<(&'a RunRow, Option<Comparison>)>,
    /// The second best run, and the best minus it.
    pub runner_up: Option<(&'a RunRow, Option<Comparison>)>,
    /// All ranked runs at once.
    pub contest: Option<Contest>,
    /// Settings instead of runs, where any was run with several seeds.
    pub seeds: Option<Seeds<'a>>,
    pub overfit: Vec<&'a RunRow>,
    /// Fine-tuned runs without a regular end.
    pub broken: Vec<&'a RunRow>,
    pub edges: Vec<Edge>,
    /// The best run was still improving when its epochs were over.
    pub best_epoch_is_last: bool,
    /// The best run did not beat the model before training on the validation split.
    pub best_below_start: bool,
    pub has_replications: bool,
    /// Why the captions are no better, the worst cause first.
    pub diagnosis: Vec<Diagnosis>,
    /// How much likelier the best run finds a reference beside its own picture than beside another, in nats a token.
    pub image_gain: Option<Interval>,
}

impl<'a> Findings<'a> {
    pub fn of(study: &'a Study<'a>) -> Self {
        let best = study.ranked().next();
        let zero_shot = best.and_then(|best| study.reference(Kind::ZeroShot, best));
        let floors: Vec<(Kind, &RunRow)> = best.map_or_else(Vec::new, |best| {
            [Kind::ConstantCaption, Kind::NearestImage]
                .into_iter()
                .filter_map(|kind| Some((kind, study.reference(kind, best)?)))
                .collect()
        });
        let images = images_for(study, best);
        let against = |other: &RunRow| compare(study.data_of(best?)?, study.data_of(other)?, images);
        let runner_up = study.ranked().nth(1);
        Self {
            best,
            images,
            zero_shot,
            over_zero_shot: zero_shot.and_then(against),
            over_floors: over_floors(&floors.iter().filter_map(|(kind, floor)| Some((*kind, against(floor)?))).collect::<Vec<_>>()),
            floors: floors.iter().map(|(_, floor)| *floor).collect(),
            small_decoder: best
                .and_then(|best| study.alike(Kind::SmallDecoder, best).next())
                .map(|row| (row, against(row))),
            others: study.others().map(|other| (other, against(other))).collect(),
            contest: contest(study, images),
            seeds: seeds(study, images),
            runner_up: runner_up.map(|row| (row, against(row))),
            overfit: study.fine_tuned().filter(|row| row.overfit).collect(),
            broken: study.fine_tuned().filter(|row| is_broken(row)).collect(),
            edges: best.map_or_else(Vec::new, |best| edges(study, best)),
            best_epoch_is_last: best.is_some_and(|best| {
                best.status == "finished" && best.best_epoch.is_some() && best.best_epoch == best.epochs
            }),
            best_below_start: best.is_some_and(|best| {
                matches!((best.validation.of(Metric::Score), best.initial_score), (Some(best), Some(start)) if best <= start)
            }),
            diagnosis: diagnosis(study),
            image_gain: best.and_then(|best| image_gain(study.data_of(best)?)),
            has_replications: study.varying.iter().any(|path| path == super::settings::SEED),
        }
    }
}

fn is_broken(row: &RunRow) -> bool {
    matches!(row.status.as_str(), "failed" | "diverged" | "out_of_memory" | "timed_out")
}

/// Test images where the best run captioned any, else validation images.
fn images_for(study: &Study, best: Option<&RunRow>) -> Images {
    let run = best.and_then(|best| study.data_of(best));
    if run.is_some_and(|run| image_scores(run, Images::Test).is_empty()) {
        Images::Validation
    } else {
        Images::Test
    }
}

/// For each metric the difference to the floor that is harder to beat.
fn over_floors(comparisons: &[(Kind, Comparison)]) -> Vec<FloorGain> {
    let hardest = |metric: Metric| {
        let gains =
            comparisons.iter().filter_map(|(floor, comparison)| Some((*floor, comparison.of(metric)?)));
        let (floor, gain) = gains.min_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate))?;
        Some(FloorGain { metric, floor, gain })
    };
    super::comparison::PAIRED.into_iter().filter_map(hardest).collect()
}

/// Settings for which the best run took the smallest or largest of at least three numbers that were tried: of
/// two, one is always best.
fn edges(study: &Study, best: &RunRow) -> Vec<Edge> {
    let edge = |path: &String| {
        let value = best.settings.get(path)?.as_f64()?;
        let mut tried: Vec<f64> = study.ranked().filter_map(|row| row.settings.get(path)?.as_f64()).collect();
        tried.sort_by(f64::total_cmp);
        tried.dedup();
        let [lowest, _, .., highest] = tried.as_slice() else { return None };
        let is_edge = value == *lowest || value == *highest;
        let bound = bound_to(study, path);
        is_edge.then(|| Edge { path: path.clone(), value, is_highest: value == *highest, bound })
    };
    chosen(study).filter_map(edge).collect()
}

/// Settings whose values someone chose: the ends of what was drawn are no ends of what could have been.
fn chosen<'a>(study: &'a Study) -> impl Iterator<Item = &'a String> {
    study.varying.iter().filter(|path| *path != super::settings::SEED && !study.drawn.contains(*path))
}

/// Settings each value of which was tried with one value of this one alone.
fn bound_to(study: &Study, path: &str) -> Vec<String> {
    let is_bound = |other: &&String| {
        let mut value_of: BTreeMap<String, Option<&serde_json::Value>> = BTreeMap::new();
        study.ranked().all(|row| {
            let (key, value) = (row.settings.get(*other).map(value_text), row.settings.get(path));
            *value_of.entry(key.unwrap_or_default()).or_insert(value) == value
        })
    };
    chosen(study).filter(|other| *other != path).filter(is_bound).cloned().collect()
}
