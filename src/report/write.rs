//! Reports written: for every sweep under a folder its page, pictures and tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use thiserror::Error;

use super::document::SweepReport;
use super::figures::Figures;
use super::findings::{Findings, Study};
use super::gather::{SweepData, gather};
use super::others::{self, OtherSystem};
use super::rating::{self, People, RatingFile};
use super::side_by_side::write_comparison;
use super::{page, tables};
use crate::analysis::lexicon::Lexicon;
use crate::data::caption_files::CaptionFileError;
use crate::record::store::{remove_file, write_atomic};
use crate::record::{ReportDir, Store, SweepDir};

/// What goes into the reports besides the runs.
#[derive(Debug, Default)]
pub struct Options {
    /// Other systems' captions of the runs' images.
    pub others: Vec<OtherSystem>,
    /// The words that name attributes; those of clothing where none are given.
    pub lexicon: Option<Lexicon>,
    /// Two runs to write a page on: their ranks, ids or names.
    pub pair: Option<[String; 2]>,
    /// Write a page to rate captions on, with this many pictures at most.
    pub pictures: Option<usize>,
    /// What people exported from such pages.
    pub ratings: Vec<RatingFile>,
}

/// Names that mean no two runs of any sweep.
#[derive(Debug, Error)]
#[error("--compare: {0}")]
pub struct NoSuchRuns(String);

/// A report on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub sweep: String,
    pub page: PathBuf,
    /// The page on which people rate captions, where one was asked for and there is something to rate.
    pub rating: Option<PathBuf>,
    /// The page on two runs, where one was asked for, or why there is none.
    pub comparison: Option<Result<PathBuf, String>>,
    /// Runs in its tables.
    pub runs: usize,
    /// What was left out and why, a sentence each; the page says it too.
    pub left_out: Vec<String>,
    /// What it says, for programs.
    pub content: SweepReport,
}

/// Writes a report on every sweep under `runs` (or on `runs` itself, where it is one) into `out`. Anything
/// a run left half done or broken is left out and said; only unreadable folders, unwritable files, and options that fit
/// none of the sweeps are errors.
pub fn write(runs: &Path, out: &Path, options: &Options) -> anyhow::Result<Vec<Written>> {
    let sweeps = Store::new(runs).sweeps()?;
    let names: Vec<String> = sweeps.iter().map(|sweep| name_below(runs, sweep)).collect();
    rating::check_sweeps(&options.ratings, &names)?;
    let gathered = gather_all(&sweeps, names, options)?;
    let mut written = Vec::new();
    for data in gathered {
        written.push(write_one(&data, out, options)?);
        // Taking ten thousand runs apart lasts two thirds of a second, for which the end of the process does not wait.
        std::thread::spawn(move || drop(data));
    }
    let is_compared = written.iter().any(|report| matches!(report.comparison, Some(Ok(_))));
    match written.iter().find_map(|report| report.comparison.as_ref()?.as_ref().err()) {
        Some(reason) if !is_compared => Err(NoSuchRuns(reason.clone()).into()),
        _ => Ok(written),
    }
}

/// Every sweep with the captions of other systems.
fn gather_all(sweeps: &[SweepDir], names: Vec<String>, options: &Options) -> anyhow::Result<Vec<SweepData>> {
    let lexicon = options.lexicon.clone().map_or_else(Lexicon::clothing, Ok)?;
    let mut gathered = Vec::new();
    let mut strangers: BTreeSet<&str> = options.others.iter().map(|other| other.name.as_str()).collect();
    for (sweep, name) in sweeps.iter().zip(names) {
        let mut data = gather(sweep, name, &lexicon);
        let joined = others::join(sweep, &mut data, &options.others)?;
        strangers.retain(|name| !joined.iter().any(|joined| joined == name));
        gathered.push(data);
    }
    // A wrong file is no reason for a report without it.
    if let Some(name) = strangers.first().filter(|_| !sweeps.is_empty()) {
        let problem = format!("{name}: none of its captions is for an image of these runs");
        return Err(CaptionFileError(problem).into());
    }
    Ok(gathered)
}

/// The sweep's path below `runs`, so that two sweeps of one name in different folders stay apart.
fn name_below(runs: &Path, sweep: &SweepDir) -> String {
    let below = sweep.path.strip_prefix(runs).unwrap_or(Path::new(""));
    let parts: Vec<String> =
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.is_empty() { sweep.name() } else { parts.join("/") }
}

/// Writes the pictures of the figures, and removes those that an earlier report had and this one has not.
fn save_pictures(figures: &Figures, dir: &ReportDir) -> anyhow::Result<()> {
    for name in Figures::NAMES {
        match figures.iter().find(|figure| figure.name == name) {
            Some(figure) => write_atomic(&dir.chart(name), &figure.png)?,
            None => remove_file(&dir.chart(name))?,
        }
    }
    Ok(())
}

fn write_one(data: &SweepData, out: &Path, options: &Options) -> anyhow::Result<Written> {
    let context = || format!("report on sweep `{}`", data.name);
    let tables = tables::build(data).with_context(context)?;
    let study = Study::new(data, tables.run_rows().with_context(context)?, tables.ranked_by);
    let dir = ReportDir::new(out, &data.name);
    let ((findings, saved), (steps, of_settings)) = rayon::join(
        || rayon::join(|| Findings::of(&study), || tables::save(&tables, &dir)),
        || rayon::join(|| tables.step_rows(), || Figures::of_settings(&study)),
    );
    saved.with_context(context)?;
    let steps = steps.with_context(context)?;
    let of_settings = of_settings.with_context(context)?;
    let figures = of_settings.with_runs(&study, &findings, &steps).with_context(context)?;
    save_pictures(&figures, &dir)?;
    let people = People::of(&study, &findings, &options.ratings).with_context(context)?;
    let settings = findings.seeds.as_ref().map(tables::settings_table).transpose().with_context(context)?;
    let optional = [("settings", settings.as_ref()), ("ratings", people.table.as_ref())];
    for (name, table) in optional {
        match table {
            Some(table) => tables::save_frame(name, table, &dir)?,
            None => tables::remove(name, &dir)?,
        }
    }
    let rating =
        options.pictures.map(|count| rating::write_page(&study, &findings, count, &dir)).transpose()?;
    let comparison = match &options.pair {
        Some(pair) => Some(write_comparison(&study, pair, &steps, &dir).with_context(context)?),
        None => None,
    };
    let html = page::render(&study, &findings, &figures, &people).with_context(context)?;
    write_atomic(&dir.index(), html.as_bytes())?;
    let charts: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
    let statements = page::verdict(&study, &findings);
    let (rating, no_rating) = match rating {
        Some(Ok(page)) => (Some(page), None),
        Some(Err(reason)) => (None, Some(reason)),
        None => (None, None),
    };
    let left_out: Vec<String> =
        data.left_out.iter().chain(&people.left_out).cloned().chain(no_rating).collect();
    let mut content = SweepReport {
        sweep: data.name.clone(),
        left_out: left_out.clone(),
        ..SweepReport::new(&tables, &findings, statements, &dir, &charts)
    };
    let written = optional.into_iter().filter(|(_, table)| table.is_some());
    content.files.extend(
        written
            .flat_map(|(name, _)| [dir.csv(name), dir.parquet(name)])
            .chain(rating.clone())
            .chain(comparison.iter().flatten().cloned())
            .map(|path| path.display().to_string()),
    );
    content.settings = settings.map(tables::Rows);
    content.people = people.evaluation;
    let runs = data.runs.len();
    Ok(Written { content, page: dir.index(), rating, comparison, runs, left_out, sweep: data.name.clone() })
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
