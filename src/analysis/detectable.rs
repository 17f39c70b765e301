//! The smallest difference that a set of images can show.

/// Normal quantiles at 0.975 and 0.8, added: 5 % two-sided and 80 % power.
const LEVEL_AND_POWER: f64 = 1.959_963_984_540_054 + 0.841_621_233_572_914_2;

/// The true mean difference that a paired test at 5 % (two-sided) finds in four of five samples of as many images:
/// `(z_0.975 + z_0.8) s / sqrt(n)`, with `s` the standard deviation of the paired differences (Cohen, *Statistical
/// Power Analysis*, 1988, normal approximation). For one planned comparison; a corrected one needs more.
/// Nothing for fewer than two images or a difference that is not finite.
pub fn smallest_detectable(differences: &[f64]) -> Option<f64> {
    if differences.len() < 2 || !differences.iter().all(|d| d.is_finite()) {
        return None;
    }
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some(LEVEL_AND_POWER * (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::randomisation::randomisation_test;
    use crate::random::Random;

    #[test]
    fn a_difference_of_this_size_is_found_in_about_80_of_100_samples() {
        let found = |seed: &u64| {
            let mut random = Random::new(*seed, "power", &[]);
            let noise: Vec<f64> = (0..200).map(|_| random.normal()).collect();
            // The true standard deviation is 1, so the true difference is known.
            let truth = LEVEL_AND_POWER / 200_f64.sqrt();
            let moved: Vec<f64> = noise.iter().map(|x| x + truth).collect();
            randomisation_test(&moved, 400, *seed).unwrap() < 0.05
        };
        let found = (0..500).filter(found).count();
        assert!((365..=435).contains(&found), "{found} of 500");
    }

    #[test]
    fn the_formula_is_that_of_the_paired_test() {
        let found = smallest_detectable(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((found - 2.801_585_218_112_968 * (5.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12, "{found}");
        assert_eq!(smallest_detectable(&[1.0]), None);
    }
}
