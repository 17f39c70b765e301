//! The learning rate over the steps of a run.

/// Linear rise from 0 over `warmup_steps`, then linear fall to 0 at `total_steps`.
///
/// The factor of update `step` (from 0), as `get_linear_schedule_with_warmup` of transformers with PyTorch's
/// `LambdaLR`: with a warm-up, the first update has rate 0 and still advances the optimizer's moments.
pub fn linear_with_warmup(step: usize, warmup_steps: usize, total_steps: usize) -> f64 {
    if step < warmup_steps {
        step as f64 / warmup_steps as f64
    } else {
        let falling = total_steps.saturating_sub(warmup_steps).max(1);
        total_steps.saturating_sub(step) as f64 / falling as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_from_zero_and_falls_to_zero() {
        let factors: Vec<f64> = (0..=10).map(|step| linear_with_warmup(step, 4, 10)).collect();
        let sixth = 1.0 / 6.0;
        let want = [0.0, 0.25, 0.5, 0.75, 1.0, 5.0 * sixth, 4.0 * sixth, 0.5, 2.0 * sixth, sixth, 0.0];
        assert!(factors.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{factors:?}");
    }

    #[test]
    fn a_warmup_longer_than_the_run_never_ends() {
        assert_eq!(linear_with_warmup(399, 1000, 400), 0.399);
        assert_eq!(linear_with_warmup(5, 0, 0), 0.0);
    }
}
