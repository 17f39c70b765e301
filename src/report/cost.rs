//! What runs cost and what they were spared, from what they recorded themselves.

use std::collections::BTreeMap;

use super::findings::Study;
use super::gather::RowKind;
use super::tables::RunRow;
use crate::record::RunRecord;

/// The cost of a run that recorded its time.
pub struct RunCost<'a> {
    pub row: &'a RunRow,
    /// Wall-clock time over all attempts.
    pub seconds: f64,
    /// Share of the time of all runs.
    pub share: f64,
    /// Estimated share of its own time that went into training steps; evaluation, captions and loading are the rest.
    pub training: Option<f64>,
}

/// The costs of all runs of a sweep, in the order of the tables.
pub struct Costs<'a> {
    pub runs: Vec<RunCost<'a>>,
    /// Of all runs together.
    pub seconds: f64,
}

impl<'a> Costs<'a> {
    pub fn of(study: &'a Study) -> Option<Self> {
        let timed = |row: &'a RunRow| Some((row, row.seconds.filter(|seconds| seconds.is_finite())?));
        let is_ours = |row: &&RunRow| row.kind != RowKind::Other;
        let timed: Vec<(&RunRow, f64)> = study.rows.iter().filter(is_ours).filter_map(timed).collect();
        let all: f64 = timed.iter().map(|(_, seconds)| seconds).sum();
        if all <= 0.0 {
            return None;
        }
        let cost = |(row, seconds): (&'a RunRow, f64)| RunCost {
            row,
            seconds,
            share: seconds / all,
            training: study.data_of(row).and_then(|run| training_share(&run.record, seconds)),
        };
        Some(Self { runs: timed.into_iter().map(cost).collect(), seconds: all })
    }

    pub fn of_run(&self, id: &str) -> Option<&RunCost<'a>> {
        self.runs.iter().find(|cost| cost.row.run == id)
    }

    /// Time of the runs that are wanted.
    pub fn seconds_of(&self, is_wanted: impl Fn(&RunRow) -> bool) -> f64 {
        self.runs.iter().filter(|cost| is_wanted(cost.row)).map(|cost| cost.seconds).sum()
    }
}

/// Training steps record the images that they took in a second, about ten steps an epoch; these stand for the rest of
/// their epoch. Nothing where the run was resumed: its time is of all attempts, its steps are not.
fn training_share(record: &RunRecord, seconds: f64) -> Option<f64> {
    let examples = record.started.as_ref()?.train_examples as f64;
    let mut by_epoch: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for step in record.steps.iter().filter(|step| step.images_per_second > 0.0) {
        let (sum, count) = by_epoch.entry(step.epoch).or_default();
        *sum += 1.0 / step.images_per_second;
        *count += 1;
    }
    let of_epoch = |epoch: usize| by_epoch.get(&epoch).map(|(sum, count)| examples * sum / *count as f64);
    let epochs = record.curve.iter().map(|evaluated| evaluated.epoch).filter(|epoch| *epoch > 0);
    let times: Vec<f64> = epochs.map(of_epoch).collect::<Option<_>>()?;
    let share = times.iter().sum::<f64>() / seconds;
    (record.attempts == 1 && !times.is_empty() && share <= 1.0).then_some(share)
}

/// Images that the frozen part of the vision model encoded for fine-tuned runs, and those that their training steps
/// took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoded {
    pub runs: usize,
    pub encoded: usize,
    pub trained_on: usize,
}

/// Of the fine-tuned runs that recorded both in one attempt.
pub fn encoded(study: &Study) -> Encoded {
    let of_run = |row: &RunRow| {
        let record = &study.data_of(row)?.record;
        let (started, summary) = (record.started.as_ref()?, record.summary.as_ref()?);
        let is_whole = record.attempts == 1 && summary.epochs > 0;
        is_whole.then_some((summary.images_encoded, summary.epochs * started.train_examples))
    };
    study.fine_tuned().filter_map(of_run).fold(Encoded::default(), |sum, (encoded, trained_on)| Encoded {
        runs: sum.runs + 1,
        encoded: sum.encoded + encoded,
        trained_on: sum.trained_on + trained_on,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::report::example_runs::{gather_example, write_example_runs};

    use crate::report::tables::build;

    #[test]
    fn costs_add_up_and_training_is_a_part_of_a_run() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let data = gather_example(folder.path());
        let tables = build(&data).unwrap();
        let study = Study::new(&data, tables.run_rows().unwrap(), tables.ranked_by);
        let costs = Costs::of(&study).unwrap();
        assert!((costs.runs.iter().map(|cost| cost.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((costs.seconds_of(|_| true) - costs.seconds).abs() < 1e-9);
        // 192 images at 240 a second, twenty times, of twenty-one evaluations in 1.5 s each.
        let two_layers = costs.runs.iter().find(|cost| {
            cost.row.epochs == Some(20) && cost.row.trained.as_ref().unwrap().vision_layers == 2 * 198_272
        });
        let share = two_layers.unwrap().training.unwrap();
        assert!((share - 20.0 * 192.0 / 240.0 / (21.0 * 1.5)).abs() < 1e-9, "{share}");
        assert!(costs.runs.iter().all(|cost| cost.training.is_none() || !cost.row.is_reference()));
        let encoded = encoded(&study);
        assert_eq!(encoded.encoded, encoded.runs * 368);
        assert!(encoded.trained_on > encoded.encoded);
    }
}
