//! Figure: loss, calibration and score of two runs over their epochs, to see why a loss rises.

use super::losses::without_outliers;
use super::{Figure, Words, fitted, panelled, scoring};
use crate::report::charts::axes::Scale;
use crate::report::charts::epoch_lines::{EpochLine, EpochLines};
use crate::report::charts::theme::Ink;
use crate::report::findings::Study;
use crate::report::format::{decimals, signed};
use crate::report::settings::short_label;
use crate::report::tables::{RunRow, StepRow};
use crate::report::text_table::Table;

pub const NAME: &str = "calibration";

const PANEL_COLUMNS: usize = 3;
const TITLE_CHARACTERS: usize = 40;

/// What an epoch of training came to.
struct Epoch {
    epoch: usize,
    nll: f64,
    ece: f64,
    /// Confidence less accuracy.
    over: f64,
    score: Option<f64>,
}

struct Shown<'a> {
    row: &'a RunRow,
    epochs: Vec<Epoch>,
}

pub fn figure(study: &Study, steps: &[StepRow]) -> anyhow::Result<Option<Figure>> {
    let shown: Vec<Shown> = [study.ranked().next(), most_overfit(study)]
        .into_iter()
        .flatten()
        .map(|row| Shown { row, epochs: epochs(row, steps) })
        .filter(|shown| shown.epochs.len() > 1)
        .collect();
    if shown.is_empty() {
        return Ok(None);
    }
    let panels = panels(study, &shown);
    let titles: Vec<String> =
        panels.iter().map(|panel| format!("{}, {}", panel.title, panel.subtitle)).collect();
    let words = Words {
        name: NAME,
        title: "Loss, calibration and score by epoch".to_owned(),
        caption: caption(&shown),
        table: table(&shown),
        footnote: scoring(study),
    };
    panelled(words, &panels, &titles, PANEL_COLUMNS).map(Some)
}

/// Of the runs beside the best, the one that overfits most; where none does, the last.
fn most_overfit<'a>(study: &'a Study) -> Option<&'a RunRow> {
    let others = || study.ranked().skip(1);
    let rise = |row: &&RunRow| row.val_loss_rise.unwrap_or_default();
    let most = others().filter(|row| row.overfit).max_by(|a, b| rise(a).total_cmp(&rise(b)));
    most.or_else(|| others().last())
}

fn epochs(row: &RunRow, steps: &[StepRow]) -> Vec<Epoch> {
    let epoch = |step: &StepRow| {
        Some(Epoch {
            epoch: step.epoch,
            nll: step.val_nll?,
            ece: step.ece?,
            over: step.confidence? - step.accuracy?,
            score: step.score,
        })
    };
    steps.iter().filter(|step| step.run == row.run && step.epoch > 0).filter_map(epoch).collect()
}

/// A row of three panels for each run; panels above each other share their scale.
fn panels(study: &Study, shown: &[Shown]) -> Vec<EpochLines> {
    let all = || shown.iter().flat_map(|shown| &shown.epochs);
    let nll = Scale::round(without_outliers(all().map(|at| at.nll).collect()), 4);
    let calibration = Scale::round(all().flat_map(|at| [at.ece, at.over]).chain([0.0]), 4);
    let score = Scale::round(all().filter_map(|at| at.score), 4);
    let last_epoch = all().map(|at| at.epoch).max().unwrap_or(1);
    let of_run = |shown: &Shown| {
        let panel = |subtitle: &str, y: &Scale, lines: Vec<EpochLine>| EpochLines {
            title: title(study, shown.row),
            subtitle: subtitle.to_owned(),
            lines,
            best_epoch: shown.row.best_epoch,
            onset: shown.row.onset_epoch,
            last_epoch,
            y: y.clone(),
        };
        let line = |label, ink, is_dashed, value: fn(&Epoch) -> Option<f64>| EpochLine {
            label,
            ink,
            is_dashed,
            points: shown.epochs.iter().filter_map(|at| Some((at.epoch, value(at)?))).collect(),
        };
        let blue = |value| line("", Ink::Blue, false, value);
        let over = line("over-conf.", Ink::Orange, true, |at| Some(at.over));
        let ece = line("ECE", Ink::Blue, false, |at| Some(at.ece));
        [
            panel("validation NLL, nats a token", &nll, vec![blue(|at| Some(at.nll))]),
            panel("calibration of the next token", &calibration, vec![ece, over]),
            panel("score of the captions", &score, vec![blue(|at| at.score)]),
        ]
    };
    shown.iter().flat_map(of_run).collect()
}

fn title(study: &Study, row: &RunRow) -> String {
    let label = short_label(&row.settings, &study.varying);
    fitted(&format!("{}  {label}", row.name()), TITLE_CHARACTERS)
}

fn caption(shown: &[Shown]) -> String {
    let changes: Vec<String> = shown.iter().filter_map(change).collect();
    format!(
        "A row of panels a run: the best, and of the others the one that overfits most, or else the last; dots mark the \
         epoch that was kept, the upright line the onset of overfitting. ECE is how far the probabilities of the next \
         token are from how often it is right; over-confidence, dashed orange, is mean probability less share right, below \
         zero where the model is too modest. Where over-confidence rises as the loss does while the score still improves, \
         the loss rises for tokens that are wrong with growing certainty, not because captions get worse. {}",
        changes.join(" ")
    )
}

/// What happened from the epoch of the lowest loss to the last.
fn change(shown: &Shown) -> Option<String> {
    let lowest = shown.epochs.iter().min_by(|a, b| a.nll.total_cmp(&b.nll))?;
    let last = shown.epochs.last()?;
    let name = shown.row.name();
    if lowest.epoch == last.epoch {
        return Some(format!("The loss of {name} is lowest at its last epoch."));
    }
    let score = match (lowest.score, last.score) {
        (Some(then), Some(now)) => format!(" and score {}", signed(now - then)),
        _ => String::new(),
    };
    Some(format!(
        "In {name}, from the lowest loss (epoch {}) to epoch {}, NLL changes by {}, over-confidence by {}{score}.",
        lowest.epoch,
        last.epoch,
        signed(last.nll - lowest.nll),
        signed(last.over - lowest.over)
    ))
}

fn table(shown: &[Shown]) -> Table {
    let mut table = Table::new(&["#epoch"]);
    for shown in shown {
        let name = shown.row.name();
        for number in ["NLL", "ECE", "over-confidence", "score"] {
            table.add_column(format!("{name} {number}"));
        }
    }
    let last = shown.iter().filter_map(|shown| Some(shown.epochs.last()?.epoch)).max().unwrap_or(0);
    for epoch in 1..=last {
        let cells = |shown: &Shown| {
            let at = shown.epochs.iter().find(|at| at.epoch == epoch);
            [at.map(|at| at.nll), at.map(|at| at.ece), at.map(|at| at.over), at.and_then(|at| at.score)]
                .map(decimals)
        };
        table.add(std::iter::once(epoch.to_string()).chain(shown.iter().flat_map(cells)));
    }
    table
}
