//! Figure: what each setting does to the score.

use serde_json::Value;

use super::{Figure, MAX_DRAWN, Words, fitted, panelled, scoring};
use crate::report::charts::axes::Scale;
use crate::report::charts::axis_effect::{Axis, AxisPanel};
use crate::report::findings::Study;
use crate::report::format::{decimals, plural, significant};
use crate::report::metrics::metric_name;
use crate::report::settings::{name_of, value_text};
use crate::report::text_table::Table;

pub const NAME: &str = "axis_effects";

const PANEL_COLUMNS: usize = 2;

/// The runs at one value of a setting.
pub struct LevelScores {
    pub value: Value,
    /// Best first.
    pub scores: Vec<f64>,
}

pub fn figure(study: &Study) -> anyhow::Result<Option<Figure>> {
    let axes: Vec<(&String, Vec<LevelScores>)> = study
        .varying
        .iter()
        .map(|path| (path, levels(study, path)))
        .filter(|(_, levels)| levels.len() > 1)
        .collect();
    if axes.is_empty() {
        return Ok(None);
    }
    let all = axes.iter().flat_map(|(_, levels)| levels).flat_map(|level| level.scores.iter().copied());
    let y = Scale::round(with_headroom(all.collect()), 4);
    let every = study.ranked().count().div_ceil(MAX_DRAWN).max(1);
    let panels: Vec<AxisPanel> =
        axes.iter().map(|(path, levels)| panel(study, path, levels, every, &y)).collect();
    let titles: Vec<String> = panels.iter().map(|panel| format!("Effect of {}", panel.title)).collect();
    let metric = metric_name(study.ranked_by);
    let drawn = match every {
        1 => String::new(),
        _ => format!(" Of the runs at each value one in {every} is drawn, by rank."),
    };
    let scattered = match study.drawn.is_empty() {
        true => "",
        false => " Where values were drawn, each run stands at its own, and the dot is the best of all.",
    };
    let words = Words {
        name: NAME,
        title: "The effect of each setting".to_owned(),
        caption: format!(
            "Each circle is a run, by its validation {metric}; the filled dot is the best run at that value, with all \
             other settings free. A rising or falling line is an effect of the setting; circles that spread far at one \
             value say that the other settings matter more. Settings are not tried in equal numbers: where a \
             multiplier cannot act, its runs are left out.{scattered}{drawn}"
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

fn panel(study: &Study, path: &str, levels: &[LevelScores], every: usize, y: &Scale) -> AxisPanel {
    if study.drawn.contains(path) {
        return scattered(study, path, levels, every, y);
    }
    let (x, places) = names(levels);
    let best_of = |(place, level): (&f64, &LevelScores)| Some((*place, *level.scores.first()?));
    let best: Vec<(f64, f64)> = places.iter().zip(levels).filter_map(best_of).collect();
    let scores = || best.iter().map(|(_, score)| *score);
    let spread = scores().fold(f64::NEG_INFINITY, f64::max) - scores().fold(f64::INFINITY, f64::min);
    let points = places
        .iter()
        .zip(levels)
        .flat_map(|(place, level)| level.scores.iter().step_by(every).map(|score| (*place, *score)));
    AxisPanel {
        title: name_of(path),
        subtitle: format!(
            "best validation {}; its range over the values is {}",
            metric_name(study.ranked_by),
            decimals(Some(spread))
        ),
        points: points.collect(),
        is_ordered: levels.iter().all(|level| level.value.is_number()),
        x,
        best,
        y: y.clone(),
    }
}

/// Every run at its own value, and the best of all.
fn scattered(study: &Study, path: &str, levels: &[LevelScores], every: usize, y: &Scale) -> AxisPanel {
    let (x, places) = numbers(levels);
    let runs = || {
        let places = places.iter().zip(levels);
        places.flat_map(|(place, level)| level.scores.iter().map(|score| (*place, *score)))
    };
    let is_higher_better = study.ranked_by.higher_is_better();
    let best = runs().max_by(|(_, a), (_, b)| if is_higher_better { a.total_cmp(b) } else { b.total_cmp(a) });
    AxisPanel {
        title: name_of(path),
        subtitle: format!("validation {} of every run", metric_name(study.ranked_by)),
        points: runs().step_by(every).collect(),
        is_ordered: false,
        x,
        best: best.into_iter().collect(),
        y: y.clone(),
    }
}

/// Every value at a place of its own.
fn names(levels: &[LevelScores]) -> (Axis, Vec<f64>) {
    let name = |level: &LevelScores| fitted(&value_text(&level.value), 44 / levels.len().clamp(1, 7));
    let places = (0..levels.len()).map(|place| place as f64).collect();
    (Axis::of_names(levels.iter().map(name).collect()), places)
}

/// Values where they lie: over more than a power of ten, on a logarithmic scale.
fn numbers(levels: &[LevelScores]) -> (Axis, Vec<f64>) {
    let values: Vec<f64> = levels.iter().filter_map(|level| level.value.as_f64()).collect();
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if lowest <= 0.0 || highest < 10.0 * lowest {
        let scale = Scale::round(values.iter().copied(), 4);
        let names = scale.ticks.iter().map(|tick| scale.label(*tick)).collect();
        return (Axis { scale, names }, values);
    }
    let places: Vec<f64> = values.iter().map(|value| value.log10()).collect();
    let powers = lowest.log10().floor() as i32..=highest.log10().ceil() as i32;
    let ticks: Vec<f64> = powers.map(f64::from).collect();
    let range = ticks.first().copied().unwrap_or(0.0)..ticks.last().copied().unwrap_or(1.0);
    let names = ticks.iter().map(|power| significant(10f64.powf(*power))).collect();
    (Axis { scale: Scale { range, ticks }, names }, places)
}

fn table(axes: &[(&String, Vec<LevelScores>)]) -> Table {
    let mut table = Table::new(&["setting", "#value", "#runs", "#best", "#mean"]);
    for (path, levels) in axes {
        for level in levels {
            let mean = level.scores.iter().sum::<f64>() / level.scores.len() as f64;
            table.add([
                name_of(path),
                value_text(&level.value),
                plural(level.scores.len(), "run"),
                decimals(level.scores.first().copied()),
                decimals(Some(mean)),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_values_lie_where_they_are_and_over_more_than_a_power_of_ten_by_their_logarithm() {
        let levels = |values: &[f64]| -> Vec<LevelScores> {
            let level = |value: &f64| LevelScores { value: (*value).into(), scores: vec![0.5] };
            values.iter().map(level).collect()
        };
        let (axis, places) = numbers(&levels(&[2e-5, 1e-4, 3e-3]));
        assert_eq!(axis.names, ["1e-5", "1e-4", "1e-3", "0.01"]);
        assert!((places[1] - -4.0).abs() < 1e-9 && places[0] < places[1] && places[1] < places[2]);
        assert_eq!(axis.scale.range, -5.0..-2.0);
        let (axis, places) = numbers(&levels(&[0.0, 0.03, 0.1]));
        assert_eq!(places, [0.0, 0.03, 0.1]);
        assert_eq!(axis.names.len(), axis.scale.ticks.len());
        assert_eq!(axis.scale.range, 0.0..0.1);
    }
}
