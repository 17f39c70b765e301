//! What a run's record and rows come to, computed once for both tables.

use std::collections::BTreeMap;

use crate::analysis::audit::range_of;
use crate::analysis::{Interval, LossPoint, Overfitting, RESAMPLES, mean_intervals, overfitting};
use crate::record::audit::AttainableRange;
use crate::record::event::Evaluated;
use crate::record::{RunRecord, RunSpec};
use crate::report::gather::{RowKind, RunData, SweepData};
use crate::report::settings::{Settings, active_settings};
use crate::train::early_stopping::Progress;

/// A run with the numbers that need more than its record's fields.
pub struct Facts<'a> {
    pub run: &'a RunData,
    pub settings: Settings,
    /// The best epoch, or the only evaluation of a run that trains nothing.
    pub best: Option<&'a Evaluated>,
    /// Only of runs that train.
    pub overfitting: Option<Overfitting>,
    /// Mean paired rise of the validation images' NLL from the lowest to the last epoch, in nats a token.
    pub nll_rise: Option<Interval>,
    /// What can be scored on validation and test under the run's settings, where an audit was made.
    pub ranges: [Option<&'a AttainableRange>; 2],
}

pub fn gather_facts(sweep: &SweepData) -> Vec<Facts<'_>> {
    sweep.runs.iter().map(|run| facts_of(sweep, run)).collect()
}

fn facts_of<'a>(sweep: &'a SweepData, run: &'a RunData) -> Facts<'a> {
    let record = &run.record;
    let trains = run.kind.is_fine_tuned();
    let overfitting = if trains { overfitting(&losses(record)) } else { None };
    let nll_rise = overfitting.and_then(|found| nll_rise(run, found.lowest_epoch, found.last_epoch));
    Facts {
        run,
        settings: match run.kind {
            RowKind::Run(_) => active_settings(&record.spec),
            RowKind::Other => Settings::new(),
        },
        best: best_of(run),
        overfitting,
        nll_rise,
        // What the limits on captions allow says nothing of a system that has others.
        ranges: ["validation", "test"].map(|split| {
            let audit = sweep.audit.as_ref().filter(|_| run.kind != RowKind::Other)?;
            range_of(audit, &record.spec, split)
        }),
    }
}

fn losses(record: &RunRecord) -> Vec<LossPoint> {
    let point = |evaluated: &Evaluated| LossPoint {
        epoch: evaluated.epoch,
        train: evaluated.train_loss,
        validation: evaluated.val_loss,
    };
    record.curve.iter().map(point).collect()
}

/// The best epoch as the run decided it; where it did not come to its end, as its curve has it.
fn best_of(run: &RunData) -> Option<&Evaluated> {
    let record = &run.record;
    let summary = record.summary.as_ref();
    let decided = summary.and_then(|summary| summary.best.as_ref());
    match run.kind {
        RowKind::Run(kind) if kind.trains() => match summary {
            Some(_) => decided,
            None => best_epoch(&record.spec, &record.curve),
        },
        _ => decided.or(summary.and_then(|summary| summary.initial.as_ref())).or(record.curve.first()),
    }
}

/// The best epoch of training so far, by the rule that the run itself goes by.
fn best_epoch<'a>(spec: &RunSpec, curve: &'a [Evaluated]) -> Option<&'a Evaluated> {
    let (mut progress, mut best) = (Progress::default(), None);
    for evaluated in curve.iter().filter(|evaluated| evaluated.epoch > 0) {
        if progress.observe(evaluated, &spec.recipe.early_stopping).is_best {
            best = Some(evaluated);
        }
    }
    best
}

fn nll_rise(run: &RunData, from: usize, to: usize) -> Option<Interval> {
    if from == to {
        return None;
    }
    let losses_at = |epoch: usize| -> BTreeMap<&str, f64> {
        run.per_image
            .iter()
            .filter(|row| row.epoch == epoch && row.split == "validation")
            .filter_map(|row| Some((row.image.as_str(), row.loss.filter(|loss| loss.is_finite())?)))
            .collect()
    };
    let (before, after) = (losses_at(from), losses_at(to));
    let differences: Vec<[f64; 1]> =
        before.iter().filter_map(|(image, before)| Some([after.get(image)? - before])).collect();
    mean_intervals(&differences, RESAMPLES, 0).map(|[interval]| interval)
}

#[cfg(test)]
mod tests {
    use crate::analysis::lexicon::Lexicon;
    use crate::record::Store;
    use crate::record::run::{PerImage, Prediction};
    use crate::report::example_runs::write_example_runs;
    use crate::report::gather::gather;
    use crate::report::tables::build;

    #[test]
    fn rows_of_training_images_enter_no_number_of_other_splits() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let sweep = Store::new(&folder.path().join("runs")).sweep("unfreeze");
        let tables = || build(&gather(&sweep, "unfreeze".to_owned(), &Lexicon::clothing().unwrap())).unwrap();
        let without = tables();
        for run in sweep.read_plan().unwrap().iter().map(|spec| sweep.run(&spec.id)) {
            let (rows, _) = run.read_per_image();
            if rows.is_empty() {
                continue;
            }
            let of_training = |row: &PerImage| PerImage {
                split: "train".to_owned(),
                image: format!("training {}", row.image),
                loss: Some(99.0 + row.epoch as f64),
                meteor: Some(1.0),
                ..row.clone()
            };
            run.append_per_image(&rows.iter().map(of_training).collect::<Vec<_>>()).unwrap();
            let (mut said, _) = run.read_predictions();
            let of_training = |row: &Prediction| Prediction { split: "train".to_owned(), ..row.clone() };
            said.extend(said.clone().iter().map(of_training));
            run.write_predictions(&said).unwrap();
        }
        let with = tables();
        assert!(without.runs.column("val_nll_rise").unwrap().null_count() < without.runs.height());
        assert!(with.runs.equals_missing(&without.runs));
        assert!(with.steps.equals_missing(&without.steps));
    }
}
