//! Which epoch is the best so far, and when to stop waiting for a better one.

use serde::{Deserialize, Serialize};

use crate::record::event::Evaluated;
use crate::record::recipe::{EarlyStopping, MetricName};

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
            None => true,
            Some(best) => beats(evaluated, best, settings),
        };
        if is_best {
            self.best = Some(evaluated.clone());
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        Verdict { is_best, should_stop: settings.patience > 0 && self.stale >= settings.patience }
    }
}

fn beats(new: &Evaluated, old: &Evaluated, settings: &EarlyStopping) -> bool {
    match (metric(new, settings.metric), metric(old, settings.metric)) {
        (Some(new), Some(old)) if settings.metric.higher_is_better() => new > old + settings.min_delta,
        (Some(new), Some(old)) => new < old - settings.min_delta,
        (new, old) => new.is_some() && old.is_none(),
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
        let settings = EarlyStopping { patience, min_delta, metric };
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

    #[test]
    fn a_value_that_is_no_number_is_never_better() {
        assert_eq!(run(MetricName::Score, 2, 0.0, &[0.2, f64::NAN, 0.3]), (vec![1, 3], None));
    }
}
