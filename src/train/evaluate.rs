//! Losses and generated captions of a split, and their scores.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Session;
use super::features::Features;
use super::material::{Material, Tokens, beam_settings};
use crate::data::{CaptionTokenizer, Example};
use crate::model::blip::targets;
use crate::model::ops::cross_entropy;
use crate::model::{Blip, generate};
use crate::record::event::Evaluated;
use crate::record::recipe::{MetricName, Recipe, ZeroCider};
use crate::record::run::{PerImage, Prediction};
use crate::score::{Item, Scores, mean_score, score};

/// A split to evaluate on, with its images' states.
pub struct Split<'a> {
    /// `validation` or `test`.
    pub name: &'static str,
    pub examples: &'a [Example],
    pub tokens: &'a [Tokens],
    pub features: Features<'a>,
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
}

/// Batches that the original script's validation loss looks at. It goes on where fewer do not hold the images that are
/// captioned.
const FIRST_BATCHES: usize = 50;

/// Losses of the whole split, in batches of the training batch size (padding depends on it).
pub fn losses(session: &Session, model: &Blip, split: &mut Split, material: &Material) -> Result<Losses> {
    let training = &session.spec.recipe.training;
    let (mut loss, mut counted, mut nll, mut real) = (0.0, 0usize, 0.0, 0usize);
    let mut per_image = Vec::with_capacity(split.examples.len());
    let mut batch_means = Vec::new();
    let indices: Vec<usize> = (0..split.examples.len()).collect();
    for indices in indices.chunks(training.batch_size.max(1)) {
        session.go_on()?;
        let captions = material.batch(split.tokens, indices);
        let logits = model.logits(&split.features.embeddings(model, indices)?, &captions)?;
        let as_trained = targets(&captions, !training.mask_padding);
        let rows = cross_entropy(&logits, &as_trained, training.label_smoothing)?.to_vec1::<f32>()?;
        let (sum, tokens) =
            (rows.iter().map(|row| *row as f64).sum::<f64>(), as_trained.iter().flatten().count());
        batch_means.push(sum / tokens.max(1) as f64);
        loss += sum;
        counted += tokens;

        let unpadded = targets(&captions, false);
        let plain = cross_entropy(&logits, &unpadded, 0.0)?.to_vec1::<f32>()?;
        let tokens = captions.columns - 1;
        for (rows, targets) in plain.chunks(tokens).zip(unpadded.chunks(tokens)) {
            let n = targets.iter().flatten().count();
            let sum: f64 = rows.iter().map(|row| *row as f64).sum();
            per_image.push(sum / n.max(1) as f64);
            nll += sum;
            real += n;
        }
    }
    batch_means.truncate(first_batches(&session.spec.recipe, split.examples.len()));
    Ok(Losses {
        loss: loss / counted.max(1) as f64,
        nll: nll / real.max(1) as f64,
        per_image,
        of_first_batches: batch_means.iter().sum::<f64>() / batch_means.len().max(1) as f64,
    })
}

/// How many batches the original script's validation loss looks at.
fn first_batches(recipe: &Recipe, examples: usize) -> usize {
    let captioned = if recipe.evaluation.samples == 0 { examples } else { recipe.evaluation.samples };
    captioned.div_ceil(recipe.training.batch_size.max(1)).max(FIRST_BATCHES)
}

/// What the model says of the first `count` images of a split (0 means all).
pub fn captions(
    session: &Session,
    model: &Blip,
    split: &mut Split,
    tokenizer: &CaptionTokenizer,
    count: usize,
) -> Result<Vec<Prediction>> {
    let recipe = &session.spec.recipe;
    let settings = beam_settings(&recipe.generation, &model.config);
    let indices: Vec<usize> = first(split.examples, count).iter().enumerate().map(|(i, _)| i).collect();
    let mut predictions = Vec::with_capacity(indices.len());
    for indices in indices.chunks(recipe.evaluation.batch_size.max(1)) {
        session.go_on()?;
        let image_embeds = split.features.embeddings(model, indices)?;
        for (i, said) in indices.iter().zip(generate(&model.text_decoder, &image_embeds, &settings)?) {
            let caption = tokenizer.decode(&said.ids)?;
            let score = Some(said.score as f64);
            predictions.push(Prediction { token_ids: said.ids, score, ..prediction(split, *i, caption) });
        }
    }
    Ok(predictions)
}

/// The same caption, or one for each image, that no model generated.
pub fn given(split: &Split, count: usize, caption: impl Fn(usize) -> String) -> Vec<Prediction> {
    (0..first(split.examples, count).len()).map(|i| prediction(split, i, caption(i))).collect()
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

fn first(examples: &[Example], count: usize) -> &[Example] {
    if count == 0 { examples } else { &examples[..count.min(examples.len())] }
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
    Evaluated {
        val_loss: losses.map(|losses| losses.loss),
        val_nll: losses.map(|losses| losses.nll),
        meteor: Some(scores.meteor),
        rouge_l: Some(scores.rouge_l),
        cider_d: Some(scores.cider_d),
        bleu_4: Some(scores.bleu[3]),
        score: Some(mean(recipe, scores)),
        compared: compared(recipe, losses, scores),
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
pub fn per_image(epoch: usize, split: &Split, losses: Option<&Losses>, scores: &Scores) -> Vec<PerImage> {
    let row = |(i, example): (usize, &Example)| {
        let scores = scores.per_image.get(i);
        PerImage {
            epoch,
            image: example.image.clone(),
            split: split.name.to_owned(),
            loss: losses.and_then(|losses| losses.per_image.get(i).copied()),
            meteor: scores.map(|scores| scores.meteor),
            rouge_l: scores.map(|scores| scores.rouge_l),
            cider_d: scores.map(|scores| scores.cider_d),
        }
    };
    split.examples.iter().enumerate().map(row).collect()
}
