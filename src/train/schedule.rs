//! The learning rate over the steps of a run.

use crate::record::recipe::LrSchedule;

/// What the peak rate is multiplied by in update `step` (from 0), as `transformers.get_scheduler` has it with PyTorch's
/// `LambdaLR`: with a warm-up, the first update has rate 0 and still advances the optimizer's moments.
pub fn factor(course: LrSchedule, step: usize, warmup_steps: usize, total_steps: usize) -> f64 {
    let rising = step as f64 / warmup_steps.max(1) as f64;
    let progress =
        || step.saturating_sub(warmup_steps) as f64 / total_steps.saturating_sub(warmup_steps).max(1) as f64;
    match course {
        LrSchedule::Constant => 1.0,
        LrSchedule::Linear => linear_with_warmup(step, warmup_steps, total_steps),
        _ if step < warmup_steps => rising,
        LrSchedule::ConstantWithWarmup => 1.0,
        LrSchedule::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress()).cos())).max(0.0),
    }
}

/// Linear rise from 0 over `warmup_steps`, then linear fall to 0 at `total_steps`.
///
/// As `get_linear_schedule_with_warmup` of transformers.
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

    /// Written by `tests/reference/schedules.py`.
    #[derive(serde::Deserialize)]
    struct Course {
        lr_scheduler_type: LrSchedule,
        warmup_steps: usize,
        total_steps: usize,
        factors: Vec<f64>,
    }

    #[test]
    fn factors_are_those_of_transformers() {
        let text = include_str!("../../tests/fixtures/training/schedules.json");
        let courses: Vec<Course> = serde_json::from_str(text).unwrap();
        assert!(courses.len() >= 12);
        for Course { lr_scheduler_type, warmup_steps, total_steps, factors } in courses {
            for (step, wanted) in factors.into_iter().enumerate() {
                let found = factor(lr_scheduler_type, step, warmup_steps, total_steps);
                let place = format!("{lr_scheduler_type:?}, {warmup_steps} of {total_steps}, step {step}");
                assert!((found - wanted).abs() < 1e-9, "{place}: {found}, not {wanted}");
            }
        }
    }

    #[test]
    fn a_warmup_longer_than_the_run_never_ends() {
        assert_eq!(linear_with_warmup(399, 1000, 400), 0.399);
        assert_eq!(linear_with_warmup(5, 0, 0), 0.0);
    }
}
