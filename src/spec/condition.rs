//! `when`: parameters that vary only where others have given values.

use serde_json::Value;

use super::constraints::Pattern;
use super::data::{find, unique};
use super::draft::Draft;
use super::parameter::Choice;
use super::problem::{Place, Problem};
use super::setting::Setting;
use super::yaml::{Content, Entry, Node};

/// The keys of a parameter beside those of its values.
pub(super) const KEYS: [&str; 2] = ["when", "otherwise"];

/// A setting that varies only in some combinations.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub setting: &'static Setting,
    /// It varies where all of these settings have one of their values.
    pub when: Pattern,
    /// What it is everywhere else.
    pub otherwise: Value,
}

/// What a parameter says of where it varies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct When {
    pub pattern: Pattern,
    /// Its value elsewhere, if not the recipe's.
    pub otherwise: Option<(Value, Place)>,
    pub place: Place,
}

/// Reads a parameter that has `when` beside its values.
pub(super) fn read(draft: &mut Draft, name: &str, entry: &Entry, entries: &[Entry]) -> Option<Choice> {
    let of_values = |entry: &&Entry| !KEYS.contains(&entry.key.as_str());
    let values = Node {
        content: Content::Map(entries.iter().filter(of_values).cloned().collect()),
        place: entry.value.place.clone(),
    };
    let choice = draft.choice(name, &Entry { value: values, ..entry.clone() })?;
    let Some(node) = find(entries, "when") else {
        draft.refuse(&entry.value.place, format!("`{name}` has `otherwise` without `when`"));
        return Some(choice);
    };
    let pattern = pattern(draft, name, node, choice.setting)?;
    let otherwise = find(entries, "otherwise").and_then(|node| match choice.setting.check(node) {
        Ok(value) => Some((value, node.place.clone())),
        Err(message) => {
            draft.refuse(&node.place, format!("`{name}.otherwise` {message}"));
            None
        }
    });
    let when = When { pattern, otherwise, place: node.place.clone() };
    Some(Choice { when: Some(when), ..choice })
}

/// Reads `{unfrozen_vision_layers: [1, 2]}`.
fn pattern(draft: &mut Draft, name: &str, node: &Node, setting: &Setting) -> Option<Pattern> {
    let Content::Map(entries) = &node.content else {
        let message = format!("`{name}.when` is {}; it must be a mapping", node.shown());
        let problem = Problem::new(&node.place, message);
        draft.problems.push(problem.hint("`when: {unfrozen_vision_layers: [1, 2]}`"));
        return None;
    };
    let entries = unique(entries, &mut draft.problems);
    let pattern = super::constraints::pattern(draft, entries)?;
    if pattern.is_empty() {
        draft.refuse(&node.place, format!("`{name}.when` names no setting"));
    }
    if pattern.iter().any(|(other, _)| *other == setting) {
        draft.refuse(&node.place, format!("`{name}` varies by a value of its own"));
    }
    Some(pattern)
}

/// The settings that vary conditionally, each after those that it depends on; the draft's settings are put into that
/// order too.
pub(super) fn take(draft: &mut Draft) -> Vec<(&'static Setting, When)> {
    let mut waiting = std::mem::take(&mut draft.settings);
    while !waiting.is_empty() {
        let is_free = |choice: &Choice| {
            let depends_on = |other: &Choice| {
                other.setting != choice.setting
                    && choice
                        .when
                        .iter()
                        .any(|when| when.pattern.iter().any(|(setting, _)| *setting == other.setting))
            };
            !waiting.iter().any(depends_on)
        };
        let Some(next) = waiting.iter().position(is_free) else {
            let names: Vec<&str> = waiting.iter().map(|choice| choice.setting.short_name()).collect();
            let place = waiting.iter().find_map(|choice| choice.when.as_ref()).map(|when| when.place.clone());
            let message = format!("`when` goes in a circle through {}", names.join(", "));
            draft.refuse(&place.unwrap_or(Place::FILE), message);
            draft.settings.append(&mut waiting);
            break;
        };
        draft.settings.push(waiting.remove(next));
    }
    let conditional = |choice: &Choice| Some((choice.setting, choice.when.clone()?));
    draft.settings.iter().filter_map(conditional).collect()
}

/// Whether a value of a parameter, or its value elsewhere, can be that of a combination with this value of another setting.
pub(super) fn can_meet(
    choice: &Choice,
    value: &Value,
    otherwise: &Value,
    other: &'static Setting,
    others: &Value,
) -> bool {
    let Some(when) = &choice.when else { return true };
    let Some((_, wanted)) = when.pattern.iter().find(|(setting, _)| *setting == other) else { return true };
    if !wanted.contains(others) {
        return value == otherwise;
    }
    // Of several conditions another may be what does not hold.
    when.pattern.len() > 1 || value != otherwise || choice.values.iter().any(|(listed, _)| listed == value)
}
