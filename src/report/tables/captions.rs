//! The `captions` table: a row a caption that a run recorded.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::columns::{numbers, texts};
use super::facts::{Facts, in_order};
use crate::record::run::{PerImage, Prediction};

/// A caption with its scores, where the run recorded any.
struct Caption<'a> {
    run: &'a str,
    said: &'a Prediction,
    scores: Option<&'a PerImage>,
}

/// The table, with the runs in the order of `runs` and the captions in the order of their file.
pub fn captions_table(facts: &[Facts], runs: &DataFrame) -> PolarsResult<DataFrame> {
    let captions: Vec<Caption> = in_order(facts, runs)?.into_iter().flat_map(captions_of).collect();
    let score = |name, value: fn(&PerImage) -> Option<f64>| {
        numbers(name, &captions, move |caption: &Caption| value(caption.scores?))
    };
    let columns = vec![
        texts("run", &captions, |caption| Some(caption.run.to_owned())),
        texts("split", &captions, |caption| Some(caption.said.split.clone())),
        texts("image", &captions, |caption| Some(caption.said.image.clone())),
        texts("caption", &captions, |caption| Some(caption.said.caption.clone())),
        texts("references", &captions, |caption| serde_json::to_string(&caption.said.references).ok()),
        score("meteor", |row| row.meteor),
        score("rouge_l", |row| row.rouge_l),
        score("cider_d", |row| row.cider_d),
        score("loss", |row| row.loss),
    ];
    DataFrame::new(captions.len(), columns)
}

fn captions_of<'a>(facts: &'a Facts) -> Vec<Caption<'a>> {
    let best = facts.best.map_or(0, |best| best.epoch);
    // Captions are those of the best epoch. Test images are captioned only once, at the end: in a run that was resumed
    // later than its best epoch their rows may stand at another, and are the last of their image.
    let mut scores: BTreeMap<(&str, &str), &PerImage> = BTreeMap::new();
    for row in facts.run.per_image.iter().filter(|row| row.split != "validation" || row.epoch == best) {
        scores.insert((row.split.as_str(), row.image.as_str()), row);
    }
    let caption = |said: &'a Prediction| Caption {
        run: facts.run.id(),
        said,
        scores: scores.get(&(said.split.as_str(), said.image.as_str())).copied(),
    };
    facts.run.predictions.iter().map(caption).collect()
}
