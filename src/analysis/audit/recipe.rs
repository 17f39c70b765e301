//! Faults of a recipe that no caption is needed to see, or only how many there are.

use super::corpus::Corpus;
use super::subject::Subject;
use super::words::{count_of, share_of};
use super::{Found, severity};
use crate::random::Random;
use crate::record::audit::{FindingKind, Severity, Unit};
use crate::record::recipe::StartToken;

/// Training captions begin with another token than generated ones.
pub fn start_token(subject: &Subject) -> Option<Found> {
    (subject.recipe.training.start_token == StartToken::Cls).then(|| Found {
        severity: Severity::Warning,
        kind: FindingKind::StartToken,
        number: 1.0,
        unit: Unit::Share,
        meaning: "Training begins captions with [CLS], generation always with [DEC]: captions start from a token that \
                  fine-tuning never shows the model."
            .to_owned(),
        remedy: Some(("training.start_token", "dec".into())),
    })
}

/// Padding that the loss counts as words to be learnt: the share of a run's target tokens, over the batches of a few
/// epochs in random order.
pub fn padding_in_loss(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    const EPOCHS: u64 = 4;
    let training = &subject.recipe.training;
    if training.mask_padding {
        return None;
    }
    let limit = subject.longest_trained();
    let lengths: Vec<usize> = corpus
        .train
        .iter()
        .filter_map(|example| example.tokens.first())
        .map(|ids| ids.len().min(limit))
        .collect();
    let (mut padding, mut all) = (0usize, 0usize);
    for epoch in 0..EPOCHS {
        let mut order = lengths.clone();
        if training.shuffle {
            Random::new(0, "padding", &[epoch]).shuffle(&mut order);
        }
        for batch in order.chunks(training.examples_per_step()) {
            let longest = batch.iter().copied().max().unwrap_or(0);
            padding += batch.iter().map(|length| longest - length).sum::<usize>();
            all += batch.len() * longest.saturating_sub(1);
        }
    }
    let share = padding as f64 / all.max(1) as f64;
    Some(Found {
        severity: severity(share, [0.3, 0.03, 0.0001])?,
        kind: FindingKind::PaddingInLoss,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "{} of the tokens that the loss counts are padding: the model is taught to say nothing, and losses look \
             better than the captions are.",
            share_of(share)
        ),
        remedy: Some(("training.mask_padding", true.into())),
    })
}

/// A warm-up that takes up a good part of the run, or never ends.
pub fn warm_up(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let (training, total) = (&subject.recipe.training, subject.total_steps(corpus.train.len()));
    let warm_up = training.warmup(total);
    let share = warm_up as f64 / total.max(1) as f64;
    let meaning = if warm_up >= total {
        format!(
            "The warm-up of {warm_up} steps is longer than the whole run of {total}: the learning rate never gets to \
             what the recipe says."
        )
    } else {
        format!("The warm-up takes {warm_up} of {total} steps, {} of the run.", share_of(share))
    };
    Some(Found {
        severity: severity(share, [0.6, 0.25, 0.15])?,
        kind: FindingKind::WarmUp,
        number: share,
        unit: Unit::Share,
        meaning,
        remedy: Some(match training.warmup_ratio {
            0.0 => ("training.warmup_steps", (total / 20).into()),
            _ => ("training.warmup_ratio", 0.05.into()),
        }),
    })
}

/// Epochs are chosen by fewer images than there are.
pub fn few_images_scored(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let (samples, all) = (subject.recipe.evaluation.samples, corpus.validation.len());
    if samples == 0 || samples >= all {
        return None;
    }
    Some(Found {
        severity: few(samples).unwrap_or(Severity::Note),
        kind: FindingKind::FewImagesScored,
        number: samples as f64,
        unit: Unit::Count,
        meaning: format!(
            "The best epoch is chosen by the first {samples} of {all} validation images: with so few, chance has more \
             say in it than it need have."
        ),
        remedy: Some(("evaluation.samples", 0.into())),
    })
}

/// Images by which no two epochs can be told apart but by chance.
fn few(images: usize) -> Option<Severity> {
    match images {
        0..10 => Some(Severity::Severe),
        10..30 => Some(Severity::Warning),
        _ => None,
    }
}

/// So few validation images that chance chooses the best epoch and the best run.
pub fn few_validation_images(corpus: &Corpus) -> Option<Found> {
    let images = corpus.validation.len();
    Some(Found {
        severity: few(images)?,
        kind: FindingKind::FewValidationImages,
        number: images as f64,
        unit: Unit::Count,
        meaning: format!(
            "There are only {} to choose epochs and runs by: what is chosen is what chance preferred.",
            count_of(images, "validation image")
        ),
        remedy: None,
    })
}

/// So few training images that any model learns them by heart.
pub fn few_training_images(corpus: &Corpus, subject: &Subject) -> Option<Found> {
    let images = subject.recipe.training.train_examples.of(corpus.train.len());
    let severity = match images {
        0..60 => Severity::Severe,
        60..200 => Severity::Warning,
        _ => return None,
    };
    Some(Found {
        severity,
        kind: FindingKind::FewTrainingImages,
        number: images as f64,
        unit: Unit::Count,
        meaning: format!(
            "There are only {images} training images: expect a model that knows them by heart rather than what they \
             have in common."
        ),
        remedy: None,
    })
}
