//! The `runs` table: a row a run, best first.

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, PolarsResult, SortMultipleOptions};

use super::columns::{counts, numbers, settings, texts};
use super::copies;
use super::facts::Facts;
use super::overfit;
use crate::record::event::{Evaluated, Started, Summary, Trainable};
use crate::record::recipe::MetricName;
use crate::report::gather::{RowKind, RunData, convention_name};
use crate::report::metrics::Metric;
use crate::score::meteor_variant;

/// Settings are columns of this prefix, followed by their dotted path.
pub const SETTING_PREFIX: &str = "setting.";

/// Scores of the test split, as a run's summary names them.
pub const TEST_SCORES: [&str; 8] =
    ["score", "meteor", "rouge_l", "cider_d", "bleu_1", "bleu_2", "bleu_3", "bleu_4"];

/// The table, ordered by `ranked_by`; runs without a value come last, in the plan's order.
pub fn runs_table(facts: &[Facts], ranked_by: MetricName) -> PolarsResult<DataFrame> {
    let mut columns = identity_columns(facts);
    columns.extend(setting_columns(facts));
    columns.extend(best_epoch_columns(facts));
    columns.extend(overfit::columns(facts));
    columns.extend(test_columns(facts));
    columns.extend(copies::columns(facts));
    columns.extend(range_columns(facts));
    columns.extend(cost_columns(facts));
    columns.extend(trained_columns(facts));
    columns.extend(origin_columns(facts));
    let order = SortMultipleOptions::default()
        .with_order_descending(ranked_by.higher_is_better())
        .with_nulls_last(true)
        .with_maintain_order(true);
    let mut frame = DataFrame::new(facts.len(), columns)?.sort([ranked_by.name()], order)?;
    let ranks = ranks(&frame, ranked_by)?;
    frame.insert_column(0, counts("rank", &ranks, |rank| *rank))?;
    Ok(frame)
}

/// Fine-tuned runs with a value are counted from 1 in the order of the table; the others have no rank.
fn ranks(frame: &DataFrame, ranked_by: MetricName) -> PolarsResult<Vec<Option<usize>>> {
    let kinds = frame.column("kind")?.str()?;
    let values = frame.column(ranked_by.name())?.f64()?;
    let mut last = 0;
    let rank = |row: usize| {
        let is_fine_tuned = kinds.get(row).and_then(RowKind::named).is_some_and(RowKind::is_fine_tuned);
        let counts = is_fine_tuned && values.get(row).is_some();
        counts.then(|| {
            last += 1;
            last
        })
    };
    Ok((0..frame.height()).map(rank).collect())
}

fn identity_columns(facts: &[Facts]) -> Vec<Column> {
    vec![
        texts("run", facts, |facts| Some(facts.run.id().to_owned())),
        texts("kind", facts, |facts| Some(facts.run.kind.label().to_owned())),
        texts("status", facts, |facts| Some(status_of(facts.run).to_owned())),
        texts("reason", facts, |facts| facts.run.record.reason.clone()),
        counts("attempts", facts, |facts| facts.run.record.attempts.try_into().ok()),
        texts("last_seen", facts, |facts| facts.run.record.last_seen.clone()),
        texts("convention", facts, |facts| {
            Some(convention_name(facts.run.record.spec.recipe.evaluation.convention).to_owned())
        }),
        texts("meteor_variant", facts, |_| Some(meteor_variant().to_owned())),
    ]
}

/// The status as in files, with words for runs that have none.
fn status_of(run: &RunData) -> &'static str {
    let record = &run.record;
    match record.status {
        _ if run.kind == RowKind::Other => "given",
        Some(status) => status.name(),
        None if record.attempts == 0 => "not_started",
        None => "unfinished",
    }
}

fn setting_columns(facts: &[Facts]) -> Vec<Column> {
    let paths: BTreeSet<&String> = facts.iter().flat_map(|facts| facts.settings.keys()).collect();
    let column = |path: &String| {
        settings(&format!("{SETTING_PREFIX}{path}"), facts, |facts| facts.settings.get(path).cloned())
    };
    paths.into_iter().map(column).collect()
}

fn best_epoch_columns(facts: &[Facts]) -> Vec<Column> {
    let best =
        |name, value: fn(&Evaluated) -> Option<f64>| numbers(name, facts, move |facts| value(facts.best?));
    vec![
        counts("best_epoch", facts, |facts| Some(facts.best?.epoch)),
        best("train_loss", |best| best.train_loss),
        best("val_loss", |best| best.val_loss),
        best("val_nll", |best| best.val_nll),
        best("score", |best| best.score),
        best("meteor", |best| best.meteor),
        best("rouge_l", |best| best.rouge_l),
        best("cider_d", |best| best.cider_d),
        best("bleu_4", |best| best.bleu_4),
        numbers("initial_score", facts, |facts| {
            facts.run.record.curve.first().filter(|first| first.epoch == 0)?.score
        }),
    ]
}

fn test_columns(facts: &[Facts]) -> Vec<Column> {
    let column = |score: &&str| {
        numbers(&format!("test_{score}"), facts, |facts| summary(facts)?.test.as_ref()?.get(*score).copied())
    };
    TEST_SCORES.iter().map(column).collect()
}

/// Floor and ceiling of the score, and the place of every metric between its own.
fn range_columns(facts: &[Facts]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (split, prefix) in ["", "test_"].into_iter().enumerate() {
        let range = move |facts: &Facts, metric: &str| facts.ranges[split]?.metrics.get(metric).copied();
        columns.push(numbers(&format!("{prefix}floor_score"), facts, |facts| {
            Some(range(facts, "score")?.floor())
        }));
        columns.push(numbers(&format!("{prefix}ceiling_score"), facts, |facts| {
            Some(range(facts, "score")?.ceiling)
        }));
        for metric in Metric::ALL {
            columns.push(numbers(&format!("{prefix}place_{}", metric.key()), facts, |facts| {
                range(facts, metric.key())?.place(score_of(facts, split, metric)?)
            }));
        }
    }
    columns
}

/// A score of the best epoch on validation (0) or test (1).
fn score_of(facts: &Facts, split: usize, metric: Metric) -> Option<f64> {
    if split == 1 {
        return summary(facts)?.test.as_ref()?.get(metric.key()).copied();
    }
    let best = facts.best?;
    match metric {
        Metric::Score => best.score,
        Metric::Meteor => best.meteor,
        Metric::RougeL => best.rouge_l,
        Metric::CiderD => best.cider_d,
        Metric::Bleu4 => best.bleu_4,
    }
}

fn cost_columns(facts: &[Facts]) -> Vec<Column> {
    vec![
        counts("epochs", facts, |facts| facts.run.record.curve.last().map(|last| last.epoch)),
        counts("steps", facts, |facts| facts.run.record.curve.last().map(|last| last.step)),
        numbers("seconds", facts, |facts| match summary(facts) {
            Some(summary) => Some(summary.seconds),
            None if facts.run.record.curve.is_empty() => None,
            None => Some(facts.run.record.curve.iter().map(|evaluated| evaluated.seconds).sum()),
        }),
        counts("peak_memory_bytes", facts, |facts| summary(facts)?.peak_memory_bytes?.try_into().ok()),
        counts("images_encoded", facts, |facts| Some(summary(facts)?.images_encoded)),
        counts("skipped_steps", facts, |facts| summary(facts)?.skipped_steps),
    ]
}

fn trained_columns(facts: &[Facts]) -> Vec<Column> {
    let part = |name, count: fn(&Trainable) -> usize| {
        counts(name, facts, move |facts| Some(count(&started(facts)?.trainable)))
    };
    vec![
        part("trainable", Trainable::total),
        part("trainable_vision_layers", |trainable| trainable.vision_layers),
        part("trainable_vision_other", |trainable| trainable.vision_other),
        part("trainable_text", |trainable| trainable.text),
        part("frozen", |trainable| trainable.frozen),
        part("trainable_tensors", |trainable| trainable.tensors),
        texts("frozen_digest_before", facts, |facts| Some(started(facts)?.frozen_digest.clone())),
        texts("frozen_digest_after", facts, |facts| summary(facts)?.frozen_digest.clone()),
    ]
}

fn origin_columns(facts: &[Facts]) -> Vec<Column> {
    let text = |name, value: fn(&Started) -> &String| {
        texts(name, facts, move |facts| started(facts).map(|started| value(started).clone()))
    };
    let size =
        |name, value: fn(&Started) -> usize| counts(name, facts, move |facts| started(facts).map(value));
    vec![
        text("program", |started| &started.program),
        text("device", |started| &started.device),
        size("threads", |started| started.threads),
        text("model_digest", |started| &started.model_digest),
        text("data_digest", |started| &started.data_digest),
        size("train_examples", |started| started.train_examples),
        size("validation_examples", |started| started.validation_examples),
        size("test_examples", |started| started.test_examples),
        size("steps_per_epoch", |started| started.steps_per_epoch),
        size("total_steps", |started| started.total_steps),
    ]
}

fn summary<'a>(facts: &'a Facts) -> Option<&'a Summary> {
    facts.run.record.summary.as_ref()
}

fn started<'a>(facts: &'a Facts) -> Option<&'a Started> {
    facts.run.record.started.as_ref()
}
