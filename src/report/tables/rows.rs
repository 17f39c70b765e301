//! The tables read back as plain values.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsError, PolarsResult};

use super::Tables;
use super::columns::Cells;
use super::runs::SETTING_PREFIX;
use crate::report::gather::RowKind;
use crate::report::metrics::Metric;
use crate::report::settings::Settings;

/// Scores by [`Metric`], each absent where it was not measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores(BTreeMap<&'static str, f64>);

impl Scores {
    pub fn of(&self, metric: Metric) -> Option<f64> {
        self.0.get(metric.key()).copied()
    }

    fn read(cells: &Cells, prefix: &str) -> PolarsResult<Self> {
        let mut scores = BTreeMap::new();
        for metric in Metric::ALL {
            if let Some(value) = cells.number(&format!("{prefix}{}", metric.key()))? {
                scores.insert(metric.key(), value);
            }
        }
        Ok(Self(scores))
    }
}

/// A row of `runs`; the fields are named as the columns.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Place among the fine-tuned runs, from 1.
    pub rank: Option<usize>,
    pub run: String,
    pub kind: RowKind,
    pub status: String,
    pub reason: Option<String>,
    pub convention: String,
    pub settings: Settings,
    pub best_epoch: Option<usize>,
    pub val_loss: Option<f64>,
    pub val_nll: Option<f64>,
    /// Of the best epoch, on the validation split.
    pub validation: Scores,
    /// Of the best epoch, on the test split.
    pub test: Scores,
    /// Places of both between floor and ceiling.
    pub places: [Scores; 2],
    pub initial_score: Option<f64>,
    pub val_loss_lowest_epoch: Option<usize>,
    pub last_epoch: Option<usize>,
    pub val_loss_rise: Option<f64>,
    pub train_loss_at_lowest: Option<f64>,
    pub train_loss_at_last: Option<f64>,
    pub val_nll_rise: Option<[f64; 3]>,
    pub overfit: bool,
    pub epochs: Option<usize>,
    pub steps: Option<usize>,
    pub seconds: Option<f64>,
    pub trained: Option<Trained>,
    pub origin: Option<Origin>,
}

/// What a run trained, in parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    pub total: usize,
    pub vision_layers: usize,
    pub vision_other: usize,
    pub text: usize,
    pub frozen: usize,
    pub tensors: usize,
    pub digest_before: String,
    pub digest_after: Option<String>,
}

/// What a run began from, and with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub program: String,
    pub device: String,
    pub threads: usize,
    pub model_digest: String,
    pub data_digest: String,
    pub train_examples: usize,
    pub validation_examples: usize,
    pub test_examples: usize,
}

impl RunRow {
    /// The status is one of a run that has its result.
    pub fn is_complete(&self) -> bool {
        matches!(self.status.as_str(), "finished" | "early_stopped" | "pruned" | "given")
    }

    /// What page and charts call it: `#1`, `zero-shot`, the name of another system, or how it stands.
    pub fn name(&self) -> String {
        match self.rank {
            Some(rank) => format!("#{rank}"),
            None if self.kind == RowKind::Other => self.run.clone(),
            None if self.is_reference() => self.kind.label().to_owned(),
            None => self.status.replace('_', " "),
        }
    }

    pub fn is_reference(&self) -> bool {
        !self.kind.is_fine_tuned()
    }
}

/// A row of `steps`, as far as the page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    pub run: String,
    pub epoch: usize,
    pub train_loss: Option<f64>,
    pub val_loss: Option<f64>,
    /// Both of the model as it is evaluated.
    pub val_nll: Option<f64>,
    pub train_nll: Option<f64>,
    /// The metric that orders the runs.
    pub ranked: Option<f64>,
    pub is_best: bool,
}

impl Tables {
    pub fn run_rows(&self) -> PolarsResult<Vec<RunRow>> {
        (0..self.runs.height()).map(|row| read_run(&self.runs, row)).collect()
    }

    pub fn step_rows(&self) -> PolarsResult<Vec<StepRow>> {
        let ranked = self.ranked_by.name();
        (0..self.steps.height()).map(|row| read_step(&self.steps, row, ranked)).collect()
    }
}

fn read_step(frame: &DataFrame, row: usize, ranked: &str) -> PolarsResult<StepRow> {
    let cells = Cells { frame, row };
    Ok(StepRow {
        run: cells.text("run")?.unwrap_or_default(),
        epoch: cells.count("epoch")?.unwrap_or_default(),
        train_loss: cells.number("train_loss")?,
        val_loss: cells.number("val_loss")?,
        val_nll: cells.number("val_nll")?,
        train_nll: cells.number("train_nll")?,
        ranked: cells.number(ranked)?,
        is_best: cells.flag("is_best")?.unwrap_or_default(),
    })
}

fn read_run(frame: &DataFrame, row: usize) -> PolarsResult<RunRow> {
    let cells = Cells { frame, row };
    let rise = [
        cells.number("val_nll_rise")?,
        cells.number("val_nll_rise_low")?,
        cells.number("val_nll_rise_high")?,
    ];
    Ok(RunRow {
        rank: cells.count("rank")?,
        run: cells.text("run")?.unwrap_or_default(),
        kind: cells
            .text("kind")?
            .as_deref()
            .and_then(RowKind::named)
            .ok_or_else(|| PolarsError::ComputeError("the column `kind` has an unknown word".into()))?,
        status: cells.text("status")?.unwrap_or_default(),
        reason: cells.text("reason")?,
        convention: cells.text("convention")?.unwrap_or_default(),
        settings: read_settings(&cells)?,
        best_epoch: cells.count("best_epoch")?,
        val_loss: cells.number("val_loss")?,
        val_nll: cells.number("val_nll")?,
        validation: Scores::read(&cells, "")?,
        test: Scores::read(&cells, "test_")?,
        places: [Scores::read(&cells, "place_")?, Scores::read(&cells, "test_place_")?],
        initial_score: cells.number("initial_score")?,
        val_loss_lowest_epoch: cells.count("val_loss_lowest_epoch")?,
        last_epoch: cells.count("last_epoch")?,
        val_loss_rise: cells.number("val_loss_rise")?,
        train_loss_at_lowest: cells.number("train_loss_at_lowest")?,
        train_loss_at_last: cells.number("train_loss_at_last")?,
        val_nll_rise: if let [Some(estimate), Some(low), Some(high)] = rise {
            Some([estimate, low, high])
        } else {
            None
        },
        overfit: cells.flag("overfit")?.unwrap_or_default(),
        epochs: cells.count("epochs")?,
        steps: cells.count("steps")?,
        seconds: cells.number("seconds")?,
        trained: read_trained(&cells)?,
        origin: read_origin(&cells)?,
    })
}

fn read_settings(cells: &Cells) -> PolarsResult<Settings> {
    let mut settings = Settings::new();
    for column in cells.frame.get_column_names() {
        let Some(path) = column.strip_prefix(SETTING_PREFIX) else { continue };
        if let Some(value) = cells.setting(column)? {
            settings.insert(path.to_owned(), value);
        }
    }
    Ok(settings)
}

fn read_trained(cells: &Cells) -> PolarsResult<Option<Trained>> {
    let Some(total) = cells.count("trainable")? else { return Ok(None) };
    Ok(Some(Trained {
        total,
        vision_layers: cells.count("trainable_vision_layers")?.unwrap_or_default(),
        vision_other: cells.count("trainable_vision_other")?.unwrap_or_default(),
        text: cells.count("trainable_text")?.unwrap_or_default(),
        frozen: cells.count("frozen")?.unwrap_or_default(),
        tensors: cells.count("trainable_tensors")?.unwrap_or_default(),
        digest_before: cells.text("frozen_digest_before")?.unwrap_or_default(),
        digest_after: cells.text("frozen_digest_after")?,
    }))
}

fn read_origin(cells: &Cells) -> PolarsResult<Option<Origin>> {
    let Some(program) = cells.text("program")? else { return Ok(None) };
    Ok(Some(Origin {
        program,
        device: cells.text("device")?.unwrap_or_default(),
        threads: cells.count("threads")?.unwrap_or_default(),
        model_digest: cells.text("model_digest")?.unwrap_or_default(),
        data_digest: cells.text("data_digest")?.unwrap_or_default(),
        train_examples: cells.count("train_examples")?.unwrap_or_default(),
        validation_examples: cells.count("validation_examples")?.unwrap_or_default(),
        test_examples: cells.count("test_examples")?.unwrap_or_default(),
    }))
}
