//! Parameters that vary only where others have given values: elsewhere all their combinations are one.

use std::collections::HashSet;

use super::combinations::{Combination, fits, text_of};
use super::expand::PlanError;
use crate::spec::{Condition, Method, Pattern, SweepSpec};

/// Gives parameters that do not vary in a combination their value elsewhere, and leaves out what is then there twice.
///
/// # Errors
/// A condition that no combination meets, unless combinations are drawn: those of more draws may meet it.
pub(super) fn apply(combinations: Vec<Combination>, spec: &SweepSpec) -> Result<Vec<Combination>, PlanError> {
    let conditions: Vec<&Condition> = spec.conditions.iter().collect();
    let (kept, met) = collapse(combinations, spec, &conditions);
    match met.iter().position(|is_met| !is_met) {
        Some(never) if spec.method != Method::Random => {
            let Condition { setting, when, .. } = conditions[never];
            Err(PlanError::NeverVaries { setting, when: when.clone() })
        }
        _ => Ok(kept),
    }
}

/// The same for combinations in which the settings of a line have the line's values in any case.
pub(super) fn apply_to_others(all: Vec<Combination>, spec: &SweepSpec, line: &Pattern) -> Vec<Combination> {
    let is_free = |condition: &&Condition| line.iter().all(|(setting, _)| *setting != condition.setting);
    collapse(all, spec, &spec.conditions.iter().filter(is_free).collect::<Vec<_>>()).0
}

/// What is left of the combinations, and which of the conditions were met.
fn collapse(
    combinations: Vec<Combination>,
    spec: &SweepSpec,
    conditions: &[&Condition],
) -> (Vec<Combination>, Vec<bool>) {
    let mut met = vec![false; conditions.len()];
    if conditions.is_empty() {
        return (combinations, met);
    }
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(combinations.len());
    for mut combination in combinations {
        let mut is_changed = false;
        // In the order of the conditions, each after those that it depends on.
        for (condition, met) in conditions.iter().zip(&mut met) {
            if fits(&combination, &condition.when, &spec.base) {
                *met = true;
            } else if let Some((_, value)) =
                combination.iter_mut().find(|(setting, _)| *setting == condition.setting)
            {
                *value = condition.otherwise.clone();
                is_changed = true;
            }
        }
        // Points that were drawn or written stay, and are said to be merged where they are the same.
        if !is_changed || !spec.points.is_empty() || seen.insert(text_of(&combination)) {
            kept.push(combination);
        }
    }
    (kept, met)
}

#[cfg(test)]
mod tests {
    use crate::plan::expand;
    use crate::plan::expand::tests::{kinds, plan, points, refused};
    use crate::record::recipe::Kind;
    use crate::spec::parse;

    const LAYERS: &str = "model: lab\nreferences: {zero_shot: false, constant_caption: false, nearest_image: false, \
                          matched_length: false, simple_models: false}\nparameters:\n  unfrozen_vision_layers: [1, 2, 3]\n";

    fn with(parameters: &str) -> Vec<String> {
        points(&plan(&format!("{LAYERS}{parameters}")))
    }

    #[test]
    fn a_parameter_varies_only_where_others_have_given_values_and_is_the_recipes_or_another_elsewhere() {
        let decay = "  layer_lr_decay: {values: [0.5, 0.9], when: {unfrozen_vision_layers: [2, 3]}}\n";
        let expected = ["1 - #0", "2 0.5 #0", "2 0.9 #0", "3 0.5 #0", "3 0.9 #0"];
        // One layer has none above it: the recipe's value is of no effect there and is not shown.
        assert_eq!(with(decay), expected);
        assert!(
            plan(&format!("{LAYERS}{decay}")).merged.is_empty(),
            "where it does not vary there is one combination"
        );
        let steps = "  warmup_steps: {values: [5, 10], when: {unfrozen_vision_layers: 3}, otherwise: 7}\n";
        assert_eq!(with(steps), ["1 7 #0", "2 7 #0", "3 5 #0", "3 10 #0"]);
        let one = "  warmup_steps: {value: 5, when: {unfrozen_vision_layers: [1, 2]}}\n";
        assert_eq!(with(one), ["1 5 #0", "2 5 #0", "3 100 #0"]);
    }

    #[test]
    fn a_condition_may_depend_on_another_and_be_written_before_it() {
        let chain = "  epochs: {values: [8, 9], when: {warmup_steps: 5}, otherwise: 3}\n  \
                     warmup_steps: {values: [5, 6], when: {unfrozen_vision_layers: 3}, otherwise: 0}\n";
        assert_eq!(with(chain), ["1 0 3 #0", "2 0 3 #0", "3 5 8 #0", "3 5 9 #0", "3 6 3 #0"]);
    }

    #[test]
    fn what_does_not_vary_is_compared_by_its_value_too() {
        let fixed = "  epochs: 4\n  warmup_steps: {values: [5, 6], when: {epochs: [3, 4], unfrozen_vision_layers: 1}}\n";
        assert_eq!(with(fixed), ["1 5 #0", "1 6 #0", "2 100 #0", "3 100 #0"]);
        insta::assert_snapshot!(refused(&format!("{LAYERS}{}", fixed.replace("epochs: 4", "epochs: 5"))), @"
        `warmup_steps` never varies: no combination has `epochs: 3, 4` and `unfrozen_vision_layers: 1`
        hint: give its `when` values that occur, or take the parameter away
        ");
    }

    #[test]
    fn drawn_points_keep_a_parameter_where_its_condition_holds() {
        let text = "model: lab\nmethod: random\nrun_cap: 30\nparameters:\n  unfrozen_vision_layers: [1, 2]\n  \
                    warmup_steps: {min: 0, max: 1000, when: {unfrozen_vision_layers: 2}, otherwise: 7}\n";
        let found = points(&plan(text));
        assert_eq!(found.iter().filter(|point| point.starts_with("1 7 ")).count(), 1, "{found:?}");
        assert_eq!(found.iter().filter(|point| point.starts_with('1')).count(), 1, "{found:?}");
        assert!(found.iter().filter(|point| point.starts_with('2')).count() > 8, "{found:?}");
    }

    #[test]
    fn exclusions_see_the_values_that_a_combination_has_at_last() {
        let text = format!(
            "{LAYERS}  warmup_steps: {{values: [5, 6], when: {{unfrozen_vision_layers: 3}}, otherwise: 7}}\n\
             exclude: [{{warmup_steps: 7, unfrozen_vision_layers: 2}}]\n"
        );
        assert_eq!(points(&plan(&text)), ["1 7 #0", "3 5 #0", "3 6 #0"]);
    }

    #[test]
    fn references_are_of_the_settings_that_occur() {
        let text = "model: lab\nparameters:\n  epochs: [2, 3]\n  \
                    num_beams: {values: [1, 2], when: {epochs: 3}, otherwise: 4}\n";
        let zero_shot =
            |text: &str| kinds(&plan(text)).into_iter().filter(|kind| *kind == Kind::ZeroShot).count();
        assert_eq!(zero_shot(text), 3);
        assert_eq!(zero_shot(&text.replace("otherwise: 4", "otherwise: 2")), 2);
        assert_eq!(zero_shot("model: lab\ninclude: [{num_beams: [1, 2]}]\ngeneration: {num_beams: 4}"), 3);
    }

    #[test]
    fn included_combinations_come_after_exclusion_and_cap_and_are_crossed_with_what_they_do_not_name() {
        let text = "model: lab\nseeds: [0]\nrun_cap: 1\nexclude: [{unfrozen_vision_layers: 2}]\n\
                    include: [{unfrozen_vision_layers: 2, learning_rate: [1e-5, 1e-6]}, {epochs: 9}]\nparameters:\n  \
                    unfrozen_vision_layers: [1, 2]\n  learning_rate: [1e-4]\n  warmup_steps: [5, 6]\n";
        let found = plan(text);
        let expected = [
            "1 5 0.0001 10 #0",
            "2 5 0.00001 10 #0",
            "2 6 0.00001 10 #0",
            "2 5 1e-6 10 #0",
            "2 6 1e-6 10 #0",
            "1 5 0.0001 9 #0",
            "1 6 0.0001 9 #0",
            "2 5 0.0001 9 #0",
            "2 6 0.0001 9 #0",
        ];
        assert_eq!(points(&found), expected);
        assert_eq!((found.ruled_out, found.beyond_cap), (2, 1));
    }

    #[test]
    fn an_included_line_has_its_value_where_a_condition_would_not_let_it_vary() {
        let text = format!(
            "{LAYERS}  warmup_steps: {{values: [5, 6], when: {{unfrozen_vision_layers: 3}}, otherwise: 7}}\n\
             include: [{{warmup_steps: 8, unfrozen_vision_layers: 1}}, {{unfrozen_vision_layers: 4}}]\n"
        );
        let all = points(&plan(&text));
        assert_eq!(all[all.len() - 2..], ["1 8 #0", "4 7 #0"]);
    }

    #[test]
    fn what_is_included_counts_in_the_size_of_the_plan() {
        let values: Vec<String> = (1..=400).map(|value| value.to_string()).collect();
        let values = values.join(", ");
        let text = format!("model: lab\ninclude: [{{warmup_steps: [{values}], epochs: [{values}]}}]\n");
        let error = expand(&parse(&text, "study.yaml", &[]).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("the sweep has 160001 combinations"), "{error}");
    }
}
