//! Whole files in, specs or whole error messages out.

use serde_json::json;

use super::*;
use crate::record::recipe::{BeamStopping, DataSource, MetricName, StartToken};

fn spec(text: &str, overrides: &[&str]) -> SweepSpec {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse(text, "sweeps/study.yaml", &overrides).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse(text, "study.yaml", &overrides).expect_err("the file is valid").to_string()
}

/// Axes by path with their values.
fn axes(spec: &SweepSpec) -> Vec<String> {
    spec.axes.iter().map(|axis| format!("{:?} {}", axis.setting, json!(axis.values))).collect()
}

const GRID: &str = "\
model: lab
seeds: [0, 1]
parameters:
  unfrozen_vision_layers: {values: [0, 2]}
  learning_rate: {values: [1e-5, 3.0e-5]}
  weight_decay: {value: 0.05}
  training.batch_size: 8
";

#[test]
fn a_search_ends_by_a_flag_or_the_word_never() {
    let never = spec("model: lab\ngeneration: {early_stopping: never}", &[]);
    assert_eq!(never.base.generation.early_stopping, BeamStopping::Never);
    let varied = spec("model: lab\n", &["generation.early_stopping=true,false,never"]);
    assert_eq!(axes(&varied), [r#"generation.early_stopping [true,false,"never"]"#]);
    let error = refused("model: lab\ngeneration: {early_stopping: Never}\n", &[]);
    assert!(
        error.contains("is the text `Never`; it must be `true`, `false` or `never`; did you mean `never`?"),
        "{error}"
    );
}

#[test]
fn the_example_of_the_design_is_read_whole() {
    let text = "\
name: unfreeze
model: Salesforce/blip-image-captioning-base
data:
  train: {captions: data/train_captions.json, images: data/images}
  validation: {fraction: 0.2, seed: 7}
  test: {captions: data/test_captions.json, images: data/images}
  source: {captions: data/coco.json, images: data/coco}
recipe: as-original
method: grid
seeds: [0, 1, 2]
metric: {name: score, goal: maximize}
parameters:
  unfrozen_vision_layers: {values: [0, 1, 2, 3, 6]}
  learning_rate: {values: [5.0e-6, 1.0e-5, 3.0e-5]}
  vision_lr_multiplier: {values: [0.05, 0.1]}
  weight_decay: {values: [0.01, 0.05]}
training: {batch_size: 6, epochs: 15, warmup_steps: 1000, max_grad_norm: 2.0, max_length: 60, text_lr_multiplier: 1.0,
           start_token: cls, mask_padding: false, label_smoothing: 0.0, shuffle: true}
evaluation: {samples: 100, test_samples: 200, convention: original}
early_stopping: {patience: 5, min_delta: 0.0}
generation: {max_length: 60, num_beams: 5, no_repeat_ngram_size: 2, length_penalty: 1.0, early_stopping: true, repetition_penalty: 1.1}
";
    let spec = spec(text, &[]);
    assert_eq!(
        axes(&spec),
        [
            "training.unfrozen_vision_layers [0,1,2,3,6]",
            "training.learning_rate [5e-6,0.00001,0.00003]",
            "training.vision_lr_multiplier [0.05,0.1]",
            "training.weight_decay [0.01,0.05]",
        ]
    );
    let mut expected = Preset::AsOriginal.recipe();
    expected.model = "Salesforce/blip-image-captioning-base".into();
    expected.data = spec.base.data.clone();
    expected.training.unfrozen_vision_layers = 0;
    expected.training.learning_rate = 5e-6;
    expected.training.vision_lr_multiplier = 0.05;
    assert_eq!(spec.base, expected, "the groups written out are those of the preset");
    let DataSource::Files(files) = &spec.base.data else { panic!("not files") };
    assert_eq!((files.validation.fraction, files.validation.seed), (Some(0.2), Some(7)));
    assert_eq!(files.source.as_ref().unwrap().captions, "data/coco.json");
    assert_eq!((spec.name.as_str(), spec.seeds.as_slice()), ("unfreeze", [0, 1, 2].as_slice()));
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = spec("model: lab", &[]);
    assert_eq!(spec.name, "study", "the file's stem");
    assert_eq!(spec.base, Preset::Corrected.recipe());
    assert_eq!((spec.method, spec.seeds, spec.metric), (Method::Grid, vec![0], MetricName::Score));
    assert_eq!(spec.references, References::default());
    assert!(spec.axes.is_empty() && spec.points.is_empty());
}

#[test]
fn all_forms_of_a_parameter_mean_the_same() {
    let forms = ["{values: [0.1, 0.5]}", "[0.1, 0.5]", "\n    values:\n      - 0.1\n      - 0.5"];
    for form in forms {
        let spec = spec(&format!("model: lab\nparameters:\n  weight_decay: {form}\n"), &[]);
        assert_eq!(axes(&spec), ["training.weight_decay [0.1,0.5]"]);
    }
    for form in ["0.5", "{value: 0.5}", "{values: [0.5]}", "[0.5]"] {
        let spec = spec(&format!("model: lab\nparameters:\n  weight_decay: {form}\n"), &[]);
        assert_eq!((spec.axes.len(), spec.base.training.weight_decay), (0, 0.5), "{form}");
    }
}

#[test]
fn the_model_can_be_an_axis() {
    let spec = spec("data: lab\nparameters: {model: [lab, models/other]}", &[]);
    assert_eq!(axes(&spec), [r#"model ["lab","models/other"]"#]);
}

#[test]
fn validation_may_have_captions_of_its_own() {
    let data = "data:\n  train: {captions: t.json, images: pictures}\n  validation: {captions: v.json}\n";
    let DataSource::Files(files) = spec(&format!("model: lab\n{data}"), &[]).base.data else {
        panic!("not files")
    };
    assert_eq!(files.validation.captions.as_deref(), Some("v.json"));
    assert_eq!(files.validation.images.as_deref(), Some("pictures"), "those of the training set");
    assert_eq!((files.validation.fraction, files.test), (None, None));
}

#[test]
fn the_metric_of_the_sweep_chooses_the_best_epoch_unless_told_otherwise() {
    let by_sweep = spec("model: lab\nmetric: {name: val_nll, goal: minimize}", &[]);
    assert_eq!(by_sweep.base.early_stopping.metric, MetricName::ValNll);
    let told = spec("model: lab\nmetric: meteor\nearly_stopping: {metric: val_loss}", &[]);
    assert_eq!((told.metric, told.base.early_stopping.metric), (MetricName::Meteor, MetricName::ValLoss));
}

#[test]
fn overrides_set_replace_and_add_in_place() {
    let overrides = [
        "learning_rate=1e-4,2e-4,3e-4",
        "unfrozen_vision_layers=6",
        "weight_decay=0.01,0.1",
        "start_token=cls",
        "generation.max_length=96",
        "seeds=3",
        "name=other",
        "recipe=as-original",
        "references.nearest_image=false",
    ];
    let spec = spec(GRID, &overrides);
    assert_eq!(
        axes(&spec),
        ["training.learning_rate [0.0001,0.0002,0.0003]", "training.weight_decay [0.01,0.1]"]
    );
    assert_eq!(spec.base.training.unfrozen_vision_layers, 6);
    assert_eq!(spec.base.training.start_token, StartToken::Cls);
    assert_eq!(spec.base.generation.max_length, 96);
    assert_eq!((spec.base.training.epochs, spec.base.training.batch_size), (15, 8));
    assert_eq!((spec.seeds, spec.name.as_str()), (vec![3], "other"));
    assert!(!spec.references.nearest_image && spec.references.zero_shot);
}

#[test]
fn an_override_of_several_forms_is_one_list() {
    for text in [
        "learning_rate=1e-5,3e-5",
        "learning_rate=[1e-5, 0.00003]",
        "training.learning_rate = 1.0e-05 , 3e-5",
    ] {
        assert_eq!(axes(&spec("model: lab", &[text])), ["training.learning_rate [0.00001,0.00003]"]);
    }
    assert_eq!(axes(&spec("data: lab", &["model=lab,a/b@main"])), [r#"model ["lab","a/b@main"]"#]);
    assert_eq!(spec(GRID, &["seeds=0,1,2"]).seeds, [0, 1, 2]);
}

#[test]
fn an_override_replaces_a_setting_in_every_point() {
    let text = "\
model: lab
method: list
points:
  - {unfrozen_vision_layers: 0, learning_rate: 1e-3}
  - {unfrozen_vision_layers: 2, learning_rate: 1e-4}
";
    let spec = spec(text, &["learning_rate=1e-5"]);
    assert_eq!(spec.points.len(), 2);
    assert!(spec.points.iter().all(|point| point.len() == 1));
    assert_eq!(spec.base.training.learning_rate, 1e-5);
}

#[test]
fn every_problem_of_a_file_is_reported_at_its_place() {
    let text = "\
name: my sweep
modle: lab
model: lab
recipe: originl
method: rndom
seeds: [0, 0, -1, a]
metric: {name: score, goal: minimize}
references: {zero_shot: yes}
parameters:
  learning_rat: {values: [1e-5]}
  learning_rate: {values: [1e-5, -1e-5, '1e-5', .nan]}   # three are wrong
  max_length: 60
  early_stopping: true
  unfrozen_vision_layers: {values: []}
  vision_lr_multiplier: {min: 0.1, max: 1.0}
  weight_decay: {values: [0.1], vlaues: [0.2]}
  start_token:
training:
  weight_decay: 0.1
  batch_size: 0
  label_smoothing: 1
  epoch: 3
evaluation: {samples: [1, 2]}
generation: 5
data: labb
learning_rate: 1e-5
";
    insta::assert_snapshot!(refused(text, &[]), @"
    study.yaml:1:7: the sweep's name `my sweep` cannot name a folder
    hint: `name:` takes up to 64 letters, digits, `-`, `_` and `.`, and begins with a letter or digit
    study.yaml:2:1: unknown key `modle`; did you mean `model`?
    study.yaml:4:9: `recipe` is the text `originl`; it must be `as-original` or `corrected`
    study.yaml:5:9: `method` is the text `rndom`; it must be `grid`, `list`, `random` or `bayes`; did you mean `random`?
    study.yaml:6:12: seed 0 is there twice
    study.yaml:6:15: a seed is -1; it must be a whole number of at least 0
    study.yaml:6:19: a seed is the text `a`; it must be a whole number of at least 0
    study.yaml:7:29: `metric.goal` is the text `minimize`, but higher is better; it must be `maximize`
    study.yaml:8:25: `references.zero_shot` is the text `yes`; it must be `true` or `false`
    study.yaml:10:3: unknown setting `learning_rat`; did you mean `learning_rate`?
    study.yaml:11:34: `learning_rate` is -1e-5; it must be a number above 0 and at most 1
    study.yaml:11:41: `learning_rate` is the text `1e-5`; it must be a number above 0 and at most 1, written without quotes
    study.yaml:11:49: `learning_rate` is NaN; it must be a number above 0 and at most 1
    study.yaml:12:3: `max_length` occurs in several groups; write `training.max_length` or `generation.max_length`
    study.yaml:13:3: `early_stopping` is a group of settings; name one of them, such as `early_stopping.patience`, `early_stopping.min_delta`, `early_stopping.metric`, `early_stopping.zero_cider` or `generation.early_stopping`
    study.yaml:14:36: `unfrozen_vision_layers` has no values
    study.yaml:15:3: `training.vision_lr_multiplier` is drawn from a range or by probabilities
    hint: `method: random` draws; a grid takes a list: `{values: [...]}`
    study.yaml:16:33: unknown key `vlaues` in `weight_decay`; did you mean `values`?
    study.yaml:17:3: `start_token` is empty; it must be `cls` or `dec`
    study.yaml:19:3: `training.weight_decay` is set in another place too
    study.yaml:20:15: `training.batch_size` is 0; it must be a whole number from 1 to 65536
    study.yaml:21:20: `training.label_smoothing` is 1; it must be a number of at least 0 and below 1
    study.yaml:22:3: unknown key `epoch` in `training`; did you mean `epochs`?
    study.yaml:23:23: `evaluation.samples` is a list
    hint: what varies is written under `parameters`, as `evaluation.samples`
    study.yaml:24:13: `generation` is 5; it must be a mapping of settings
    study.yaml:25:7: unknown data set `labb`; did you mean `lab`?
    hint: `lab` is built in; for files of your own write `data: {train: {captions: FILE, images: FOLDER}}`
    study.yaml:26:1: `learning_rate` does not belong at the top level
    hint: write `training.learning_rate` under `parameters`, or in its group
    ");
}

#[test]
fn duplicate_keys_are_refused_at_every_level() {
    let text = "\
model: lab
model: lab
parameters:
  learning_rate: 1e-5
  learning_rate: 1e-4
  training.learning_rate: 1e-3
training: {epochs: 1, epochs: 2}
";
    insta::assert_snapshot!(refused(text, &[]), @"
    study.yaml:2:1: `model` is written twice
    study.yaml:5:3: `learning_rate` is written twice
    study.yaml:6:3: `training.learning_rate` is set in another place too
    study.yaml:7:23: `epochs` is written twice
    ");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let text = "\
data: lab
parameters:
  model: [lab, Salesforce/blip-image-captioning-base]
  unfrozen_vision_layers: [6, 12, 13]
training:
  max_length: 200
generation: {min_length: 20, max_length: 10}
";
    insta::assert_snapshot!(refused(text, &[]), @"
    study.yaml:4:31: `unfrozen_vision_layers` is 12, but `lab` has 6 vision layers
    study.yaml:4:35: `unfrozen_vision_layers` is 13, but `lab` has 6 vision layers
    study.yaml:4:35: `unfrozen_vision_layers` is 13, but `Salesforce/blip-image-captioning-base` has 12 vision layers
    study.yaml:6:15: `max_length` is 200, but `lab` takes at most 128 tokens
    study.yaml:7:26: `generation.min_length` is 20, more than `generation.max_length`, which is 10
    ");
}

#[test]
fn points_and_method_belong_together() {
    insta::assert_snapshot!(refused("model: lab\nmethod: list", &[]), @"study.yaml:2:9: `method: list` needs `points`, a list of mappings");
    insta::assert_snapshot!(refused("model: lab\npoints: [{epochs: 1}]", &[]), @"study.yaml:2:9: `points` needs `method: list`");
    insta::assert_snapshot!(refused("model: lab\nmethod: list\npoints: []", &[]), @"study.yaml:3:9: `points` is empty");
    let text = "\
model: lab
method: list
training: {epochs: 5}
points:
  - {epochs: 1, epochs: 2}
  - {learning_rate: [1e-5, 1e-4]}
  - 5
";
    insta::assert_snapshot!(refused(text, &[]), @"
    study.yaml:5:6: `training.epochs` is set outside of the points too
    study.yaml:5:17: `training.epochs` is written twice
    study.yaml:6:6: `learning_rate` varies within one point
    hint: what varies for all points is written under `parameters`
    study.yaml:7:5: a point is 5; it must be a mapping such as `{learning_rate: 1.0e-5}`
    ");
}

#[test]
fn data_are_checked_key_by_key() {
    let text = "\
model: lab
data:
  train: {captions: 5}
  validation: {fraction: 1.5, seed: -1, captoins: x}
  test: data/test
  vaildation: {}
";
    insta::assert_snapshot!(refused(text, &[]), @"
    study.yaml:3:10: `data.train` has no `images`
    study.yaml:3:21: `data.train.captions` is 5; it must be a path
    study.yaml:4:26: `data.validation.fraction` is 1.5; it must be a number above 0 and below 1
    study.yaml:4:37: `data.validation.seed` is -1; it must be a whole number of at least 0
    study.yaml:4:41: unknown key `captoins` in `data.validation`; did you mean `captions`?
    study.yaml:5:9: `data.test` is the text `data/test`; it must be a mapping with `captions` and `images`
    study.yaml:6:3: unknown key `vaildation` in `data`; did you mean `validation`?
    ");
    insta::assert_snapshot!(refused("model: models/mine", &[]), @"
    study.yaml: `data` is missing; only the built-in model, `lab`, has data of its own
    hint: `data: {train: {captions: FILE, images: FOLDER}}`, or `data: lab`
    ");
    insta::assert_snapshot!(refused("model: lab\ndata: {train: {captions: a, images: b}, validation: {fraction: 0.1, captions: c}}", &[]), @"study.yaml:2:64: `data.validation` has both `captions` and `fraction`; one of them says where it comes from");
}

#[test]
fn overrides_are_refused_by_the_words_typed() {
    let overrides = [
        "learning_rate",
        "learning_rat=1e-5",
        "learning_rate=fast",
        "max_length=96",
        "weight_decay=",
        "weight_decay=[0.1",
        "name=a,b",
        "parameters=1",
        "references.zero_shott=false",
        "references.zero_shot=maybe",
        "training={epochs: 3}",
        "epochs={min: 3}",
        "unfrozen_vision_layers=7",
    ];
    insta::assert_snapshot!(refused(GRID, &overrides), @"
    override `learning_rate`: has no `=`
    hint: an override is written `key=value` or `key=value,value`
    override `learning_rat=1e-5`: unknown setting `learning_rat`; did you mean `learning_rate`?
    override `learning_rate=fast`: `learning_rate` is the text `fast`; it must be a number above 0 and at most 1
    override `max_length=96`: `max_length` occurs in several groups; write `training.max_length` or `generation.max_length`
    override `weight_decay=`: `weight_decay` has no values
    override `weight_decay=[0.1`: the value of `weight_decay` cannot be read: did not find expected ',' or ']'
    override `name=a,b`: `name` takes one value
    override `parameters=1`: `parameters` cannot be replaced as a whole
    hint: name what to change, for example `learning_rate=1e-5,3e-5`
    override `references.zero_shott=false`: unknown reference `zero_shott`; did you mean `zero_shot`?
    override `references.zero_shot=maybe`: `references.zero_shot` must be `true` or `false`
    override `training={epochs: 3}`: `training` is a group of settings; name one of them, such as `training.unfrozen_vision_layers`, `training.unfreeze_from_epoch`, `training.unfreeze_every`, `training.learning_rate` or `training.vision_lr_multiplier`
    override `epochs={min: 3}`: `epochs` has no `max`
    override `unfrozen_vision_layers=7`: `unfrozen_vision_layers` is 7, but `lab` has 6 vision layers
    ");
}

#[test]
fn files_that_are_no_mapping_are_refused() {
    insta::assert_snapshot!(refused("", &[]), @"
    study.yaml: the file is empty
    hint: a sweep needs a `model`, and `parameters` that vary
    ");
    insta::assert_snapshot!(refused("# nothing but a comment\n", &["model=lab"]), @"
    study.yaml: the file is empty
    hint: a sweep needs a `model`, and `parameters` that vary
    ");
    insta::assert_snapshot!(refused("- 1\n- 2\n", &[]), @"study.yaml:1:1: the file is a list; it must be a mapping");
    insta::assert_snapshot!(refused("a: [1,\nb: 2", &[]), @"study.yaml:3:1: did not find expected ',' or ']'");
    insta::assert_snapshot!(refused("{}", &[]), @"
    study.yaml: `model` is missing
    hint: `model: lab`, a folder, or a hub id such as `Salesforce/blip-image-captioning-base`
    ");
}

#[test]
fn files_that_cannot_be_read_are_refused_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str| {
        let error = load(&folder.path().join(name), &[]).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    };
    assert!(
        refused("missing.yaml").starts_with("FOLDER/missing.yaml: cannot read the sweep file: No such file")
    );
    std::fs::write(folder.path().join("latin.yaml"), b"model: caf\xe9").unwrap();
    assert_eq!(refused("latin.yaml"), "FOLDER/latin.yaml: the file is not UTF-8 (byte 10)");
    std::fs::write(folder.path().join("big.yaml"), "#".repeat(2 << 20)).unwrap();
    assert_eq!(refused("big.yaml"), "FOLDER/big.yaml: the file has more than 1048576 bytes");
}

#[test]
fn an_alias_is_placed_where_it_is_used() {
    let text = "model: lab\nparameters:\n  learning_rate: &rates [1e-5, 2]\n  weight_decay: *rates\n  label_smoothing: *rates\n";
    insta::assert_snapshot!(refused(text, &[]), @"
    study.yaml:3:32: `learning_rate` is 2; it must be a number above 0 and at most 1
    study.yaml:5:20: `label_smoothing` is 2; it must be a number of at least 0 and below 1
    ");
}

#[test]
fn a_file_may_say_what_becomes_of_the_other_runs_when_some_fail() {
    let plain = spec(GRID, &[]);
    assert_eq!((plain.on_failure, plain.max_consecutive_failures), (None, None));
    let text = format!("{GRID}on_failure: stop\nmax_consecutive_failures: 5\n");
    let said = spec(&text, &[]);
    assert_eq!((said.on_failure, said.max_consecutive_failures), (Some(OnFailure::Stop), Some(5)));
    // Neither changes what the runs are.
    let as_plain = SweepSpec { on_failure: None, max_consecutive_failures: None, ..said };
    assert_eq!(as_plain, plain);
    let replaced = spec(&text, &["on_failure=continue", "max_consecutive_failures=0"]);
    assert_eq!(
        (replaced.on_failure, replaced.max_consecutive_failures),
        (Some(OnFailure::Continue), Some(0))
    );
    insta::assert_snapshot!(refused("model: lab\non_failure: halt\nmax_consecutive_failures: -1\n", &[]), @"
    study.yaml:2:13: `on_failure` is the text `halt`; it must be `continue` or `stop`
    study.yaml:3:27: `max_consecutive_failures` is -1; it must be a whole number, and 0 is never
    ");
}

#[test]
fn groups_are_found_by_regular_expressions_and_by_nothing_else() {
    let with = |validation: &str| {
        format!("model: lab\ndata:\n  train: {{captions: c.json, images: i}}\n  validation: {validation}\n")
    };
    let read = spec(&with(r"{fraction: 0.2, group: 'id_\d+'}"), &[]);
    let DataSource::Files(files) = read.base.data else { panic!("files") };
    assert_eq!(files.validation.group.as_deref(), Some(r"id_\d+"));
    assert_eq!((files.validation.fraction, files.validation.seed), (Some(0.2), Some(42)));
    let error = refused(&with("{group: 'id_('}"), &[]);
    assert!(
        error.contains(":4:23: `data.validation.group` is the text `id_(`; it must be a regular expression"),
        "{error}"
    );
    assert!(error.contains("in its name: unclosed group\nhint: "), "{error}");
    assert!(
        refused(&with("{group: 7}"), &[])
            .contains("`data.validation.group` is 7; it must be a regular expression")
    );
    let both = refused(&with("{captions: v.json, group: x}"), &[]);
    assert!(
        both.contains("`data.validation` has both `captions` and `group`, which belongs to a `fraction`"),
        "{both}"
    );

    let balanced = spec("model: lab\ntraining: {balance: 0.5, balance_by: '^(\\w+)_'}\n", &[]);
    assert_eq!(balanced.base.training.balance_by, r"^(\w+)_");
    assert_eq!(axes(&spec("model: lab\n", &["balance=0,1"])), ["training.balance [0.0,1.0]"]);
    let error = refused("model: lab\ntraining: {balance: 1.5, balance_by: '['}\n", &[]);
    assert!(
        error.contains("`training.balance` is 1.5; it must be a number of at least 0 and at most 1"),
        "{error}"
    );
    assert!(
        error.contains(
            "`training.balance_by` is the text `[`; it must be a regular expression: unclosed character class"
        ),
        "{error}"
    );
}
