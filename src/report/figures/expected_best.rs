//! Figure: what the best of fewer runs would have scored.

use super::{Figure, Words, scoring, single};
use crate::analysis::expected_best::expected_best;
use crate::report::charts::budget_curve::BudgetCurve;
use crate::report::findings::Study;
use crate::report::format::{ABSENT, decimals, plural, signed};
use crate::report::metrics::metric_name;
use crate::report::text_table::Table;

pub const NAME: &str = "expected_best";

/// Fewer runs make no curve.
const LEAST_RUNS: usize = 4;
/// The curve counts as flat once it has come this share of its way.
const FLAT: f64 = 0.95;

/// The curve with the budgets to speak of.
struct Curve {
    /// Of 1, 2, ... runs.
    expected: Vec<f64>,
    half: usize,
    flat: usize,
}

pub fn figure(study: &Study) -> anyhow::Result<Option<Figure>> {
    // Points that were chosen by results are no draws of one search.
    if !study.sweep.search.is_empty() {
        return Ok(None);
    }
    let is_higher_better = study.ranked_by.higher_is_better();
    let values: Vec<f64> = study.ranked().filter_map(|row| study.ranked_value(row)).collect();
    let Some(curve) = Curve::of(&values, is_higher_better) else { return Ok(None) };
    let metric = metric_name(study.ranked_by);
    let words = Words {
        name: NAME,
        title: format!("Expected best {metric} by number of runs"),
        caption: curve.caption(metric),
        table: curve.table(metric),
        footnote: scoring(study),
    };
    let chart = BudgetCurve {
        y_title: format!("expected best validation {metric}"),
        marks: curve.marks(),
        expected: curve.expected,
        is_higher_better,
    };
    single(words, &chart).map(Some)
}

impl Curve {
    /// Nothing for few runs.
    fn of(values: &[f64], is_higher_better: bool) -> Option<Self> {
        // The lowest of losses is the highest of their negatives.
        let sign = if is_higher_better { 1.0 } else { -1.0 };
        let signed: Vec<f64> = values.iter().map(|value| sign * value).collect();
        let expected: Vec<f64> = expected_best(&signed).into_iter().map(|best| sign * best).collect();
        let (&first, &last) = (expected.first()?, expected.last()?);
        let is_flat = |value: &f64| (value - first).abs() >= FLAT * (last - first).abs();
        let flat = expected.iter().position(is_flat)? + 1;
        let half = expected.len() / 2;
        (expected.len() >= LEAST_RUNS).then_some(Self { expected, half, flat })
    }

    /// The expected best of so many runs, in words.
    fn at(&self, runs: usize) -> String {
        decimals(runs.checked_sub(1).and_then(|index| self.expected.get(index)).copied())
    }

    fn marks(&self) -> Vec<(usize, String)> {
        let half = format!("half of the runs: {}", self.at(self.half));
        let flat = format!("{:.0} % of the way: {}", FLAT * 100.0, self.at(self.flat));
        let mut marks = vec![(self.half, half), (self.flat, flat)];
        marks.sort_by_key(|(runs, _)| *runs);
        marks
    }

    fn caption(&self, metric: &str) -> String {
        let all = self.expected.len();
        let last_step = self.expected.windows(2).last().map(|pair| signed(pair[1] - pair[0]));
        let conclusion = if self.flat <= all * 3 / 4 {
            "The curve is flat from there: more runs of the same search will hardly help."
        } else {
            "The curve has not flattened: more runs of the same search may well find better."
        };
        format!(
            "What the best of fewer runs would have had as its validation {metric}, on average over all ways to draw \
             them from these {all}. Half of them, {}, would have reached {}, where all reach {}. {:.0} % of the way \
             from one run ({}) to all is made with {}; the last of all changes the best by {}. {conclusion}",
            self.half,
            self.at(self.half),
            self.at(all),
            FLAT * 100.0,
            self.at(1),
            plural(self.flat, "run"),
            last_step.unwrap_or_else(|| ABSENT.to_owned())
        )
    }

    fn table(&self, metric: &str) -> Table {
        let mut table = Table::new(&["runs"]);
        table.add_column(format!("expected best {metric}"));
        table.add_column("change by the last run".to_owned());
        table.columns.extend(Table::new(&["remark"]).columns);
        for runs in 1..=self.expected.len() {
            let change = self.expected[..runs].windows(2).last().map(|pair| signed(pair[1] - pair[0]));
            let remarks = [(self.half, "half of the runs"), (self.flat, "95 % of the way")];
            let remark: Vec<&str> =
                remarks.into_iter().filter(|(at, _)| *at == runs).map(|(_, words)| words).collect();
            table.add([
                runs.to_string(),
                self.at(runs),
                change.unwrap_or_else(|| ABSENT.to_owned()),
                remark.join(", "),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_fall_where_scores_rise_and_both_end_at_the_best() {
        let scores = [0.4, 0.3, 0.2, 0.1];
        let rising = Curve::of(&scores, true).unwrap();
        let falling = Curve::of(&scores.map(|score| 1.0 - score), false).unwrap();
        // Means of the maximum over all subsets of one, two, three and four.
        for (found, wanted) in rising.expected.iter().zip([0.25, 2.0 / 6.0, 1.5 / 4.0, 0.4]) {
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        }
        for (rising, falling) in rising.expected.iter().zip(&falling.expected) {
            assert!((1.0 - rising - falling).abs() < 1e-12);
        }
        assert_eq!((rising.half, rising.flat, falling.flat), (2, 4, 4));
        assert!(rising.caption("score").contains("has not flattened"));
    }

    #[test]
    fn three_runs_make_no_curve_and_equal_ones_a_flat_one() {
        assert!(Curve::of(&[0.3, 0.2, 0.1], true).is_none());
        let flat = Curve::of(&[0.3; 6], true).unwrap();
        assert_eq!((flat.half, flat.flat), (3, 1));
        let words = flat.caption("score");
        assert!(words.contains("is made with 1 run;") && words.contains("flat from there"), "{words}");
    }

    #[test]
    fn what_the_drawing_says_is_in_its_table() {
        let curve = Curve::of(&[0.9, 0.8, 0.5, 0.45, 0.4, 0.1, 0.1, 0.05], true).unwrap();
        let rows: Vec<String> = curve
            .table("score")
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(" "))
            .collect();
        for (runs, words) in curve.marks() {
            let number = words.rsplit(' ').next().unwrap();
            assert!(rows[runs - 1].starts_with(&format!("{runs} {number} ")), "{words}: {rows:?}");
        }
        assert!(rows[3].ends_with("half of the runs"), "{rows:?}");
    }
}
