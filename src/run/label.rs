//! A run in a few words, for people: what it is, or what of it varies.

use crate::record::RunSpec;
use crate::record::recipe::Kind;
use crate::spec::Setting;
use crate::spec::setting::SETTINGS;

/// Names that people write shorter than files do.
const SHORT_NAMES: [(&str, &str); 4] = [
    ("unfrozen_vision_layers", "layers"),
    ("learning_rate", "lr"),
    ("vision_lr_multiplier", "vision_lr"),
    ("weight_decay", "decay"),
];

/// Such as `layers=2 lr=5e-4`, or `zero-shot`. `with_seed` where the plan has several seeds.
pub fn label(spec: &RunSpec, with_seed: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    if spec.recipe.kind != Kind::FineTuned || spec.point.is_empty() {
        parts.push(spec.recipe.kind.label().to_owned());
    }
    // In the order of the recipe, whose first settings are those that people look at first.
    let varies = |setting: &&Setting| spec.point.contains_key(setting.path);
    parts.extend(SETTINGS.iter().filter(varies).map(|setting| {
        let value = spec.point.get(setting.path).map(|value| setting.shown(value)).unwrap_or_default();
        format!("{}={value}", short_name(setting))
    }));
    if with_seed && spec.recipe.kind == Kind::FineTuned {
        parts.push(format!("seed={}", spec.seed));
    }
    parts.join(" ")
}

/// Whether runs of a plan differ in nothing but their seeds.
pub fn has_several_seeds(runs: &[RunSpec]) -> bool {
    let mut seeds = runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).map(|run| run.seed);
    seeds.next().is_some_and(|first| seeds.any(|seed| seed != first))
}

/// The beginning of a run's id, which tells the runs of a sweep apart.
pub fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn short_name(setting: &'static Setting) -> &'static str {
    let name = setting.short_name();
    SHORT_NAMES.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| short)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::run::dispatch::tests::planned;

    #[test]
    fn a_run_is_named_by_what_varies() {
        let mut spec = planned("r1");
        spec.point = [
            ("training.learning_rate".to_owned(), Value::from(5e-4)),
            ("training.unfrozen_vision_layers".to_owned(), Value::from(2)),
            ("training.vision_lr_multiplier".to_owned(), Value::from(0.05)),
            ("generation.max_length".to_owned(), Value::from(96)),
            ("training.start_token".to_owned(), Value::from("cls")),
        ]
        .into();
        assert_eq!(
            label(&spec, false),
            "layers=2 lr=5e-4 vision_lr=0.05 start_token=cls generation.max_length=96"
        );
        spec.point = [("training.train_examples".to_owned(), Value::from(1.0))].into();
        assert_eq!(label(&spec, false), "train_examples=1.0");
        spec.point.clear();
        assert_eq!(label(&spec, true), "fine-tuned seed=0");
        spec.recipe.kind = Kind::ZeroShot;
        assert_eq!(label(&spec, true), "zero-shot");
    }

    #[test]
    fn seeds_are_several_only_among_trained_runs() {
        let mut runs = [planned("r1"), planned("r2")];
        assert!(!has_several_seeds(&runs));
        runs[1].seed = 1;
        assert!(has_several_seeds(&runs));
        runs[1].recipe.kind = Kind::ZeroShot;
        assert!(!has_several_seeds(&runs));
    }
}
