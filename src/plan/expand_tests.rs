//! Plans of sweeps, by their runs' varying values and seeds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::record::recipe::Training;
use crate::spec::parse;

pub(in crate::plan) fn plan(text: &str) -> Plan {
    expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap()
}

pub(in crate::plan) fn refused(text: &str) -> String {
    expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap_err().to_string()
}

/// Fine-tuned runs as their varying values and seed.
pub(in crate::plan) fn points(plan: &Plan) -> Vec<String> {
    let fine_tuned = plan.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
    fine_tuned
        .map(|run| {
            let values = plan.varying.iter().map(|setting| run.point.get(setting.path));
            let values: Vec<String> =
                values.map(|value| value.map_or("-".into(), Value::to_string)).collect();
            format!("{} #{}", values.join(" "), run.seed)
        })
        .collect()
}

pub(in crate::plan) fn kinds(plan: &Plan) -> Vec<Kind> {
    plan.runs.iter().map(|run| run.recipe.kind).filter(|kind| *kind != Kind::FineTuned).collect()
}

#[test]
fn the_first_parameter_varies_slowest_and_seeds_fastest() {
    let plan = plan(
        "model: lab\nseeds: [5, 3]\nparameters: {weight_decay: [0.2, 0.1], unfrozen_vision_layers: [1, 2]}",
    );
    let expected =
        ["0.2 1 #5", "0.2 1 #3", "0.2 2 #5", "0.2 2 #3", "0.1 1 #5", "0.1 1 #3", "0.1 2 #5", "0.1 2 #3"];
    assert_eq!(points(&plan), expected);
}

#[test]
fn a_sweep_that_varies_nothing_is_one_run_and_its_references() {
    let plan = plan("model: lab");
    assert_eq!(points(&plan), [" #0"]);
    assert_eq!(kinds(&plan), Kind::REFERENCES[..5], "all but the control that trains");
    assert!(plan.runs.iter().all(|run| run.point.is_empty() && run.sweep == "study"));
}

#[test]
fn combinations_that_differ_in_what_cannot_matter_are_one_run() {
    let plan =
        plan("model: lab\nparameters: {unfrozen_vision_layers: [0, 2], vision_lr_multiplier: [0.1, 0.5]}");
    assert_eq!(points(&plan), ["0 - #0", "2 0.1 #0", "2 0.5 #0"]);
    let [merged] = plan.merged.as_slice() else { panic!("{:?}", plan.merged) };
    let kept = plan.runs.iter().find(|run| run.id == merged.kept).unwrap();
    assert_eq!(kept.point.keys().collect::<Vec<_>>(), ["training.unfrozen_vision_layers"]);
    assert_eq!(kept.recipe.training.vision_lr_multiplier, 1.0, "neutral, not one of the two");
    assert_eq!(merged.point[1].1, 0.5);
    assert_eq!(merged.why, "vision_lr_multiplier has no effect where no vision layer is unfrozen");
}

#[test]
fn values_written_twice_are_merged_however_they_are_spelt() {
    let plan = plan("model: lab\nparameters: {learning_rate: [1e-5, 0.00001, 1.0e-05]}");
    assert_eq!((points(&plan).len(), plan.merged.len()), (1, 2));
    assert_eq!(plan.merged[0].why, "the same settings are written twice");
}

#[test]
fn the_evaluation_batch_size_does_not_make_another_run() {
    let plan = plan("model: lab\nparameters: {evaluation.batch_size: [8, 16]}");
    assert_eq!((points(&plan).len(), kinds(&plan).len()), (1, 5));
    assert_eq!(plan.merged[0].why, "evaluation.batch_size has no effect on results");
}

#[test]
fn references_are_there_once_for_each_set_of_settings_they_depend_on() {
    let text = "data: lab\nseeds: [0, 1]\nparameters:\n  model: [lab, models/mine]\n  learning_rate: [1e-5, 1e-4]\n  num_beams: [1, 5]\n";
    let plan = plan(text);
    let number = |kind| kinds(&plan).into_iter().filter(|other| *other == kind).count();
    assert_eq!(number(Kind::ZeroShot), 4, "two models, two numbers of beams");
    assert_eq!(number(Kind::NearestImage), 2, "two models");
    assert_eq!(number(Kind::ConstantCaption), 1);
    assert_eq!(number(Kind::MatchedLength), 4, "two models, two numbers of beams");
    assert_eq!(number(Kind::SmallDecoder), 4, "two models, two numbers of beams, whatever the rate");
    assert_eq!((points(&plan).len(), plan.merged.len()), (16, 0));
    assert_eq!(plan.runs[0].point.keys().collect::<Vec<_>>(), ["generation.num_beams", "model"]);
    assert!(plan.runs[..15].iter().all(|run| run.seed == 0));
}

#[test]
fn references_can_be_switched_off() {
    const OTHERS: &str =
        "zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false";
    let kinds_of = |text: &str| kinds(&plan(&format!("model: lab\n{text}")));
    assert!(kinds_of(&format!("references: {{{OTHERS}, simple_models: false}}")).is_empty());
    assert!(
        kinds_of(&format!("simple_models: false\nreferences: {{{OTHERS}}}")).is_empty(),
        "at the top, too"
    );
    assert_eq!(kinds_of(&format!("references: {{{OTHERS}}}")), [Kind::SmallDecoder]);
}

#[test]
fn a_small_decoder_is_trained_once_by_its_own_settings_under_the_first_seed() {
    let text = "model: lab\nseeds: [3, 1]\nparameters: {learning_rate: [1e-5, 1e-4], training.batch_size: [2, 4], \
                start_token: [cls, dec], epochs: [1, 2], eval_every: [1, 2]}\nearly_stopping: {patience: 0}";
    let plan = plan(text);
    let small: Vec<&RunSpec> = plan.runs.iter().filter(|run| run.recipe.kind == Kind::SmallDecoder).collect();
    let [run] = small[..] else { panic!("{}", small.len()) };
    assert_eq!((run.seed, run.point.len()), (3, 0));
    let Training { learning_rate, batch_size, epochs, dropout, unfrozen_vision_layers, .. } =
        run.recipe.training;
    assert_eq!((learning_rate, batch_size, epochs, dropout, unfrozen_vision_layers), (3e-3, 16, 15, 0.3, 0));
    assert_eq!((run.recipe.early_stopping.patience, run.recipe.evaluation.eval_every), (3, 3));
    let seen = self::plan("model: lab\nparameters: {training.max_length: [40, 60], train_examples: [0, 20]}");
    assert_eq!(
        kinds(&seen).into_iter().filter(|kind| *kind == Kind::SmallDecoder).count(),
        4,
        "it sees other captions"
    );
}

#[test]
fn a_share_of_all_images_is_all_of_them_and_one_image_is_not() {
    let plan = plan("model: lab\nparameters: {train_examples: [0, 1, 1.0, 0.25]}");
    let trained: Vec<&RunSpec> = plan.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).collect();
    let amounts: Vec<String> =
        trained.iter().map(|run| run.recipe.training.train_examples.to_string()).collect();
    assert_eq!(amounts, ["0", "1", "0.25"]);
    let [merged] = &plan.merged[..] else { panic!("{:?}", plan.merged) };
    assert_eq!((&merged.kept, merged.why.as_str()), (&trained[0].id, "train_examples of 1.0 is all images"));
    let small = plan.runs.iter().filter(|run| run.recipe.kind == Kind::SmallDecoder).count();
    assert_eq!(small, 3, "the small decoder likewise");
}

#[test]
fn lengths_that_the_sweep_varies_do_not_matter_where_the_training_captions_decide_them() {
    let plan = plan(
        "model: lab\nparameters: {generation.max_length: [20, 40], min_length: [0, 5], num_beams: [1, 3]}",
    );
    let number = |kind| kinds(&plan).into_iter().filter(|other| *other == kind).count();
    assert_eq!((number(Kind::ZeroShot), number(Kind::MatchedLength)), (8, 2));
}

#[test]
fn a_list_has_its_points_each_with_every_value_of_the_axes() {
    let text = "\
model: lab
method: list
points:
  - {unfrozen_vision_layers: 0, learning_rate: 1e-3}
  - {unfrozen_vision_layers: 2}
parameters: {weight_decay: [0.1, 0.2]}
";
    assert_eq!(points(&plan(text)), ["0 0.001 0.1 #0", "0 0.001 0.2 #0", "2 - 0.1 #0", "2 - 0.2 #0"]);
}

#[test]
fn combinations_in_which_nothing_trains_are_left_out() {
    let text = "model: lab\nseeds: [0, 1]\nparameters: {unfrozen_vision_layers: [0, 1], train_text_decoder: [true, false]}";
    let plan = plan(text);
    assert_eq!(
        points(&plan),
        ["0 true #0", "0 true #1", "1 true #0", "1 true #1", "1 false #0", "1 false #1"]
    );
    assert_eq!(plan.excluded, 2);
    insta::assert_snapshot!(
        refused("model: lab\ntraining: {unfrozen_vision_layers: 0, train_text_decoder: false}"),
        @"
        nothing trains in any combination: `train_text_decoder` is false and `unfrozen_vision_layers` is 0
        hint: unfreeze the text decoder or vision layers
        "
    );
}

#[test]
fn a_plan_that_is_too_large_is_refused_before_it_is_made() {
    let values: Vec<String> = (1..=100).map(|value| value.to_string()).collect();
    let axis = |name: &str| format!("  {name}: [{}]\n", values.join(", "));
    let axes = ["warmup_steps", "epochs", "patience", "samples", "test_samples"].map(axis).concat();
    insta::assert_snapshot!(refused(&format!("model: lab\nparameters:\n{axes}")), @"
        the sweep has 10000000000 combinations; a plan has at most 100000
        hint: take values or seeds away, or split the sweep
        ");
}

#[test]
fn a_large_plan_has_every_combination_once() {
    let values: Vec<String> = (1..=100).map(|value| value.to_string()).collect();
    let axis = |name: &str| format!("  {name}: [{}]\n", values.join(", "));
    let axes = ["warmup_steps", "epochs"].map(axis).concat();
    let plan = plan(&format!("model: lab\nseeds: [0, 1]\nparameters:\n{axes}"));
    let ids: std::collections::BTreeSet<&str> = plan.runs.iter().map(|run| run.id.as_str()).collect();
    assert_eq!((plan.runs.len(), ids.len()), (20_005, 20_005));
}

#[test]
fn neither_order_nor_group_nor_spelling_changes_an_id() {
    let id = |text: &str| plan(text).runs.last().unwrap().id.clone();
    let written = id("model: lab\ntraining: {learning_rate: 1e-5, epochs: 3}\nrecipe: as-original");
    for text in [
        "recipe: as-original\nparameters: {epochs: 3, learning_rate: 0.00001}\nmodel: lab",
        "parameters:\n  training.epochs: {value: 3}\n  learning_rate: {values: [1.0e-05]}\n  model: lab\nrecipe: as-original\ndata: lab",
        "model: lab\nname: other\nrecipe: as-original\nseeds: [1, 0]\nparameters: {learning_rate: [1e-4, 1e-5], epochs: [2, 3e0]}",
    ] {
        assert_eq!(id(text), written, "{text}");
    }
    assert_ne!(id("model: lab\ntraining: {learning_rate: 1.1e-5, epochs: 3}\nrecipe: as-original"), written);
}

proptest! {
    /// Whatever varies: every combination is a run, merged or excluded, and ids are distinct and well formed.
    #[test]
    fn every_combination_is_accounted_for(
        layers in prop::collection::vec(0_usize..4, 1..4),
        multipliers in prop::collection::vec(0_u8..4, 1..4),
        flags in prop::collection::vec(any::<bool>(), 1..3),
        seeds in prop::collection::btree_set(0_u64..100, 1..4),
    ) {
        let text = format!(
            "model: lab\nseeds: {seeds:?}\nparameters:\n  unfrozen_vision_layers: {layers:?}\n  \
             vision_lr_multiplier: {multipliers:?}\n  train_text_decoder: {flags:?}\n  text_lr_multiplier: {multipliers:?}\n"
        );
        let text = text.replace('{', "[").replace('}', "]");
        let Ok(plan) = expand(&parse(&text, "study.yaml", &[]).unwrap()) else {
            prop_assert!(layers.iter().all(|layers| *layers == 0) && !flags.contains(&true));
            return Ok(());
        };
        let combinations = layers.len() * multipliers.len() * flags.len() * multipliers.len() * seeds.len();
        prop_assert_eq!(plan.runs.len() - 5 + plan.merged.len() + plan.excluded, combinations);
        let ids: BTreeSet<&str> = plan.runs.iter().map(|run| run.id.as_str()).collect();
        prop_assert_eq!(ids.len(), plan.runs.len());
        prop_assert!(plan.merged.iter().all(|merged| ids.contains(merged.kept.as_str())));
        let is_well_formed = |id: &str| {
            id.len() == 11 && id.starts_with('r') && id[1..].bytes().all(|byte| b"0123456789abcdef".contains(&byte))
        };
        prop_assert!(ids.iter().all(|id| is_well_formed(id)));
    }
}

#[test]
fn settings_in_zip_vary_together_where_the_first_of_them_stands() {
    let text = "model: lab\nzip: [learning_rate, warmup_steps]\nparameters:\n  learning_rate: [1e-4, 1e-3]\n  \
                unfrozen_vision_layers: [1, 2]\n  warmup_steps: [10, 20]\n";
    let expected = ["0.0001 1 10 #0", "0.0001 2 10 #0", "0.001 1 20 #0", "0.001 2 20 #0"];
    assert_eq!(points(&plan(text)), expected);
}

#[test]
fn excluded_combinations_and_those_beyond_the_cap_are_left_out_and_counted() {
    let text = "model: lab\nexclude: [{unfrozen_vision_layers: [2, 3], learning_rate: 1e-3}, {epochs: 1, weight_decay: 0.2}]\n\
                run_cap: 5\nparameters:\n  unfrozen_vision_layers: [1, 2, 3]\n  learning_rate: [1e-4, 1e-3]\n  \
                weight_decay: [0.1, 0.2]\n  epochs: 1\n";
    let found = plan(text);
    assert_eq!(points(&found), ["1 0.0001 0.1 #0", "1 0.001 0.1 #0", "2 0.0001 0.1 #0", "3 0.0001 0.1 #0"]);
    assert_eq!((found.ruled_out, found.beyond_cap), (8, 0), "what does not vary counts with its value");
    let capped = plan(&text.replace("run_cap: 5", "run_cap: 3"));
    assert_eq!((points(&capped).len(), capped.beyond_cap), (3, 1));
}

#[test]
fn an_exclusion_of_nothing_or_of_everything_is_refused() {
    let with = |exclude: &str| {
        refused(&format!("model: lab\nexclude: [{exclude}]\nparameters: {{learning_rate: [1e-4, 1e-3]}}"))
    };
    insta::assert_snapshot!(with("{learning_rate: [1e-5, 1e-2]}"), @"
    `exclude` leaves out no combination by `learning_rate: 1e-5, 0.01`
    hint: each of its settings must have the value in one combination; take the line away otherwise
    ");
    insta::assert_snapshot!(with("{weight_decay: 0.05, learning_rate: [1e-4, 1e-3]}"), @"
    `exclude` leaves out no combination by `weight_decay: 0.05` and `learning_rate: 1e-4, 0.001`
    hint: each of its settings must have the value in one combination; take the line away otherwise
    ");
}

#[test]
fn drawn_points_are_runs_like_others_and_what_is_drawn_twice_is_one_run() {
    let found = plan(
        "model: lab\nmethod: random\nrun_cap: 12\nseeds: [0, 1]\nparameters: {unfrozen_vision_layers: {min: 0, max: 3}}",
    );
    assert_eq!((points(&found).len(), found.merged.len()), (8, 16));
}
