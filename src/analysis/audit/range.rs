//! What can be scored at all: floors that need no picture, and a ceiling that the limits on captions set.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::corpus::{self, Captioned, Corpus};
use super::pictures::Picture;
use super::reachable::{Limits, Pieces, rewritings};
use crate::data::tokenizer::TokenizerError;
use crate::random::Random;
use crate::record::RunRecord;
use crate::record::audit::{AttainableRange, Audit, MetricRange};
use crate::record::event::Evaluated;
use crate::record::recipe::{Convention, Evaluation, Kind};
use crate::score::{Item, Scores, mean_score, medoid, score};

/// Draws of a random training caption for each image.
const DRAWS: u64 = 5;
/// References of an image whose rewritings are tried.
const MOST_REFERENCES: usize = 5;
/// Common word pieces that may separate a repetition.
const FILLERS: usize = 16;
/// Metrics of single captions, by [`metrics_of`].
const METRICS: [&str; 5] = ["meteor", "rouge_l", "cider_d", "bleu_4", "score"];

/// The word pieces that rewritings treat in a way of their own.
pub fn pieces(corpus: &Corpus) -> Pieces {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    corpus.splits().iter().flat_map(|(_, examples)| *examples).flat_map(|example| &example.tokens).for_each(
        |tokens| corpus::pieces(tokens).iter().for_each(|piece| *counts.entry(*piece).or_default() += 1),
    );
    let text = |piece: u32| corpus.tokenizer.token(piece).unwrap_or_default();
    let is_punctuation = |piece: &u32| !text(*piece).chars().any(char::is_alphanumeric);
    let mut by_count: Vec<(u32, usize)> = counts.iter().map(|(piece, count)| (*piece, *count)).collect();
    by_count.sort_by_key(|(piece, count)| (std::cmp::Reverse(*count), *piece));
    let begins_a_word =
        |piece: &u32| !text(*piece).starts_with("##") && Some(*piece) != corpus.tokenizer.unknown;
    Pieces {
        punctuation: counts.keys().copied().filter(is_punctuation).collect(),
        fillers: by_count.iter().map(|(piece, _)| *piece).filter(begins_a_word).take(FILLERS).collect(),
    }
}

/// A split that is scored, with what no limit on captions changes.
pub struct Yardstick<'a> {
    split: &'static str,
    judge: Judge<'a>,
    constant: [f64; 5],
    random: [f64; 5],
    /// Known where images were looked at.
    nearest: Option<[f64; 5]>,
    /// Scores of each reference itself, as people wrote it: what no caption can beat where it is the only one.
    verbatim: Vec<[f64; 5]>,
    /// CIDEr-D of every reference said in full, as the tokenizer writes it: 10 where the convention does not mind its
    /// lower case and spaces.
    pub perfect_cider_d: f64,
    pub images: usize,
}

/// The splits as `evaluation` scores them.
pub fn yardsticks<'a>(
    corpus: &'a Corpus,
    evaluation: &Evaluation,
) -> Result<Vec<Yardstick<'a>>, TokenizerError> {
    let train: Vec<&str> =
        corpus.train.iter().filter_map(|example| example.captions.first()).map(String::as_str).collect();
    let constant = medoid(&train).and_then(|index| train.get(index)).copied().unwrap_or_default();
    let samples = [evaluation.samples, evaluation.test_samples];
    let mut yardsticks = Vec::new();
    for ((split, examples), samples) in corpus.evaluated().into_iter().zip(samples) {
        let scored = if samples == 0 { examples } else { &examples[..samples.min(examples.len())] };
        if scored.is_empty() {
            continue;
        }
        let judge =
            Judge { convention: evaluation.convention, cider_weight: evaluation.cider_weight, scored };
        let whole = |example: &Captioned| {
            corpus.tokenizer.decode(example.tokens.first().map_or(&[][..], Vec::as_slice))
        };
        let full: Vec<String> = scored.par_iter().map(whole).collect::<Result<_, _>>()?;
        let said = |image: usize| full.get(image).cloned().unwrap_or_default();
        yardsticks.push(Yardstick {
            split,
            constant: judge.means(&|_| constant.to_owned()),
            random: random_floor(&train, &judge),
            nearest: corpus.pictures.as_ref().map(|seen| nearest_floor(&train, seen.scored(split), &judge)),
            verbatim: judge.per_image(&|image| scored[image].captions.first().cloned().unwrap_or_default()),
            perfect_cider_d: judge.scores(&said).cider_d,
            images: scored.len(),
            judge,
        });
    }
    Ok(yardsticks)
}

/// What can be scored within the limits on a split.
pub fn attainable(
    corpus: &Corpus,
    pieces: &Pieces,
    limits: Limits,
    yardstick: &Yardstick,
) -> Result<AttainableRange, TokenizerError> {
    let best = ceiling(corpus, pieces, limits, yardstick)?;
    let metrics = METRICS.into_iter().enumerate().map(|(index, name)| {
        let (constant, random) = (yardstick.constant[index], yardstick.random[index]);
        let nearest = yardstick.nearest.map(|values| values[index]);
        let (ceiling, is_bound) = best[index];
        (name.to_owned(), MetricRange { constant, random, nearest, ceiling, is_bound })
    });
    Ok(AttainableRange {
        runs: Vec::new(),
        split: yardstick.split.to_owned(),
        convention: yardstick.judge.convention.name().to_owned(),
        images: yardstick.images,
        metrics: metrics.collect(),
    })
}

/// Scores captions of a split.
struct Judge<'a> {
    convention: Convention,
    cider_weight: f64,
    scored: &'a [Captioned],
}

impl Judge<'_> {
    fn scores(&self, caption: &(dyn Fn(usize) -> String + Sync)) -> Scores {
        let captions: Vec<String> = (0..self.scored.len()).map(caption).collect();
        let items: Vec<Item> = captions
            .iter()
            .zip(self.scored)
            .map(|(caption, example)| Item { caption, references: &example.captions })
            .collect();
        score(self.convention, &items)
    }

    /// By [`METRICS`].
    fn means(&self, caption: &(dyn Fn(usize) -> String + Sync)) -> [f64; 5] {
        let Scores { meteor, rouge_l, cider_d, bleu, .. } = self.scores(caption);
        [meteor, rouge_l, cider_d, bleu[3], mean_score(self.cider_weight, meteor, rouge_l, cider_d)]
    }

    /// By image and [`METRICS`].
    fn per_image(&self, caption: &(dyn Fn(usize) -> String + Sync)) -> Vec<[f64; 5]> {
        let all = self.scores(caption);
        let row = |image: &crate::score::ImageScores| {
            let (meteor, rouge_l, cider_d) = (image.meteor, image.rouge_l, image.cider_d);
            [meteor, rouge_l, cider_d, image.bleu[3], mean_score(self.cider_weight, meteor, rouge_l, cider_d)]
        };
        all.per_image.iter().map(row).collect()
    }
}

/// The means of a training caption drawn at random for each image, over several draws.
fn random_floor(train: &[&str], judge: &Judge) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for draw in 0..DRAWS {
        let caption = |image: usize| {
            if train.is_empty() {
                return String::new();
            }
            (*Random::new(0, "random caption", &[draw, image as u64]).pick(train)).to_owned()
        };
        for (sum, mean) in sums.iter_mut().zip(judge.means(&caption)) {
            *sum += mean / DRAWS as f64;
        }
    }
    sums
}

/// The means of the first caption of the training image that looks most alike: what a run of the nearest image scores.
fn nearest_floor(train: &[&str], seen: &[Picture], judge: &Judge) -> [f64; 5] {
    let caption = |image: usize| seen.get(image).and_then(|seen| train.get(seen.nearest)).copied();
    judge.means(&|image| caption(image).unwrap_or_default().to_owned())
}

/// The best of all rewritings by metric, each with whether nothing can be better.
fn ceiling(
    corpus: &Corpus,
    pieces: &Pieces,
    limits: Limits,
    Yardstick { judge, verbatim, .. }: &Yardstick,
) -> Result<[(f64, bool); 5], TokenizerError> {
    let texts: Vec<Vec<String>> = judge
        .scored
        .par_iter()
        .map(|example| candidates(corpus, pieces, limits, example))
        .collect::<Result<_, _>>()?;
    let slots = texts.iter().map(Vec::len).max().unwrap_or(0);
    let text = |image: usize, slot: usize| -> String {
        let of_image = texts.get(image).map_or(&[][..], Vec::as_slice);
        of_image.get(slot).or(of_image.first()).cloned().unwrap_or_default()
    };
    let by_slot: Vec<Vec<[f64; 5]>> =
        (0..slots).map(|slot| judge.per_image(&|image| text(image, slot))).collect();
    let is_single = judge.scored.iter().all(|example| example.captions.len() == 1);
    let best_slot = |image: usize, metric: usize| {
        let value = |slot: &usize| by_slot[*slot][image][metric];
        (0..slots).max_by(|a, b| value(a).total_cmp(&value(b)).then(b.cmp(a))).unwrap_or(0)
    };
    let images = judge.scored.len();
    let mut best = [(0.0, false); 5];
    for (metric, name) in METRICS.iter().enumerate() {
        let reached: Vec<f64> =
            (0..images).map(|image| by_slot[best_slot(image, metric)][image][metric]).collect();
        let is_bound =
            is_single && reached.iter().zip(verbatim).all(|(ours, most)| *ours >= most[metric] - 1e-9);
        let mean = reached.iter().sum::<f64>() / images.max(1) as f64;
        // BLEU is defined for the whole set.
        let value = match *name {
            "bleu_4" => judge.means(&|image| text(image, best_slot(image, metric)))[metric],
            _ => mean,
        };
        best[metric] = (value, is_bound);
    }
    Ok(best)
}

/// The texts of an image's references within the limits.
fn candidates(
    corpus: &Corpus,
    pieces: &Pieces,
    limits: Limits,
    example: &Captioned,
) -> Result<Vec<String>, TokenizerError> {
    let captions = example.tokens.iter().take(MOST_REFERENCES).map(|tokens| corpus::pieces(tokens));
    captions
        .flat_map(|reference| rewritings(reference, limits, pieces))
        .map(|ids| corpus.tokenizer.decode(&ids))
        .collect()
}

/// Adds to the floors what the runs of the nearest image scored.
pub fn add_nearest<'a>(audit: &mut Audit, runs: impl IntoIterator<Item = &'a RunRecord>) {
    for run in runs {
        let Some(summary) = run.summary.as_ref().filter(|_| run.spec.recipe.kind == Kind::NearestImage)
        else {
            continue;
        };
        let convention = run.spec.recipe.evaluation.convention.name();
        for range in audit.ranges.iter_mut().filter(|range| range.convention == convention) {
            let scores = match range.split.as_str() {
                "test" => summary.test.clone().unwrap_or_default(),
                _ => summary.best.as_ref().map(scores_of).unwrap_or_default(),
            };
            for (name, metric) in &mut range.metrics {
                metric.nearest = scores.get(name).copied().or(metric.nearest);
            }
        }
    }
}

fn scores_of(evaluated: &Evaluated) -> BTreeMap<String, f64> {
    let Evaluated { meteor, rouge_l, cider_d, bleu_4, score, .. } = evaluated;
    let named = [
        ("meteor", meteor),
        ("rouge_l", rouge_l),
        ("cider_d", cider_d),
        ("bleu_4", bleu_4),
        ("score", score),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), (*value)?))).collect()
}
