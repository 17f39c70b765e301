//! The `settings` table: a row a combination of settings, over its seeds.

use std::collections::BTreeSet;

use polars::prelude::{Column, DataFrame, PolarsResult};

use super::columns::{counts, numbers, settings, texts};
use super::runs::SETTING_PREFIX;
use crate::analysis::replication::Replicated;
use crate::report::comparison::PAIRED;
use crate::report::metrics::Metric;
use crate::report::seeds::{SeededSettings, Seeds};
use crate::report::settings::SEED;

/// The table, in the order of `seeds`.
pub fn settings_table(seeds: &Seeds) -> PolarsResult<DataFrame> {
    let rows = &seeds.settings;
    let mut columns = setting_columns(rows);
    columns.extend([
        counts("seeds", rows, |row| Some(row.runs.len())),
        texts("best_run", rows, |row| Some(row.best_run()?.run.clone())),
        texts("split", rows, |_| Some(seeds.images.name().to_owned())),
        counts("images", rows, |_| Some(seeds.common)),
    ]);
    columns.extend(PAIRED.iter().flat_map(|metric| metric_columns(*metric, rows)));
    columns.push(numbers("bleu_4", rows, |row| row.bleu_4));
    let behind = |name, value: fn(Replicated) -> f64| numbers(name, rows, move |row| row.behind.map(value));
    columns.extend([
        behind("behind", |behind| behind.interval.estimate),
        behind("behind_low", |behind| behind.interval.low),
        behind("behind_high", |behind| behind.interval.high),
    ]);
    DataFrame::new(rows.len(), columns)
}

fn setting_columns(rows: &[SeededSettings]) -> Vec<Column> {
    let of = |row: &SeededSettings| row.best_run().map(|run| run.settings.clone()).unwrap_or_default();
    let paths: BTreeSet<String> = rows.iter().flat_map(|row| of(row).into_keys()).collect();
    let column = |path: &String| {
        let name = format!("{SETTING_PREFIX}{path}");
        settings(&name, rows, |row| row.best_run()?.settings.get(path).cloned())
    };
    paths.iter().filter(|path| *path != SEED).map(column).collect()
}

fn metric_columns(metric: Metric, rows: &[SeededSettings]) -> Vec<Column> {
    let key = metric.key();
    let of_seeds = |name: &str, value: fn(Replicated) -> f64| {
        numbers(&format!("{key}_{name}"), rows, move |row| row.replicated(metric).map(value))
    };
    vec![
        numbers(key, rows, |row| row.mean(metric)),
        of_seeds("low", |found| found.interval.low),
        of_seeds("high", |found| found.interval.high),
        of_seeds("seed_error", |found| found.seed_error),
        of_seeds("image_error", |found| found.image_error),
    ]
}
