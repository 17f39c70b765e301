//! The cases of `tests/reference/features.py`.

use serde_json::Value;

use super::vectors::Vectors;
use crate::random::Random;

pub struct Case {
    pub name: String,
    pub target: Vectors,
    pub source: Vectors,
    /// The target's vectors, turned and with noise.
    pub turned: Vectors,
    pub folds: Vec<usize>,
    pub decisions: Vec<f64>,
    pub error: f64,
    pub mmd2: f64,
    pub cka_turned: f64,
    pub cka_source: f64,
}

pub fn cases() -> Vec<Case> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/features/cases.json"));
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    let cases: Vec<Case> = cases.iter().map(case).collect();
    assert!(cases.len() >= 5);
    cases
}

fn case(case: &Value) -> Case {
    let list = |key: &str| -> Vec<f64> { serde_json::from_value(case[key].clone()).unwrap() };
    let vectors = |key: &str| {
        let rows: Vec<Vec<f64>> = serde_json::from_value(case[key].clone()).unwrap();
        Vectors::new(rows[0].len(), rows.concat())
    };
    let number = |key: &str| case[key].as_f64().unwrap();
    Case {
        name: case["name"].as_str().unwrap().to_owned(),
        target: vectors("target"),
        source: vectors("source"),
        turned: vectors("turned"),
        folds: serde_json::from_value(case["folds"].clone()).unwrap(),
        decisions: list("decisions"),
        error: number("error"),
        mmd2: number("mmd2"),
        cka_turned: number("cka_turned"),
        cka_source: number("cka_source"),
    }
}

pub fn random_vectors(seed: u64, count: usize, width: usize) -> Vectors {
    let mut random = Random::new(seed, "test vectors", &[]);
    Vectors::new(width, (0..count * width).map(|_| random.normal()).collect())
}

pub fn assert_near(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{what}: {found}, not {wanted}");
}
