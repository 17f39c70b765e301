//! Where training stands: what there is to go on from beside weights and moments.

use serde::{Deserialize, Serialize};

use super::early_stopping::Progress;
use super::loss_scale::LossScale;
use crate::record::event::Evaluated;

/// Where training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The epoch in progress, from 1.
    pub epoch: usize,
    /// Batches of it that are done.
    pub batch: usize,
    /// Steps done: optimizer updates, and those that were skipped.
    pub step: usize,
    /// How losses are scaled; absent where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// Sum of the losses of the epoch's steps so far.
    pub loss_sum: f64,
    /// Best epoch and patience.
    pub progress: Progress,
    /// The model before training.
    pub initial: Option<Evaluated>,
    /// The last evaluated epoch.
    pub last: Option<Evaluated>,
    /// Wall-clock seconds of all attempts so far.
    pub seconds: f64,
    /// Images encoded by all attempts so far.
    #[serde(default)]
    pub images_encoded: usize,
}

impl State {
    /// Before the first step.
    pub fn beginning() -> Self {
        Self {
            epoch: 1,
            batch: 0,
            step: 0,
            loss_scale: None,
            loss_sum: 0.0,
            progress: Progress::default(),
            initial: None,
            last: None,
            seconds: 0.0,
            images_encoded: 0,
        }
    }

    /// Optimizer updates done.
    pub fn updates(&self) -> usize {
        self.step - self.skipped().unwrap_or_default()
    }

    /// Steps that were skipped; `None` in a run that skips none.
    pub fn skipped(&self) -> Option<usize> {
        self.loss_scale.map(|scale| scale.skipped)
    }

    /// The epoch in progress is over.
    pub fn begin_next_epoch(&mut self) {
        self.epoch += 1;
        self.batch = 0;
        self.loss_sum = 0.0;
    }

    /// Whether a run with so many steps an epoch, and so many in all, can stand there.
    pub(super) fn check(&self, steps_per_epoch: usize, total_steps: usize) -> Result<(), String> {
        let Self { epoch, batch, step, loss_sum, .. } = *self;
        let before = epoch.checked_sub(1).and_then(|epochs| epochs.checked_mul(steps_per_epoch));
        let stands = before.and_then(|steps| steps.checked_add(batch)) == Some(step);
        // The last epoch may be shorter than the others.
        let is_over = batch == 0
            && step == total_steps
            && before.is_some_and(|steps| step <= steps && steps - step < steps_per_epoch);
        let fits = (stands || is_over)
            && (step == 0 || self.initial.is_some())
            && batch <= steps_per_epoch
            && self.loss_scale.is_none_or(|scale| scale.fits(step))
            && loss_sum.is_finite();
        if fits { Ok(()) } else { Err(format!("no run stands at epoch {epoch}, batch {batch}, step {step}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::Precision;

    #[test]
    fn a_state_that_no_run_can_be_in_is_told_from_one_that_it_can() {
        let state = |epoch, batch, step, is_evaluated: bool| State {
            epoch,
            batch,
            step,
            initial: is_evaluated.then(Evaluated::default),
            ..State::beginning()
        };
        let with_skipped = |skipped| {
            let mut scale = LossScale::of(Precision::F16).unwrap();
            (0..skipped).for_each(|_| scale.observe(false));
            Some(scale)
        };
        let skipping = State { loss_scale: with_skipped(1), ..state(1, 4, 4, true) };
        assert_eq!((skipping.updates(), skipping.check(4, 10)), (3, Ok(())));
        for sound in [
            state(1, 0, 0, false),
            state(1, 0, 0, true),
            state(1, 4, 4, true),
            state(2, 0, 4, true),
            state(3, 1, 9, true),
            state(3, 2, 10, true),
            state(4, 0, 10, true),
        ] {
            assert_eq!(sound.check(4, 10), Ok(()), "{sound:?}");
        }
        for broken in [
            state(0, 0, 0, true),
            state(1, 5, 5, true),
            state(1, 1, 1, false),
            state(2, 1, 4, true),
            state(usize::MAX, 0, 4, true),
            state(4, 0, 9, true),
            state(5, 0, 10, true),
            state(3, 0, 10, true),
            State { loss_sum: f64::NAN, ..state(1, 1, 1, true) },
            State { loss_scale: with_skipped(2), ..state(1, 1, 1, true) },
        ] {
            assert!(broken.check(4, 10).is_err(), "{broken:?}");
        }
    }
}
