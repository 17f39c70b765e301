//! Loss scaling of runs in `f16`: lifts gradients out of what `f16` is too coarse for, and finds out those that it is too
//! small for.
//!
//! The rule and its numbers are those of `torch.amp.GradScaler`. The loss is multiplied by a factor before the backward pass, and
//! its gradients are divided by it before they are clipped. Where one of them is not finite the update is skipped and the
//! factor halved; after two thousand updates in a row it is doubled. A step that is skipped is one of the run's steps and, as
//! with `transformers.Trainer`, none of the schedule's, nor of the optimizer's.
//!
//! The loss itself is not scaled when it is looked at: one that is not a number is divergence, as in any other precision.

use serde::{Deserialize, Serialize};

use crate::record::recipe::Precision;

const INITIAL: f32 = 65536.0;
const GROWTH: f32 = 2.0;
const BACKOFF: f32 = 0.5;
/// Updates in a row after which the factor grows.
const GROWTH_INTERVAL: usize = 2000;
/// A factor that only gradients come to which no factor helps: `min_loss_scale` of fairseq.
const LEAST: f32 = 1e-4;

/// How losses are scaled, and what came of it so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// What losses are multiplied by.
    pub factor: f32,
    /// Updates in a row since the factor last changed.
    in_a_row: usize,
    /// Steps without an update.
    pub skipped: usize,
}

impl LossScale {
    /// Of a run that begins; `None` where losses need none.
    pub fn of(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then_some(Self { factor: INITIAL, in_a_row: 0, skipped: 0 })
    }

    /// Takes note of a step by whether its gradients were finite.
    pub fn observe(&mut self, is_finite: bool) {
        if !is_finite {
            (self.factor, self.in_a_row) = (self.factor * BACKOFF, 0);
            self.skipped += 1;
            return;
        }
        self.in_a_row += 1;
        if self.in_a_row == GROWTH_INTERVAL {
            self.in_a_row = 0;
            if (self.factor * GROWTH).is_finite() {
                self.factor *= GROWTH;
            }
        }
    }

    /// Whether gradients are infinite however little they are scaled.
    pub fn is_exhausted(&self) -> bool {
        self.factor < LEAST
    }

    /// Whether a run of so many steps can have come to this.
    pub(super) fn fits(&self, steps: usize) -> bool {
        // A power of two that is no subnormal: nothing is rounded by it.
        let is_power_of_two = self.factor.is_normal() && self.factor.to_bits() << 9 == 0;
        is_power_of_two && self.factor > 0.0 && self.in_a_row < GROWTH_INTERVAL && self.skipped <= steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `tests/reference/mixed_precision.py`.
    #[derive(Deserialize)]
    struct Course {
        steps: usize,
        /// In which steps gradients were not finite.
        not_finite: Vec<usize>,
        /// In which steps the optimizer updated nothing.
        skipped: Vec<usize>,
        /// Steps behind which the factor was another one, and which.
        changes: Vec<(usize, f32)>,
    }

    #[test]
    fn factors_and_skipped_updates_are_those_of_gradscaler() {
        let text = include_str!("../../tests/fixtures/mixed_precision/scaler.json");
        let courses: Vec<Course> = serde_json::from_str(text).unwrap();
        assert!(courses.iter().any(|course| course.changes.contains(&(1999, 131_072.0))), "one grows");
        for course in courses {
            let mut scale = LossScale::of(Precision::F16).unwrap();
            let (mut skipped, mut changes) = (Vec::new(), Vec::new());
            for step in 0..course.steps {
                let before = scale;
                scale.observe(!course.not_finite.contains(&step));
                skipped.extend((scale.skipped > before.skipped).then_some(step));
                changes.extend((scale.factor != before.factor).then_some((step, scale.factor)));
                assert!(scale.fits(step + 1));
            }
            assert_eq!((skipped, changes), (course.skipped, course.changes));
        }
    }

    #[test]
    fn gradients_that_no_factor_makes_finite_are_found_out() {
        let mut scale = LossScale::of(Precision::F16).unwrap();
        let mut steps = 0;
        while !scale.is_exhausted() {
            scale.observe(false);
            steps += 1;
        }
        assert_eq!((steps, scale.skipped), (30, 30));
    }

    #[test]
    fn what_no_run_comes_to_is_told_from_what_one_does() {
        let sound = LossScale { factor: 0.5, in_a_row: 3, skipped: 2 };
        assert!(sound.fits(2) && !sound.fits(1));
        for factor in [0.0, -2.0, 3.0, f32::NAN, f32::INFINITY, 1e-40] {
            assert!(!LossScale { factor, ..sound }.fits(9), "{factor}");
        }
        assert!(!LossScale { in_a_row: 2000, ..sound }.fits(9));
        assert_eq!([Precision::F32, Precision::Bf16].map(LossScale::of), [None; 2]);
    }
}
