//! Training that leads nowhere: a loss, or gradients, that are no numbers.

use super::state::State;

/// What diverged, if anything did in the step behind which `state` is. Gradients that are too large as they are scaled only
/// have their update skipped.
pub(super) fn divergence(state: &mut State, loss: f64, gradient_norm: f64) -> Option<String> {
    let (step, epoch) = (state.step, state.epoch);
    if !loss.is_finite() {
        return Some(format!("the loss was not a number at step {step} (epoch {epoch})"));
    }
    match &mut state.loss_scale {
        Some(scale) => {
            scale.observe(gradient_norm.is_finite());
            scale.is_exhausted().then(|| {
                format!("gradients were not numbers in f16, however little they were scaled, at step {step} (epoch {epoch})")
            })
        }
        None if gradient_norm.is_finite() => None,
        None => Some(format!("the gradient norm was not a number at step {step} (epoch {epoch})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::Precision;
    use crate::train::loss_scale::LossScale;

    #[test]
    fn overflow_in_f16_is_no_divergence_until_no_scale_helps_and_a_loss_that_is_no_number_is() {
        let state = |precision| State { step: 7, loss_scale: LossScale::of(precision), ..State::beginning() };
        let mut half = state(Precision::F16);
        for skipped in 1..30 {
            assert_eq!(divergence(&mut half, 1.0, f64::INFINITY), None);
            assert_eq!(half.skipped(), Some(skipped));
        }
        assert_eq!(
            divergence(&mut half, 1.0, f64::NAN).unwrap(),
            "gradients were not numbers in f16, however little they were scaled, at step 7 (epoch 1)"
        );
        let mut half = state(Precision::F16);
        let loss = divergence(&mut half, f64::NAN, f64::NAN);
        assert_eq!(loss.unwrap(), "the loss was not a number at step 7 (epoch 1)");
        for precision in [Precision::F32, Precision::Bf16] {
            let norm = divergence(&mut state(precision), 1.0, f64::INFINITY).unwrap();
            assert_eq!(norm, "the gradient norm was not a number at step 7 (epoch 1)");
            assert_eq!(divergence(&mut state(precision), 1.0, 1.0), None);
        }
    }
}
