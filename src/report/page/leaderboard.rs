//! The leaderboard: every run, best first, with zero-shot and floors in their places.

use crate::report::findings::Study;
use crate::report::format::{ABSENT, count, decimals, duration, percent, share};
use crate::report::gather::RowKind;
use crate::report::metrics::Metric;
use crate::report::settings::{SEED, name_of, value_text};
use crate::report::tables::RunRow;
use crate::report::text_table::{Cell, Group, Heading, Row, Table};

const SCORES: [Metric; 5] = Metric::ALL;

pub fn leaderboard(study: &Study) -> Table {
    let mut table = Table {
        groups: groups(study),
        columns: columns(study),
        rows: study.rows.iter().map(|row| line(study, row)).collect(),
    };
    for column in 0..table.columns.len() {
        if is_score(study, column) {
            mark_best(&mut table, column);
        }
    }
    table
}

fn groups(study: &Study) -> Vec<Group> {
    let group = |text: &str, span| Group { text: text.to_owned(), span };
    let mut groups = vec![group("", 1)];
    if !study.varying.is_empty() {
        groups.push(group("settings", study.varying.len()));
    }
    groups.extend([
        group("validation, best epoch", 2 + SCORES.len()),
        group("test", 1 + SCORES.len()),
        group("loss", 2),
        group("run", 4),
    ]);
    groups
}

fn columns(study: &Study) -> Vec<Heading> {
    let number = |text: &str| Heading { text: text.to_owned(), is_number: true };
    let text = |text: &str| Heading { text: text.to_owned(), is_number: false };
    let mut columns = vec![text("run")];
    columns.extend(study.varying.iter().map(|path| number(&short_name(path))));
    columns.push(number("epoch"));
    for _ in 0..2 {
        columns.extend(SCORES.iter().map(|metric| number(metric.label())));
        columns.push(number("place"));
    }
    columns.extend([number("valid."), number("rise")]);
    columns.extend([number("trained"), number("time"), text("status"), text("id")]);
    columns
}

/// Names of settings that fit above a column of numbers.
pub fn short_name(path: &str) -> String {
    match path {
        crate::report::settings::LAYERS => "layers".to_owned(),
        crate::report::settings::RATE => "rate".to_owned(),
        crate::report::settings::VISION_MULTIPLIER => "vision ×".to_owned(),
        crate::report::settings::WEIGHT_DECAY => "decay".to_owned(),
        SEED => "seed".to_owned(),
        _ => name_of(path),
    }
}

fn line(study: &Study, row: &RunRow) -> Row {
    let setting =
        |path: &String| Cell::plain(row.settings.get(path).map_or_else(|| ABSENT.to_owned(), value_text));
    let epoch = row.best_epoch.filter(|_| matches!(row.kind, RowKind::Run(kind) if kind.trains()));
    let mut cells = vec![Cell::plain(row.name())];
    cells.extend(study.varying.iter().map(setting));
    cells.push(Cell::plain(epoch.map_or_else(|| ABSENT.to_owned(), |epoch| epoch.to_string())));
    for (scores, places) in [&row.validation, &row.test].into_iter().zip(&row.places) {
        cells.extend(SCORES.iter().map(|metric| Cell::plain(decimals(scores.of(*metric)))));
        cells.push(Cell::plain(share(places.of(Metric::Score))));
    }
    cells.push(Cell::plain(decimals(row.val_loss)));
    cells.push(Cell::marked(percent(row.val_loss_rise), if row.overfit { "overfit" } else { "" }));
    let trained =
        row.trained.as_ref().map_or_else(|| ABSENT.to_owned(), |trained| count(trained.total as u64));
    cells.push(Cell::plain(trained));
    cells.push(Cell::plain(duration(row.seconds)));
    cells.push(Cell::marked(row.status.replace('_', " "), if row.is_complete() { "" } else { "incomplete" }));
    cells.push(Cell::marked(row.run.clone(), "id"));
    let class = if row.is_reference() {
        "reference"
    } else if row.rank.is_none() {
        "unranked"
    } else {
        ""
    };
    Row { class, cells }
}

fn is_score(study: &Study, column: usize) -> bool {
    let first = 2 + study.varying.len();
    let place = SCORES.len();
    (first..first + 2 * (place + 1)).contains(&column) && (column - first) % (place + 1) != place
}

/// Marks the highest number of a column among all runs; equal ones alike.
fn mark_best(table: &mut Table, column: usize) {
    let value = |row: &Row| row.cells.get(column).and_then(|cell| cell.text.parse::<f64>().ok());
    let Some(best) = table.rows.iter().filter_map(value).max_by(f64::total_cmp) else { return };
    for row in &mut table.rows {
        let is_best = value(row) == Some(best);
        if let Some(cell) = row.cells.get_mut(column).filter(|_| is_best) {
            cell.class = "best";
        }
    }
}
