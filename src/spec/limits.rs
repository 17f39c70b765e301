//! Settings that are each valid but do not go together, for every combination that the sweep contains.

use serde_json::Value;

use super::architecture::Architecture;
use super::condition;
use super::parameter::Choice;
use super::problem::{Place, Problem};
use super::setting::{Setting, named};
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
            values("training.max_steps", base, settings, point).iter().any(|steps| steps.value != 0);
        for (limiting, limited, check) in CHECKS {
            // How many epochs so many steps are depends on the images.
            if has_steps && limiting == "training.epochs" {
                continue;
            }
            let limits = values(limiting, base, settings, point);
            for value in values(limited, base, settings, point) {
                for limit in &limits {
                    if let Some(message) = check(&limit.value, &value.value)
                        && value.meets(limit, base)
                        && limit.meets(&value, base)
                    {
                        let place = if value.place == Place::FILE { &limit.place } else { &value.place };
                        problems.push(Problem::new(place, message));
                    }
                }
            }
        }
    }
}

/// Refuses runs that count steps in a sweep whose rungs are epochs.
pub(super) fn check_rungs(
    base: &Recipe,
    settings: &[Choice],
    points: &[Vec<Choice>],
    problems: &mut Vec<Problem>,
) {
    let no_point = [Vec::new()];
    for point in if points.is_empty() { &no_point } else { points } {
        let steps = values("training.max_steps", base, settings, point);
        if let Some(steps) = steps.iter().find(|steps| steps.value != 0) {
            let message = format!(
                "`max_steps` is {}, and `early_terminate` compares runs after epochs: say how many `epochs` they have",
                steps.value
            );
            return problems.push(Problem::new(&steps.place, message));
        }
    }
}

/// A value that a setting takes.
struct Taken<'a> {
    setting: &'static Setting,
    value: Value,
    place: Place,
    choice: Option<&'a Choice>,
}

impl Taken<'_> {
    fn meets(&self, other: &Taken, base: &Recipe) -> bool {
        let otherwise = self.setting.read(base);
        self.choice.is_none_or(|choice| {
            condition::can_meet(choice, &self.value, &otherwise, other.setting, &other.value)
        })
    }
}

/// The values that a setting takes around a point, and where they were written.
fn values<'a>(path: &str, base: &Recipe, settings: &'a [Choice], point: &'a [Choice]) -> Vec<Taken<'a>> {
    let Ok(setting) = named(path) else { return Vec::new() };
    let has_path = |choice: &&Choice| choice.setting == setting;
    let choice = point.iter().find(has_path).or_else(|| settings.iter().find(has_path));
    let written = choice.map_or(&[][..], |choice| &choice.values).iter().cloned();
    let otherwise = choice.is_none_or(|choice| choice.when.is_some());
    let otherwise = otherwise.then(|| (setting.read(base), Place::FILE));
    written.chain(otherwise).map(|(value, place)| Taken { setting, value, place, choice }).collect()
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
