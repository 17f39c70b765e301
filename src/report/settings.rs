//! Settings as a report shows them: flat, only those that act, with names and values for people.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::format::significant;
use crate::plan::canonical::matters;
use crate::record::RunSpec;
use crate::record::recipe::Kind;
use crate::spec::setting::SETTINGS;

/// Settings by dotted path, such as `training.learning_rate`; every value is a number, a text or a truth value.
pub type Settings = BTreeMap<String, Value>;

pub const LAYERS: &str = "training.unfrozen_vision_layers";
pub const RATE: &str = "training.learning_rate";
pub const VISION_MULTIPLIER: &str = "training.vision_lr_multiplier";
pub const TEXT_MULTIPLIER: &str = "training.text_lr_multiplier";
pub const WEIGHT_DECAY: &str = "training.weight_decay";
pub const TRAIN_EXAMPLES: &str = "training.train_examples";
pub const SEED: &str = "seed";

/// The order in which people ask for the axes; others follow by name, the seed comes last.
const FIRST: [&str; 4] = [LAYERS, RATE, VISION_MULTIPLIER, WEIGHT_DECAY];

/// The settings that act on this run's result: a run that trains nothing has no learning rate.
pub fn active_settings(spec: &RunSpec) -> Settings {
    let mut settings = Settings::new();
    if let Ok(recipe) = serde_json::to_value(&spec.recipe) {
        flatten("", &recipe, &mut settings);
    }
    settings.remove("kind");
    // Files leave out some settings where they have their usual value; they act all the same.
    for setting in SETTINGS.iter() {
        settings.entry(setting.path.to_owned()).or_insert_with(|| setting.read(&spec.recipe));
    }
    match spec.recipe.kind {
        Kind::FineTuned | Kind::ShuffledCaptions => {
            settings.insert(SEED.to_owned(), Value::from(spec.seed));
            if !spec.recipe.training.train_text_decoder {
                settings.remove(TEXT_MULTIPLIER);
            }
            if spec.recipe.training.unfrozen_vision_layers == 0 {
                settings.remove(VISION_MULTIPLIER);
            }
        }
        Kind::ZeroShot => settings.retain(|path, _| !is_of_training(path)),
        Kind::SmallDecoder => settings.retain(|path, _| matters(Kind::SmallDecoder, path)),
        // The training captions say how long its captions may be.
        Kind::MatchedLength => {
            let is_length = |path: &str| matches!(path, "generation.max_length" | "generation.min_length");
            settings.retain(|path, _| !is_of_training(path) && !is_length(path));
        }
        Kind::ConstantCaption | Kind::NearestImage => {
            settings.retain(|path, _| !is_of_training(path) && !path.starts_with("generation."));
        }
    }
    settings
}

fn is_of_training(path: &str) -> bool {
    path.starts_with("training.") || path.starts_with("early_stopping.")
}

fn flatten(path: &str, value: &Value, settings: &mut Settings) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, settings);
            }
        }
        Value::Null => {}
        Value::Array(_) => {
            settings.insert(path.to_owned(), Value::from(value.to_string()));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            settings.insert(path.to_owned(), value.clone());
        }
    }
}

/// Paths of the settings that take at least two values among these runs, in the order of display.
pub fn varying(runs: &[&Settings]) -> Vec<String> {
    let mut values: BTreeMap<&str, (&Value, BTreeSet<String>)> = BTreeMap::new();
    for (path, value) in runs.iter().copied().flatten() {
        let (last, texts) = values.entry(path).or_insert((&Value::Null, BTreeSet::new()));
        // Most settings are the same in thousands of runs: their text is made once.
        if texts.is_empty() || *last != value {
            texts.insert(value_text(value));
            *last = value;
        }
    }
    let mut paths: Vec<&str> =
        values.iter().filter(|(_, (_, texts))| texts.len() > 1).map(|(path, _)| *path).collect();
    paths.sort_by_key(|path| {
        let first = FIRST.iter().position(|first| first == path);
        (*path == SEED, first.unwrap_or(FIRST.len()), *path)
    });
    paths.into_iter().map(str::to_owned).collect()
}

/// Fewer values are looked at one by one, however they came about.
const MANY_VALUES: usize = 5;

/// Those of the varying settings whose values were drawn, or might have been: many numbers, hardly any of them in two runs.
/// Where only one setting is like that, its values are in an order that a line may follow.
pub fn drawn(runs: &[&Settings], varying: &[String]) -> BTreeSet<String> {
    let is_drawn = |path: &&String| {
        let values: Vec<&Value> = runs.iter().filter_map(|run| run.get(*path)).collect();
        let distinct: BTreeSet<String> = values.iter().map(|value| value_text(value)).collect();
        **path != SEED
            && values.iter().all(|value| value.is_number())
            && distinct.len() >= MANY_VALUES
            && 2 * distinct.len() > values.len()
    };
    let found: BTreeSet<String> = varying.iter().filter(is_drawn).cloned().collect();
    if found.len() > 1 { found } else { BTreeSet::new() }
}

/// The settings that are the same in all of these runs.
pub fn common(runs: &[&Settings]) -> Settings {
    let Some((first, others)) = runs.split_first() else { return Settings::new() };
    first
        .iter()
        .filter(|(path, value)| others.iter().all(|run| run.get(*path) == Some(*value)))
        .map(|(path, value)| (path.clone(), value.clone()))
        .collect()
}

/// What people call a setting, without a capital: `unfrozen vision layers`.
pub fn name_of(path: &str) -> String {
    match path {
        VISION_MULTIPLIER => "vision rate multiplier".to_owned(),
        TEXT_MULTIPLIER => "text rate multiplier".to_owned(),
        _ => path.rsplit('.').next().unwrap_or(path).replace('_', " "),
    }
}

/// A value as it is shown and compared: `5e-4`, `0.05`, `2`, `true`, `dec`.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), significant),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The varying settings of a run in few words: `2 layers, 5e-4, ×0.1, decay 0.01`.
pub fn short_label(settings: &Settings, varying: &[String]) -> String {
    let part = |path: &String| {
        let value = value_text(settings.get(path)?);
        Some(match path.as_str() {
            LAYERS if value == "1" => "1 layer".to_owned(),
            LAYERS => format!("{value} layers"),
            RATE => value,
            VISION_MULTIPLIER => format!("×{value}"),
            WEIGHT_DECAY => format!("decay {value}"),
            _ => format!("{} {value}", name_of(path)),
        })
    };
    varying.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// The varying settings of a run by their names: `unfrozen vision layers 2, learning rate 5e-4`.
pub fn long_label(settings: &Settings, varying: &[String]) -> String {
    let part = |path: &String| Some(format!("{} {}", name_of(path), value_text(settings.get(path)?)));
    varying.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    fn settings_of(change: impl Fn(&mut RunSpec)) -> Settings {
        let mut spec = any_run("r1");
        change(&mut spec);
        active_settings(&spec)
    }

    #[test]
    fn a_setting_that_cannot_act_is_not_one() {
        let frozen = settings_of(|spec| spec.recipe.training.unfrozen_vision_layers = 0);
        assert!(!frozen.contains_key(VISION_MULTIPLIER) && frozen.contains_key(RATE));
        let zero_shot = settings_of(|spec| spec.recipe.kind = Kind::ZeroShot);
        assert!(!zero_shot.contains_key(RATE) && !zero_shot.contains_key(SEED));
        assert!(zero_shot.contains_key("generation.num_beams"));
        let constant = settings_of(|spec| spec.recipe.kind = Kind::ConstantCaption);
        assert!(
            !constant.contains_key("generation.num_beams") && constant.contains_key("evaluation.convention")
        );
    }

    #[test]
    fn settings_of_which_every_run_has_a_value_of_its_own_were_drawn_where_there_are_two_of_them() {
        let run = |rate: f64, decay: f64, layers: usize| {
            settings_of(|spec| {
                let training = &mut spec.recipe.training;
                (training.learning_rate, training.weight_decay) = (rate, decay);
                training.unfrozen_vision_layers = layers;
            })
        };
        let of = |runs: &[Settings]| {
            let runs: Vec<&Settings> = runs.iter().collect();
            drawn(&runs, &varying(&runs)).into_iter().collect::<Vec<_>>()
        };
        let number = |i: usize| i as f64;
        let random: Vec<Settings> =
            (1..8).map(|i| run(1e-4 * number(i), 0.01 * number(i), 1 + i % 3)).collect();
        assert_eq!(of(&random), [RATE, WEIGHT_DECAY]);
        let one_axis: Vec<Settings> = (1..8).map(|i| run(1e-4 * number(i), 0.1, 1)).collect();
        assert_eq!(of(&one_axis), [""; 0]);
        let grid: Vec<Settings> =
            (0..35).map(|i| run(1e-4 * number(1 + i % 5), 0.01 * number(i / 5), 1)).collect();
        assert_eq!(of(&grid), [""; 0]);
        assert_eq!(of(&random[..4]), [""; 0], "few");
    }

    #[test]
    fn settings_with_more_than_one_value_vary_in_the_order_people_ask() {
        let runs = [
            settings_of(|spec| spec.seed = 1),
            settings_of(|spec| spec.recipe.training.weight_decay = 0.05),
            settings_of(|spec| spec.recipe.training.unfrozen_vision_layers = 0),
            settings_of(|spec| spec.recipe.training.batch_size = 4),
        ];
        let runs = runs.each_ref();
        assert_eq!(varying(&runs), [LAYERS, WEIGHT_DECAY, "training.batch_size", SEED]);
        let common = common(&runs);
        assert!(common.contains_key(RATE) && !common.contains_key(LAYERS));
        assert!(!common.contains_key(VISION_MULTIPLIER), "not all runs have one");
    }

    #[test]
    fn labels_are_short_and_values_as_people_write_them() {
        let settings = settings_of(|_| {});
        let paths =
            [LAYERS, RATE, VISION_MULTIPLIER, WEIGHT_DECAY, "training.start_token"].map(str::to_owned);
        assert_eq!(short_label(&settings, &paths), "2 layers, 5e-4, ×0.1, decay 0.01, start token dec");
    }
}
