//! What the best of fewer runs would have scored.

/// Expected maximum of 1, 2, ... N of the N scores, drawn without replacement: the unbiased estimator of Tang et al.,
/// "Showing Your Work Doesn't Always Work", 2020 (arXiv 2004.13705), where Dodge et al.'s of 2019 is biased.
///
/// With scores in ascending order the i-th is the maximum of n drawn in `C(i - 1, n - 1)` of `C(N, n)` ways. Scores
/// that are not finite are left out: runs without a score were never candidates.
pub fn expected_best(scores: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    (1..=sorted.len()).map(|drawn| expected_maximum(&sorted, drawn)).collect()
}

/// The weights are made from the highest score down, each from the last, so that no binomial overflows.
fn expected_maximum(sorted: &[f64], drawn: usize) -> f64 {
    let mut weight = drawn as f64 / sorted.len() as f64;
    let mut expected = 0.0;
    for (below, score) in sorted.iter().enumerate().rev() {
        expected += weight * score;
        if below < drawn {
            break;
        }
        weight *= (below + 1 - drawn) as f64 / below as f64;
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_enumerated_has_the_same_mean_maximum() {
        let scores = [0.31, -0.2, 0.77, 0.5, 0.5, 0.02, 0.9];
        let found = expected_best(&scores);
        for (n, found) in found.iter().enumerate() {
            let (mut sum, mut count) = (0.0, 0.0);
            for subset in 0..1_u32 << scores.len() {
                if subset.count_ones() as usize == n + 1 {
                    let members = scores.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
                    sum += members.map(|(_, &score)| score).fold(f64::MIN, f64::max);
                    count += 1.0;
                }
            }
            assert!((found - sum / count).abs() < 1e-12, "{n}: {found} is not {}", sum / count);
        }
    }

    #[test]
    fn thousands_of_runs_do_not_overflow_and_failed_ones_do_not_count() {
        let scores: Vec<f64> = (0..2000).map(f64::from).collect();
        let found = expected_best(&scores);
        assert!((found[0] - 999.5).abs() < 1e-6 && (found[1999] - 1999.0).abs() < 1e-9);
        assert_eq!(expected_best(&[f64::NAN, 2.0]), vec![2.0]);
        assert!(expected_best(&[]).is_empty());
    }
}
