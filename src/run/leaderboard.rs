//! The runs that have a result, best first: what the user sees at the end of a sweep.

use std::cmp::Ordering;

use super::ending::summary_so_far;
use super::label::{has_several_seeds, label};
use crate::record::recipe::MetricName;
use crate::record::{RunRecord, RunSpec, Status};
use crate::train::early_stopping;

/// A run's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: String,
    pub label: String,
    /// It was stopped in favour of better runs and has no test scores.
    pub is_stopped: bool,
    /// The epoch that counts; `None` for a run that was not trained.
    pub epoch: Option<usize>,
    /// The metric that the sweep chooses by, on the validation split.
    pub metric: Option<f64>,
    /// On the test split.
    pub meteor: Option<f64>,
    pub rouge_l: Option<f64>,
    pub cider_d: Option<f64>,
}

/// The runs that are complete, the best by `metric` first; equals stay in the plan's order.
pub fn leaderboard(records: &[RunRecord], metric: MetricName) -> Vec<Row> {
    let specs: Vec<RunSpec> = records.iter().map(|record| record.spec.clone()).collect();
    let with_seed = has_several_seeds(&specs);
    let is_complete = |record: &&RunRecord| record.status.is_some_and(|status| status.is_complete());
    let mut rows: Vec<Row> =
        records.iter().filter(is_complete).map(|record| row(record, metric, with_seed)).collect();
    rows.sort_by(|first, second| better_first(first.metric, second.metric, metric));
    rows
}

fn row(record: &RunRecord, metric: MetricName, with_seed: bool) -> Row {
    let summary = record.summary.clone().unwrap_or_else(|| summary_so_far(record));
    let test = |name: &str| summary.test.as_ref().and_then(|test| test.get(name).copied());
    let counted = summary.best.as_ref().or(summary.initial.as_ref()).or(summary.last.as_ref());
    Row {
        id: record.spec.id.clone(),
        label: label(&record.spec, with_seed),
        is_stopped: record.status == Some(Status::Pruned),
        epoch: summary.best.as_ref().map(|best| best.epoch).filter(|epoch| *epoch > 0),
        metric: counted.and_then(|evaluated| early_stopping::metric(evaluated, metric)),
        meteor: test("meteor"),
        rouge_l: test("rouge_l"),
        cider_d: test("cider_d"),
    }
}

/// Runs without a value come last.
fn better_first(first: Option<f64>, second: Option<f64>, metric: MetricName) -> Ordering {
    match (first, second) {
        (Some(first), Some(second)) if metric.higher_is_better() => second.total_cmp(&first),
        (Some(first), Some(second)) => first.total_cmp(&second),
        (first, second) => second.is_some().cmp(&first.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Summary;
    use crate::run::dispatch::tests::{evaluated, planned};

    fn record(id: &str, status: Option<Status>, best: Option<f64>) -> RunRecord {
        let mut record = RunRecord::planned(planned(id));
        record.status = status;
        record.summary = Some(Summary { best: best.map(|score| evaluated(3, score)), ..Summary::default() });
        record
    }

    #[test]
    fn complete_runs_are_ranked_by_the_metric_and_others_left_out() {
        let records = [
            record("low", Some(Status::Finished), Some(0.2)),
            record("none", Some(Status::Finished), None),
            record("high", Some(Status::EarlyStopped), Some(0.4)),
            record("failed", Some(Status::Failed), Some(0.9)),
            record("running", None, Some(0.9)),
        ];
        let ids = |rows: &[Row]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&leaderboard(&records, MetricName::Score)), ["high", "low", "none"]);
        let by_loss = records.map(|mut record| {
            if let Some(best) = record.summary.as_mut().and_then(|summary| summary.best.as_mut()) {
                best.val_loss = best.score;
            }
            record
        });
        assert_eq!(ids(&leaderboard(&by_loss, MetricName::ValLoss)), ["low", "high", "none"]);
    }
}
