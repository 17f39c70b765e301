//! An image with its references and what the systems say of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use askama::Template;

use crate::analysis::attributes::{Attribute, Named};
use crate::record::recipe::DataFiles;
use crate::record::run::Prediction;
use crate::report::comparison::{ImageScores, Images, image_scores};
use crate::report::format::{decimals, list};
use crate::report::gather::RunData;
use crate::report::thumbnail::thumbnail;

#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "card.html")]
pub struct Card {
    pub why: String,
    pub image: String,
    /// A data URL, or why there is no picture.
    pub picture: Result<String, String>,
    pub references: Vec<String>,
    pub captions: Vec<Said>,
}

/// What a system says.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub by: String,
    pub parts: Vec<Part>,
    pub scores: String,
    /// A line each below the scores.
    pub notes: Vec<String>,
}

/// Words of a caption; marked ones stand out.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub text: String,
    pub is_marked: bool,
}

/// A run or another system with what it said of each image.
pub struct Speaker<'a> {
    pub by: String,
    pub captions: BTreeMap<&'a str, &'a Prediction>,
    pub scores: BTreeMap<&'a str, ImageScores>,
}

impl<'a> Speaker<'a> {
    pub fn new(by: String, run: &'a RunData, images: Images) -> Self {
        Self { by, captions: run.said_of(images.name()), scores: image_scores(run, images) }
    }

    /// What it says of the image, its caption in one part.
    pub fn said(&self, image: &str) -> Said {
        let caption = self.captions.get(image).map(|row| row.caption.clone());
        let text = caption.unwrap_or_else(|| "(no caption recorded)".to_owned());
        Said {
            by: self.by.clone(),
            parts: vec![Part { text, is_marked: false }],
            scores: self.scores.get(image).map_or_else(String::new, scores_in_words),
            notes: Vec::new(),
        }
    }
}

/// The image with the captions of all speakers; the references are those of the first who has any.
pub fn card(why: String, image: &str, speakers: &[&Speaker], folder: Option<&Path>) -> Card {
    let picture = match folder {
        Some(folder) => thumbnail(&folder.join(image)).map_err(|error| error.to_string()),
        None => Err("the run's config.yaml names no image folder".to_owned()),
    };
    let references =
        speakers.iter().find_map(|speaker| speaker.captions.get(image)).map(|row| row.references.clone());
    Card {
        why,
        image: image.to_owned(),
        picture,
        references: references.unwrap_or_default(),
        captions: speakers.iter().map(|speaker| speaker.said(image)).collect(),
    }
}

fn scores_in_words([meteor, rouge_l, cider_d, _]: &ImageScores) -> String {
    format!(
        "METEOR {} · ROUGE-L {} · CIDEr-D {}",
        decimals(Some(*meteor)),
        decimals(Some(*rouge_l)),
        decimals(Some(*cider_d))
    )
}

/// `right: red; wrong: blue; left out: striped`, a line for each that there is.
pub fn attributes_in_words(named: &Named) -> Vec<String> {
    let line = |what: &str, attributes: &[Attribute]| {
        let values: Vec<String> = attributes
            .iter()
            .map(|attribute| match attribute.visible {
                true => attribute.value.clone(),
                false => format!("{} (not visible)", attribute.value),
            })
            .collect();
        (!values.is_empty()).then(|| format!("{what} {}", list(&values)))
    };
    let lines =
        [line("✓ right:", &named.hits), line("✗ wrong:", &named.wrong), line("– left out:", &named.missed)];
    lines.into_iter().flatten().collect()
}

/// Where the run found its images.
pub fn image_folder(run: &RunData, images: Images) -> Option<PathBuf> {
    let DataFiles { train, validation, test, .. } = run.data_files()?;
    match images {
        Images::Test => test.map(|split| split.images.into()),
        Images::Validation => Some(validation.images.unwrap_or(train.images).into()),
    }
}
