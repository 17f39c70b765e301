//! The combinations that a sweep means, each a run of its own or merged with an equal one.

use std::collections::HashMap;

use rayon::prelude::*;
use serde_json::{Value, json};
use thiserror::Error;

use super::canonical::{Inactive, canonicalise, matters, trains};
use super::combinations::{Combination, check_size, combinations, projected, selected, varying};
use super::id::{self, Ids};
use crate::record::recipe::Kind;
use crate::record::{Recipe, RunSpec};
use crate::spec::setting::shown;
use crate::spec::{Pattern, Setting, SweepSpec};

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
    /// Combinations that `exclude` leaves out.
    pub ruled_out: usize,
    /// Combinations beyond `run_cap`.
    pub beyond_cap: usize,
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
    #[error(
        "`exclude` leaves out no combination by {}\n\
         hint: each of its settings must have the value in one combination; take the line away otherwise",
        words(exclusion)
    )]
    ExcludesNothing { exclusion: Pattern },
    #[error(
        "`{}` never varies: no combination has {}\n\
         hint: give its `when` values that occur, or take the parameter away",
        setting.short_name(), words(when)
    )]
    NeverVaries { setting: &'static Setting, when: Pattern },
    #[error("`exclude` leaves out every combination")]
    ExcludesAll,
    #[error("a setting cannot be used: {0}")]
    Setting(#[from] serde_json::Error),
}

fn words(pattern: &Pattern) -> String {
    let condition = |(setting, values): &(&'static Setting, Vec<Value>)| {
        let values: Vec<String> = values.iter().map(shown).collect();
        format!("`{}: {}`", setting.short_name(), values.join(", "))
    };
    pattern.iter().map(condition).collect::<Vec<_>>().join(" and ")
}

/// Makes the plan of a sweep. The same sweep gives the same plan, everywhere and always.
pub fn expand(spec: &SweepSpec) -> Result<Plan, PlanError> {
    check_size(spec)?;
    let mut plan = Plan {
        sweep: spec.name.clone(),
        runs: Vec::new(),
        merged: Vec::new(),
        excluded: 0,
        ruled_out: 0,
        beyond_cap: 0,
        varying: varying(spec),
    };
    let wanted = selected(spec, &mut plan)?;
    let mut rank_of = HashMap::new();
    for kind in Kind::REFERENCES.into_iter().filter(|kind| spec.references.wants(*kind)) {
        match kind {
            Kind::ShuffledCaptions => super::shuffled::add(spec, &wanted, &mut plan, &mut rank_of)?,
            _ => add_references(kind, spec, &wanted, &mut plan, &mut rank_of)?,
        }
    }
    let references = plan.runs.len();
    let fine_tuned = wanted.into_par_iter().map(|combination| resolve(combination, spec));
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

/// One run for each distinct set of the settings that matter to the kind, under seed 0 where nothing in it is
/// drawn by the run's seed, else under the first seed.
fn add_references(
    kind: Kind,
    spec: &SweepSpec,
    wanted: &[Combination],
    plan: &mut Plan,
    rank_of: &mut HashMap<String, usize>,
) -> Result<(), PlanError> {
    let matters = |setting: &Setting| matters(kind, setting.path);
    // What occurs together is not known from the axes alone where some vary conditionally.
    let is_grid = spec.conditions.is_empty() && spec.include.is_empty();
    let all = if is_grid { combinations(spec, matters) } else { projected(wanted, matters) };
    let seed = if kind.trains() { spec.seeds.first().copied().unwrap_or_default() } else { 0 };
    for combination in all {
        let mut recipe = recipe_of(spec, &combination, kind)?;
        canonicalise(&mut recipe)?;
        let id = id::of(&recipe, seed)?;
        if !rank_of.contains_key(&id) {
            rank_of.insert(id.clone(), plan.runs.len());
            plan.runs.push(run(plan, id, combination, &[], seed, recipe));
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
    let share = combination.iter().find(|(setting, _)| setting.path == "training.train_examples");
    if share.is_some_and(|(_, value)| *value == json!(1.0)) {
        reasons.push("train_examples of 1.0 is all images".to_owned());
    }
    if reasons.is_empty() {
        reasons.push("the same settings are written twice".to_owned());
    }
    reasons.join("; ")
}

#[cfg(test)]
#[path = "expand_tests.rs"]
pub(in crate::plan) mod tests;
