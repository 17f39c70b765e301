//! Agreement between raters: Krippendorff's alpha (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011;
//! *Content Analysis*, 2nd ed. 2004, ch. 11).
//!
//! 1 is perfect agreement, 0 what chance alone would give, below 0 systematic disagreement. Any number of raters may
//! have left out any of the units.

use std::collections::BTreeMap;

/// How far apart two values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Equal or not.
    Nominal,
    /// By how many of all values lie between them.
    Ordinal,
}

/// Alpha of `units`: for each the values that its raters gave, in any order.
///
/// Only units with two values or more say anything. Nothing where there is none, or where all values are the same: chance
/// would then agree as well, so that nothing is measured.
pub fn alpha(units: &[Vec<u32>], level: Level) -> Option<f64> {
    let pairs = coincidences(units);
    let mut totals: BTreeMap<u32, f64> = BTreeMap::new();
    for (&(value, _), count) in &pairs {
        *totals.entry(value).or_default() += count;
    }
    let distance = |a: u32, b: u32| match level {
        Level::Nominal => f64::from(u8::from(a != b)),
        Level::Ordinal => ordinal(&totals, a, b),
    };
    let observed: f64 = pairs.iter().map(|(&(a, b), count)| count * distance(a, b)).sum();
    let by_chance: f64 = totals
        .iter()
        .flat_map(|(&a, of_a)| totals.iter().map(move |(&b, of_b)| (a, b, of_a * of_b)))
        .map(|(a, b, count)| count * distance(a, b))
        .sum();
    let total: f64 = totals.values().sum();
    (by_chance > 0.0).then(|| 1.0 - (total - 1.0) * observed / by_chance)
}

/// How often two raters of one unit gave these two values. A unit of m values counts m times, whatever its number of pairs.
fn coincidences(units: &[Vec<u32>]) -> BTreeMap<(u32, u32), f64> {
    let mut pairs = BTreeMap::new();
    for unit in units.iter().filter(|unit| unit.len() > 1) {
        let weight = 1.0 / (unit.len() - 1) as f64;
        for (place, &value) in unit.iter().enumerate() {
            for (_, &other) in unit.iter().enumerate().filter(|(other_place, _)| *other_place != place) {
                *pairs.entry((value, other)).or_default() += weight;
            }
        }
    }
    pairs
}

/// The squared number of values from `a` to `b`, those at the two ends counted half.
fn ordinal(totals: &BTreeMap<u32, f64>, a: u32, b: u32) -> f64 {
    if a == b {
        return 0.0;
    }
    let of = |value: u32| totals.get(&value).copied().unwrap_or(0.0);
    let between: f64 = totals.range(a.min(b)..=a.max(b)).map(|(_, count)| count).sum();
    (between - (of(a) + of(b)) / 2.0).powi(2)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        /// A row a rater, a column a unit.
        ratings: Vec<Vec<Option<u32>>>,
        nominal: Option<f64>,
        ordinal: Option<f64>,
    }

    fn units(ratings: &[Vec<Option<u32>>]) -> Vec<Vec<u32>> {
        let unit = |place: usize| ratings.iter().filter_map(|row| row[place]).collect();
        (0..ratings[0].len()).map(unit).collect()
    }

    #[test]
    fn alpha_is_that_of_the_reference() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agreement/alpha.json"));
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let units = units(&case.ratings);
            for (level, expected) in [(Level::Nominal, case.nominal), (Level::Ordinal, case.ordinal)] {
                match (alpha(&units, level), expected) {
                    (Some(found), Some(expected)) => {
                        assert!((found - expected).abs() < 1e-9, "{}: {found} is not {expected}", case.name);
                    }
                    (found, expected) => assert_eq!(found, expected, "{}", case.name),
                }
            }
        }
    }

    #[test]
    fn krippendorffs_own_example_gives_his_own_numbers() {
        // Four observers, twelve units, seven ratings missing (2011, section D).
        let observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."];
        let ratings = observers.map(|row| row.chars().map(|value| value.to_digit(10)).collect());
        let rounded = |level| (alpha(&units(&ratings), level).unwrap() * 1000.0).round();
        assert_eq!([Level::Nominal, Level::Ordinal].map(rounded), [743.0, 815.0]);
    }

    #[test]
    fn nothing_is_measured_by_one_rater_or_one_value() {
        assert_eq!(alpha(&[], Level::Ordinal), None);
        assert_eq!(alpha(&[vec![1], vec![5], vec![]], Level::Ordinal), None);
        assert_eq!(alpha(&[vec![3, 3], vec![3, 3]], Level::Nominal), None);
        assert_eq!(alpha(&[vec![1, 1], vec![5, 5]], Level::Ordinal), Some(1.0));
    }
}
