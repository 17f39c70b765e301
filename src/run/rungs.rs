//! Which points of a sweep go on beyond a rung: the rule alone.
//!
//! [`entrants`] takes from the runs' logs what is known of each point at a rung, [`judge`] decides. Both are pure, so that a
//! decision can be made again from the logs, on them as they are or on full ones.
//!
//! All points are compared after the same epoch and all seeds of a point stand or fall together: else the seeds that stay
//! would be those that were lucky. What counts is the best epoch so far, which is what a run's result will be.

use std::collections::BTreeMap;

use crate::record::recipe::{Kind, MetricName};
use crate::record::run::PerImage;
use crate::record::{RunRecord, Status};
use crate::spec::early_terminate::{EarlyTerminate, Rule};
use crate::train::early_stopping::metric;

/// A run as its files have it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub record: RunRecord,
    /// Its rows on validation images.
    pub per_image: Vec<PerImage>,
}

/// A point of the sweep at a rung.
#[derive(Debug, Clone, PartialEq)]
pub struct Entrant {
    /// Its runs, one a seed.
    pub runs: Vec<String>,
    /// What it has reached, the more the better: the mean over its seeds.
    pub value: f64,
    /// The same of each validation image.
    pub images: BTreeMap<String, f64>,
    /// Whether it has come to its end, or its warm-up or unfreezing has not: then it is not stopped.
    pub is_spared: bool,
}

/// What becomes of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    GoesOn,
    /// It is not among those that go on, but no worse than the last of them beyond the noise.
    IsTooClose(Difference),
    Stops(Difference),
}

/// By how much the last point that goes on is better, over images that both were scored on.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The first run of that point.
    pub than: String,
    pub mean: f64,
    pub standard_error: f64,
    pub images: usize,
}

/// The points that have come as far as this epoch or to their end, in the order of the records.
pub fn entrants(runs: &[Seen], epoch: usize, metric: MetricName) -> Vec<Entrant> {
    let mut points: Vec<Vec<&Seen>> = Vec::new();
    for run in runs.iter().filter(|run| takes_part(&run.record, epoch)) {
        let is_twin = |point: &&mut Vec<&Seen>| point[0].record.spec.recipe == run.record.spec.recipe;
        match points.iter_mut().find(is_twin) {
            Some(point) => point.push(run),
            None => points.push(vec![run]),
        }
    }
    points.iter().map(|point| entrant(point, epoch, metric)).collect()
}

fn takes_part(record: &RunRecord, epoch: usize) -> bool {
    let reached = record.curve.last().map_or(0, |evaluated| evaluated.epoch);
    let is_over = matches!(record.status, Some(Status::Finished | Status::EarlyStopped));
    let has_failed = matches!(
        record.status,
        Some(Status::Failed | Status::Diverged | Status::OutOfMemory | Status::TimedOut)
    );
    record.spec.recipe.kind == Kind::FineTuned && !has_failed && (reached >= epoch || is_over)
}

fn entrant(point: &[&Seen], epoch: usize, name: MetricName) -> Entrant {
    let sign = if name.higher_is_better() { 1.0 } else { -1.0 };
    let mut sum = 0.0;
    let mut images: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for run in point {
        let Some((best, value)) = best_until(&run.record, epoch, name, sign) else {
            sum = f64::NAN;
            continue;
        };
        sum += sign * value;
        let rows = run.per_image.iter().filter(|row| row.epoch == best && row.split == "validation");
        for row in rows {
            if let Some(value) = of_image(row, name, run.record.spec.recipe.evaluation.cider_weight) {
                images.entry(row.image.clone()).or_default().push(sign * value);
            }
        }
    }
    // An image that a seed lacks would be compared by fewer of them.
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let whole = images.into_iter().filter(|(_, values)| values.len() == point.len());
    Entrant {
        runs: point.iter().map(|run| run.record.spec.id.clone()).collect(),
        value: sum / point.len() as f64,
        images: whole.map(|(image, values)| (image, mean(values))).collect(),
        is_spared: point.iter().all(|run| is_over(&run.record))
            || point.iter().any(|run| spared_until(&run.record) > epoch),
    }
}

fn is_over(record: &RunRecord) -> bool {
    matches!(record.status, Some(Status::Finished | Status::EarlyStopped))
}

/// The best epoch from 1 to this one, and its value.
fn best_until(record: &RunRecord, epoch: usize, name: MetricName, sign: f64) -> Option<(usize, f64)> {
    let epochs = record.curve.iter().filter(|evaluated| (1..=epoch).contains(&evaluated.epoch));
    let values = epochs.filter_map(|evaluated| Some((evaluated.epoch, metric(evaluated, name)?)));
    // Of equal ones the first, as training has it.
    values.reduce(|best, next| if sign * next.1 > sign * best.1 { next } else { best })
}

/// An image's share of a metric: that of the score is the same mean, and a loss is weighted as if all captions were as long.
fn of_image(row: &PerImage, name: MetricName, cider_weight: f64) -> Option<f64> {
    match name {
        MetricName::Meteor => row.meteor,
        MetricName::RougeL => row.rouge_l,
        MetricName::CiderD => row.cider_d,
        MetricName::ValLoss | MetricName::ValNll => row.loss,
        MetricName::Score => Some((row.meteor? + row.rouge_l? + cider_weight * row.cider_d?) / 3.0),
    }
}

/// The epoch after which a run may be stopped first: the one in which its warm-up ends or its last layer begins to train.
fn spared_until(record: &RunRecord) -> usize {
    let training = &record.spec.recipe.training;
    let Some(started) = &record.started else { return usize::MAX };
    let warmup = training.warmup(started.total_steps).div_ceil(started.steps_per_epoch.max(1));
    let unfrozen = match training.unfrozen_vision_layers {
        0 => 0,
        layers => training.unfreezes_in(layers - 1),
    };
    warmup.max(unfrozen)
}

/// What becomes of each point.
pub fn judge(rule: &EarlyTerminate, entrants: &[Entrant]) -> Vec<Verdict> {
    let mut ranked: Vec<&Entrant> = entrants.iter().collect();
    ranked.sort_by(|first, second| descending(first.value, second.value));
    let Some(last) = places(rule, &ranked).checked_sub(1).and_then(|place| ranked.get(place)) else {
        return vec![Verdict::GoesOn; entrants.len()];
    };
    let verdict = |entrant: &Entrant| {
        if entrant.is_spared || !descending(last.value, entrant.value).is_lt() {
            return Verdict::GoesOn;
        }
        let difference = difference(last, entrant);
        let noise = rule.noise * difference.standard_error;
        // Without two images in common there is no telling what is noise.
        if difference.images >= 2 && difference.mean > noise {
            Verdict::Stops(difference)
        } else {
            Verdict::IsTooClose(difference)
        }
    };
    entrants.iter().map(verdict).collect()
}

/// What is no number comes last.
fn descending(first: f64, second: f64) -> std::cmp::Ordering {
    first.is_nan().cmp(&second.is_nan()).then(second.total_cmp(&first))
}

/// How many of the points go on by rank alone.
fn places(rule: &EarlyTerminate, ranked: &[&Entrant]) -> usize {
    match rule.rule {
        Rule::Halving { eta } => ranked.len().div_ceil(eta),
        Rule::TopK { k } => k,
        Rule::Median { .. } => ranked.len().div_ceil(2),
    }
}

fn difference(better: &Entrant, worse: &Entrant) -> Difference {
    let pairs = better.images.iter().filter_map(|(image, value)| Some(value - worse.images.get(image)?));
    let differences: Vec<f64> = pairs.collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Difference {
        than: better.runs.first().cloned().unwrap_or_default(),
        mean,
        standard_error: (variance / count).sqrt(),
        images: differences.len(),
    }
}

#[cfg(test)]
#[path = "rungs_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rungs_replay.rs"]
mod replay;
