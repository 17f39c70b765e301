//! The `attributes` table: a row for each run, split and kind of attribute that its captions or references name.

use polars::prelude::{DataFrame, PolarsResult};

use super::columns::{counts, flags, numbers, texts};
use super::facts::{Facts, in_order};
use crate::analysis::attributes::KindTally;
use crate::analysis::lexicon::Lexicon;

struct Row<'a> {
    run: &'a str,
    split: &'static str,
    tally: KindTally,
}

/// The table, with the runs in the order of `runs`.
pub fn attributes_table(facts: &[Facts], runs: &DataFrame, lexicon: &Lexicon) -> PolarsResult<DataFrame> {
    let rows: Vec<Row> =
        in_order(facts, runs)?.into_iter().flat_map(|facts| rows_of(facts, lexicon)).collect();
    let columns = vec![
        texts("run", &rows, |row| Some(row.run.to_owned())),
        texts("split", &rows, |row| Some(row.split.to_owned())),
        texts("kind", &rows, |row| Some(row.tally.kind.clone())),
        flags("visible", &rows, |row| Some(row.tally.visible)),
        counts("hits", &rows, |row| Some(row.tally.tally.hits)),
        counts("wrong", &rows, |row| Some(row.tally.tally.wrong)),
        counts("missed", &rows, |row| Some(row.tally.tally.missed)),
        numbers("precision", &rows, |row| row.tally.tally.precision()),
        numbers("recall", &rows, |row| row.tally.tally.recall()),
        numbers("f1", &rows, |row| row.tally.tally.f1()),
    ];
    DataFrame::new(rows.len(), columns)
}

fn rows_of<'a>(facts: &Facts<'a>, lexicon: &Lexicon) -> Vec<Row<'a>> {
    let run = facts.run;
    let of_split = |split: &'static str| {
        let said: Vec<_> =
            run.said(split).map(|row| (row.caption.as_str(), row.references.as_slice())).collect();
        lexicon.tally(&said).into_iter().map(move |tally| Row { run: run.id(), split, tally })
    };
    ["validation", "test"].into_iter().flat_map(of_split).collect()
}
