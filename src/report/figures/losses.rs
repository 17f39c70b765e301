//! Figure: training and validation loss of every run.

use super::{Epochs, Figure, MAX_COLUMNS, Words, fitted, panelled, table_in_words};
use crate::report::charts::axes::Scale;
use crate::report::charts::losses::LossPanel;
use crate::report::findings::Study;
use crate::report::format::{decimals, percent};
use crate::report::settings::short_label;
use crate::report::tables::{RunRow, StepRow};
use crate::report::text_table::Table;

pub const NAME: &str = "losses";

/// More panels than this are not looked at; the tables hold all runs.
const MAX_PANELS: usize = 24;
const PANEL_COLUMNS: usize = 3;
const TITLE_CHARACTERS: usize = 42;

/// A run's losses from its first epoch of training on.
struct Losses<'a> {
    row: &'a RunRow,
    train: Vec<(usize, f64)>,
    validation: Vec<(usize, f64)>,
}

pub fn figure(study: &Study, steps: &[StepRow]) -> anyhow::Result<Option<Figure>> {
    let epochs = Epochs::new(steps);
    let of_run = |row| losses(row, epochs.of(&row.run));
    let all: Vec<Losses> = study.fine_tuned().map(of_run).filter(Losses::has_any).collect();
    if all.is_empty() {
        return Ok(None);
    }
    let shown = all.get(..MAX_PANELS).unwrap_or(&all);
    let y = Scale::round(visible_values(shown), 4);
    let last_epoch = shown.iter().map(Losses::last_epoch).max().unwrap_or(1);
    let panels: Vec<LossPanel> = shown.iter().map(|losses| panel(study, losses, last_epoch, &y)).collect();
    let titles: Vec<String> =
        panels.iter().map(|panel| format!("Losses of run {}, {}", panel.title, panel.subtitle)).collect();
    let words = Words {
        name: NAME,
        title: "Training and validation loss".to_owned(),
        caption: caption(all.len(), &y) + &table_in_words(all.len()),
        table: table(all.get(..MAX_COLUMNS).unwrap_or(&all)),
        footnote: None,
    };
    panelled(words, &panels, &titles, PANEL_COLUMNS).map(Some)
}

fn losses<'a>(row: &'a RunRow, steps: &[&StepRow]) -> Losses<'a> {
    let of_run = || steps.iter();
    Losses {
        row,
        train: of_run().filter_map(|step| Some((step.epoch, step.train_loss?))).collect(),
        validation: of_run()
            .filter(|step| step.epoch > 0)
            .filter_map(|step| Some((step.epoch, step.val_loss?)))
            .collect(),
    }
}

impl Losses<'_> {
    fn has_any(&self) -> bool {
        !self.train.is_empty() || !self.validation.is_empty()
    }

    fn last_epoch(&self) -> usize {
        self.train.iter().chain(&self.validation).map(|(epoch, _)| *epoch).max().unwrap_or(0)
    }
}

/// The losses that decide the scale.
fn visible_values(shown: &[Losses]) -> Vec<f64> {
    let values = shown
        .iter()
        .flat_map(|losses| losses.train.iter().chain(&losses.validation))
        .map(|(_, loss)| *loss)
        .collect();
    let mut values = without_outliers(values);
    values.push(0.0);
    values
}

/// The values up to twice the usual. The first epochs fall from far above, and must not flatten the part that matters.
pub(super) fn without_outliers(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied().unwrap_or(1.0);
    values.retain(|value| *value <= 2.0 * median);
    values
}

fn panel(study: &Study, losses: &Losses, last_epoch: usize, y: &Scale) -> LossPanel {
    let row = losses.row;
    let rank = row.rank.map_or_else(|| "no rank".to_owned(), |rank| format!("#{rank}"));
    let label = short_label(&row.settings, &study.varying);
    LossPanel {
        title: fitted(&format!("{rank}  {label}"), TITLE_CHARACTERS),
        subtitle: subtitle(row),
        train: losses.train.clone(),
        validation: losses.validation.clone(),
        best_epoch: row.best_epoch,
        rise: row.overfit.then(|| percent(row.val_loss_rise)),
        last_epoch,
        y: y.clone(),
    }
}

fn subtitle(row: &RunRow) -> String {
    let state = match row.status.as_str() {
        "finished" => String::new(),
        other => format!("{}, ", other.replace('_', " ")),
    };
    let best =
        row.best_epoch.map_or_else(|| "no best epoch".to_owned(), |epoch| format!("best epoch {epoch}"));
    let overfit = if row.overfit { ", overfits" } else { "" };
    format!("{state}{best}{overfit}")
}

fn caption(runs: usize, y: &Scale) -> String {
    let mut caption = "A panel a run, best run first, all on the same scale. Dashed orange is the mean loss of the \
                       epoch's training steps, solid blue the validation loss; the dot marks the epoch that was kept. \
                       Where blue turns up while orange falls, the run learns its training captions by heart; the \
                       percentage says how far blue rose above its lowest point."
        .to_owned();
    caption.push_str(&format!(" Losses above {} are cut off.", y.label(y.range.end)));
    if runs > MAX_PANELS {
        caption.push_str(&format!(" The best {MAX_PANELS} of {runs} runs are drawn."));
    }
    caption
}

fn table(all: &[Losses]) -> Table {
    let mut table = Table::new(&["#epoch"]);
    for losses in all {
        let name = losses.row.name_or_id();
        table.add_column(format!("{name} train"));
        table.add_column(format!("{name} valid."));
    }
    let last = all.iter().map(Losses::last_epoch).max().unwrap_or(0);
    for epoch in 1..=last {
        let at = |points: &[(usize, f64)]| {
            decimals(points.iter().find(|point| point.0 == epoch).map(|point| point.1))
        };
        let values = all.iter().flat_map(|losses| [at(&losses.train), at(&losses.validation)]);
        table.add(std::iter::once(epoch.to_string()).chain(values));
    }
    table
}
