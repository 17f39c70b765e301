//! Settings of training and decoding under which a model learns or says little, whatever the captions.
//!
//! Every bound is far from what anybody sets on purpose: a sweep that looks for the best value is left in peace.

use super::words::share_of;
use super::{Found, severity};
use crate::record::audit::{FindingKind, Severity, Unit};
use crate::record::recipe::Recipe;

/// What is wrong with a recipe whose run takes so many optimizer steps.
pub fn of(recipe: &Recipe, steps: usize) -> Vec<Found> {
    let found = [
        label_smoothing(recipe),
        weight_decay(recipe, steps),
        dropout(recipe),
        vision_rate(recipe),
        frozen_decoder(recipe),
        clipping(recipe),
        fixed_order(recipe),
        length_penalty(recipe),
        least_gain(recipe),
    ];
    found.into_iter().flatten().collect()
}

fn label_smoothing(recipe: &Recipe) -> Option<Found> {
    let share = recipe.training.label_smoothing;
    Some(Found {
        severity: severity(share, [0.6, 0.3, 0.2])?,
        kind: FindingKind::LabelSmoothing,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "`label_smoothing: {share}` spreads {} of what is taught over words that are not in the caption: the model \
             learns to be unsure.",
            share_of(share)
        ),
        remedy: Some(("training.label_smoothing", 0.0.into())),
    })
}

/// Nobody who decays by less does harm, however high the rate.
const LEAST_DECAY: f64 = 0.3;

/// The share that decoupled weight decay alone takes from every weight over the run: each step multiplies by
/// `1 - rate * decay`, and the rate is half its peak on average.
fn weight_decay(recipe: &Recipe, steps: usize) -> Option<Found> {
    let training = &recipe.training;
    if training.weight_decay < LEAST_DECAY {
        return None;
    }
    let rate = training.learning_rate * training.text_lr_multiplier.max(training.vision_lr_multiplier);
    let share = 1.0 - (-rate * training.weight_decay * steps as f64 / 2.0).exp();
    Some(Found {
        severity: severity(share, [0.5, 0.2, 0.1])?,
        kind: FindingKind::WeightDecay,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "`weight_decay: {}` takes {} from every trained weight in {steps} steps at this rate: the model forgets what it \
             was pretrained on.",
            training.weight_decay,
            share_of(share)
        ),
        remedy: Some(("training.weight_decay", 0.01.into())),
    })
}

fn dropout(recipe: &Recipe) -> Option<Found> {
    let share = recipe.training.dropout;
    Some(Found {
        severity: severity(share, [0.6, 0.4, 0.3])?,
        kind: FindingKind::Dropout,
        number: share,
        unit: Unit::Share,
        meaning: format!(
            "`dropout: {share}` hides {} of every layer from the next while training: little is left to learn from.",
            share_of(share)
        ),
        remedy: Some(("training.dropout", 0.1.into())),
    })
}

/// Adam moves every weight by about its rate in each step. A hundredth is as much as the weights of a vision model are
/// large: what it was pretrained on is gone after a few.
fn vision_rate(recipe: &Recipe) -> Option<Found> {
    let training = &recipe.training;
    let multiplier = training.vision_lr_multiplier;
    if training.unfrozen_vision_layers == 0 || multiplier <= 1.0 {
        return None;
    }
    let rate = training.learning_rate * multiplier;
    let severity = match rate {
        _ if rate >= 1e-2 => Severity::Severe,
        _ if multiplier >= 10.0 => Severity::Warning,
        _ => return None,
    };
    Some(Found {
        severity,
        kind: FindingKind::VisionRate,
        number: multiplier,
        unit: Unit::Count,
        meaning: format!(
            "`vision_lr_multiplier: {multiplier}` trains the unfrozen vision layers at a rate of {rate:.1e}, {multiplier} times \
             the other layers': what they see is unlearnt before captions are learnt."
        ),
        remedy: Some(("training.vision_lr_multiplier", 0.1.into())),
    })
}

fn frozen_decoder(recipe: &Recipe) -> Option<Found> {
    let training = &recipe.training;
    let (setting, value) = match (training.train_text_decoder, training.text_lr_multiplier) {
        (false, _) => ("training.train_text_decoder", true.into()),
        (true, 0.0) => ("training.text_lr_multiplier", 1.0.into()),
        _ => return None,
    };
    Some(Found {
        severity: Severity::Warning,
        kind: FindingKind::FrozenDecoder,
        number: 1.0,
        unit: Unit::Share,
        meaning: "The text decoder, which writes the captions, does not train: the model keeps the words and the style that \
                  it came with."
            .to_owned(),
        remedy: Some((setting, value)),
    })
}

/// Adam divides gradients by their own size, so that clipping changes little until they are as small as the constant
/// beside that size (1e-8).
fn clipping(recipe: &Recipe) -> Option<Found> {
    let norm = recipe.training.max_grad_norm;
    let severity = match norm {
        _ if norm <= 1e-4 => Severity::Severe,
        _ if norm <= 1e-2 => Severity::Warning,
        _ => return None,
    };
    Some(Found {
        severity,
        kind: FindingKind::Clipping,
        number: norm,
        unit: Unit::Count,
        meaning: format!(
            "`max_grad_norm: {norm}` shrinks the gradients of every step to next to nothing: batches that have much to teach \
             count no more than others, and the steps are smaller than the rate says."
        ),
        remedy: Some(("training.max_grad_norm", 2.0.into())),
    })
}

fn fixed_order(recipe: &Recipe) -> Option<Found> {
    (!recipe.training.shuffle).then(|| Found {
        severity: Severity::Warning,
        kind: FindingKind::FixedOrder,
        number: 1.0,
        unit: Unit::Share,
        meaning: "The training images come in the order of their file in every epoch: the same ones share a batch, and the \
                  last ones weigh most."
            .to_owned(),
        remedy: Some(("training.shuffle", true.into())),
    })
}

/// A beam's score is its log-probability over `length ^ length_penalty`: below 0 the short win, far above 1 the long.
fn length_penalty(recipe: &Recipe) -> Option<Found> {
    let (penalty, beams) = (recipe.generation.length_penalty, recipe.generation.num_beams);
    if beams < 2 || (0.0..=3.0).contains(&penalty) {
        return None;
    }
    Some(Found {
        severity: if (-1.0..=6.0).contains(&penalty) { Severity::Warning } else { Severity::Severe },
        kind: FindingKind::LengthPenalty,
        number: penalty,
        unit: Unit::Count,
        meaning: format!(
            "`length_penalty: {penalty}` makes the {beams} beams prefer the {} caption to the likeliest.",
            if penalty < 0.0 { "shortest" } else { "longest" }
        ),
        remedy: Some(("generation.length_penalty", 1.0.into())),
    })
}

/// An epoch has to be better by more than epochs are.
fn least_gain(recipe: &Recipe) -> Option<Found> {
    let stopping = &recipe.early_stopping;
    if stopping.patience == 0 {
        return None;
    }
    Some(Found {
        severity: severity(stopping.min_delta, [0.5, 0.1, 0.05])?,
        kind: FindingKind::LeastGain,
        number: stopping.min_delta,
        unit: Unit::Count,
        meaning: format!(
            "An epoch counts as better only by {} or more (`early_stopping.min_delta`): training stops after {} that are \
             better by less.",
            stopping.min_delta, stopping.patience
        ),
        remedy: Some(("early_stopping.min_delta", 0.0.into())),
    })
}
