//! Figure: what each setting does to the score.

use serde_json::Value;

use super::{Figure, MAX_DRAWN, Words, fitted, panelled, scoring};
use crate::report::charts::axes::Scale;
use crate::report::charts::axis_effect::AxisPanel;
use crate::report::findings::Study;
use crate::report::format::{decimals, plural};
use crate::report::metrics::metric_name;
use crate::report::settings::{name_of, value_text};
use crate::report::text_table::Table;

const PANEL_COLUMNS: usize = 2;

/// The runs at one value of a setting.
pub struct LevelScores {
    pub value: Value,
    /// Best first.
    pub scores: Vec<f64>,
}

pub fn figure(study: &Study) -> anyhow::Result<Option<Figure>> {
    let axes: Vec<(String, Vec<LevelScores>)> = study
        .varying
        .iter()
        .map(|path| (name_of(path), levels(study, path)))
        .filter(|(_, levels)| levels.len() > 1)
        .collect();
    if axes.is_empty() {
        return Ok(None);
    }
    let all = axes.iter().flat_map(|(_, levels)| levels).flat_map(|level| level.scores.iter().copied());
    let y = Scale::round(with_headroom(all.collect()), 4);
    let every = study.ranked().count().div_ceil(MAX_DRAWN).max(1);
    let panels: Vec<AxisPanel> =
        axes.iter().map(|(name, levels)| panel(study, name, levels, every, &y)).collect();
    let titles: Vec<String> = panels.iter().map(|panel| format!("Effect of {}", panel.title)).collect();
    let metric = metric_name(study.ranked_by);
    let drawn = match every {
        1 => String::new(),
        _ => format!(" Of the runs at each value one in {every} is drawn, by rank."),
    };
    let words = Words {
        name: "axis_effects",
        title: "The effect of each setting".to_owned(),
        caption: format!(
            "Each circle is a run, by its validation {metric}; the filled dot is the best run at that value, with all \
             other settings free. A rising or falling line is an effect of the setting; circles that spread far at one \
             value say that the other settings matter more. Settings are not tried in equal numbers: where a \
             multiplier cannot act, its runs are left out.{drawn}"
        ),
        table: table(&axes),
        footnote: scoring(study),
    };
    panelled(words, &panels, &titles, PANEL_COLUMNS).map(Some)
}

/// The values and one above them, so that the highest dot has room for its label.
fn with_headroom(mut values: Vec<f64>) -> Vec<f64> {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    if highest > lowest {
        values.push(highest + 0.15 * (highest - lowest));
    }
    values
}

/// The values of a setting that have a score, in order, with the scores of their runs.
pub fn levels(study: &Study, path: &str) -> Vec<LevelScores> {
    let mut levels: Vec<LevelScores> = Vec::new();
    for row in study.ranked() {
        let (Some(value), Some(score)) = (row.settings.get(path), study.ranked_value(row)) else { continue };
        match levels.iter_mut().find(|level| level.value == *value) {
            Some(level) => level.scores.push(score),
            None => levels.push(LevelScores { value: value.clone(), scores: vec![score] }),
        }
    }
    levels.sort_by(|a, b| match (a.value.as_f64(), b.value.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => value_text(&a.value).cmp(&value_text(&b.value)),
    });
    levels
}

fn panel(study: &Study, name: &str, levels: &[LevelScores], every: usize, y: &Scale) -> AxisPanel {
    let best: Vec<Option<f64>> = levels.iter().map(|level| level.scores.first().copied()).collect();
    let spread = |values: Vec<f64>| -> f64 {
        values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            - values.iter().copied().fold(f64::INFINITY, f64::min)
    };
    AxisPanel {
        title: name.to_owned(),
        subtitle: format!(
            "best validation {}; its range over the values is {}",
            metric_name(study.ranked_by),
            decimals(Some(spread(best.iter().copied().flatten().collect())))
        ),
        levels: levels
            .iter()
            .map(|level| fitted(&value_text(&level.value), 44 / levels.len().clamp(1, 7)))
            .collect(),
        points: levels
            .iter()
            .enumerate()
            .flat_map(|(index, level)| level.scores.iter().step_by(every).map(move |score| (index, *score)))
            .collect(),
        is_ordered: levels.iter().all(|level| level.value.is_number()),
        best,
        y: y.clone(),
    }
}

fn table(axes: &[(String, Vec<LevelScores>)]) -> Table {
    let mut table = Table::new(&["setting", "#value", "#runs", "#best", "#mean"]);
    for (name, levels) in axes {
        for level in levels {
            let mean = level.scores.iter().sum::<f64>() / level.scores.len() as f64;
            table.add([
                name.clone(),
                value_text(&level.value),
                plural(level.scores.len(), "run"),
                decimals(level.scores.first().copied()),
                decimals(Some(mean)),
            ]);
        }
    }
    table
}
