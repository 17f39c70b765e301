//! The paired approximate randomisation test (Noreen 1989; Riezler and Maxwell, "On Some Pitfalls in Automatic
//! Evaluation and Significance Testing for MT", 2005): if two systems are alike, which of an image's two scores
//! is whose is a coin's matter, so each image's difference could as well have had the other sign.

use rayon::prelude::*;

use crate::random::Random;

/// Share of the difference within which two sums count as equal: they are added with other roundings.
const EQUAL: f64 = 1e-12;

/// Two-sided p-value, in `(0, 1]`, of the mean of paired differences, one an image.
///
/// All sign patterns are counted where there are at most `repetitions` of them, which is exact; otherwise as many
/// random ones are drawn and `p = (1 + #{|d*| >= |d|}) / (1 + repetitions)`. Nothing for no images, for no
/// repetitions and where a difference is not finite.
pub fn randomisation_test(differences: &[f64], repetitions: usize, seed: u64) -> Option<f64> {
    if differences.is_empty() || repetitions == 0 || !differences.iter().all(|d| d.is_finite()) {
        return None;
    }
    let sum: f64 = differences.iter().sum();
    let size: f64 = differences.iter().map(|d| d.abs()).sum();
    let threshold = sum.abs() - EQUAL * size;
    let patterns = u32::try_from(differences.len()).ok().and_then(|n| 1_usize.checked_shl(n));
    // A shift by more than 63 is refused; one below it is compared as it is.
    if let Some(patterns) = patterns.filter(|&patterns| patterns <= repetitions) {
        let as_large = |pattern: &usize| signed_sum(differences, &[*pattern as u64]).abs() >= threshold;
        return Some((0..patterns).filter(as_large).count() as f64 / patterns as f64);
    }
    let random = Random::new(seed, "randomisation", &[]);
    let as_large = |repetition: &u64| {
        let mut random = random.stream(*repetition);
        let signs: Vec<u64> = (0..differences.len().div_ceil(64)).map(|_| random.bits()).collect();
        signed_sum(differences, &signs).abs() >= threshold
    };
    let count = (0..repetitions as u64).into_par_iter().filter(as_large).count();
    Some((1 + count) as f64 / (1 + repetitions) as f64)
}

/// The sum with the sign turned where a bit is set.
fn signed_sum(differences: &[f64], signs: &[u64]) -> f64 {
    let part = |(chunk, &word): (&[f64], &u64)| {
        let turned = |(i, d): (usize, &f64)| f64::from_bits(d.to_bits() ^ ((word >> i) & 1) << 63);
        chunk.iter().enumerate().map(turned).sum::<f64>()
    };
    differences.chunks(64).zip(signs).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_are_enumerated_exactly() {
        // All of 2^5 patterns: only the two with one sign throughout reach the sum.
        assert_eq!(randomisation_test(&[1.0, 2.0, 3.0, 4.0, 5.0], 10_000, 0), Some(2.0 / 32.0));
        // Sums of +-1 +-1 +-1: |sum| >= 1 always.
        assert_eq!(randomisation_test(&[1.0, 1.0, -1.0], 10_000, 0), Some(1.0));
        assert_eq!(randomisation_test(&[0.0; 4], 10_000, 0), Some(1.0));
    }

    #[test]
    fn drawn_patterns_agree_with_the_enumeration() {
        let mut random = Random::new(1, "test", &[]);
        let differences: Vec<f64> = (0..12).map(|_| 0.5 + random.normal()).collect();
        let exact = randomisation_test(&differences, 1 << 12, 0).unwrap();
        // One image more whose difference is nothing doubles the patterns and leaves the p-value.
        let more = [differences, vec![0.0; 10]].concat();
        let drawn = randomisation_test(&more, 100_000, 3).unwrap();
        let error = (exact * (1.0 - exact) / 100_000.0).sqrt();
        assert!((drawn - exact).abs() < 4.0 * error + 1e-5, "{drawn} is not {exact}");
    }

    #[test]
    fn one_different_image_of_a_thousand_shows_nothing() {
        let mut differences = vec![0.0; 1000];
        differences[500] = 1.0;
        assert_eq!(randomisation_test(&differences, 1000, 0), Some(1.0));
    }

    #[test]
    fn what_has_no_finite_difference_has_no_p_value() {
        assert_eq!(randomisation_test(&[], 10, 0), None);
        assert_eq!(randomisation_test(&[1.0, f64::NAN], 10, 0), None);
        assert_eq!(randomisation_test(&[1.0], 0, 0), None);
    }
}
