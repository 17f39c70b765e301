//! Whose captions are rated.

use std::collections::BTreeMap;

use crate::record::recipe::Kind;
use crate::report::comparison::{ImageScores, Images, image_scores};
use crate::report::findings::{Findings, Study};
use crate::report::gather::RowKind;
use crate::report::tables::RunRow;

/// Anything that says something of images, such as a run.
#[derive(Debug, Clone)]
pub struct System<'a> {
    /// Its name in files, unique and lasting: a run's id.
    pub name: String,
    /// What the report calls it.
    pub label: String,
    /// The others are compared with it.
    pub is_base: bool,
    pub captions: BTreeMap<&'a str, &'a str>,
    pub scores: BTreeMap<&'a str, ImageScores>,
}

/// Every run that captioned images of this split, best first.
pub fn systems<'a>(study: &'a Study<'a>, images: Images) -> Vec<System<'a>> {
    study.rows.iter().filter_map(|row| system(study, row, images)).collect()
}

/// Those to be rated: the model as it came, the best run, and other systems.
pub fn default_systems<'a>(study: &'a Study<'a>, findings: &Findings<'a>) -> Vec<System<'a>> {
    let rows = findings.zero_shot.into_iter().chain(findings.best).chain(study.others());
    rows.filter_map(|row| system(study, row, findings.images)).collect()
}

fn system<'a>(study: &'a Study<'a>, row: &RunRow, images: Images) -> Option<System<'a>> {
    let run = study.data_of(row)?;
    let said = run.said(images.name());
    let captions: BTreeMap<&str, &str> =
        said.map(|said| (said.image.as_str(), said.caption.as_str())).collect();
    let shares_name = study.rows.iter().filter(|other| other.name() == row.name()).count() > 1;
    let label = if shares_name { format!("{} {}", row.name(), row.run) } else { row.name() };
    (!captions.is_empty()).then(|| System {
        name: row.run.clone(),
        label,
        is_base: row.kind == RowKind::Run(Kind::ZeroShot),
        captions,
        scores: image_scores(run, images),
    })
}
