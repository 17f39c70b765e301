//! Table: what each setting does to the generalisation gap.

use super::axis_effects::levels;
use crate::report::findings::Study;
use crate::report::format::{ABSENT, decimals, percent, signed};
use crate::report::metrics::metric_name;
use crate::report::settings::{SEED, name_of, value_text};
use crate::report::tables::RunRow;
use crate::report::text_table::{Cell, Row, Table};

/// The table with its words.
pub struct Gaps {
    pub caption: String,
    pub table: Table,
}

/// A value of a setting and the best run that has it.
struct Level<'a> {
    setting: String,
    value: String,
    best: &'a RunRow,
    /// At the epoch that was kept.
    gap: Option<f64>,
}

/// Nothing where no setting takes two values in ranked runs.
pub fn gaps(study: &Study) -> Option<Gaps> {
    // Of what was drawn every run has a value of its own: the leaderboard says as much.
    let paths = study.varying.iter().filter(|path| *path != SEED && !study.drawn.contains(*path));
    let axes: Vec<Vec<Level>> =
        paths.map(|path| levels_of(study, path)).filter(|levels| levels.len() > 1).collect();
    if axes.is_empty() {
        return None;
    }
    let metric = metric_name(study.ranked_by);
    let mut table = Table::new(&["setting", "#value", "#best run"]);
    table.add_column(metric.to_owned());
    table.columns.extend(Table::new(&["#epoch", "#gap", "#rise", "overfits"]).columns);
    table.rows = axes.iter().flatten().map(|level| line(study, level)).collect();
    Some(Gaps { caption: caption(metric, &axes), table })
}

fn levels_of<'a>(study: &'a Study, path: &str) -> Vec<Level<'a>> {
    let level = |value: &serde_json::Value| {
        let best = study.ranked().find(|row| row.settings.get(path) == Some(value))?;
        Some(Level { setting: name_of(path), value: value_text(value), best, gap: best.gaps.at_best })
    };
    levels(study, path).iter().filter_map(|found| level(&found.value)).collect()
}

fn line(study: &Study, level: &Level) -> Row {
    let best = level.best;
    let overfits =
        if best.overfit { Cell::marked("yes".to_owned(), "overfit") } else { Cell::plain("no".to_owned()) };
    let texts = [
        level.setting.clone(),
        level.value.clone(),
        best.name(),
        decimals(study.ranked_value(best)),
        best.best_epoch.map_or_else(|| ABSENT.to_owned(), |epoch| epoch.to_string()),
        level.gap.map_or_else(|| ABSENT.to_owned(), signed),
        percent(best.val_loss_rise),
    ];
    Row { class: "", cells: texts.into_iter().map(Cell::plain).chain([overfits]).collect() }
}

fn caption(metric: &str, axes: &[Vec<Level>]) -> String {
    let mut caption = format!(
        "For each value of a setting the run with the best validation {metric} that has it, so that every value is seen \
         with the other settings that suit it. The gap is the loss on validation images less that on training images at \
         the epoch that was kept, in nats a token: what the run knows of its training captions beyond what carries over. \
         Rise is how far the validation loss rose from its lowest point to the last epoch."
    );
    if axes.iter().flatten().any(|level| level.gap.is_none()) {
        caption.push_str(&format!(" At {ABSENT} the run did not record its loss on training images."));
    }
    caption.push_str(&widest(axes).unwrap_or_default());
    caption
}

/// The setting whose values lie farthest apart in their gaps, with the smallest and the largest; in a sentence.
fn widest(axes: &[Vec<Level>]) -> Option<String> {
    let ends = |levels: &Vec<Level>| {
        let known = || levels.iter().filter_map(|level| Some((level.gap?, level.value.clone())));
        let low = known().min_by(|a, b| a.0.total_cmp(&b.0))?;
        let high = known().max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some((high.0 - low.0, levels.first()?.setting.clone(), low, high))
    };
    let found = axes.iter().filter_map(ends).max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, setting, low, high) = found.filter(|(width, ..)| *width > 0.0)?;
    let at = |(gap, value): (f64, String)| format!("{} at {value}", signed(gap));
    Some(format!(" The gap differs most by {setting}: {}, {}.", at(low), at(high)))
}
