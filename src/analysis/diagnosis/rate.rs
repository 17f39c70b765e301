//! Learning rates with which a model learns no sentence.

use serde_json::json;

use super::{Cause, Diagnosis, Evidence, Training, has_learnt};
use crate::record::audit::{Remedy, Severity};

/// A training loss that fell by this share in the second half of the epochs is still falling.
const STILL_FALLING: f64 = 0.05;
/// With fewer steps a loss that stands still is no sign of a rate that is too high.
const ENOUGH_STEPS: usize = 100;
/// Nothing but the frequency of words is learnt at most by this factor of its loss. A model that is further off has not
/// got that far, or has lost it.
const ABOUT: f64 = 1.2;
/// A loss that fell by less than this share of what it was before training has hardly moved.
const MOVED: f64 = 0.02;

/// A rate with which the model learnt no sentence: too high where the loss stays where it is, rises above what it was
/// before training or is no number, too low where it still falls or has hardly moved.
pub fn rate(evidence: &Evidence) -> Option<Diagnosis> {
    if evidence.runs > 0 && evidence.diverged == evidence.runs {
        return Some(Diagnosis {
            cause: Cause::RateTooHigh,
            severity: Severity::Severe,
            meaning: "The loss was not a number in the end, in every run: the learning rate is far too high."
                .to_owned(),
            remedy: evidence.training.map(|training| times(training, 0.1)),
        });
    }
    let (training, unigram) = (evidence.training?, evidence.unigram_nll?);
    if evidence.is_audited_as_hopeless() {
        return None;
    }
    let could_write = has_learnt(evidence)?;
    let direction = if could_write {
        of_one_that_could_write(training)?
    } else {
        of_one_that_learnt_nothing(training, unigram)
    };
    let numbers = format!(
        "the validation loss got to {:.2} nats a token, and {unigram:.2} is had by the frequency of words alone; the training \
         loss went from {:.2} in the first epoch to {:.2} in {} steps",
        training.lowest_val_nll, training.first_train_loss, training.last_train_loss, training.steps
    );
    let (cause, what, remedy) = match direction {
        Direction::TooHigh => {
            (Cause::RateTooHigh, "The learning rate is far too high", Some(times(training, 0.1)))
        }
        Direction::TooLow => {
            let remedy = (training.steps >= ENOUGH_STEPS).then(|| times(training, 10.0));
            (Cause::RateTooLow, "The learning rate is too low or the run too short", remedy)
        }
    };
    let why = match (could_write, cause) {
        (false, Cause::RateTooHigh) => "the model has learnt no sentence",
        (false, _) => "the model has learnt no sentence yet",
        (true, Cause::RateTooHigh) => "the model is worse than it was before training",
        (true, _) => "the model is hardly another than before training",
    };
    let meaning = format!("{what}: {why} ({numbers}).");
    Some(Diagnosis { cause, severity: Severity::Severe, meaning, remedy })
}

enum Direction {
    TooHigh,
    TooLow,
}

fn of_one_that_learnt_nothing(training: Training, unigram: f64) -> Direction {
    let fell = 1.0 - training.last_train_loss / training.middle_train_loss;
    if training.lowest_val_nll > ABOUT * unigram {
        let rose = training.initial_val_nll.is_some_and(|initial| training.last_train_loss > initial);
        return if rose { Direction::TooHigh } else { Direction::TooLow };
    }
    if fell < STILL_FALLING && training.steps >= ENOUGH_STEPS {
        Direction::TooHigh
    } else {
        Direction::TooLow
    }
}

/// Of a model that wrote sentences before it was trained: whether training made nothing of it.
fn of_one_that_could_write(training: Training) -> Option<Direction> {
    let initial = training.initial_val_nll?;
    let fell = 1.0 - training.lowest_val_nll / initial;
    let is_falling = training.last_train_loss < (1.0 - STILL_FALLING) * training.first_train_loss;
    match fell {
        _ if fell < 0.0 && !is_falling => Some(Direction::TooHigh),
        _ if (0.0..MOVED).contains(&fell) && !is_falling => Some(Direction::TooLow),
        _ => None,
    }
}

fn times(training: Training, factor: f64) -> Remedy {
    // Without the digits that binary fractions add.
    let value = format!("{:.3e}", training.learning_rate * factor).parse::<f64>();
    Remedy {
        setting: "training.learning_rate".to_owned(),
        value: json!(value.unwrap_or(training.learning_rate * factor)),
    }
}
