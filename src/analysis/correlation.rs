//! Spearman's rank correlation, with an interval over images.

use rayon::prelude::*;

use super::bootstrap::{Interval, percentile_interval};
use crate::random::Random;

/// Spearman's rho of pairs: Pearson's correlation of their ranks, equal values sharing the mean of theirs.
/// Nothing for fewer than two pairs, where one side never varies, and where a value is not finite.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 2 || !pairs.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
        return None;
    }
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    pearson(&ranks(&x), &ranks(&y))
}

/// Spearman's rho of all pairs, with the 95 % percentile bootstrap interval over `groups`, such as images: the pairs of a
/// group are drawn together, since what makes an image hard makes it so for all of its captions. Resamples in which one
/// side never varies are left out. Nothing for fewer than three groups.
pub fn spearman_interval(groups: &[Vec<(f64, f64)>], resamples: usize, seed: u64) -> Option<Interval> {
    if groups.len() < 3 {
        return None;
    }
    let estimate = spearman(&groups.concat())?;
    let random = Random::new(seed, "correlation", &[]);
    let resampled = |resample: u64| {
        let mut random = random.stream(resample);
        let drawn: Vec<(f64, f64)> =
            (0..groups.len()).flat_map(|_| random.pick(groups).iter().copied()).collect();
        spearman(&drawn)
    };
    let found: Vec<f64> = (0..resamples as u64).into_par_iter().filter_map(resampled).collect();
    if found.is_empty() {
        return None;
    }
    Some(percentile_interval(estimate, found))
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (ties.len() + 1) as f64 / 2.0;
        ties.iter().for_each(|&place| ranks[place] = rank);
        before += ties.len();
    }
    ranks
}

/// Pearson's correlation; nothing where one side never varies.
fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let products = x.iter().zip(y).map(|(a, b)| {
        let (a, b) = (a - mean_x, b - mean_y);
        [a * b, a * a, b * b]
    });
    let [both, of_x, of_y] = products.fold([0.0; 3], |sums, row| std::array::from_fn(|i| sums[i] + row[i]));
    (of_x > 0.0 && of_y > 0.0).then(|| (both / (of_x * of_y).sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        x: Vec<f64>,
        y: Vec<f64>,
        spearman: Option<f64>,
    }

    #[test]
    fn the_correlation_is_that_of_scipy() {
        let text =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agreement/spearman.json"));
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let pairs: Vec<(f64, f64)> = case.x.iter().copied().zip(case.y.iter().copied()).collect();
            match (spearman(&pairs), case.spearman) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-9, "{}: {found} is not {expected}", case.name);
                }
                (found, expected) => assert_eq!(found, expected, "{}", case.name),
            }
        }
    }

    #[test]
    fn nothing_varies_nothing_correlates() {
        assert_eq!(spearman(&[(1.0, 2.0)]), None);
        assert_eq!(spearman(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(spearman(&[(f64::NAN, 2.0), (1.0, 3.0)]), None);
        assert_eq!(spearman_interval(&[vec![(1.0, 2.0), (2.0, 3.0)], vec![]], 100, 0), None);
    }

    /// One pair a group: a signal shared by both sides, and noise of each.
    fn groups(seed: u64, count: usize, signal: f64) -> Vec<Vec<(f64, f64)>> {
        let mut random = Random::new(seed, "test", &[]);
        let mut pair = || {
            let shared = signal * random.normal();
            (shared + random.normal(), shared + random.normal())
        };
        (0..count).map(|_| vec![pair()]).collect()
    }

    #[test]
    fn intervals_hold_no_correlation_where_there_is_none_and_exclude_it_where_there_is() {
        let holds_zero =
            |seed: &u64| !spearman_interval(&groups(*seed, 60, 0.0), 400, *seed).unwrap().excludes_zero();
        let held = (0..200).filter(holds_zero).count();
        assert!((180..=198).contains(&held), "{held} of 200");
        assert!(spearman_interval(&groups(1, 60, 2.0), 400, 0).unwrap().low > 0.4);
    }

    #[test]
    fn pairs_of_a_group_that_repeat_it_add_no_certainty() {
        let single = groups(2, 40, 1.0);
        let tripled: Vec<Vec<(f64, f64)>> = single.iter().map(|pairs| pairs.repeat(3)).collect();
        let [alone, thrice] = [single, tripled].map(|groups| spearman_interval(&groups, 400, 0).unwrap());
        assert!(((thrice.high - thrice.low) - (alone.high - alone.low)).abs() < 0.02, "{alone:?} {thrice:?}");
    }
}
