//! Which epoch is the best so far, and when to stop waiting for a better one.

use serde::{Deserialize, Serialize};

use crate::record::event::Evaluated;
use crate::record::recipe::{EarlyStopping, MetricName, ZeroCider};

/// What the first best epoch has to beat where an epoch may be compared by minus its validation loss: the value that
/// the original script starts from. No score is so low, but a loss of 1 or more is.
const BAR: f64 = -1.0;

/// The best epoch so far and how long it has stood. Epoch 0, the model before training, never counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub best: Option<Evaluated>,
    /// Epochs since the best one.
    pub stale: usize,
}

/// What an epoch means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub is_best: bool,
    pub should_stop: bool,
}

impl Progress {
    /// Takes the next epoch's evaluation in.
    pub fn observe(&mut self, evaluated: &Evaluated, settings: &EarlyStopping) -> Verdict {
        let is_best = match &self.best {
            None => is_good_enough(evaluated, settings),
            Some(best) => beats(evaluated, best, settings),
        };
        if is_best {
            self.best = Some(evaluated.clone());
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        Verdict { is_best, should_stop: self.is_out_of_patience(settings) }
    }

    /// Whether no new best came for so long that training stops.
    pub fn is_out_of_patience(&self, settings: &EarlyStopping) -> bool {
        settings.patience > 0 && self.stale >= settings.patience
    }
}

/// Whether an epoch may be the first best one. Any may, but for the original recipe's bar.
fn is_good_enough(evaluated: &Evaluated, settings: &EarlyStopping) -> bool {
    match (settings.metric, settings.zero_cider) {
        (MetricName::Score, ZeroCider::MinusValLoss) => {
            compared(evaluated, settings.metric).is_some_and(|value| value > BAR)
        }
        _ => true,
    }
}

fn beats(new: &Evaluated, old: &Evaluated, settings: &EarlyStopping) -> bool {
    match (compared(new, settings.metric), compared(old, settings.metric)) {
        (Some(new), Some(old)) if settings.metric.higher_is_better() => new > old + settings.min_delta,
        (Some(new), Some(old)) => new < old - settings.min_delta,
        (new, old) => new.is_some() && old.is_none(),
    }
}

/// What an epoch is compared by: the metric, or what the recipe put in the place of a score of no worth.
fn compared(evaluated: &Evaluated, name: MetricName) -> Option<f64> {
    match (name, evaluated.compared) {
        (MetricName::Score, Some(value)) => Some(value).filter(|value| value.is_finite()),
        _ => metric(evaluated, name),
    }
}

/// The value of a metric in an evaluation, if it is a number.
pub fn metric(evaluated: &Evaluated, name: MetricName) -> Option<f64> {
    let value = match name {
        MetricName::Score => evaluated.score,
        MetricName::Meteor => evaluated.meteor,
        MetricName::RougeL => evaluated.rouge_l,
        MetricName::CiderD => evaluated.cider_d,
        MetricName::ValLoss => evaluated.val_loss,
        MetricName::ValNll => evaluated.val_nll,
    };
    value.filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds scores and returns the epochs that were the best in turn, and the epoch training stopped at.
    fn run(
        metric: MetricName,
        patience: usize,
        min_delta: f64,
        values: &[f64],
    ) -> (Vec<usize>, Option<usize>) {
        let settings = EarlyStopping { patience, min_delta, metric, zero_cider: ZeroCider::Keep };
        let mut progress = Progress::default();
        let mut bests = Vec::new();
        for (i, value) in values.iter().enumerate() {
            let evaluated = Evaluated {
                epoch: i + 1,
                score: Some(*value),
                val_loss: Some(*value),
                ..Evaluated::default()
            };
            let verdict = progress.observe(&evaluated, &settings);
            if verdict.is_best {
                bests.push(i + 1);
            }
            if verdict.should_stop {
                return (bests, Some(i + 1));
            }
        }
        (bests, None)
    }

    #[test]
    fn training_stops_after_patience_epochs_without_a_new_best() {
        assert_eq!(run(MetricName::Score, 2, 0.0, &[0.1, 0.3, 0.3, 0.2, 0.9]), (vec![1, 2], Some(4)));
        assert_eq!(run(MetricName::Score, 3, 0.0, &[0.1, 0.3, 0.3, 0.2, 0.9]), (vec![1, 2, 5], None));
        assert_eq!(run(MetricName::Score, 0, 0.0, &[0.3, 0.2, 0.1, 0.0]), (vec![1], None));
    }

    #[test]
    fn a_loss_is_better_when_smaller_and_min_delta_must_be_exceeded() {
        assert_eq!(run(MetricName::ValLoss, 2, 0.0, &[3.0, 2.0, 2.5, 1.0]), (vec![1, 2, 4], None));
        assert_eq!(run(MetricName::Score, 2, 0.1, &[0.5, 0.55, 0.6, 0.65]), (vec![1], Some(3)));
    }

    /// Feeds scores and, where there is one, what an epoch is compared by in its place; returns the best epochs in
    /// turn and the one that training stopped at.
    fn run_as_original(epochs: &[(f64, Option<f64>)]) -> (Vec<usize>, Option<usize>) {
        let settings = EarlyStopping {
            patience: 2,
            min_delta: 0.0,
            metric: MetricName::Score,
            zero_cider: ZeroCider::MinusValLoss,
        };
        let mut progress = Progress::default();
        let mut bests = Vec::new();
        for (i, (score, compared)) in epochs.iter().enumerate() {
            let evaluated =
                Evaluated { epoch: i + 1, score: Some(*score), compared: *compared, ..Evaluated::default() };
            let verdict = progress.observe(&evaluated, &settings);
            if verdict.is_best {
                bests.push(i + 1);
            }
            if verdict.should_stop {
                return (bests, Some(i + 1));
            }
        }
        (bests, None)
    }

    #[test]
    fn a_loss_stands_in_for_a_score_on_a_scale_that_starts_at_minus_one() {
        // A loss of 1 or more is never the best, and epochs that are not count against the patience from the first.
        assert_eq!(run_as_original(&[(0.2, Some(-1.5)), (0.3, Some(-1.0)), (0.9, None)]), (vec![], Some(2)));
        // Below 1 it is, until a lower loss comes, or any score at all.
        let falling = [(0.2, Some(-0.9)), (0.1, Some(-0.5)), (0.01, None), (0.3, Some(-0.1)), (0.02, None)];
        assert_eq!(run_as_original(&falling), (vec![1, 2, 3, 5], None));
        assert_eq!(run_as_original(&[(0.2, Some(f64::NAN)), (0.0, None)]), (vec![2], None));
    }

    #[test]
    fn a_run_out_of_patience_stays_so_when_it_is_resumed() {
        let settings = EarlyStopping {
            patience: 2,
            min_delta: 0.0,
            metric: MetricName::Score,
            zero_cider: ZeroCider::Keep,
        };
        let mut progress = Progress::default();
        for (score, expected) in [(0.2, false), (0.1, false), (0.2, true)] {
            progress.observe(&Evaluated { score: Some(score), ..Evaluated::default() }, &settings);
            let text = serde_json::to_string(&progress).unwrap();
            let resumed: Progress = serde_json::from_str(&text).unwrap();
            assert_eq!(resumed.is_out_of_patience(&settings), expected);
        }
        assert!(!progress.is_out_of_patience(&EarlyStopping { patience: 0, ..settings }));
    }

    #[test]
    fn a_value_that_is_no_number_is_never_better() {
        assert_eq!(run(MetricName::Score, 2, 0.0, &[0.2, f64::NAN, 0.3]), (vec![1, 3], None));
    }
}
