//! Where the gain over zero-shot comes from: one change at a time, each on the same images as the one before.

use std::collections::BTreeMap;

use super::comparison::{Images, SCORE, SEED, image_scores};
use super::findings::{Findings, Study};
use super::gather::{RowKind, RunData};
use super::metrics::Metric;
use super::settings::LAYERS;
use super::tables::RunRow;
use crate::analysis::{Interval, RESAMPLES, mean_intervals};
use crate::record::recipe::{Convention, Kind};
use crate::record::run::Prediction;
use crate::score::{Item, mean_score, score};

/// A change and what it brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub name: String,
    /// What changes from the step before.
    pub what: &'static str,
    pub score: f64,
    /// Over the step before, on the images of both. Absent for the first.
    pub gain: Option<Interval>,
}

/// Scores of captions by image.
type Scores<'a> = BTreeMap<&'a str, f64>;

/// The steps from the model as it came to the best run that trains vision layers; those that no run took are left out.
/// Nothing where fewer than three are left.
pub fn attribution(study: &Study, findings: &Findings) -> Vec<Step> {
    let images = findings.images;
    let layers = |row: &RunRow| row.settings.get(LAYERS).and_then(|value| value.as_f64()).unwrap_or(0.0);
    let first = |keep: &dyn Fn(&RunRow) -> bool| study.ranked().find(|row| keep(row));
    let of_kind = |kind: Kind| study.rows.iter().find(|row| row.kind == RowKind::Run(kind));
    let rows = [
        ("zero-shot", findings.zero_shot, "the rules of scoring alone"),
        ("matched length", of_kind(Kind::MatchedLength), "captions as long as the references"),
        (
            "shuffled captions",
            of_kind(Kind::ShuffledCaptions),
            "style and vocabulary, learnt from captions of other pictures",
        ),
        ("0 vision layers", first(&|row| layers(row) == 0.0), "captions of the right pictures"),
        ("vision layers", first(&|row| layers(row) > 0.0), "the vision model trains as well"),
    ];
    let mut steps: Vec<(Step, Scores)> = Vec::new();
    let zero_shot = findings.zero_shot.and_then(|row| study.data_of(row));
    steps.extend(zero_shot.and_then(|run| by_other_convention(run, images)));
    for (name, row, what) in rows {
        let Some(row) = row else { continue };
        let Some((score, scores)) = scores_of(study, row, images) else { continue };
        let gain = steps.last().and_then(|(_, before)| gain(before, &scores));
        steps.push((Step { name: name.to_owned(), what, score, gain }, scores));
    }
    // The convention alone is no change of the model.
    if steps.len() < 4 { Vec::new() } else { steps.into_iter().map(|(step, _)| step).collect() }
}

/// The mean as the tables have it, and the score of each image.
fn scores_of<'a>(study: &Study<'a>, row: &RunRow, images: Images) -> Option<(f64, Scores<'a>)> {
    let mean = row.scores_on(images).of(Metric::Score);
    let of_images = image_scores(study.data_of(row)?, images).into_iter();
    Some((mean?, of_images.map(|(image, scores)| (image, scores[SCORE])).collect()))
}

/// The same captions by the other rules of scoring, weighted alike.
fn by_other_convention(run: &RunData, images: Images) -> Option<(Step, Scores<'_>)> {
    let evaluation = &run.record.spec.recipe.evaluation;
    let other = match evaluation.convention {
        Convention::Coco => Convention::Original,
        Convention::Original => Convention::Coco,
    };
    let said: Vec<&Prediction> = run.said(images.name()).collect();
    if said.is_empty() {
        return None;
    }
    let items = said.iter().map(|said| Item { caption: &said.caption, references: &said.references });
    let scores = score(other, &items.collect::<Vec<_>>());
    let weighed = |meteor, rouge_l, cider_d| mean_score(evaluation.cider_weight, meteor, rouge_l, cider_d);
    let of_images = said
        .iter()
        .zip(&scores.per_image)
        .map(|(said, scores)| (said.image.as_str(), weighed(scores.meteor, scores.rouge_l, scores.cider_d)));
    let step = Step {
        name: format!("zero-shot by {}", other.name()),
        what: "the model as it came, by other rules of scoring",
        score: weighed(scores.meteor, scores.rouge_l, scores.cider_d),
        gain: None,
    };
    Some((step, of_images.collect()))
}

fn gain(before: &Scores, after: &Scores) -> Option<Interval> {
    let differences: Vec<[f64; 1]> =
        after.iter().filter_map(|(image, after)| Some([after - before.get(image)?])).collect();
    mean_intervals(&differences, RESAMPLES, SEED).map(|[gain]| gain)
}
