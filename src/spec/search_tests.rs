//! Sweep files that draw, pair, exclude and include, and whose parameters vary conditionally.

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
fn shares_are_drawn_as_shares_and_counts_as_counts_and_a_range_is_of_one_kind() {
    let of = |range: &str| {
        format!(
            "model: lab\nmethod: random\nrun_cap: 60\nparameters: {{train_examples: {{{range}}}, epochs: [1, 2]}}"
        )
    };
    let values = |range: &str| -> Vec<serde_json::Value> {
        let path = "training.train_examples";
        let points = spec(&of(range), &[]).points.into_iter().flatten();
        points.filter(|(setting, _)| setting.path == path).map(|(_, value)| value).collect()
    };
    let shares = values("min: 0.1, max: 1.0");
    assert!(shares.len() == 60 && shares.iter().all(serde_json::Value::is_f64), "{shares:?}");
    assert!(shares.iter().filter(|share| share.as_f64().unwrap() < 0.5).count() > 10, "{shares:?}");
    for range in ["min: 1, max: 3", "min: 1, max: 3, distribution: log_uniform_values"] {
        let counts = values(range);
        assert!(
            counts.iter().all(serde_json::Value::is_u64) && counts.contains(&1.into()),
            "{range}: {counts:?}"
        );
    }
    insta::assert_snapshot!(refused(&of("min: 0.1, max: 100")), @"study.yaml:4:30: `train_examples` is drawn from counts or from shares, and one of `min` and `max` is of each");
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
    study.yaml:5:5: a line of `exclude` that names no setting would leave nothing
    study.yaml:6:5: a line of `exclude` is 5; it must be a mapping
    hint: `exclude: [{unfrozen_vision_layers: 12, learning_rate: 1.0e-4}]`
    study.yaml:7:6: `training.learning_rate` stands here for its values, without range or `when`
    ");
    insta::assert_snapshot!(refused("model: lab\nzip: 3\nexclude: 4\nrun_cap: 0"), @"
    study.yaml:2:6: `zip` is 3; it must be a list of settings, such as `[learning_rate, warmup_steps]`
    study.yaml:3:10: `exclude` is 4; it must be a list of mappings
    study.yaml:4:10: `run_cap` is 0; it must be a whole number of at least 1
    ");
}

#[test]
fn what_cannot_vary_conditionally_is_refused_at_its_place() {
    insta::assert_snapshot!(refused("\
model: lab
zip: [epochs, num_beams]
points: [{epochs: {value: 1, when: {dropout: 0.1}}}]
exclude: [{dropout: {value: 1.0e-1, when: {epochs: 1}}}]
parameters:
  learning_rate: {values: [1e-5, 1e-4], when: 3}
  weight_decay: {values: [0.1, 0.2], when: {}}
  epochs: {values: [1, 2], when: {epochs: 1}}
  num_beams: [1, 2]
  warmup_steps: {values: [1, 2], otherwise: 3}
  dropout: {values: [0.1, 0.2], when: {learning_rates: 1}}
  label_smoothing: {values: [0.1, 0.2], when: {learning_rate: {min: 0.1, max: 0.2}}}
  layer_lr_decay: {values: [0.1, 0.2], when: {epochs: 1}, otherwise: -1}
"), @"
    study.yaml:2:6: `training.epochs` is in `zip`, but varies by its own `when`
    study.yaml:3:9: `points` needs `method: list`
    study.yaml:3:11: `epochs` varies within one point
    hint: what varies for all points is written under `parameters`
    study.yaml:4:12: `training.dropout` stands here for its values, without range or `when`
    study.yaml:6:47: `learning_rate.when` is 3; it must be a mapping
    hint: `when: {unfrozen_vision_layers: [1, 2]}`
    study.yaml:7:44: `weight_decay.when` names no setting
    study.yaml:8:34: `epochs` varies by a value of its own
    study.yaml:10:17: `warmup_steps` has `otherwise` without `when`
    study.yaml:11:40: unknown setting `learning_rates`; did you mean `learning_rate`?
    study.yaml:12:48: `training.learning_rate` stands here for its values, without range or `when`
    study.yaml:13:70: `layer_lr_decay.otherwise` is -1; it must be a number above 0 and at most 10
    ");
    insta::assert_snapshot!(refused("\
model: lab
parameters:
  epochs: {values: [1, 2], when: {warmup_steps: 1}}
  warmup_steps: {values: [1, 2], when: {batch_size: 1}}
  training.batch_size: {values: [1, 2], when: {epochs: 2}}
".replace("{batch_size: 1}", "{training.batch_size: 1}").as_str()), @"study.yaml:3:34: `when` goes in a circle through epochs, warmup_steps, training.batch_size");
}

#[test]
fn what_cannot_be_included_is_refused_at_its_place() {
    insta::assert_snapshot!(refused("\
model: lab
zip: [epochs, warmup_steps]
include: [{epochs: 3}, {}, 5, {learning_rate: {min: 1e-5, max: 1e-3}}, {unfrozen_vision_layers: 7}]
parameters: {epochs: [1, 2], warmup_steps: [1, 2]}
"), @"
    study.yaml:3:11: `training.warmup_steps` is missing: `zip` pairs it with what is there
    study.yaml:3:24: a line of `include` that names no setting would add what is there
    study.yaml:3:28: a line of `include` is 5; it must be a mapping
    hint: `include: [{unfrozen_vision_layers: 12, learning_rate: 1.0e-6}]`
    study.yaml:3:32: `training.learning_rate` stands here for its values, without range or `when`
    study.yaml:3:72: `unfrozen_vision_layers` is 7, but `lab` has 6 vision layers
    ");
}

#[test]
fn limits_between_settings_hold_where_values_meet() {
    let beyond = "model: lab\nparameters:\n  epochs: [2, 5]\n  unfreeze_from_epoch: {values: [1, 4]WHEN}\n";
    assert!(
        refused(&beyond.replace("WHEN", "")).contains("`unfreeze_from_epoch` is 4, but there are 2 `epochs`")
    );
    let met = spec(&beyond.replace("WHEN", ", when: {epochs: 5}"), &[]);
    assert_eq!(met.conditions.len(), 1);
    let missed = refused(&beyond.replace("WHEN", ", when: {epochs: 2}"));
    assert!(missed.contains("`unfreeze_from_epoch` is 4, but there are 2 `epochs`"), "{missed}");
    let elsewhere = refused(&beyond.replace("WHEN", ", when: {epochs: 5}, otherwise: 3"));
    assert!(elsewhere.contains("`unfreeze_from_epoch` is 3, but there are 2 `epochs`"), "{elsewhere}");
}

#[test]
fn parameters_of_a_group_may_stand_below_its_name() {
    let plain =
        spec("model: lab\nparameters: {generation.num_beams: [1, 3], generation.max_length: [60, 70]}", &[]);
    let nested = "model: lab\nparameters: {generation: {num_beams: [1, 3], max_length: [60, 70]}}";
    let as_wandb = "model: lab\nparameters: {generation: {parameters: {num_beams: {values: [1, 3]}, max_length: [60, 70]}}}";
    assert_eq!(spec(nested, &[]).axes, plain.axes);
    assert_eq!(spec(as_wandb, &[]).axes, plain.axes);
    insta::assert_snapshot!(refused("model: lab\nparameters: {generation: {beams: [1]}, training: [3]}"), @"
    study.yaml:2:27: unknown setting `generation.beams`; did you mean `generation.num_beams`?
    study.yaml:2:40: `training` is a group of settings; name one of them, such as `training.unfrozen_vision_layers`, `training.unfreeze_from_epoch`, `training.unfreeze_every`, `training.learning_rate` or `training.vision_lr_multiplier`
    ");
}

#[test]
fn an_override_takes_the_place_of_a_condition() {
    let text = "model: lab\nparameters: {epochs: [1, 2], warmup_steps: {values: [5, 6], when: {epochs: 2}}}";
    let free = spec(text, &["warmup_steps=5,6"]);
    assert_eq!((free.conditions.len(), free.axes.len()), (0, 2));
    assert!(parse(text, "study.yaml", &["extends=x.yaml".to_owned(), "include=1".to_owned()]).is_err());
}
