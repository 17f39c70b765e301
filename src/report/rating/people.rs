//! What a report on one sweep has of people.

use std::path::PathBuf;

use polars::prelude::{DataFrame, PolarsResult};

use super::{
    Evaluation, RatingFile, RatingFileError, Ratings, Sheet, default_systems, evaluate, render, systems,
};
use crate::record::ReportDir;
use crate::record::store::write_atomic;
use crate::report::findings::{Findings, Study};
use crate::report::format::list;
use crate::report::page::image_folder;
use crate::report::tables::ratings_table;
use crate::report::thumbnail::thumbnail_of;

/// Longest side of a picture to be judged, in pixels.
const LONGEST_SIDE: u32 = 640;

/// What the files of ratings say of a sweep.
#[derive(Default)]
pub struct People {
    pub evaluation: Option<Evaluation>,
    /// Every rating; absent where no file is about the sweep.
    pub table: Option<DataFrame>,
    /// What was left out and why, a sentence each.
    pub left_out: Vec<String>,
}

impl People {
    pub fn of(study: &Study, findings: &Findings, files: &[RatingFile]) -> PolarsResult<Self> {
        let files: Vec<&RatingFile> = files.iter().filter(|file| file.sweep == study.sweep.name).collect();
        if files.is_empty() {
            return Ok(Self::default());
        }
        let systems = systems(study, findings.images);
        let ratings = Ratings::join(&files, &systems);
        Ok(Self {
            evaluation: evaluate(&ratings, &systems),
            table: Some(ratings_table(&ratings, &systems)?),
            left_out: ratings.left_out,
        })
    }
}

/// Refuses files about a sweep that is not reported.
pub fn check_sweeps(files: &[RatingFile], sweeps: &[String]) -> Result<(), RatingFileError> {
    let Some(file) = files.iter().find(|file| !sweeps.contains(&file.sweep)) else { return Ok(()) };
    let named: Vec<String> = sweeps.iter().map(|sweep| format!("`{sweep}`")).collect();
    let known = if named.is_empty() { "no sweep".to_owned() } else { list(&named) };
    Err(RatingFileError::OtherSweep { path: file.path.clone(), sweep: file.sweep.clone(), known })
}

/// Writes the page on which people rate captions. The inner error says why there is nothing to rate.
pub fn write_page(
    study: &Study,
    findings: &Findings,
    pictures: usize,
    dir: &ReportDir,
) -> anyhow::Result<Result<PathBuf, String>> {
    let folder =
        findings.best.and_then(|best| study.data_of(best)).and_then(|run| image_folder(run, findings.images));
    let show = |image: &str| {
        let folder = folder.as_ref().ok_or("the run's config.yaml names no image folder")?;
        thumbnail_of(&folder.join(image), LONGEST_SIDE).map_err(|error| error.to_string())
    };
    let systems = default_systems(study, findings);
    let sheet = match Sheet::draw(&study.sweep.name, &systems, pictures, show) {
        Ok(sheet) => sheet,
        Err(reason) => return Ok(Err(format!("No page to rate captions: {reason}."))),
    };
    write_atomic(&dir.rating(), render(&sheet)?.as_bytes())?;
    Ok(Ok(dir.rating()))
}
