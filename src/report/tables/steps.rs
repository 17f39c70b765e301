//! The `steps` table: a row an evaluated epoch.

use polars::prelude::{Column, DataFrame, PolarsResult};

use super::columns::{counts, flags, numbers, texts};
use super::facts::{Facts, in_order};
use crate::record::event::{Evaluated, Step};

/// An epoch of a run.
struct Epoch<'a> {
    facts: &'a Facts<'a>,
    evaluated: &'a Evaluated,
    /// The recorded steps that led to it.
    steps: Vec<&'a Step>,
}

/// The table, with the runs in the order of `runs`.
pub fn steps_table(facts: &[Facts], runs: &DataFrame) -> PolarsResult<DataFrame> {
    let epochs: Vec<Epoch> = in_order(facts, runs)?.into_iter().flat_map(epochs_of).collect();
    DataFrame::new(epochs.len(), columns(&epochs))
}

fn epochs_of<'a>(facts: &'a Facts<'a>) -> Vec<Epoch<'a>> {
    let record = &facts.run.record;
    let epoch = |evaluated: &'a Evaluated| Epoch {
        facts,
        evaluated,
        steps: record.steps.iter().filter(|step| step.epoch == evaluated.epoch).collect(),
    };
    record.curve.iter().map(epoch).collect()
}

fn columns(epochs: &[Epoch]) -> Vec<Column> {
    let value = |name, value: fn(&Evaluated) -> Option<f64>| {
        numbers(name, epochs, move |epoch: &Epoch| value(epoch.evaluated))
    };
    vec![
        texts("run", epochs, |epoch| Some(epoch.facts.run.id().to_owned())),
        counts("epoch", epochs, |epoch| Some(epoch.evaluated.epoch)),
        counts("step", epochs, |epoch| Some(epoch.evaluated.step)),
        value("train_loss", |evaluated| evaluated.train_loss),
        value("val_loss", |evaluated| evaluated.val_loss),
        value("val_nll", |evaluated| evaluated.val_nll),
        value("train_nll", |evaluated| evaluated.train_nll),
        value("ece", |evaluated| evaluated.ece),
        value("confidence", |evaluated| evaluated.confidence),
        value("accuracy", |evaluated| evaluated.accuracy),
        value("score", |evaluated| evaluated.score),
        value("meteor", |evaluated| evaluated.meteor),
        value("rouge_l", |evaluated| evaluated.rouge_l),
        value("cider_d", |evaluated| evaluated.cider_d),
        value("bleu_4", |evaluated| evaluated.bleu_4),
        value("seconds", |evaluated| Some(evaluated.seconds)),
        numbers("learning_rate", epochs, |epoch| Some(epoch.steps.last()?.learning_rate)),
        numbers("gradient_norm", epochs, |epoch| mean(epoch.steps.iter().map(|step| step.gradient_norm))),
        flags("is_best", epochs, |epoch| Some(epoch.facts.best?.epoch == epoch.evaluated.epoch)),
    ]
}

/// Of those that are numbers: a step that was skipped has no norm.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values = values.filter(|value| value.is_finite());
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
