//! `method: bayes`: the next points of a search, from what those before came to.
//!
//! A tree-structured Parzen estimator (Bergstra et al. 2011), with the values that Optuna's `TPESampler` has for its
//! settings: the best tenth of the points says where good values lie, all others where they do not, and of two dozen
//! values drawn from the first the one is taken that is likeliest there against the second. Points that are decided but
//! not done yet count among the others, so that those of a round keep away from each other.
//!
//! Pure: a round is a function of the sweep, of the points before it and of their scores. Nothing has to be kept to go
//! on, and no result of the same round matters, so that it is the same however many runs are at work at a time.

mod parzen;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::canonical::{canonicalise, trains};
use super::combinations::Combination;
use super::expand::{Plan, PlanError, expand, recipe_of};
use super::id::Ids;
use crate::random::Random;
use crate::record::RunSpec;
use crate::record::recipe::Kind;
use crate::spec::bayes::{Bayes, Dimension, Values};
use crate::spec::{References, SweepSpec};
use parzen::{Domain, Parzen};

/// Values drawn for each parameter of a point, of which one is taken.
const CANDIDATES: usize = 24;
/// The share of the points that count as good.
const GOOD: f64 = 0.1;
/// And how many at most.
const MOST_GOOD: usize = 25;
/// A point that there is already is looked for anew so often, each time with half as many candidates: the likeliest of many
/// would be the same again.
const TRIES: u64 = 16;

/// A point of the space and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// A number for each dimension.
    pub numbers: Vec<f64>,
    /// The more the better; nothing where it is not done, or came to nothing.
    pub score: Option<f64>,
}

/// The points of the next round, behind those that are decided; none where there are all.
///
/// `score` is what a point's runs came to, by their ids, the more the better. Only points of the rounds before are asked
/// for, so that a round that was cut short is completed as it would have been.
pub fn next_round(
    spec: &SweepSpec,
    decided: &[Combination],
    score: &dyn Fn(&[String]) -> Option<f64>,
) -> Result<Vec<Combination>, PlanError> {
    let Some(search) = &spec.search else { return Ok(Vec::new()) };
    let (from, to) = round_of(search, decided.len());
    let mut known = HashSet::new();
    let mut seen = Vec::new();
    for (place, point) in decided.iter().enumerate() {
        let ids = ids_of(spec, point)?;
        let score = if place < from { score(&ids) } else { None };
        seen.push(Seen { numbers: numbers(search, point), score: score.filter(|score| score.is_finite()) });
        known.extend(ids);
    }
    let mut points = Vec::new();
    for index in decided.len()..to {
        let (point, ids) = new_point(spec, search, &seen, index, &known)?;
        seen.push(Seen { numbers: numbers(search, &point), score: None });
        known.extend(ids);
        points.push(point);
    }
    Ok(points)
}

/// The runs of points, without those that serve as references to the sweep as a whole.
pub fn runs_of(spec: &SweepSpec, points: &[Combination]) -> Result<Vec<RunSpec>, PlanError> {
    let references = References { shuffled_captions: false, ..spec.references };
    let spec = SweepSpec { points: points.to_vec(), references, run_cap: None, ..spec.clone() };
    match expand(&spec) {
        Ok(Plan { runs, .. }) => Ok(runs),
        Err(PlanError::NothingTrains) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The point as a mapping of paths to values.
pub fn written(point: &Combination) -> BTreeMap<String, Value> {
    point.iter().map(|(setting, value)| (setting.path.to_owned(), value.clone())).collect()
}

/// The point that a mapping says; nothing where it is none of the space.
pub fn read(search: &Bayes, point: &BTreeMap<String, Value>) -> Option<Combination> {
    let value = |dimension: &Dimension| {
        let value = point.get(dimension.setting.path)?;
        dimension.number(value)?;
        Some((dimension.setting, value.clone()))
    };
    let is_whole = point.len() == search.space.len();
    search.space.iter().map(value).collect::<Option<Combination>>().filter(|_| is_whole)
}

/// Ids of a point's runs, one for each seed; none where nothing would train.
fn ids_of(spec: &SweepSpec, point: &Combination) -> Result<Vec<String>, PlanError> {
    let mut recipe = recipe_of(spec, point, Kind::FineTuned)?;
    if !trains(&recipe) {
        return Ok(Vec::new());
    }
    canonicalise(&mut recipe)?;
    let ids = Ids::of(&recipe)?;
    Ok(spec.seeds.iter().map(|seed| ids.with_seed(*seed)).collect())
}

/// Where the round begins that comes next, or goes on, and where it ends.
fn round_of(search: &Bayes, decided: usize) -> (usize, usize) {
    let (startup, round) = (search.rounds.startup, search.rounds.round);
    let from = match decided.checked_sub(startup) {
        None => return (0, startup.min(search.points)),
        Some(beyond) => startup + beyond / round * round,
    };
    (from, (from + round).min(search.points))
}

/// A point that there is not yet, if one is found; of several that mean the same run only one is worth having.
fn new_point(
    spec: &SweepSpec,
    search: &Bayes,
    seen: &[Seen],
    index: usize,
    known: &HashSet<String>,
) -> Result<(Combination, Vec<String>), PlanError> {
    let estimates = estimates(search, seen);
    let mut found = (Combination::new(), Vec::new());
    for attempt in 0..TRIES {
        let point: Combination = search
            .space
            .iter()
            .zip(&estimates)
            .filter_map(|(dimension, [good, bad])| {
                let indices = [index as u64, attempt];
                let random =
                    &mut Random::new(search.seed, &format!("bayes {}", dimension.setting.path), &indices);
                let candidates = (CANDIDATES >> attempt).max(1);
                let number = suggest(dimension, (good, bad), candidates, random);
                Some((dimension.setting, dimension.value(number)?))
            })
            .collect();
        let ids = ids_of(spec, &point)?;
        let is_new = ids.iter().any(|id| !known.contains(id));
        found = (point, ids);
        if is_new {
            break;
        }
    }
    Ok(found)
}

/// For each dimension how good values are spread, and how all others.
fn estimates(search: &Bayes, seen: &[Seen]) -> Vec<[Parzen; 2]> {
    let mut scored: Vec<usize> = (0..seen.len()).filter(|index| seen[*index].score.is_some()).collect();
    // Of equal ones the first.
    scored.sort_by(|a, b| seen[*b].score.partial_cmp(&seen[*a].score).unwrap_or(std::cmp::Ordering::Equal));
    let good = ((GOOD * scored.len() as f64).ceil() as usize).min(MOST_GOOD);
    let good: HashSet<usize> = scored.into_iter().take(good).collect();
    let estimate = |(place, dimension): (usize, &Dimension)| {
        let domain = domain(dimension);
        [true, false].map(|wanted| {
            let values = seen.iter().enumerate().filter(|(index, _)| good.contains(index) == wanted);
            let values = values.filter_map(|(_, seen)| seen.numbers.get(place).copied());
            let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
            Parzen::of(&domain, &values)
        })
    };
    search.space.iter().enumerate().map(estimate).collect()
}

/// Of values drawn where good ones are, the one that is likeliest there against elsewhere.
fn suggest(
    dimension: &Dimension,
    (good, bad): (&Parzen, &Parzen),
    candidates: usize,
    random: &mut Random,
) -> f64 {
    let mut best = (f64::NEG_INFINITY, f64::NAN);
    for _ in 0..candidates {
        let drawn = good.draw(random);
        let value = match &dimension.values {
            Values::Listed(_) => drawn,
            Values::Range(range) => range.snapped(drawn),
        };
        let gain = good.log_density(value) - bad.log_density(value);
        if gain > best.0 || best.1.is_nan() {
            best = (gain, value);
        }
    }
    best.1
}

fn domain(dimension: &Dimension) -> Domain {
    match &dimension.values {
        Values::Listed(values) => Domain::Choices(values.len()),
        Values::Range(range) => {
            let (low, high) = range.bounds();
            Domain::Numbers { low, high, step: range.step(), is_log: range.is_log() }
        }
    }
}

fn numbers(search: &Bayes, point: &Combination) -> Vec<f64> {
    let number = |dimension: &Dimension| {
        let (_, value) = point.iter().find(|(setting, _)| *setting == dimension.setting)?;
        dimension.number(value)
    };
    // What is no number of the space is in no estimate.
    search.space.iter().map(|dimension| number(dimension).unwrap_or(f64::NAN)).collect()
}

#[cfg(test)]
mod tests;
