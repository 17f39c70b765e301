//! Rounds of a search on functions whose best is known.

use std::collections::BTreeMap;

use super::*;
use crate::plan::expand::tests::plan;
use crate::spec::parse;

const SEARCH: &str = "\
model: lab
method: bayes
run_cap: 30
bayes: {startup: 10, round: 4}
seeds: [0, 1]
references: {shuffled_captions: true}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-1}
  weight_decay: {min: 0.0, max: 1.0}
  unfrozen_vision_layers: {min: 1, max: 6}
  max_grad_norm: {distribution: q_uniform, min: 0.1, max: 5.0, q: 0.1}
  train_text_decoder: [true, false]
";

fn spec(overrides: &[&str]) -> SweepSpec {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse(SEARCH, "study.yaml", &overrides).unwrap()
}

/// Where each dimension's value lies in its range, from 0 to 1; in a list its place.
fn places(search: &Bayes, point: &Combination) -> Vec<f64> {
    let place = |(dimension, number): (&Dimension, f64)| match &dimension.values {
        Values::Listed(_) => number,
        Values::Range(range) => {
            let scaled = |number: f64| if range.is_log() { number.ln() } else { number };
            let (low, high) = range.bounds();
            (scaled(number) - scaled(low)) / (scaled(high) - scaled(low))
        }
    };
    search.space.iter().zip(numbers(search, point)).map(place).collect()
}

type Function = fn(&[f64]) -> f64;

/// How much of the distance to the best a search has left at most, of what random points have left: a bowl whose best is off
/// the middle; one with a valley that is bent; one with many hollows. Half of the list is worse.
const FUNCTIONS: [(&str, f64, Function); 3] = [
    ("bowl", 0.75, |x| -x[..4].iter().map(|x| (x - 0.7).powi(2)).sum::<f64>() - 0.3 * x[4]),
    ("valley", 0.75, |x| {
        let (a, b) = (2.0 * x[0] - 0.4, 2.0 * x[1] - 0.4);
        -(b - a * a).powi(2)
            - 0.1 * (1.0 - a).powi(2)
            - (x[2] - 0.2).powi(2)
            - (x[3] - 0.5).powi(2)
            - 0.3 * x[4]
    }),
    ("hollows", 0.9, |x| {
        let hollow = |x: f64| {
            let off = x - 0.3;
            4.0 * off * off + 0.1 * (1.0 - (12.0 * off).cos())
        };
        -x[..4].iter().map(|x| hollow(*x)).sum::<f64>() - 0.3 * x[4]
    }),
];

/// The points of a whole search and what they score.
fn search(spec: &SweepSpec, function: Function) -> Vec<(Combination, f64)> {
    let space = spec.search.as_ref().unwrap();
    let mut scores = BTreeMap::new();
    let mut points = Vec::new();
    loop {
        let decided: Vec<Combination> =
            points.iter().map(|(point, _): &(Combination, f64)| point.clone()).collect();
        let score = |ids: &[String]| scores.get(ids.first()?).copied();
        let round = if decided.is_empty() {
            spec.points.clone()
        } else {
            next_round(spec, &decided, &score).unwrap()
        };
        if round.is_empty() {
            return points;
        }
        for point in round {
            let value = function(&places(space, &point));
            scores.extend(ids_of(spec, &point).unwrap().into_iter().map(|id| (id, value)));
            points.push((point, value));
        }
    }
}

fn best(points: &[(Combination, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn a_search_finds_better_points_than_as_many_drawn_at_random() {
    for (name, left, function) in FUNCTIONS {
        let found = |startup: usize| {
            let of = |seed: usize| {
                let seed = format!("search_seed={seed}");
                best(&search(&spec(&[&seed, &format!("bayes={{startup: {startup}, round: 4}}")]), function))
            };
            median((0..21).map(of).collect())
        };
        let (bayes, random) = (found(10), found(30));
        println!("{name}: median best of 30 points {bayes:.4}, at random {random:.4}");
        assert!(bayes > left * random, "{name}: {bayes} is hardly above {random}");
    }
}

#[test]
fn rounds_follow_from_points_and_scores_of_the_rounds_before_alone() {
    let spec = spec(&[]);
    let points = search(&spec, FUNCTIONS[0].2);
    assert_eq!(points.len(), 30);
    let decided: Vec<Combination> = points.iter().map(|(point, _)| point.clone()).collect();
    let mut scores = BTreeMap::new();
    for (point, value) in &points {
        scores.extend(ids_of(&spec, point).unwrap().into_iter().map(|id| (id, *value)));
    }
    let all = |ids: &[String]| scores.get(&ids[0]).copied();
    for cut in 10..30 {
        // What the cut round came to is known here and must not count.
        let round = next_round(&spec, &decided[..cut], &all).unwrap();
        let end = 10 + (cut - 10) / 4 * 4 + 4;
        assert_eq!(round, decided[cut..end.min(30)], "after {cut} points");
    }
    assert_eq!(next_round(&spec, &decided, &all).unwrap(), [] as [Combination; 0]);
    let longer =
        SweepSpec { search: spec.search.clone().map(|search| Bayes { points: 33, ..search }), ..spec };
    assert_eq!(next_round(&longer, &decided, &all).unwrap().len(), 3);
}

#[test]
fn points_of_a_round_differ_and_none_is_a_run_that_there_is() {
    let spec = spec(&[
        "weight_decay=0.1",
        "max_grad_norm=1",
        "learning_rate=1e-4",
        "run_cap=12",
        "bayes={startup: 3}",
    ]);
    let points = search(&spec, FUNCTIONS_OF_LAYERS);
    let mut ids = HashSet::new();
    let new = points.iter().filter(|(point, _)| ids.insert(ids_of(&spec, point).unwrap().join(" "))).count();
    // Six numbers of layers, with the decoder or without: there are no more than twelve.
    assert!(new >= 10, "{new} of 12 points are new");
}

const FUNCTIONS_OF_LAYERS: Function = |x| x[0];

#[test]
fn points_without_a_score_are_searched_away_from() {
    let high = |seed: usize| {
        let seed = format!("search_seed={seed}");
        let spec = spec(&[&seed, "bayes={startup: 20, round: 4}", "run_cap=24"]);
        let space = spec.search.as_ref().unwrap();
        let rate = |point: &Combination| places(space, point)[0];
        let mut scores = BTreeMap::new();
        for point in &spec.points {
            // High rates diverge.
            let score = (rate(point) < 0.5).then(|| 1.0 - (rate(point) - 0.25).powi(2));
            scores.extend(ids_of(&spec, point).unwrap().into_iter().map(|id| (id, score)));
        }
        let round = next_round(&spec, &spec.points, &|ids| scores[&ids[0]]).unwrap();
        round.iter().filter(|point| rate(point) > 0.5).count()
    };
    let high: usize = (0..10).map(high).sum();
    assert!(high < 14, "{high} of 40 points, where half of the range is high");
}

#[test]
fn the_runs_of_a_round_have_all_seeds_of_a_point_together_and_no_control_of_their_own() {
    let spec = spec(&[]);
    let first = plan(SEARCH);
    assert_eq!(first.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).count(), 20);
    let round = next_round(&spec, &spec.points, &|_| Some(1.0)).unwrap();
    let runs = runs_of(&spec, &round).unwrap();
    let trained: Vec<&RunSpec> = runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).collect();
    assert_eq!(trained.iter().map(|run| run.seed).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1, 0, 1]);
    assert!(trained.chunks(2).all(|pair| pair[0].recipe == pair[1].recipe));
    assert!(runs.iter().all(|run| run.recipe.kind != Kind::ShuffledCaptions));
    let known: HashSet<&str> = first.runs.iter().map(|run| run.id.as_str()).collect();
    assert!(trained.iter().all(|run| !known.contains(run.id.as_str())));
}

#[test]
fn a_point_reads_back_as_it_was_written_and_others_do_not() {
    let spec = spec(&[]);
    let space = spec.search.as_ref().unwrap();
    let point = &spec.points[0];
    assert_eq!(read(space, &written(point)).as_ref(), Some(point));
    let with = |path: &str, value: Value| {
        let mut point = written(point);
        point.insert(path.to_owned(), value);
        read(space, &point)
    };
    assert_eq!(with("training.weight_decay", Value::from(3.0)), None);
    assert_eq!(with("training.weight_decay", Value::from("much")), None);
    assert_eq!(with("training.epochs", Value::from(3)), None);
    assert_eq!(read(space, &BTreeMap::new()), None);
}
