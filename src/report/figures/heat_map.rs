//! Figure: the best score at each combination of learning rate and unfrozen layers, or of the first two
//! settings that vary where these two do not.

use std::collections::BTreeSet;

use serde_json::Value;

use super::axis_effects::levels;
use super::{Figure, Words, scoring, single};
use crate::report::charts::heat_map::HeatMap;
use crate::report::findings::Study;
use crate::report::format::decimals;
use crate::report::metrics::metric_name;
use crate::report::settings::{LAYERS, RATE, SEED, name_of, value_text};
use crate::report::tables::RunRow;
use crate::report::text_table::{Heading, Table};

pub const NAME: &str = "heat_map";

/// Larger maps cannot be read. Values drawn at random would make one of empty cells; the plots of each setting show those.
const MAX_SIDE: usize = 10;

pub fn figure(study: &Study) -> anyhow::Result<Option<Figure>> {
    let Some((x, y)) = axes(study).filter(|(x, y)| ![x, y].iter().any(|path| study.drawn.contains(*path)))
    else {
        return Ok(None);
    };
    let values =
        |path: &str| -> Vec<Value> { levels(study, path).into_iter().map(|level| level.value).collect() };
    let (columns, rows) = (values(&x), values(&y));
    let is_map = (1..=MAX_SIDE).contains(&columns.len()) && (1..=MAX_SIDE).contains(&rows.len());
    if !is_map {
        return Ok(None);
    }
    let best_at = |row: &Value, column: &Value| {
        let is_here =
            |run: &&RunRow| run.settings.get(&x) == Some(column) && run.settings.get(&y) == Some(row);
        study.ranked().find(is_here).and_then(|run| study.ranked_value(run))
    };
    let cells: Vec<Vec<Option<f64>>> =
        rows.iter().map(|row| columns.iter().map(|column| best_at(row, column)).collect()).collect();
    let map = HeatMap {
        x_title: name_of(&x),
        y_title: name_of(&y),
        columns: columns.iter().map(value_text).collect(),
        rows: rows.iter().map(value_text).collect(),
        cells,
        is_higher_better: study.ranked_by.higher_is_better(),
    };
    let words = Words {
        name: NAME,
        title: format!("{} by {}", capitalised(&map.y_title), map.x_title),
        caption: caption(study, &map),
        table: table(&map),
        footnote: scoring(study),
    };
    single(words, &map).map(Some)
}

/// The settings across and up.
fn axes(study: &Study) -> Option<(String, String)> {
    let vary: BTreeSet<&str> = study.varying.iter().map(String::as_str).collect();
    if vary.contains(LAYERS) && vary.contains(RATE) {
        return Some((RATE.to_owned(), LAYERS.to_owned()));
    }
    let mut others = study.varying.iter().filter(|path| *path != SEED);
    let y = others.next()?.clone();
    Some((others.next()?.clone(), y))
}

fn caption(study: &Study, map: &HeatMap) -> String {
    let mut caption = format!(
        "Best validation {} at each combination, over all other settings; the more a cell stands out, the better.",
        metric_name(study.ranked_by)
    );
    if map.cells.iter().flatten().any(Option::is_none) {
        caption.push_str(" Empty cells have no run with a result.");
    }
    caption.push_str(" A best cell at the border means that the search should go on beyond it.");
    caption
}

fn table(map: &HeatMap) -> Table {
    let mut table = Table::new(&[]);
    table.columns.push(Heading { text: map.y_title.clone(), is_number: false });
    for column in &map.columns {
        table.add_column(column.clone());
    }
    for (name, cells) in map.rows.iter().zip(&map.cells) {
        table.add(std::iter::once(name.clone()).chain(cells.iter().map(|cell| decimals(*cell))));
    }
    table
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
