//! Two shares of many things, compared.

/// Two-sided 5 % of the normal distribution.
const SURE: f64 = 1.96;

/// Whether a share of so many things is surely above another, by the normal test of two proportions with pooled variance
/// (5 %, two-sided).
pub fn is_surely_higher((share, count): (f64, usize), (other, others): (f64, usize)) -> bool {
    let (n, m) = (count as f64, others as f64);
    let pooled = (share * n + other * m) / (n + m);
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    share - other > SURE * error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_surely_different_where_there_are_many() {
        assert!(is_surely_higher((0.5, 200), (0.3, 200)));
        assert!(!is_surely_higher((0.5, 20), (0.3, 20)));
        assert!(!is_surely_higher((0.3, 200), (0.5, 200)));
        assert!(!is_surely_higher((0.0, 10), (0.0, 10)));
    }
}
