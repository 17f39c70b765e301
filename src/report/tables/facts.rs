//! What a run's record and rows come to, computed once for all tables.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};
use rayon::prelude::*;
use serde_json::Value;

use super::copies::{Copies, measure_copies};
use super::overfit::Overfit;
use crate::analysis::audit::range_of;
use crate::record::audit::AttainableRange;
use crate::record::event::Evaluated;
use crate::record::{RunRecord, RunSpec};
use crate::report::gather::{RowKind, RunData, SweepData};
use crate::report::settings::{Settings, TRAIN_EXAMPLES, active_settings};
use crate::train::early_stopping::Progress;

/// A run with the numbers that need more than its record's fields.
pub struct Facts<'a> {
    pub run: &'a RunData,
    pub settings: Settings,
    /// The best epoch, or the only evaluation of a run that trains nothing.
    pub best: Option<&'a Evaluated>,
    pub overfit: Overfit,
    /// Nothing where the training captions are not known.
    pub copies: Copies,
    /// What can be scored on validation and test under the run's settings, where an audit was made.
    pub ranges: [Option<&'a AttainableRange>; 2],
}

pub fn gather_facts(sweep: &SweepData) -> Vec<Facts<'_>> {
    let copies = measure_copies(sweep);
    let in_images = varies_in_images(sweep);
    let facts = |run| {
        let copies = copies.get(RunData::id(run)).copied().unwrap_or_default();
        facts_of(sweep, run, copies, in_images)
    };
    sweep.runs.par_iter().map(facts).collect()
}

/// The facts in the order of the table `runs`.
pub fn in_order<'f, 'a>(facts: &'f [Facts<'a>], runs: &DataFrame) -> PolarsResult<Vec<&'f Facts<'a>>> {
    let facts_of: BTreeMap<&str, &Facts> = facts.iter().map(|facts| (facts.run.id(), facts)).collect();
    let ids = runs.column("run")?.str()?;
    Ok(ids.iter().flatten().filter_map(|id| facts_of.get(id).copied()).collect())
}

fn facts_of<'a>(sweep: &'a SweepData, run: &'a RunData, copies: Copies, in_images: bool) -> Facts<'a> {
    Facts {
        run,
        settings: match run.kind {
            RowKind::Run(_) => settings_of(&run.record, in_images),
            RowKind::Other => Settings::new(),
        },
        best: best_of(run),
        overfit: if run.kind.is_fine_tuned() { Overfit::of(run) } else { Overfit::default() },
        copies,
        // What the limits on captions allow says nothing of a system that has others.
        ranges: ["validation", "test"].map(|split| {
            let audit = sweep.audit.as_ref().filter(|_| run.kind != RowKind::Other)?;
            range_of(audit, &run.record.spec, split)
        }),
    }
}

/// Whether fine-tuned runs differ in how many of the training images they are to be trained on.
fn varies_in_images(sweep: &SweepData) -> bool {
    let fine_tuned = sweep.runs.iter().filter(|run| run.kind.is_fine_tuned());
    let mut amounts = fine_tuned.map(|run| run.record.spec.recipe.training.train_examples);
    amounts.next().is_some_and(|first| amounts.any(|amount| amount != first))
}

/// The settings that act. A share of the training images is what it came to, once the run knows, and so are all of them where
/// others are trained on fewer (`in_images`).
fn settings_of(record: &RunRecord, in_images: bool) -> Settings {
    let mut settings = active_settings(&record.spec);
    if let (Some(amount), Some(started)) = (settings.get_mut(TRAIN_EXAMPLES), &record.started)
        && (in_images || amount.is_f64())
    {
        *amount = Value::from(started.train_examples);
    }
    settings
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

#[cfg(test)]
mod tests {
    use polars::prelude::DataFrame;

    use crate::record::Store;
    use crate::record::run::{PerImage, Prediction};
    use crate::report::example_runs::{gather_example, write_example_runs};

    use crate::report::tables::build;

    #[test]
    fn rows_of_training_images_enter_no_number_of_other_splits() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let sweep = Store::new(&folder.path().join("runs")).sweep("unfreeze");
        let tables = || build(&gather_example(folder.path())).unwrap();
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
        let names = without.runs.get_column_names().into_iter().map(ToString::to_string);
        let of_training: Vec<String> = names.filter(|name| name.ends_with("_train")).collect();
        let but_those = |runs: &DataFrame| runs.drop_many(of_training.iter().map(String::as_str));
        assert!(of_training.len() > 3 && but_those(&with.runs).equals_missing(&but_those(&without.runs)));
        assert!(with.steps.equals_missing(&without.steps));
    }
}
