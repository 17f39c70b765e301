//! The estimator against Optuna's, and its draws against its own density.

use serde_json::Value;

use super::*;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/fixtures/parzen.json")).unwrap()
}

fn domain(case: &Value) -> Domain {
    let said = &case["domain"];
    match said.as_u64() {
        Some(count) => Domain::Choices(count as usize),
        None => Domain::Numbers {
            low: said["low"].as_f64().unwrap(),
            high: said["high"].as_f64().unwrap(),
            step: said["step"].as_f64(),
            is_log: said["is_log"].as_bool().unwrap(),
        },
    }
}

fn list(case: &Value, key: &str) -> Vec<f64> {
    serde_json::from_value(case[key].clone()).unwrap()
}

#[track_caller]
fn assert_near(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= 1e-9 * (1.0 + wanted.abs()), "{what}: {found}, not {wanted}");
    }
}

#[test]
fn weights_kernels_and_densities_are_optunas() {
    let cases = cases();
    assert!(cases.len() > 50);
    for case in &cases {
        let estimate = Parzen::of(&domain(case), &list(case, "values"));
        let what = format!("{} of {} values", case["domain"], list(case, "values").len());
        assert_near(&estimate.weights, &list(case, "weights"), &what);
        match &estimate.kernels {
            Kernels::Normals(normals) => {
                let (middles, widths): (Vec<f64>, Vec<f64>) = normals.iter().copied().unzip();
                assert_near(&middles, &list(case, "middles"), &what);
                assert_near(&widths, &list(case, "widths"), &what);
            }
            Kernels::Choices(rows) => {
                let wanted: Vec<Vec<f64>> = serde_json::from_value(case["rows"].clone()).unwrap();
                assert_eq!(rows.len(), wanted.len());
                rows.iter().zip(&wanted).for_each(|(found, wanted)| assert_near(found, wanted, &what));
            }
        }
        let found: Vec<f64> = list(case, "at").iter().map(|value| estimate.log_density(*value)).collect();
        assert_near(&found, &list(case, "log_density"), &what);
    }
}

#[test]
fn draws_are_spread_as_the_density_says() {
    let domain = Domain::Numbers { low: 1e-4, high: 1.0, step: None, is_log: true };
    let estimate = Parzen::of(&domain, &[2e-4, 3e-4, 5e-4, 0.7]);
    let mut random = Random::new(1, "draws", &[]);
    let draws: Vec<f64> = (0..20_000).map(|_| estimate.draw(&mut random)).collect();
    assert!(draws.iter().all(|draw| (1e-4..=1.0).contains(draw)));
    // The share below each of some values against the density summed up to it.
    let steps = 4000;
    let at = |step: usize| (1e-4f64).ln() * (1.0 - (step as f64 + 0.5) / steps as f64);
    let width = (1e4f64).ln() / steps as f64;
    for share in [0.1, 0.3, 0.5, 0.9] {
        let until = (share * steps as f64) as usize;
        let expected: f64 = (0..until).map(|step| estimate.log_density(at(step).exp()).exp() * width).sum();
        let bound = at(until).exp();
        let found = draws.iter().filter(|draw| **draw < bound).count() as f64 / draws.len() as f64;
        assert!((found - expected).abs() < 0.02, "below {bound}: {found}, not {expected}");
    }
    let all: f64 = (0..steps).map(|step| estimate.log_density(at(step).exp()).exp() * width).sum();
    assert!((all - 1.0).abs() < 1e-3, "{all}");
}

#[test]
fn the_lowest_step_of_a_logarithmic_scale_has_a_probability_too() {
    let domain = Domain::Numbers { low: 4.0, high: 64.0, step: Some(16.0), is_log: true };
    let estimate = Parzen::of(&domain, &[4.0, 16.0, 16.0, 48.0]);
    assert!([4.0, 16.0, 32.0, 48.0, 64.0].iter().all(|value| estimate.log_density(*value).is_finite()));
}
