//! The combinations that a sweep means, each a run of its own or merged with an equal one.

use std::collections::HashMap;

use rayon::prelude::*;
use serde_json::Value;
use thiserror::Error;

use super::canonical::{Inactive, canonicalise, matters, trains};
use super::id::{self, Ids};
use crate::record::recipe::Kind;
use crate::record::{Recipe, RunSpec};
use crate::spec::{Axis, Setting, SweepSpec};

/// A plan with more combinations than this is a slip of the keyboard, not a study.
pub const MAX_COMBINATIONS: usize = 100_000;

/// The runs of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub sweep: String,
    /// Reference runs first, then fine-tuned ones with the first parameter varying slowest, seeds fastest.
    pub runs: Vec<RunSpec>,
    /// Combinations that mean a run already in the plan.
    pub merged: Vec<Merged>,
    /// Combinations left out because nothing would train.
    pub excluded: usize,
    /// The settings that vary, in the order written.
    pub varying: Vec<&'static Setting>,
}

/// A combination that is the same run as an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The run it is part of.
    pub kept: String,
    /// The combination as written, in the order of the settings that vary.
    pub point: Vec<(&'static Setting, Value)>,
    pub seed: u64,
    pub why: String,
}

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    #[error(
        "the sweep has {combinations} combinations; a plan has at most {MAX_COMBINATIONS}\n\
         hint: take values or seeds away, or split the sweep"
    )]
    TooMany { combinations: String },
    #[error(
        "nothing trains in any combination: `train_text_decoder` is false and `unfrozen_vision_layers` is 0\n\
         hint: unfreeze the text decoder or vision layers"
    )]
    NothingTrains,
    #[error("a setting cannot be used: {0}")]
    Setting(#[from] serde_json::Error),
}

/// A combination of values: one for each setting that varies.
pub(super) type Combination = Vec<(&'static Setting, Value)>;

/// Makes the plan of a sweep. The same sweep gives the same plan, everywhere and always.
pub fn expand(spec: &SweepSpec) -> Result<Plan, PlanError> {
    check_size(spec)?;
    let mut plan = Plan {
        sweep: spec.name.clone(),
        runs: Vec::new(),
        merged: Vec::new(),
        excluded: 0,
        varying: varying(spec),
    };
    let mut rank_of = HashMap::new();
    for kind in Kind::REFERENCES.into_iter().filter(|kind| spec.references.wants(*kind)) {
        match kind {
            Kind::ShuffledCaptions => super::shuffled::add(spec, &mut plan, &mut rank_of)?,
            _ => add_references(kind, spec, &mut plan, &mut rank_of)?,
        }
    }
    let references = plan.runs.len();
    let fine_tuned =
        combinations(spec, |_| true).into_par_iter().map(|combination| resolve(combination, spec));
    for resolved in fine_tuned.collect::<Result<Vec<_>, _>>()? {
        match resolved {
            Some(resolved) => add_fine_tuned(resolved, spec, &mut plan, &mut rank_of),
            None => plan.excluded += spec.seeds.len(),
        }
    }
    if plan.runs.len() == references {
        return Err(PlanError::NothingTrains);
    }
    Ok(plan)
}

fn check_size(spec: &SweepSpec) -> Result<(), PlanError> {
    let factors =
        spec.axes.iter().map(|axis| axis.values.len()).chain([spec.points.len().max(1), spec.seeds.len()]);
    let size = factors.map(|factor| factor as f64).product::<f64>();
    if size > MAX_COMBINATIONS as f64 {
        let combinations = if size < 1e15 { size.to_string() } else { format!("{size:.0e}") };
        return Err(PlanError::TooMany { combinations });
    }
    Ok(())
}

/// Settings of the points in the order of their first occurrence, then the axes.
fn varying(spec: &SweepSpec) -> Vec<&'static Setting> {
    let mut varying: Vec<&'static Setting> = Vec::new();
    let of_points = spec.points.iter().flatten().map(|(setting, _)| *setting);
    for setting in of_points.chain(spec.axes.iter().map(|axis| axis.setting)) {
        if !varying.contains(&setting) {
            varying.push(setting);
        }
    }
    varying
}

/// Every point with every combination of the axes, of the settings that are wanted: the first axis varies
/// slowest, as the nested loops that a reader has in mind.
pub(super) fn combinations(spec: &SweepSpec, is_wanted: impl Fn(&Setting) -> bool) -> Vec<Combination> {
    let axes: Vec<&Axis> = spec.axes.iter().filter(|axis| is_wanted(axis.setting)).collect();
    let mut combinations: Vec<Combination> = if spec.points.is_empty() {
        vec![Vec::new()]
    } else {
        let wanted =
            |point: &Combination| point.iter().filter(|(setting, _)| is_wanted(setting)).cloned().collect();
        spec.points.iter().map(wanted).collect()
    };
    for axis in axes {
        let extended = combinations.iter().flat_map(|combination| {
            axis.values
                .iter()
                .map(move |value| [combination.as_slice(), &[(axis.setting, value.clone())]].concat())
        });
        combinations = extended.collect();
    }
    combinations
}

pub(super) fn recipe_of(
    spec: &SweepSpec,
    combination: &Combination,
    kind: Kind,
) -> serde_json::Result<Recipe> {
    let mut recipe = spec.base.clone();
    recipe.kind = kind;
    for (setting, value) in combination {
        setting.write(&mut recipe, value)?;
    }
    Ok(recipe)
}

/// One run for each distinct set of the settings that matter to the kind, under seed 0: nothing in it is
/// drawn by the run's seed.
fn add_references(
    kind: Kind,
    spec: &SweepSpec,
    plan: &mut Plan,
    rank_of: &mut HashMap<String, usize>,
) -> Result<(), PlanError> {
    for combination in combinations(spec, |setting| matters(kind, setting.path)) {
        let mut recipe = recipe_of(spec, &combination, kind)?;
        canonicalise(&mut recipe)?;
        let id = id::of(&recipe, 0)?;
        if !rank_of.contains_key(&id) {
            rank_of.insert(id.clone(), plan.runs.len());
            plan.runs.push(run(plan, id, combination, &[], 0, recipe));
        }
    }
    Ok(())
}

/// A combination with all that follows from it.
struct Resolved {
    combination: Combination,
    recipe: Recipe,
    inactive: Vec<Inactive>,
    /// One for each seed, in their order.
    ids: Vec<String>,
}

/// Nothing where nothing would train.
fn resolve(combination: Combination, spec: &SweepSpec) -> Result<Option<Resolved>, PlanError> {
    let mut recipe = recipe_of(spec, &combination, Kind::FineTuned)?;
    if !trains(&recipe) {
        return Ok(None);
    }
    let inactive = canonicalise(&mut recipe)?;
    let ids = Ids::of(&recipe)?;
    let ids = spec.seeds.iter().map(|seed| ids.with_seed(*seed)).collect();
    Ok(Some(Resolved { combination, recipe, inactive, ids }))
}

fn add_fine_tuned(
    resolved: Resolved,
    spec: &SweepSpec,
    plan: &mut Plan,
    rank_of: &mut HashMap<String, usize>,
) {
    let Resolved { combination, recipe, inactive, ids } = resolved;
    for (&seed, id) in spec.seeds.iter().zip(ids) {
        match rank_of.get(&id) {
            None => {
                rank_of.insert(id.clone(), plan.runs.len());
                plan.runs.push(run(plan, id, combination.clone(), &inactive, seed, recipe.clone()));
            }
            Some(_) => {
                let why = reason(&combination, &inactive);
                plan.merged.push(Merged { kept: id, point: combination.clone(), seed, why });
            }
        }
    }
}

/// A run whose point leaves out what has no effect in it: its value is not the run's.
pub(super) fn run(
    plan: &Plan,
    id: String,
    combination: Combination,
    inactive: &[Inactive],
    seed: u64,
    recipe: Recipe,
) -> RunSpec {
    let is_active = |setting: &Setting| inactive.iter().all(|inactive| inactive.path != setting.path);
    let point = combination.into_iter().filter(|(setting, _)| is_active(setting));
    let point = point.map(|(setting, value)| (setting.path.to_owned(), value)).collect();
    RunSpec { id, sweep: plan.sweep.clone(), point, seed, recipe }
}

/// Why a combination is the same run as an earlier one.
fn reason(combination: &Combination, inactive: &[Inactive]) -> String {
    let varying =
        |path: &str| combination.iter().find(|(setting, _)| setting.path == path).map(|(setting, _)| setting);
    let no_effect = |inactive: &Inactive| {
        let name = varying(inactive.path)?.short_name();
        Some(format!("{name} has no effect where {}", inactive.why))
    };
    let mut reasons: Vec<String> = inactive.iter().filter_map(no_effect).collect();
    if varying("evaluation.batch_size").is_some() {
        reasons.push("evaluation.batch_size has no effect on results".to_owned());
    }
    if reasons.is_empty() {
        reasons.push("the same settings are written twice".to_owned());
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::spec::parse;

    fn plan(text: &str) -> Plan {
        expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap()
    }

    fn refused(text: &str) -> String {
        expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap_err().to_string()
    }

    /// Fine-tuned runs as their varying values and seed.
    fn points(plan: &Plan) -> Vec<String> {
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

    fn kinds(plan: &Plan) -> Vec<Kind> {
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
        assert_eq!(kinds(&plan), Kind::REFERENCES[..4], "all but the control that trains");
        assert!(plan.runs.iter().all(|run| run.point.is_empty() && run.sweep == "study"));
    }

    #[test]
    fn combinations_that_differ_in_what_cannot_matter_are_one_run() {
        let plan = plan(
            "model: lab\nparameters: {unfrozen_vision_layers: [0, 2], vision_lr_multiplier: [0.1, 0.5]}",
        );
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
        assert_eq!((points(&plan).len(), kinds(&plan).len()), (1, 4));
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
        assert_eq!((points(&plan).len(), plan.merged.len()), (16, 0));
        assert_eq!(plan.runs[0].point.keys().collect::<Vec<_>>(), ["generation.num_beams", "model"]);
        assert!(plan.runs[..11].iter().all(|run| run.seed == 0));
    }

    #[test]
    fn references_can_be_switched_off() {
        let plan = plan(
            "model: lab\nreferences: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}",
        );
        assert_eq!((kinds(&plan).len(), points(&plan).len()), (0, 1));
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
        assert_eq!((plan.runs.len(), ids.len()), (20_004, 20_004));
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
        assert_ne!(
            id("model: lab\ntraining: {learning_rate: 1.1e-5, epochs: 3}\nrecipe: as-original"),
            written
        );
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
            prop_assert_eq!(plan.runs.len() - 4 + plan.merged.len() + plan.excluded, combinations);
            let ids: BTreeSet<&str> = plan.runs.iter().map(|run| run.id.as_str()).collect();
            prop_assert_eq!(ids.len(), plan.runs.len());
            prop_assert!(plan.merged.iter().all(|merged| ids.contains(merged.kept.as_str())));
            let is_well_formed = |id: &str| {
                id.len() == 11 && id.starts_with('r') && id[1..].bytes().all(|byte| b"0123456789abcdef".contains(&byte))
            };
            prop_assert!(ids.iter().all(|id| is_well_formed(id)));
        }
    }
}
