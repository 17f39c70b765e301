//! Figure: the metric that ranks the runs, over epochs.

use super::{Epochs, Figure, MAX_COLUMNS, MAX_DRAWN, Words, scoring, single, table_in_words};
use crate::record::recipe::Kind;
use crate::report::charts::levels::Level;
use crate::report::charts::score_curves::{Curve, Role, ScoreCurves};
use crate::report::findings::{Findings, Study};
use crate::report::format::decimals;
use crate::report::gather::RowKind;
use crate::report::metrics::metric_name;
use crate::report::tables::{RunRow, StepRow};
use crate::report::text_table::Table;

pub const NAME: &str = "learning_curves";

pub fn figure(study: &Study, findings: &Findings, steps: &[StepRow]) -> anyhow::Result<Option<Figure>> {
    let ranked: Vec<&RunRow> = study.ranked().collect();
    let epochs = Epochs::new(steps);
    // Of many grey lines some show as much as all.
    let every = ranked.len().div_ceil(MAX_DRAWN);
    let roles = ranked.iter().enumerate().map(|(index, row)| (index, role(index, ranked.len()), row));
    let drawn = roles.filter(|(index, role, _)| *role != Role::Other || index.is_multiple_of(every));
    let curves: Vec<Curve> = drawn.map(|(_, role, row)| curve(row, role, epochs.of(&row.run))).collect();
    if curves.iter().all(|curve| curve.points.len() < 2) {
        return Ok(None);
    }
    let name = metric_name(study.ranked_by);
    let chart =
        ScoreCurves { y_title: format!("validation {name}"), levels: levels(study, findings), curves };
    let first: Vec<Curve> =
        ranked.iter().take(MAX_COLUMNS).map(|row| curve(row, Role::Other, epochs.of(&row.run))).collect();
    let table = table(&first, &ranked);
    let words = Words {
        name: NAME,
        title: format!("Validation {name} by epoch"),
        caption: caption(&chart, study.ranked_by.higher_is_better(), every) + &table_in_words(ranked.len()),
        table,
        footnote: scoring(study),
    };
    single(words, &chart).map(Some)
}

/// Best, median and worst run stand out; of few runs no median.
fn role(index: usize, runs: usize) -> Role {
    if index == 0 {
        Role::Best
    } else if index + 1 == runs {
        Role::Worst
    } else if runs >= 5 && index == runs / 2 {
        Role::Median
    } else {
        Role::Other
    }
}

fn curve(row: &RunRow, role: Role, steps: &[&StepRow]) -> Curve {
    let rank = row.rank.unwrap_or_default();
    let name = match role {
        Role::Best => "best",
        Role::Median => "median",
        Role::Worst => "worst",
        Role::Other => "",
    };
    Curve {
        label: format!("#{rank} {name}"),
        role,
        points: steps.iter().filter_map(|step| Some((step.epoch, step.ranked?))).collect(),
        best_epoch: row.best_epoch,
    }
}

/// Reference runs have no curve, only a value.
fn levels(study: &Study, findings: &Findings) -> Vec<Level> {
    findings
        .zero_shot
        .iter()
        .chain(&findings.floors)
        .filter_map(|row| {
            let label = row.kind.label().to_owned();
            Some(Level {
                label,
                value: study.ranked_value(row)?,
                is_floor: row.kind != RowKind::Run(Kind::ZeroShot),
            })
        })
        .collect()
}

fn caption(chart: &ScoreCurves, is_higher_better: bool, every: usize) -> String {
    let mut caption = "Each line is a fine-tuned run; the dot marks its best epoch, the one that is kept. \
                       Solid blue is the best run, dashed green the median, dotted orange the worst, grey the others."
        .to_owned();
    if every > 1 {
        caption.push_str(&format!(" Of the others, one in {every} is drawn."));
    }
    if !chart.levels.is_empty() {
        let beyond = if is_higher_better { "above" } else { "below" };
        caption.push_str(&format!(
            " Level lines are runs that train nothing: long dashes the model before training, dots the floors. A run \
             is worth something only {beyond} all of them."
        ));
    }
    caption
}

fn table(curves: &[Curve], ranked: &[&RunRow]) -> Table {
    let mut table = Table::new(&["#epoch"]);
    for row in ranked.iter().take(curves.len()) {
        table.add_column(format!("#{}", row.rank.unwrap_or_default()));
    }
    let last = curves.iter().flat_map(|curve| &curve.points).map(|(epoch, _)| *epoch).max().unwrap_or(0);
    for epoch in 0..=last {
        let value = |curve: &Curve| {
            decimals(curve.points.iter().find(|(at, _)| *at == epoch).map(|(_, value)| *value))
        };
        table.add(std::iter::once(epoch.to_string()).chain(curves.iter().map(value)));
    }
    table
}
