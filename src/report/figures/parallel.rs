//! Figure: every run as a line through its settings to its score.

use serde_json::Value;

use super::axis_effects::levels;
use super::{Figure, Words, fitted, scoring, single};
use crate::report::charts::axes::Scale;
use crate::report::charts::parallel::{Coordinate, ParallelCoordinates, RunLine};
use crate::report::findings::Study;
use crate::report::format::{ABSENT, decimals};
use crate::report::metrics::metric_name;
use crate::report::settings::{SEED, name_of, value_text};
use crate::report::tables::RunRow;
use crate::report::text_table::Table;

pub const NAME: &str = "parallel_coordinates";

/// Runs that have a label.
const LABELLED: usize = 5;
/// Of more values than this, only some are named.
const MAX_TICKS: usize = 9;
const NAME_CHARACTERS: usize = 24;
const TICK_CHARACTERS: usize = 14;
/// The part of an axis on which its values lie.
const INSIDE: (f64, f64) = (0.06, 0.94);
/// Between runs of one value, on the axis.
const STEP: f64 = 0.015;

/// A setting and the place that each value has on its axis.
struct Axis {
    path: String,
    /// From bottom to top; nothing for the runs in which the setting does not act.
    values: Vec<Option<Value>>,
}

/// Nothing where fewer than two settings vary between the ranked runs: the plots of each setting say it then.
pub fn figure(study: &Study) -> anyhow::Result<Option<Figure>> {
    let paths = study.varying.iter().filter(|path| *path != SEED);
    let axes: Vec<Axis> = paths.filter_map(|path| Axis::of(study, path)).collect();
    let runs: Vec<(&RunRow, f64)> =
        study.ranked().filter_map(|row| Some((row, study.ranked_value(row)?))).collect();
    if axes.len() < 2 {
        return Ok(None);
    }
    let (score, ends) = score_axis(study, &runs);
    let mut lines: Vec<RunLine> =
        runs.iter().enumerate().map(|(index, (row, _))| run_line(index, row)).collect();
    for axis in &axes {
        let places = axis.places_of(&runs);
        lines.iter_mut().zip(places).for_each(|(line, place)| line.places.push(place));
    }
    lines.iter_mut().zip(ends).for_each(|(line, end)| line.places.push(end));
    let words = Words {
        name: NAME,
        title: format!("Settings and {} of every run", metric_name(study.ranked_by)),
        caption: caption(study, &axes, runs.len()),
        table: table(study, &axes, &runs),
        footnote: scoring(study),
    };
    let coordinates = axes.iter().map(Axis::coordinate).chain([score]).collect();
    single(words, &ParallelCoordinates { coordinates, runs: lines }).map(Some)
}

fn run_line(index: usize, row: &RunRow) -> RunLine {
    let label = if index < LABELLED { row.name() } else { String::new() };
    RunLine { label, places: Vec::new() }
}

/// The last axis, with the better scores on top, and where the runs end on it.
fn score_axis(study: &Study, runs: &[(&RunRow, f64)]) -> (Coordinate, Vec<f64>) {
    let scale = Scale::round(runs.iter().map(|(_, value)| *value), 5);
    let place = |value: f64| {
        let share = (value - scale.range.start) / (scale.range.end - scale.range.start);
        if study.ranked_by.higher_is_better() { share } else { 1.0 - share }
    };
    let ticks = scale.ticks.iter().map(|tick| (place(*tick), scale.label(*tick))).collect();
    let name = format!("validation {}", metric_name(study.ranked_by));
    (Coordinate { name, ticks }, runs.iter().map(|(_, value)| place(*value)).collect())
}

impl Axis {
    fn of(study: &Study, path: &str) -> Option<Self> {
        let levels = levels(study, path);
        if levels.len() < 2 {
            return None;
        }
        let is_idle = study.ranked().any(|row| !row.settings.contains_key(path));
        let idle = is_idle.then_some(None);
        let values = idle.into_iter().chain(levels.into_iter().map(|level| Some(level.value))).collect();
        Some(Self { path: path.to_owned(), values })
    }

    fn coordinate(&self) -> Coordinate {
        let every = self.values.len().div_ceil(MAX_TICKS);
        let named = self.values.iter().enumerate().step_by(every);
        Coordinate {
            name: fitted(&name_of(&self.path), NAME_CHARACTERS),
            ticks: named.map(|(index, value)| (self.place(index), text_of(value.as_ref()))).collect(),
        }
    }

    /// The values of the axis are evenly spread.
    fn place(&self, index: usize) -> f64 {
        let (low, high) = INSIDE;
        low + (high - low) * index as f64 / (self.values.len() - 1) as f64
    }

    /// Runs of one value lie side by side around its place, so that they can be counted: the best on top.
    fn places_of(&self, runs: &[(&RunRow, f64)]) -> Vec<f64> {
        let index_of = |row: &RunRow| {
            let value = row.settings.get(&self.path);
            self.values.iter().position(|other| other.as_ref() == value).unwrap_or_default()
        };
        let indices: Vec<usize> = runs.iter().map(|(row, _)| index_of(row)).collect();
        let count = |of: &[usize], index: usize| of.iter().filter(|other| **other == index).count();
        let place = |(run, index): (usize, &usize)| {
            self.place(*index) + self.offset(count(&indices, *index), count(&indices[..run], *index))
        };
        indices.iter().enumerate().map(place).collect()
    }

    /// How far above its value's place a run lies that has so many of the value's runs above it.
    fn offset(&self, runs: usize, above: usize) -> f64 {
        let room = (2.0 * INSIDE.0).min(0.5 * (self.place(1) - self.place(0)));
        STEP.min(room / runs as f64) * ((runs as f64 - 1.0) / 2.0 - above as f64)
    }
}

fn text_of(value: Option<&Value>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| fitted(&value_text(value), TICK_CHARACTERS))
}

fn caption(study: &Study, axes: &[Axis], runs: usize) -> String {
    let named = match runs {
        0..=LABELLED => "Every run is named".to_owned(),
        _ => format!("The {LABELLED} best are named"),
    };
    let mut caption = format!(
        "Each line is a run, through its settings to its validation {}, the better the higher. Thick blue is the best \
         run; of the others, the worse the fainter. {named}. Where the lines of the best runs bundle, a setting matters; \
         where they spread over all values, it does not. Lines of one value lie side by side, the best run's on top.",
        metric_name(study.ranked_by)
    );
    if axes.iter().any(|axis| axis.values.contains(&None)) {
        caption.push_str(&format!(" At {ABSENT} a setting does not act."));
    }
    caption
}

fn table(study: &Study, axes: &[Axis], runs: &[(&RunRow, f64)]) -> Table {
    let mut table = Table::new(&["run"]);
    axes.iter().for_each(|axis| table.add_column(name_of(&axis.path)));
    table.add_column(format!("validation {}", metric_name(study.ranked_by)));
    for (row, value) in runs {
        let setting =
            |axis: &Axis| row.settings.get(&axis.path).map_or_else(|| ABSENT.to_owned(), value_text);
        let cells = std::iter::once(row.name()).chain(axes.iter().map(setting));
        table.add(cells.chain([decimals(Some(*value))]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_evenly_spread_and_many_runs_of_one_stay_on_their_part_of_the_axis() {
        let axis = Axis { path: String::new(), values: vec![None, Some(1.into()), Some(9.into())] };
        assert_eq!([0, 1, 2].map(|index| (100.0 * axis.place(index)).round()), [6.0, 50.0, 94.0]);
        assert_eq!(
            axis.coordinate().ticks.iter().map(|tick| tick.1.as_str()).collect::<Vec<_>>(),
            ["–", "1", "9"]
        );
        let offsets = |count| (0..count).map(|above| axis.offset(count, above)).collect::<Vec<f64>>();
        assert_eq!(offsets(1), [0.0]);
        let many = offsets(100);
        assert!(many.is_sorted_by(|above, below| above > below), "the best is on top: {many:?}");
        assert!(many[0] <= INSIDE.0 && (many[0] + many[99]).abs() < 1e-12, "{many:?}");
    }

    #[test]
    fn of_many_values_some_are_named() {
        let values = (0..40).map(|value| Some(value.into())).collect();
        let ticks = Axis { path: String::new(), values }.coordinate().ticks;
        assert!(ticks.len() <= MAX_TICKS && ticks[1].1 == "5", "{ticks:?}");
    }
}
