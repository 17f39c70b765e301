//! Settings that are each valid but do not go together, for every combination that the sweep contains.

use serde_json::Value;

use super::architecture::Architecture;
use super::parameter::Choice;
use super::problem::{Place, Problem};
use super::setting::named;
use crate::record::Recipe;

/// A setting that another one limits: what is wrong with two values, if anything.
type Check = fn(limiting: &Value, limited: &Value) -> Option<String>;

/// Limiting setting, limited setting, and the check between them.
const CHECKS: [(&str, &str, Check); 5] = [
    ("model", "training.unfrozen_vision_layers", layers_exist),
    ("model", "training.max_length", positions_exist),
    ("model", "generation.max_length", positions_exist),
    ("generation.max_length", "generation.min_length", minimum_fits),
    ("training.epochs", "training.unfreeze_from_epoch", epoch_exists),
];

/// Checks each point of the sweep (or the one empty point of a grid) with all axes around it.
pub(super) fn check(base: &Recipe, settings: &[Choice], points: &[Vec<Choice>], problems: &mut Vec<Problem>) {
    let no_point = [Vec::new()];
    for point in if points.is_empty() { &no_point } else { points } {
        let has_steps =
            values("training.max_steps", base, settings, point).iter().any(|(steps, _)| *steps != 0);
        for (limiting, limited, check) in CHECKS {
            // How many epochs so many steps are depends on the images.
            if has_steps && limiting == "training.epochs" {
                continue;
            }
            let limits = values(limiting, base, settings, point);
            for (value, place) in values(limited, base, settings, point) {
                for (limit, limit_place) in &limits {
                    if let Some(message) = check(limit, &value) {
                        let place = if place == Place::FILE { limit_place } else { &place };
                        problems.push(Problem::new(place, message));
                    }
                }
            }
        }
    }
}

/// The values that a setting takes around a point, and where they were written.
fn values(path: &str, base: &Recipe, settings: &[Choice], point: &[Choice]) -> Vec<(Value, Place)> {
    let has_path = |choice: &&Choice| choice.setting.path == path;
    match point.iter().find(has_path).or_else(|| settings.iter().find(has_path)) {
        Some(choice) => choice.values.clone(),
        None => named(path).map_or(Vec::new(), |setting| vec![(setting.read(base), Place::FILE)]),
    }
}

fn layers_exist(model: &Value, unfrozen: &Value) -> Option<String> {
    let model = model.as_str()?;
    let layers = Architecture::of(model)?.vision.layers;
    (unfrozen.as_u64()? > layers as u64)
        .then(|| format!("`unfrozen_vision_layers` is {unfrozen}, but `{model}` has {layers} vision layers"))
}

fn positions_exist(model: &Value, length: &Value) -> Option<String> {
    let model = model.as_str()?;
    let positions = Architecture::of(model)?.text.positions;
    (length.as_u64()? > positions as u64)
        .then(|| format!("`max_length` is {length}, but `{model}` takes at most {positions} tokens"))
}

fn epoch_exists(epochs: &Value, from: &Value) -> Option<String> {
    (from.as_u64()? > epochs.as_u64()?).then(|| {
        format!(
            "`unfreeze_from_epoch` is {from}, but there are {epochs} `epochs`: no vision layer would train"
        )
    })
}

fn minimum_fits(longest: &Value, shortest: &Value) -> Option<String> {
    (shortest.as_u64()? > longest.as_u64()?).then(|| {
        format!(
            "`generation.min_length` is {shortest}, more than `generation.max_length`, which is {longest}"
        )
    })
}
