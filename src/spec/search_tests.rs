//! Sweep files that draw, pair and exclude.

use std::collections::BTreeSet;

use super::sweep::{SweepSpec, parse};

fn spec(text: &str, overrides: &[&str]) -> SweepSpec {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse(text, "study.yaml", &overrides).unwrap()
}

fn refused(text: &str) -> String {
    parse(text, "study.yaml", &[]).unwrap_err().to_string()
}

/// The drawn values of a setting, point by point.
fn drawn(spec: &SweepSpec, path: &str) -> Vec<f64> {
    let value = |point: &Vec<(&crate::spec::Setting, serde_json::Value)>| {
        point.iter().find(|(setting, _)| setting.path == path)?.1.as_f64()
    };
    spec.points.iter().filter_map(value).collect()
}

const RANDOM: &str = "\
model: lab
method: random
run_cap: 40
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1.0e-6, max: 1.0e-3}
  weight_decay: {min: 0.0, max: 0.1}
  unfrozen_vision_layers: {min: 0, max: 3}
  training.batch_size: {distribution: q_log_uniform_values, min: 4, max: 64, q: 4}
  warmup_steps: {distribution: uniform, min: 0, max: 500}
  label_smoothing: {values: [0.0, 0.1], probabilities: [1, 0]}
  num_beams: [1, 3]
  epochs: 4
";

#[test]
fn points_are_drawn_from_ranges_and_values_and_what_has_one_value_is_set() {
    let spec = spec(RANDOM, &[]);
    assert_eq!((spec.points.len(), spec.axes.len(), spec.base.training.epochs), (40, 0, 4));
    let within = |path: &str, low: f64, high: f64| {
        let drawn = drawn(&spec, path);
        assert_eq!(drawn.len(), 40, "{path}");
        assert!(drawn.iter().all(|value| (low..=high).contains(value)), "{path}: {drawn:?}");
        drawn.into_iter().map(|value| value.to_string()).collect::<BTreeSet<_>>()
    };
    assert!(within("training.learning_rate", 1e-6, 1e-3).len() > 35);
    assert!(within("training.weight_decay", 0.0, 0.1).iter().all(|value| value.len() <= 6));
    assert_eq!(within("training.unfrozen_vision_layers", 0.0, 3.0).len(), 4);
    assert!(within("training.batch_size", 4.0, 64.0).iter().all(|n| n.parse::<usize>().unwrap() % 4 == 0));
    assert!(within("training.warmup_steps", 0.0, 500.0).iter().all(|n| n.parse::<usize>().is_ok()));
    assert_eq!(within("training.label_smoothing", 0.0, 0.0).len(), 1, "the other has no probability");
    assert_eq!(within("generation.num_beams", 1.0, 3.0).len(), 2);
}

#[test]
fn more_points_and_other_parameters_change_no_point_and_another_seed_changes_all() {
    let (few, rates) = (spec(RANDOM, &[]), "training.learning_rate");
    let of = |overrides: &[&str]| drawn(&spec(RANDOM, overrides), rates);
    assert_eq!(of(&["run_cap=50"])[..40], drawn(&few, rates));
    assert_eq!(of(&["weight_decay=0.1", "epochs=1,2"]), drawn(&few, rates));
    assert!(of(&["search_seed=1"]).iter().zip(drawn(&few, rates)).all(|(a, b)| *a != b));
    let range = of(&["learning_rate={min: 0.5, max: 0.6}"]);
    assert!(range.iter().all(|rate| (0.5..=0.6).contains(rate)));
}

#[test]
fn what_cannot_be_drawn_is_refused_at_its_place() {
    insta::assert_snapshot!(refused("model: lab\nmethod: random\nparameters: {learning_rate: [1e-5, 1e-4]}"), @"
    study.yaml:2:9: `method: random` needs `run_cap`, the number of points to draw
    hint: `run_cap: 20`
    ");
    insta::assert_snapshot!(refused("model: lab\nmethod: random\nrun_cap: 3"), @"study.yaml:2:9: `method: random` needs a parameter with several values or a range");
    insta::assert_snapshot!(refused("model: lab\nmethod: random\nrun_cap: 1000000\nparameters: {epochs: [1, 2]}"), @"study.yaml:2:9: `run_cap` is 1000000; at most 100000 points are drawn");
    insta::assert_snapshot!(refused("\
model: lab
method: random
run_cap: none
zip: [epochs, num_beams]
parameters:
  learning_rate: {distribution: log_uniform, min: -5, max: -3}
  weight_decay: {min: 0.1, max: 0.1}
  epochs: {min: 1}
  warmup_steps: {distribution: q_uniform, min: 0, max: 100, q: 0.5}
  dropout: {min: 0.0, max: 0.5, q: 0.1}
  label_smoothing: {values: [0.0, 0.1], probabilities: [0.5, 0.6]}
  start_token: {min: 1, max: 2}
  max_grad_norm: {distribution: normal, min: 1, max: 2}
  vision_lr_multiplier: {distribution: log_uniform_values, min: 0.0, max: 1.0}
  text_lr_multiplier: {distribution: int_uniform, min: 0.5, max: 2}
"), @"
    study.yaml:2:9: `method: random` needs `run_cap`, the number of points to draw
    hint: `run_cap: 20`
    study.yaml:3:10: `run_cap` is the text `none`; it must be a whole number of at least 1
    study.yaml:4:6: `zip` pairs the values of a grid; `method: random` draws each by itself
    study.yaml:4:6: `training.epochs` is in `zip`, but has no values to pair
    study.yaml:4:6: `generation.num_beams` is in `zip`, but has no values to pair
    study.yaml:6:33: `learning_rate.distribution` is `log_uniform`, whose bounds are exponents
    hint: write `log_uniform_values`, and the bounds themselves
    study.yaml:7:17: `weight_decay` has a `min` of 0.1, which is not below its `max` of 0.1
    study.yaml:8:11: `epochs` has no `max`
    study.yaml:9:17: `warmup_steps` takes whole numbers; its `q` must be one
    study.yaml:10:36: `dropout.q` needs the distribution `q_uniform` or `q_log_uniform_values`
    study.yaml:11:56: `label_smoothing.probabilities` must be one number from 0 to 1 for each of the 2 values, 1 in all
    study.yaml:12:22: `start_token.min` is 1; it must be `cls` or `dec`
    study.yaml:13:33: `max_grad_norm.distribution` is the text `normal`; it must be `uniform`, `int_uniform`, `log_uniform_values`, `q_uniform` or `q_log_uniform_values`
    study.yaml:14:25: `vision_lr_multiplier` has a `min` of 0; on a logarithmic scale it must be above 0
    study.yaml:15:23: `text_lr_multiplier` is drawn from whole numbers; its `min` and `max` must be whole
    ");
}

#[test]
fn what_cannot_be_paired_or_excluded_is_refused_at_its_place() {
    insta::assert_snapshot!(refused("\
model: lab
zip: [[learning_rate, warmup_steps], [epochs], [epochs, weight_decay], [epoch, 3]]
exclude:
  - {learning_rate: 2}
  - {}
  - 5
  - {learning_rate: {min: 1e-5, max: 1e-3}}
parameters:
  learning_rate: [1e-5, 1e-4]
  warmup_steps: [1, 2, 3]
  epochs: [1, 2]
"), @"
    study.yaml:2:7: `zip` pairs `training.learning_rate`, which has 2 values, with `training.warmup_steps`, which has 3
    study.yaml:2:38: a group of `zip` pairs at least two settings
    study.yaml:2:48: `training.epochs` is in `zip` twice
    study.yaml:2:48: `training.weight_decay` is in `zip`, but has no values to pair
    study.yaml:2:73: unknown setting `epoch`; did you mean `epochs`?
    study.yaml:2:80: a name in `zip` is 3; it must be that of a setting
    study.yaml:4:21: `learning_rate` is 2; it must be a number above 0 and at most 1
    study.yaml:5:5: an exclusion that names no setting would leave nothing
    study.yaml:6:5: an exclusion is 5; it must be a mapping
    hint: `exclude: [{unfrozen_vision_layers: 12, learning_rate: 1.0e-4}]`
    study.yaml:7:6: `training.learning_rate` is excluded by its values, not by a range
    ");
    insta::assert_snapshot!(refused("model: lab\nzip: 3\nexclude: 4\nrun_cap: 0"), @"
    study.yaml:2:6: `zip` is 3; it must be a list of settings, such as `[learning_rate, warmup_steps]`
    study.yaml:3:10: `exclude` is 4; it must be a list of mappings
    study.yaml:4:10: `run_cap` is 0; it must be a whole number of at least 1
    ");
}
