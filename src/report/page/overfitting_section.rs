//! Overfitting: which runs, from when on, whether stopping by the loss would have been right, and the gaps.

use askama::Template;

use crate::report::findings::{Findings, Study};
use crate::report::format::{ABSENT, decimals, list, percent, plural, signed};
use crate::report::metrics::Metric;
use crate::report::settings::short_label;
use crate::report::tables::RunRow;
use crate::report::text_table::{Cell, Group, Row, Table};

/// More runs than this are counted, not named.
const MAX_NAMED: usize = 4;

#[derive(Template)]
#[template(path = "overfitting.html")]
pub struct OverfittingSection {
    findings: Vec<String>,
    gaps: Table,
}

/// The section; absent where no run has a validation loss.
pub fn overfitting_section(study: &Study, findings: &Findings) -> Option<OverfittingSection> {
    let trained: Vec<&RunRow> = study.fine_tuned().filter(|row| row.val_loss_rise.is_some()).collect();
    if trained.is_empty() {
        return None;
    }
    let sentences =
        [Some(which(findings, &trained)), was_the_loss_right(findings), gap_of_best(findings.best)];
    Some(OverfittingSection {
        findings: sentences.into_iter().flatten().collect(),
        gaps: gaps(study, &trained),
    })
}

/// Which runs overfit, and from when on.
fn which(findings: &Findings, trained: &[&RunRow]) -> String {
    let onset = |row: &&&RunRow| Some((row.onset_epoch?, row.name()));
    let mut overfit: Vec<(usize, String)> = findings.overfit.iter().filter_map(|row| onset(&row)).collect();
    overfit.sort();
    let slight = trained.iter().filter(|row| row.onset_epoch.is_some() && !row.overfit).count();
    let slightly = match slight {
        0 => String::new(),
        1 => " In 1 more the loss surely rose, but by less than 5 % or with the training loss.".to_owned(),
        _ => {
            format!(" In {slight} more the loss surely rose, but by less than 5 % or with the training loss.")
        }
    };
    if overfit.is_empty() {
        return format!("None of {} overfits.{slightly}", plural(trained.len(), "trained run"));
    }
    let named: Vec<String> =
        overfit.iter().take(MAX_NAMED).map(|(epoch, name)| format!("{name} from epoch {epoch}")).collect();
    let more = overfit.len().saturating_sub(MAX_NAMED);
    let rest = if more > 0 { format!("; {more} more later") } else { String::new() };
    let verb = if overfit.len() == 1 { "overfits" } else { "overfit" };
    format!(
        "{} of {} {verb}: {}{rest}.{slightly}",
        overfit.len(),
        plural(trained.len(), "trained run"),
        list(&named)
    )
}

/// Whether the captions went on improving after the loss was lowest.
fn was_the_loss_right(findings: &Findings) -> Option<String> {
    let judged = || findings.overfit.iter().filter_map(|row| Some((row, gain_after_lowest(row)?)));
    let total = judged().count();
    if total == 0 {
        return None;
    }
    let improved = judged().filter(|(_, gain)| *gain > 0.0).count();
    let Some((row, gain)) = judged().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, gain)| *gain > 0.0)
    else {
        return Some(
            "There the score did not improve any more after the loss was lowest: stopping by the loss would have lost \
             nothing."
                .to_owned(),
        );
    };
    let (whose, most) = match total {
        1 => ("There".to_owned(), String::new()),
        _ => (format!("In {improved} of these {total}"), format!("most of all in {}: ", row.name())),
    };
    Some(format!(
        "{whose} the score still improved after the loss was lowest, so that stopping by the loss would have been too \
         early; {most}epoch {} scores {} more than epoch {}, the one of the lowest loss. (The epoch that is kept was chosen \
         by its score: a part of the difference is luck.)",
        epoch_text(row.best_epoch),
        decimals(Some(gain)),
        epoch_text(row.val_loss_lowest_epoch),
    ))
}

fn epoch_text(epoch: Option<usize>) -> String {
    epoch.map_or_else(|| ABSENT.to_owned(), |epoch| epoch.to_string())
}

/// Score of the kept epoch less that of the lowest loss; 0 where the kept one is not later.
fn gain_after_lowest(row: &RunRow) -> Option<f64> {
    let gain = row.validation.of(Metric::Score)? - row.score_at_lowest?;
    Some(if row.best_epoch? > row.val_loss_lowest_epoch? { gain } else { 0.0 })
}

fn gap_of_best(best: Option<&RunRow>) -> Option<String> {
    let best = best?;
    let (kept, last) = (best.gaps.at_best?, best.gaps.at_last?);
    Some(format!(
        "Run #1 finds captions of validation images less likely than those it learnt from: at the epoch that was kept by \
         {} nats a token, at the last by {}.",
        decimals(Some(kept)),
        decimals(Some(last))
    ))
}

/// Best run first, as everywhere.
fn gaps(study: &Study, trained: &[&RunRow]) -> Table {
    let mut table = Table::new(&[
        "run",
        "#kept",
        "#lowest loss",
        "#onset",
        "#kept",
        "#last",
        "#area",
        "#early",
        "#middle",
        "#late",
        "#loss",
        "#at onset",
        "#interval",
        "settings",
    ]);
    let group = |text: &str, span| Group { text: text.to_owned(), span };
    table.groups =
        vec![group("", 1), group("epoch", 3), group("generalisation gap", 6), group("rise", 3), group("", 1)];
    table.rows.extend(trained.iter().map(|row| line(study, row)));
    table
}

fn line(study: &Study, row: &RunRow) -> Row {
    let [early, middle, late] = row.gaps.phases;
    let gaps = [row.gaps.at_best, row.gaps.at_last, row.gaps.area, early, middle, late];
    let mut cells: Vec<Cell> = vec![Cell::plain(row.name())];
    cells.extend(
        [row.best_epoch, row.val_loss_lowest_epoch, row.onset_epoch].map(|at| Cell::plain(epoch_text(at))),
    );
    cells.extend(gaps.map(|gap| Cell::plain(decimals(gap))));
    cells.push(Cell::marked(percent(row.val_loss_rise), if row.overfit { "overfit" } else { "" }));
    let (rise, interval) =
        row.onset_rise.map_or((ABSENT.to_owned(), ABSENT.to_owned()), |[rise, low, high]| {
            (signed(rise), format!("{} to {}", signed(low), signed(high)))
        });
    cells.extend([rise, interval, short_label(&row.settings, &study.varying)].map(Cell::plain));
    Row { class: if row.rank.is_none() { "unranked" } else { "" }, cells }
}
