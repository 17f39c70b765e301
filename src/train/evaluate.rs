//! Losses and generated captions of a split, and their scores.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::before::Before;
use super::calibration::{Calibration, NextTokens};
use super::features::Features;
use super::material::{Material, Pretrained, Tokens, beam_settings};
use super::partial::Partial;
use super::{Session, Stopped};
use crate::data::{CaptionTokenizer, Example, TokenBatch};
use crate::model::blip::targets;
use crate::model::ops::Targets;
use crate::model::ops::next_token::likeliest;
use crate::model::{Blip, GeneratedCaption, generate_while};
use crate::record::event::Evaluated;
use crate::record::recipe::{MetricName, Recipe, ZeroCider};
use crate::record::run::{PerImage, Prediction};
use crate::record::store::RunDir;
use crate::score::{Item, Scores, mean_score, score};

/// A split to evaluate on, with its images' states.
pub struct Split<'a> {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    pub examples: &'a [Example],
    pub tokens: &'a [Tokens],
    pub features: Features<'a>,
    /// The examples that are evaluated, by index: all of a split but the training split.
    pub observed: Vec<usize>,
    /// The losses that were asked for last, and of which epoch's model.
    pub(super) known: Option<(usize, Losses)>,
}

impl<'a> Split<'a> {
    /// A split that is evaluated on all its examples.
    pub fn whole(
        name: &'static str,
        examples: &'a [Example],
        tokens: &'a [Tokens],
        features: Features<'a>,
    ) -> Self {
        Self { name, examples, tokens, features, observed: (0..examples.len()).collect(), known: None }
    }

    /// The first `count` of the examples that are evaluated; 0 means all.
    fn first(&self, count: usize) -> &[usize] {
        let count = if count == 0 { self.observed.len() } else { count.min(self.observed.len()) };
        &self.observed[..count]
    }
}

/// A model that captions, with the epoch that it is of; 0 is the model before training.
pub struct Speaker<'a> {
    pub model: &'a Blip,
    pub epoch: usize,
    pub tokenizer: &'a CaptionTokenizer,
    /// What its captions begin with, behind the start token.
    pub prompt: &'a [u32],
    /// What all runs share before training, at epoch 0.
    pub before: Option<&'a Before>,
    /// What it said before the run was cut off, and says now.
    pub partial: &'a mut Partial,
}

impl<'a> Speaker<'a> {
    pub fn new(model: &'a Blip, epoch: usize, pretrained: &'a Pretrained, partial: &'a mut Partial) -> Self {
        let Pretrained { tokenizer, prompt, before, .. } = pretrained;
        let before = before.as_ref().filter(|_| epoch == 0);
        Self { model, epoch, tokenizer, prompt, before, partial }
    }
}

/// Losses over a split, in nats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    /// Mean over the target tokens that the recipe counts, smoothed as the recipe says.
    pub loss: f64,
    /// Mean over the tokens that are no padding, without smoothing.
    pub nll: f64,
    /// The same for each image.
    pub per_image: Vec<f64>,
    /// The loss as the original script's validation has it: the mean of the first batches' mean losses.
    pub of_first_batches: f64,
    /// How confident the next token is told, pads aside; absent where there is no token.
    pub calibration: Option<Calibration>,
}

/// Batches that the original script's validation loss looks at. It goes on where fewer do not hold the images that are
/// captioned.
const FIRST_BATCHES: usize = 50;

/// Losses of the examples that are evaluated, in batches of the training batch size (padding depends on it).
pub fn losses(
    session: &Session,
    speaker: &Speaker,
    split: &mut Split,
    material: &Material,
) -> Result<Losses> {
    if let Some((_, losses)) = split.known.as_ref().filter(|(epoch, _)| *epoch == speaker.epoch) {
        return Ok(losses.clone());
    }
    let shared = speaker.before.map(|before| &before.losses);
    let place = shared.and_then(|shared| {
        let batches = split.observed.chunks(session.spec.recipe.training.batch_size.max(1));
        let batches = batches.map(|indices| material.batch(split.tokens, indices));
        Some((shared, shared.place(&split.features.images(&split.observed), batches)?))
    });
    let found = place.as_ref().and_then(|(shared, place)| shared.found(place));
    let losses = match found {
        Some(found) => found,
        None => {
            let losses = computed_losses(session, speaker.model, split, material)?;
            if let Some((shared, place)) = place {
                shared.keep(&place, &losses);
            }
            losses
        }
    };
    split.known = Some((speaker.epoch, losses.clone()));
    Ok(losses)
}

fn computed_losses(
    session: &Session,
    model: &Blip,
    split: &mut Split,
    material: &Material,
) -> Result<Losses> {
    let training = &session.spec.recipe.training;
    let (mut loss, mut counted, mut nll, mut real) = (0.0, 0usize, 0.0, 0usize);
    let mut per_image = Vec::with_capacity(split.observed.len());
    let mut batch_means = Vec::new();
    let mut next_tokens = NextTokens::default();
    let _still = model.hold_still();
    split.features.prepare(session, model, &split.observed)?;
    for indices in split.observed.chunks(training.batch_size.max(1)) {
        session.go_on()?;
        let captions = material.batch(split.tokens, indices);
        let logits = model.logits(&split.features.embeddings(model, indices)?, &captions)?;
        let as_trained = targets(&captions, !training.mask_padding);
        let rows = model.losses(&logits, &as_trained, training.label_smoothing)?.to_vec1::<f32>()?;
        let (sum, tokens) =
            (rows.iter().map(|row| *row as f64).sum::<f64>(), as_trained.iter().flatten().count());
        batch_means.push(sum / tokens.max(1) as f64);
        loss += sum;
        counted += tokens;

        let unpadded = targets(&captions, false);
        let plain = model.losses(&logits, &unpadded, 0.0)?.to_vec1::<f32>()?;
        add_next_tokens(&mut next_tokens, &logits, &unpadded)?;
        for (sum, n) in of_images(&plain, &unpadded, &captions) {
            per_image.push(sum / n.max(1) as f64);
            nll += sum;
            real += n;
        }
    }
    batch_means.truncate(first_batches(&session.spec.recipe, split.observed.len()));
    Ok(Losses {
        loss: loss / counted.max(1) as f64,
        nll: nll / real.max(1) as f64,
        per_image,
        of_first_batches: batch_means.iter().sum::<f64>() / batch_means.len().max(1) as f64,
        calibration: next_tokens.calibration(),
    })
}

/// The sum of each image's losses, and how many targets they are of, from the losses of a batch's rows.
pub fn of_images(rows: &[f32], targets: &Targets, captions: &TokenBatch) -> Vec<(f64, usize)> {
    let tokens = captions.columns - 1;
    let images = rows.chunks(tokens).zip(targets.chunks(tokens));
    images
        .map(|(rows, targets)| (rows.iter().map(|row| *row as f64).sum(), targets.iter().flatten().count()))
        .collect()
}

/// Captions and scores the first `count` images of a split (0 means all), and adds its rows to the run's files. `None`
/// where it has no images.
pub fn record(
    session: &Session,
    speaker: &mut Speaker,
    split: &mut Split,
    material: &Material,
    count: usize,
) -> Result<Option<BTreeMap<String, f64>>> {
    if split.observed.is_empty() {
        return Ok(None);
    }
    let recipe = &session.spec.recipe;
    let losses = losses(session, speaker, split, material)?;
    let said = captions(session, speaker, split, count)?;
    let scores = scores(recipe, &said);
    let directory = session.directory;
    directory.append_per_image(&per_image(speaker.epoch, split, Some(&losses), Some(&scores)))?;
    replace_predictions(directory, split.name, said)?;
    Ok(Some(summary_of(recipe, Some(&losses), &scores)))
}

/// The likeliest token of each row that has a target: how likely it is, and whether it is the target.
fn add_next_tokens(seen: &mut NextTokens, logits: &Tensor, targets: &Targets) -> Result<()> {
    for ((id, log_p), target) in likeliest(logits)?.into_iter().zip(targets.iter()) {
        if let Some(target) = target {
            seen.add((log_p as f64).exp(), id == *target);
        }
    }
    Ok(())
}

/// How many batches the original script's validation loss looks at.
pub fn first_batches(recipe: &Recipe, examples: usize) -> usize {
    let captioned = if recipe.evaluation.samples == 0 { examples } else { recipe.evaluation.samples };
    captioned.div_ceil(recipe.training.batch_size.max(1)).max(FIRST_BATCHES)
}

/// What the model says of the first `count` images of a split (0 means all).
pub fn captions(
    session: &Session,
    speaker: &mut Speaker,
    split: &mut Split,
    count: usize,
) -> Result<Vec<Prediction>> {
    let indices = split.first(count).to_vec();
    let mut predictions = Vec::with_capacity(indices.len());
    let _still = speaker.model.hold_still();
    split.features.prepare(session, speaker.model, &indices)?;
    for indices in indices.chunks(session.spec.recipe.evaluation.batch_size.max(1)) {
        session.go_on()?;
        for (i, said) in indices.iter().zip(say(session, speaker, split, indices)?) {
            let caption = speaker.tokenizer.decode(said.said(1 + speaker.prompt.len()))?;
            let score = Some(said.score as f64);
            predictions.push(Prediction { token_ids: said.ids, score, ..prediction(split, *i, caption) });
        }
    }
    Ok(predictions)
}

/// What the model says of these images, or said of all of them before the run was cut off.
fn say(
    session: &Session,
    speaker: &mut Speaker,
    split: &mut Split,
    indices: &[usize],
) -> Result<Vec<GeneratedCaption>> {
    let before = indices.iter().map(|i| speaker.partial.said(speaker.epoch, split.name, *i).cloned());
    if let Some(before) = before.collect::<Option<Vec<_>>>() {
        return Ok(before);
    }
    let (shared, images) = (speaker.before.map(|before| &before.captions), split.features.images(indices));
    if let Some(said) = shared.and_then(|shared| shared.said(&images)) {
        return Ok(said);
    }
    let model = speaker.model;
    let settings = beam_settings(&session.spec.recipe.generation, &model.config, speaker.prompt);
    let image_embeds = split.features.embeddings(model, indices)?;
    let go_on = || session.go_on().is_ok();
    let said = generate_while(&model.text_decoder, &image_embeds, &settings, go_on)?.ok_or(Stopped)?;
    speaker.partial.add(speaker.epoch, split.name, indices.iter().copied().zip(said.iter().cloned()))?;
    if let Some(shared) = shared {
        shared.keep(&images, &said);
    }
    Ok(said)
}

/// The same caption, or one for each image, that no model generated.
pub fn given(split: &Split, count: usize, caption: impl Fn(usize) -> String) -> Vec<Prediction> {
    split.first(count).iter().map(|i| prediction(split, *i, caption(*i))).collect()
}

fn prediction(split: &Split, index: usize, caption: String) -> Prediction {
    let example = &split.examples[index];
    Prediction {
        image: example.image.clone(),
        split: split.name.to_owned(),
        caption,
        references: example.captions.clone(),
        token_ids: Vec::new(),
        score: None,
    }
}

/// Puts the captions of a split in the place of what the run's file has of it. Other splits keep theirs.
///
/// # Errors
/// A file that cannot be read, or not all of it: writing what is left of it would lose the rest.
pub fn replace_predictions(directory: &RunDir, split: &str, said: Vec<Prediction>) -> Result<()> {
    let (mut predictions, problems) = directory.read_predictions();
    ensure!(problems.is_empty(), "{}: {}", directory.predictions().display(), problems.join("; "));
    predictions.retain(|prediction| prediction.split != split);
    predictions.extend(said);
    Ok(directory.write_predictions(&predictions)?)
}

/// Scores of predictions under the recipe's convention.
pub fn scores(recipe: &Recipe, predictions: &[Prediction]) -> Scores {
    let items: Vec<Item> = predictions
        .iter()
        .map(|prediction| Item { caption: &prediction.caption, references: &prediction.references })
        .collect();
    score(recipe.evaluation.convention, &items)
}

/// The mean of METEOR, ROUGE-L and CIDEr-D as the recipe weighs them.
pub fn mean(recipe: &Recipe, scores: &Scores) -> f64 {
    mean_score(recipe.evaluation.cider_weight, scores.meteor, scores.rouge_l, scores.cider_d)
}

/// What the epoch is compared by in the place of its score: where CIDEr-D is 0 and the recipe falls back to minus the
/// validation loss.
fn compared(recipe: &Recipe, losses: Option<&Losses>, scores: &Scores) -> Option<f64> {
    let settings = &recipe.early_stopping;
    let falls_back = settings.metric == MetricName::Score && settings.zero_cider == ZeroCider::MinusValLoss;
    let loss = losses.filter(|_| falls_back && scores.cider_d <= 0.0)?.of_first_batches;
    Some(-loss)
}

/// The row that an evaluation event carries; losses are absent where no model has any.
pub fn evaluated(recipe: &Recipe, losses: Option<&Losses>, scores: &Scores) -> Evaluated {
    let calibration = losses.and_then(|losses| losses.calibration);
    Evaluated {
        val_loss: losses.map(|losses| losses.loss),
        val_nll: losses.map(|losses| losses.nll),
        meteor: Some(scores.meteor),
        rouge_l: Some(scores.rouge_l),
        cider_d: Some(scores.cider_d),
        bleu_4: Some(scores.bleu[3]),
        score: Some(mean(recipe, scores)),
        compared: compared(recipe, losses, scores),
        ece: calibration.map(|calibration| calibration.ece),
        confidence: calibration.map(|calibration| calibration.confidence),
        accuracy: calibration.map(|calibration| calibration.accuracy),
        ..Evaluated::default()
    }
}

/// The test scores as the run's summary names them.
pub fn summary_of(recipe: &Recipe, losses: Option<&Losses>, scores: &Scores) -> BTreeMap<String, f64> {
    let mut summary = BTreeMap::from([
        ("n".to_owned(), scores.n as f64),
        ("meteor".to_owned(), scores.meteor),
        ("rouge_l".to_owned(), scores.rouge_l),
        ("cider_d".to_owned(), scores.cider_d),
        ("score".to_owned(), mean(recipe, scores)),
    ]);
    summary.extend(scores.bleu.iter().enumerate().map(|(i, bleu)| (format!("bleu_{}", i + 1), *bleu)));
    summary.extend(losses.map(|losses| ("nll".to_owned(), losses.nll)));
    summary
}

/// One row an image: its loss where there is one, its scores where it was captioned.
pub fn per_image(
    epoch: usize,
    split: &Split,
    losses: Option<&Losses>,
    scores: Option<&Scores>,
) -> Vec<PerImage> {
    let row = |(i, index): (usize, &usize)| {
        let scores = scores.and_then(|scores| scores.per_image.get(i));
        PerImage {
            epoch,
            image: split.examples[*index].image.clone(),
            split: split.name.to_owned(),
            loss: losses.and_then(|losses| losses.per_image.get(i).copied()),
            meteor: scores.map(|scores| scores.meteor),
            rouge_l: scores.map(|scores| scores.rouge_l),
            cider_d: scores.map(|scores| scores.cider_d),
        }
    };
    split.observed.iter().enumerate().map(row).collect()
}
