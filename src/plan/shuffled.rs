//! The control that is trained: which settings it takes from the sweep.

use std::collections::HashMap;

use super::canonical::{canonicalise, trains};
use super::combinations::Combination;
use super::expand::{Plan, PlanError, recipe_of, run};
use super::id;
use crate::record::Recipe;
use crate::record::recipe::Kind;
use crate::spec::{Setting, SweepSpec};

/// A fine-tuned run on shuffled captions for each distinct model, evaluation and generation, under the first seed: the
/// twin of the first point that trains no vision layer, since there is nothing to see that would help. Where every point
/// trains some, the first point's other settings are taken.
pub(super) fn add(
    spec: &SweepSpec,
    combinations: &[Combination],
    plan: &mut Plan,
    rank_of: &mut HashMap<String, usize>,
) -> Result<(), PlanError> {
    let mut chosen: Vec<(Combination, Recipe)> = Vec::new();
    let mut place_of = HashMap::new();
    for combination in combinations {
        let recipe = recipe_of(spec, combination, Kind::ShuffledCaptions)?;
        if !trains(&recipe) {
            continue;
        }
        let conditions = combination.iter().filter(|(setting, _)| is_condition(setting));
        let conditions: Vec<String> = conditions.map(|(_, value)| value.to_string()).collect();
        let place = *place_of.entry(conditions).or_insert(chosen.len());
        let is_blind = |recipe: &Recipe| recipe.training.unfrozen_vision_layers == 0;
        match chosen.get_mut(place) {
            None => chosen.push((combination.clone(), recipe)),
            Some(first) if is_blind(&recipe) && !is_blind(&first.1) => *first = (combination.clone(), recipe),
            Some(_) => {}
        }
    }
    let seed = spec.seeds.first().copied().unwrap_or_default();
    for (mut combination, mut recipe) in chosen {
        // Without the decoder only vision layers are left to train.
        if recipe.training.train_text_decoder {
            recipe.training.unfrozen_vision_layers = 0;
            combination.retain(|(setting, _)| setting.path != VISION_LAYERS);
        }
        let inactive = canonicalise(&mut recipe)?;
        let id = id::of(&recipe, seed)?;
        if !rank_of.contains_key(&id) {
            rank_of.insert(id.clone(), plan.runs.len());
            plan.runs.push(run(plan, id, combination, &inactive, seed, recipe));
        }
    }
    Ok(())
}

const VISION_LAYERS: &str = "training.unfrozen_vision_layers";

/// Settings under which runs compare, as opposed to those by which they are compared.
fn is_condition(setting: &Setting) -> bool {
    ["model", "evaluation", "generation"].contains(&setting.path.split('.').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::expand;
    use crate::spec::parse;

    fn plan(text: &str) -> Plan {
        expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap()
    }

    /// The control's varying values and seed.
    fn shuffled(text: &str) -> Vec<String> {
        let spec = format!("model: lab\nreferences: {{shuffled_captions: true}}\n{text}");
        let plan = plan(&spec);
        let controls = plan.runs.iter().filter(|run| run.recipe.kind == Kind::ShuffledCaptions);
        controls
            .map(|run| {
                assert!(plan.runs.iter().filter(|other| other.id == run.id).count() == 1);
                let training = &run.recipe.training;
                format!(
                    "{} {} {} #{}",
                    training.unfrozen_vision_layers,
                    training.learning_rate,
                    run.recipe.generation.num_beams,
                    run.seed
                )
            })
            .collect()
    }

    #[test]
    fn captions_are_shuffled_for_the_twin_of_the_first_point_that_trains_no_vision_layer() {
        let layers = "parameters: {unfrozen_vision_layers: [6, 0], learning_rate: [0.1, 0.2]}";
        assert_eq!(shuffled(&format!("seeds: [7, 8]\n{layers}")), ["0 0.1 5 #7"]);
        let points = "method: list\npoints:\n  - {unfrozen_vision_layers: 6, learning_rate: 0.1}\n  - {unfrozen_vision_layers: 0, learning_rate: 0.2}";
        assert_eq!(shuffled(points), ["0 0.2 5 #0"], "the point's own rate");
        assert_eq!(
            shuffled("parameters: {unfrozen_vision_layers: [6, 2], learning_rate: [0.1, 0.2]}"),
            ["0 0.1 5 #0"]
        );
        assert_eq!(
            shuffled("parameters: {unfrozen_vision_layers: [6, 2], num_beams: [1, 3]}"),
            ["0 0.00003 1 #0", "0 0.00003 3 #0"]
        );
        assert_eq!(
            shuffled("training: {train_text_decoder: false}\nparameters: {unfrozen_vision_layers: [0, 2]}"),
            ["2 0.00003 5 #0"]
        );
    }

    #[test]
    fn a_control_on_shuffled_captions_is_another_run_than_its_twin_and_changes_no_id() {
        let without = plan("model: lab\ntraining: {unfrozen_vision_layers: 0}");
        let with =
            plan("model: lab\ntraining: {unfrozen_vision_layers: 0}\nreferences: {shuffled_captions: true}");
        let ids = |plan: &Plan| plan.runs.iter().map(|run| run.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&with).difference(&ids(&without)).count(), 1);
        assert!(ids(&with).is_superset(&ids(&without)));
    }
}
