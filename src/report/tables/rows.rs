//! The tables read back as plain values.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsError, PolarsResult};

use super::Tables;
use super::columns::Cells;
use super::copies::SETS;
use super::runs::SETTING_PREFIX;
use crate::analysis::memorisation::Memorisation;
use crate::report::comparison::Images;
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
    pub score_at_lowest: Option<f64>,
    /// With the ends of its interval.
    pub val_nll_rise: Option<[f64; 3]>,
    pub overfit: bool,
    pub onset_epoch: Option<usize>,
    /// With the ends of its interval.
    pub onset_rise: Option<[f64; 3]>,
    pub gaps: Gaps,
    /// In the order of [`SETS`]: captions of test images, of training images, and the test references.
    pub copies: [Option<Memorisation>; 3],
    pub epochs: Option<usize>,
    pub steps: Option<usize>,
    pub seconds: Option<f64>,
    pub peak_memory_bytes: Option<usize>,
    pub images_encoded: Option<usize>,
    pub trained: Option<Trained>,
    pub origin: Option<Origin>,
}

/// Generalisation gaps, each absent where a loss was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gaps {
    pub at_best: Option<f64>,
    pub at_last: Option<f64>,
    pub area: Option<f64>,
    /// Early, middle and late.
    pub phases: [Option<f64>; 3],
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

    /// What tells it from all others in few words: its rank, or its id.
    pub fn name_or_id(&self) -> String {
        self.rank.map_or_else(|| self.run.clone(), |rank| format!("#{rank}"))
    }

    /// Its scores on these images.
    pub fn scores_on(&self, images: Images) -> &Scores {
        match images {
            Images::Test => &self.test,
            Images::Validation => &self.validation,
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
    pub val_nll: Option<f64>,
    pub ece: Option<f64>,
    pub confidence: Option<f64>,
    pub accuracy: Option<f64>,
    pub score: Option<f64>,
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
        ece: cells.number("ece")?,
        confidence: cells.number("confidence")?,
        accuracy: cells.number("accuracy")?,
        score: cells.number("score")?,
        ranked: cells.number(ranked)?,
        is_best: cells.flag("is_best")?.unwrap_or_default(),
    })
}

fn read_run(frame: &DataFrame, row: usize) -> PolarsResult<RunRow> {
    let cells = Cells { frame, row };
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
        score_at_lowest: cells.number("score_at_lowest")?,
        val_nll_rise: read_interval(&cells, "val_nll_rise")?,
        overfit: cells.flag("overfit")?.unwrap_or_default(),
        onset_epoch: cells.count("onset_epoch")?,
        onset_rise: read_interval(&cells, "onset_rise")?,
        gaps: read_gaps(&cells)?,
        copies: read_copies(&cells)?,
        epochs: cells.count("epochs")?,
        steps: cells.count("steps")?,
        seconds: cells.number("seconds")?,
        peak_memory_bytes: cells.count("peak_memory_bytes")?,
        images_encoded: cells.count("images_encoded")?,
        trained: read_trained(&cells)?,
        origin: read_origin(&cells)?,
    })
}

/// An estimate and the ends of its interval, where there are all three.
fn read_interval(cells: &Cells, name: &str) -> PolarsResult<Option<[f64; 3]>> {
    let estimate = cells.number(name)?;
    let (low, high) = (cells.number(&format!("{name}_low"))?, cells.number(&format!("{name}_high"))?);
    Ok(estimate.zip(low).zip(high).map(|((estimate, low), high)| [estimate, low, high]))
}

fn read_gaps(cells: &Cells) -> PolarsResult<Gaps> {
    Ok(Gaps {
        at_best: cells.number("gap_at_best")?,
        at_last: cells.number("gap_at_last")?,
        area: cells.number("gap_area")?,
        phases: [cells.number("gap_early")?, cells.number("gap_middle")?, cells.number("gap_late")?],
    })
}

fn read_copies(cells: &Cells) -> PolarsResult<[Option<Memorisation>; 3]> {
    let mut copies = [None; 3];
    for (copies, set) in copies.iter_mut().zip(SETS) {
        let count = |measure: &str| cells.count(&format!("{measure}_{set}"));
        let number = |measure: &str| cells.number(&format!("{measure}_{set}"));
        let Some(captions) = count("captions")? else { continue };
        *copies = Some(Memorisation {
            captions,
            different: count("different")?.unwrap_or_default(),
            copied: number("copied")?.unwrap_or_default(),
            nearly_copied: number("nearly_copied")?.unwrap_or_default(),
            distinct_1: number("distinct_1")?,
            distinct_2: number("distinct_2")?,
            novel_4_grams: number("novel_4_grams")?,
        });
    }
    Ok(copies)
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
