//! The gallery: test images chosen by rule, with what was written and what the models say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::analysis::{Case, CaseRule, choose_cases};
use crate::record::config::read_config;
use crate::record::recipe::{DataFiles, DataSource};
use crate::record::run::Prediction;
use crate::report::comparison::{ImageScores, Images, image_scores};
use crate::report::findings::{Findings, Study};
use crate::report::format::decimals;
use crate::report::gather::RunData;
use crate::report::thumbnail::thumbnail;

/// Images drawn by chance, besides one by each rule.
const RANDOM: usize = 4;
const SEED: u64 = 0;

#[derive(Debug, Clone, PartialEq)]
pub struct Gallery {
    /// How the images were chosen.
    pub rule: String,
    pub cards: Vec<Card>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    pub why: &'static str,
    pub image: String,
    /// A data URL, or why there is no picture.
    pub picture: Result<String, String>,
    pub references: Vec<String>,
    pub captions: Vec<CardCaption>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CardCaption {
    pub by: String,
    pub text: String,
    pub scores: String,
}

/// A run with what it said of each image.
struct Speaker<'a> {
    by: String,
    captions: BTreeMap<&'a str, &'a Prediction>,
    scores: BTreeMap<&'a str, ImageScores>,
}

pub fn gallery(study: &Study, findings: &Findings) -> Option<Gallery> {
    let best_run = study.data_of(findings.best?)?;
    let best = speaker("fine-tuned, run #1".to_owned(), best_run, findings.images);
    let zero_shot = findings
        .zero_shot
        .and_then(|row| study.data_of(row))
        .map(|run| speaker("zero-shot".to_owned(), run, findings.images));
    let before = |image: &str| zero_shot.as_ref().and_then(|zero_shot| zero_shot.scores.get(image));
    let images: Vec<&str> =
        best.scores.keys().copied().filter(|image| best.captions.contains_key(image)).collect();
    let score = |scores: &ImageScores| scores[3];
    let scores: Vec<(f64, f64)> = images
        .iter()
        .filter_map(|image| {
            let after = score(best.scores.get(image)?);
            Some((before(image).map_or(after, score), after))
        })
        .collect();
    let cases = choose_cases(&scores, RANDOM, SEED);
    if cases.is_empty() {
        return None;
    }
    let folder = image_folder(best_run, findings.images);
    let speakers: Vec<&Speaker> = zero_shot.iter().chain([&best]).collect();
    let card = |case: &Case| Some(card(case, images.get(case.index)?, &speakers, folder.as_ref()));
    let cards = cases.par_iter().filter_map(card).collect();
    Some(Gallery { rule: rule(findings.images), cards })
}

fn speaker<'a>(by: String, run: &'a RunData, images: Images) -> Speaker<'a> {
    let of_split = run.predictions.iter().filter(|prediction| prediction.split == images.name());
    let captions = of_split.map(|prediction| (prediction.image.as_str(), prediction)).collect();
    Speaker { by, captions, scores: image_scores(run, images) }
}

fn rule(images: Images) -> String {
    format!(
        "Chosen by rule from the {} images, not by hand: by the score of run #1 the best, the worst and the median; by \
         its gain over zero-shot the most improved and the most harmed; and {RANDOM} at random (seed {SEED}). An image's \
         score is the mean of its METEOR, ROUGE-L and CIDEr-D, weighted as in the run's score.",
        images.name()
    )
}

fn card(case: &Case, image: &str, speakers: &[&Speaker], folder: Option<&PathBuf>) -> Card {
    let picture = match folder {
        Some(folder) => thumbnail(&folder.join(image)).map_err(|error| error.to_string()),
        None => Err("the run's config.yaml names no image folder".to_owned()),
    };
    let references =
        speakers.iter().find_map(|speaker| speaker.captions.get(image)).map(|row| row.references.clone());
    let captions = speakers.iter().map(|speaker| CardCaption {
        by: speaker.by.clone(),
        text: speaker
            .captions
            .get(image)
            .map_or_else(|| "(no caption recorded)".to_owned(), |row| row.caption.clone()),
        scores: speaker.scores.get(image).map_or_else(String::new, scores_in_words),
    });
    Card {
        why: name_of(case.rule),
        image: image.to_owned(),
        picture,
        references: references.unwrap_or_default(),
        captions: captions.collect(),
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

fn name_of(rule: CaseRule) -> &'static str {
    match rule {
        CaseRule::Best => "best",
        CaseRule::Median => "median",
        CaseRule::Worst => "worst",
        CaseRule::MostImproved => "most improved",
        CaseRule::MostHarmed => "most harmed",
        CaseRule::Random => "at random",
    }
}

/// Where the run found its images, by its own `config.yaml`, which has absolute paths.
pub fn image_folder(run: &RunData, images: Images) -> Option<PathBuf> {
    let spec = read_config(&run.dir).ok()?;
    let DataSource::Files(files) = spec.recipe.data else { return None };
    let DataFiles { train, validation, test, .. } = *files;
    match images {
        Images::Test => test.map(|split| split.images.into()),
        Images::Validation => Some(validation.images.unwrap_or(train.images).into()),
    }
}
