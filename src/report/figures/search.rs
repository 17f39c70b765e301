//! Figure: what the points of a search came to, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Figure, Words, scoring, single};
use crate::analysis::expected_best::expected_best;
use crate::record::search::Chosen;
use crate::report::charts::search_curve::SearchCurve;
use crate::report::findings::Study;
use crate::report::format::{ABSENT, decimals, plural};
use crate::report::gather::RunData;
use crate::report::metrics::metric_name;
use crate::report::settings::short_label;
use crate::report::tables::RunRow;
use crate::report::text_table::Table;

pub const NAME: &str = "search";

/// Nothing where the sweep is no search.
pub fn figure(study: &Study) -> anyhow::Result<Option<Figure>> {
    let rounds = rounds(study);
    let points = points(study, &rounds);
    let values: Vec<Option<f64>> = points.iter().map(|rows| mean(study, rows)).collect();
    if values.iter().flatten().count() < 2 {
        return Ok(None);
    }
    let is_higher_better = study.ranked_by.higher_is_better();
    let drawn = rounds.first().map_or(0, |first| first.points.len()).min(values.len());
    let sign = if is_higher_better { 1.0 } else { -1.0 };
    let of_drawn: Vec<f64> = values.iter().take(drawn).flatten().map(|value| sign * value).collect();
    let metric = metric_name(study.ranked_by);
    let chart = SearchCurve {
        y_title: format!("validation {metric}"),
        expected: expected_best(&of_drawn).into_iter().map(|best| sign * best).collect(),
        values,
        drawn,
        is_higher_better,
    };
    let words = Words {
        name: NAME,
        title: format!("The search: validation {metric} by point"),
        caption: caption(study, &chart, metric),
        table: table(study, &chart, &points, metric),
        footnote: scoring(study),
    };
    single(words, &chart).map(Some)
}

/// The rounds of the search that was chosen by last.
fn rounds<'a>(study: &Study<'a>) -> Vec<&'a Chosen> {
    let rounds = &study.sweep.search;
    let is_of_last = |round: &&Chosen| rounds.last().is_some_and(|last| last.search == round.search);
    let mut rounds: Vec<&Chosen> = rounds.iter().filter(is_of_last).collect();
    // Lines of a file that was lost in part may be written late.
    rounds.sort_by_key(|round| round.after);
    rounds
}

/// The rows of each point's runs, in the order in which the points were chosen.
fn points<'a>(study: &'a Study, rounds: &[&Chosen]) -> Vec<Vec<&'a RunRow>> {
    let mut points: Vec<Vec<&RunRow>> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for point in rounds.iter().flat_map(|round| &round.points) {
        let is_of_point = |run: &RunData| {
            let mut values = run.record.spec.point.iter();
            run.kind.is_fine_tuned() && values.all(|(path, value)| point.get(path) == Some(value))
        };
        // A point that means the runs of an earlier one is that one.
        let runs = study.sweep.runs.iter().filter(|run| is_of_point(run));
        let new: Vec<&str> = runs.map(RunData::id).filter(|id| !seen.contains(id)).collect();
        if !new.is_empty() {
            seen.extend(&new);
            points.push(study.rows.iter().filter(|row| new.contains(&row.run.as_str())).collect());
        }
    }
    points
}

/// Over the seeds.
fn mean(study: &Study, rows: &[&RunRow]) -> Option<f64> {
    let values: Vec<f64> = rows.iter().filter_map(|row| study.ranked_value(row)).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn caption(study: &Study, chart: &SearchCurve, metric: &str) -> String {
    let all = chart.values.len();
    let wanted = study.sweep.search.last().map_or(all, |last| last.of);
    let mut caption = format!(
        "Each dot is a point of the search, its validation {metric} in the mean over its seeds; the line is the best so \
         far. The first {} were drawn at random",
        chart.drawn
    );
    if chart.drawn < all {
        caption += &format!(", the other {} chosen by what those before came to.", all - chart.drawn);
        caption += &in_words(chart);
    } else {
        caption += ", and none has been chosen by results yet.";
    }
    caption += " The dashed line is the best to be expected of as many of the drawn ones.";
    if all < wanted {
        caption += &format!(" The search goes on to {}.", plural(wanted, "point"));
    }
    let without = chart.values.iter().filter(|value| value.is_none()).count();
    if without > 0 {
        caption += &format!(" {} came to nothing.", plural(without, "point"));
    }
    caption
}

/// What the choice gained over the drawing, as far as one search tells.
fn in_words(chart: &SearchCurve) -> String {
    let best = chart.best_so_far();
    let at = |points: usize| best.iter().rev().find(|(point, _)| *point <= points).map(|(_, value)| *value);
    let (drawn, all) = (at(chart.drawn), at(chart.values.len()));
    let found = best.iter().find(|(_, value)| Some(*value) == all).map_or(0, |(point, _)| *point);
    if found > chart.drawn {
        format!(
            " The best of the drawn ones has {}, the best of all {}, found as number {found}.",
            decimals(drawn),
            decimals(all)
        )
    } else {
        format!(" None of these is better than number {found}, which was drawn and has {}.", decimals(all))
    }
}

fn table(study: &Study, chart: &SearchCurve, points: &[Vec<&RunRow>], metric: &str) -> Table {
    let mut table = Table::new(&["#point", "how", "settings"]);
    table.add_column(metric.to_owned());
    table.add_column("best so far".to_owned());
    table.add_column("expected of as many drawn".to_owned());
    let varying: Vec<String> =
        study.varying.iter().filter(|path| *path != crate::report::settings::SEED).cloned().collect();
    let best: BTreeMap<usize, f64> = chart.best_so_far().into_iter().collect();
    for (index, rows) in points.iter().enumerate() {
        let label = rows.first().map(|row| short_label(&row.settings, &varying));
        table.add([
            (index + 1).to_string(),
            if index < chart.drawn { "drawn" } else { "chosen" }.to_owned(),
            label.unwrap_or_else(|| ABSENT.to_owned()),
            decimals(chart.values.get(index).copied().flatten()),
            decimals(best.get(&(index + 1)).copied()),
            decimals(chart.expected.get(index).copied()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_runs::{gather_example, write_example_runs};
    use crate::report::gather::SweepData;
    use crate::report::tables::build;

    /// The made-up sweep as if its first points had been drawn and the others chosen.
    fn example(drawn: usize) -> (SweepData, Vec<RunRow>, crate::record::recipe::MetricName) {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let mut data = gather_example(folder.path());
        let trained = data.runs.iter().filter(|run| run.kind.is_fine_tuned());
        let mut points: Vec<_> = Vec::new();
        for run in trained {
            // Runs of one point differ as if by their seeds.
            if !points.contains(&run.record.spec.point) {
                points.push(run.record.spec.point.clone());
            }
        }
        let (first, others) = points.split_at(drawn);
        let of = points.len() + 2;
        data.search =
            vec![Chosen::now("x", (0, of), first.to_vec()), Chosen::now("x", (drawn, of), others.to_vec())];
        let tables = build(&data).unwrap();
        let (rows, ranked_by) = (tables.run_rows().unwrap(), tables.ranked_by);
        (data, rows, ranked_by)
    }

    #[test]
    fn points_stand_in_the_order_in_which_they_were_chosen_with_the_best_so_far() {
        let (data, rows, ranked_by) = example(5);
        let study = Study::new(&data, rows, ranked_by);
        let figure = figure(&study).unwrap().unwrap();
        let cell = |row: usize, column: usize| figure.table.rows[row].cells[column].text.clone();
        assert_eq!((cell(4, 1), cell(5, 1)), ("drawn".to_owned(), "chosen".to_owned()));
        let last = figure.table.rows.len() - 1;
        let is_value = |value: &String| value != ABSENT;
        let best = (0..=last).map(|row| cell(row, 3)).filter(is_value).max();
        assert_eq!(Some(cell(last, 4)), best, "the metric is a score below 1");
        assert_eq!(cell(last, 5), ABSENT, "nothing is known of so many drawn ones");
        let (caption, all) = (&figure.caption, figure.table.rows.len());
        assert!(
            caption.contains("The first 5 were drawn at random") && caption.contains("The search goes on to"),
            "{caption}"
        );
        assert_eq!(all, data.search.iter().map(|round| round.points.len()).sum::<usize>());
        assert!(
            super::super::expected_best::figure(&study).unwrap().is_none(),
            "chosen points are not drawn ones"
        );
    }

    #[test]
    fn a_sweep_without_chosen_points_is_no_search() {
        let (mut data, rows, ranked_by) = example(5);
        data.search.clear();
        let study = Study::new(&data, rows, ranked_by);
        assert!(figure(&study).unwrap().is_none());
        assert!(super::super::expected_best::figure(&study).unwrap().is_some());
    }
}
