//! The rules replayed on the full logs of a sweep: what they would have found, and what for.
//!
//! `tests/fixtures/early_terminate.json` has what each epoch of 20 points of the built-in study scored, drawn as a user would
//! draw them, and `early_terminate_other.json` the same of 12 others that were trained by another seed: what was chosen on the
//! first was not chosen on these. A rule is replayed on many draws of some of the points. Its regret is by how much the best
//! point that it leaves is below the best there was, as a share of the range from the floor (the constant caption) to that
//! best; its cost the epochs trained, as a share of all.

use serde::Deserialize;

use super::*;
use crate::plan::rungs::Compared;
use crate::random::Random;
use crate::record::Event;
use crate::record::event::Evaluated;
use crate::run::dispatch::tests::{planned, started};

#[derive(Deserialize)]
struct Logs {
    floor: f64,
    runs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    id: String,
    /// After each epoch from 0.
    scores: Vec<f64>,
    losses: Vec<f64>,
    /// Of each validation image after each epoch.
    image_scores: Vec<Vec<f64>>,
    image_losses: Vec<Vec<f64>>,
}

impl Log {
    /// The run as its files had it after an epoch.
    fn seen(&self, place: usize, epoch: usize) -> Seen {
        let mut spec = planned(&self.id);
        // What tells points apart is of no interest here.
        spec.recipe.training.learning_rate = 1e-6 * (place + 1) as f64;
        spec.recipe.training.epochs = self.epochs();
        let mut record = RunRecord::planned(spec);
        let Event::Started(mut began) = started(&self.id) else { unreachable!() };
        (began.steps_per_epoch, began.total_steps) = (80, 80 * self.epochs());
        record.started = Some(*began);
        let evaluated = |epoch: usize| Evaluated {
            epoch,
            score: Some(self.scores[epoch]),
            val_nll: Some(self.losses[epoch]),
            ..Evaluated::default()
        };
        record.curve = (0..=epoch).map(evaluated).collect();
        let row = |epoch: usize, image: usize| {
            let score = self.image_scores[epoch][image];
            PerImage {
                epoch,
                image: image.to_string(),
                split: "validation".to_owned(),
                loss: Some(self.image_losses[epoch][image]),
                meteor: Some(score),
                rouge_l: Some(score),
                cider_d: Some(10.0 * score),
            }
        };
        let rows = |epoch: usize| (0..self.image_scores[epoch].len()).map(move |image| row(epoch, image));
        Seen { record, per_image: (1..=epoch).flat_map(rows).collect() }
    }

    fn epochs(&self) -> usize {
        self.scores.len() - 1
    }

    fn best(&self) -> f64 {
        self.scores[1..].iter().copied().fold(f64::MIN, f64::max)
    }
}

const FIRST: &str = "early_terminate.json";
const OTHER: &str = "early_terminate_other.json";

fn logs(name: &str) -> Logs {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The best value that the rule leaves, and the epochs that it takes.
fn replay(rule: &EarlyTerminate, points: &[&Log]) -> (f64, usize) {
    let epochs = points[0].epochs();
    let by_default = Compared::by_loss_first(epochs, MetricName::Score);
    let compared = rule.metric.map_or(by_default, Compared::by);
    let mut left: Vec<usize> = (0..points.len()).collect();
    let (mut cost, mut before) = (0, 0);
    for rung in rule.rungs(epochs) {
        cost += left.len() * (rung - before);
        before = rung;
        let seen: Vec<Seen> = left.iter().map(|place| points[*place].seen(*place, rung)).collect();
        let verdicts = judge(rule, &entrants(&seen, rung, compared.after(rung)));
        let mut stops = verdicts.iter().map(|verdict| matches!(verdict, Verdict::Stops(_)));
        left.retain(|_| !stops.next().unwrap());
    }
    let best = left.iter().map(|place| points[*place].best()).fold(f64::MIN, f64::max);
    (best, cost + left.len() * (epochs - before))
}

/// Mean regret and mean cost over draws of so many points, as shares.
fn measure(rule: &EarlyTerminate, logs: &Logs, count: usize) -> (f64, f64) {
    const DRAWS: u64 = 200;
    let (mut regret, mut cost) = (0.0, 0.0);
    for draw in 0..DRAWS {
        let mut order: Vec<usize> = (0..logs.runs.len()).collect();
        Random::new(0, "replay", &[draw]).shuffle(&mut order);
        let points: Vec<&Log> = order[..count].iter().map(|place| &logs.runs[*place]).collect();
        let best = points.iter().map(|log| log.best()).fold(f64::MIN, f64::max);
        let (found, epochs) = replay(rule, &points);
        // Where nothing is above the floor there is nothing to lose.
        regret += if best > logs.floor { (best - found) / (best - logs.floor) } else { 0.0 };
        cost += epochs as f64 / (count * points[0].epochs()) as f64;
    }
    (regret / DRAWS as f64, cost / DRAWS as f64)
}

/// The rule of a sweep that says no more than `early_terminate: {type: hyperband}`.
#[test]
fn successive_halving_as_it_is_loses_two_percent_at_most_at_a_third_of_the_cost() {
    let rule = EarlyTerminate { rule: Rule::Halving { eta: 3 }, min_iter: 1, noise: 2.0, metric: None };
    for (name, counts) in [(FIRST, [12, 16]), (OTHER, [9, 12])] {
        let logs = logs(name);
        for count in counts {
            let (regret, cost) = measure(&rule, &logs, count);
            assert!(
                regret <= 0.02 && cost <= 1.0 / 3.0,
                "{name}, of {count} points: regret {regret:.4}, cost {cost:.3}"
            );
        }
    }
}

/// What each rule loses and costs, by what it compares and with what regard to noise. After one epoch captions of good points
/// are no better than those of bad ones, but their losses are; at the end the loss does not tell which captions are best. By
/// both, the loss in the first half of training, and with regard to noise no rule loses 2 %.
#[test]
fn rules_differ_in_what_they_lose_and_cost() {
    insta::assert_snapshot!(table(FIRST, 12), @"
    noise                           0 score         2 score       0 val_nll       2 val_nll          0 both          2 both
    one in 3 from epoch 1    10.19 % at 0.30   3.70 % at 0.34   0.43 % at 0.30   0.38 % at 0.31   0.43 % at 0.30   0.38 % at 0.31
    one in 3 from epoch 2     0.11 % at 0.43   0.00 % at 0.47   0.38 % at 0.43   0.38 % at 0.43   0.11 % at 0.43   0.01 % at 0.46
    one in 2 from epoch 1     1.48 % at 0.31   0.87 % at 0.38   5.35 % at 0.31   5.43 % at 0.31   0.11 % at 0.31   0.11 % at 0.32
    median of every epoch     7.32 % at 0.26   3.38 % at 0.32   0.86 % at 0.26   0.86 % at 0.26   0.86 % at 0.26   0.78 % at 0.27
    median of every other     2.98 % at 0.33   0.87 % at 0.41   7.92 % at 0.33   7.76 % at 0.36   2.81 % at 0.33   0.01 % at 0.39
    best 4 after epoch 1     10.19 % at 0.41   3.70 % at 0.51   0.34 % at 0.41   0.34 % at 0.42   0.34 % at 0.41   0.34 % at 0.42
    best 3 after epoch 2      0.06 % at 0.42   0.03 % at 0.46   0.06 % at 0.42   0.06 % at 0.42   0.06 % at 0.42   0.06 % at 0.42
    ");
    insta::assert_snapshot!(table(OTHER, 9), @"
    noise                           0 score         2 score       0 val_nll       2 val_nll          0 both          2 both
    one in 3 from epoch 1    13.68 % at 0.26   8.07 % at 0.35   0.03 % at 0.28   0.03 % at 0.31   0.03 % at 0.28   0.03 % at 0.31
    one in 3 from epoch 2     3.72 % at 0.41   0.00 % at 0.42   7.53 % at 0.41   0.03 % at 0.43   3.72 % at 0.41   0.00 % at 0.42
    one in 2 from epoch 1     0.53 % at 0.36   0.00 % at 0.41   0.03 % at 0.36   0.03 % at 0.37   3.72 % at 0.36   0.00 % at 0.37
    median of every epoch    11.08 % at 0.30  10.73 % at 0.33   0.03 % at 0.30   7.53 % at 0.31   0.03 % at 0.30   0.03 % at 0.32
    median of every other     9.21 % at 0.38   0.94 % at 0.49   0.03 % at 0.38   0.03 % at 0.40   8.01 % at 0.38   0.00 % at 0.47
    best 4 after epoch 1      0.00 % at 0.51   0.00 % at 0.62   0.00 % at 0.51   0.00 % at 0.52   0.00 % at 0.51   0.00 % at 0.52
    best 3 after epoch 2      0.00 % at 0.48   0.00 % at 0.48   0.00 % at 0.48   0.00 % at 0.48   0.00 % at 0.48   0.00 % at 0.48
    ");
}

fn table(name: &str, count: usize) -> String {
    let logs = logs(name);
    let rules = [
        ("one in 3 from epoch 1", Rule::Halving { eta: 3 }, 1),
        ("one in 3 from epoch 2", Rule::Halving { eta: 3 }, 2),
        ("one in 2 from epoch 1", Rule::Halving { eta: 2 }, 1),
        ("median of every epoch", Rule::Median { interval: 1 }, 1),
        ("median of every other", Rule::Median { interval: 2 }, 1),
        ("best 4 after epoch 1", Rule::TopK { k: 4 }, 1),
        ("best 3 after epoch 2", Rule::TopK { k: 3 }, 2),
    ];
    let mut table = format!("{:23}", "noise");
    let columns = [Some(MetricName::Score), Some(MetricName::ValNll), None]
        .map(|metric| [0.0, 2.0].map(|noise| (metric, noise)));
    let columns = columns.as_flattened();
    table.extend(columns.iter().map(|(metric, noise)| {
        format!("  {:>14}", format!("{noise} {}", metric.map_or("both", MetricName::name)))
    }));
    for (name, rule, min_iter) in rules {
        table += &format!("\n{name:23}");
        for (metric, noise) in columns {
            let rule = EarlyTerminate { rule, min_iter, noise: *noise, metric: *metric };
            let (regret, cost) = measure(&rule, &logs, count);
            table += &format!("  {:5.2} % at {cost:.2}", 100.0 * regret);
        }
    }
    table
}
