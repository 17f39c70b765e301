//! Holm's step-down correction for many comparisons ("A Simple Sequentially Rejective Multiple Test Procedure", 1979).

/// Adjusted p-values in the order given: below 0.05 at most one family in twenty holds a false one, however the
/// tests depend on each other. The i-th smallest of m counts `m - i + 1` times, and none less than a smaller one.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (smaller, (place, p)) in order.into_iter().enumerate() {
        largest = largest.max(((p_values.len() - smaller) as f64 * p).min(1.0));
        if let Some(adjusted) = adjusted.get_mut(place) {
            *adjusted = largest;
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_count_the_comparisons_left_and_never_fall() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), vec![1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
