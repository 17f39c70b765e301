//! `zip` and `exclude`: which values of a grid go together, and which do not.

use serde_json::Value;

use super::data::unique;
use super::draft::Draft;
use super::parameter::Choice;
use super::problem::{Place, Problem};
use super::search::Source;
use super::setting::{Setting, named};
use super::sweep::Method;
use super::yaml::{Content, Node};

/// A combination is left out where all of these settings have one of their values.
pub type Exclusion = Vec<(&'static Setting, Vec<Value>)>;

/// Settings whose values are paired, in the order of their names in the file.
pub(super) type Zipped = (Vec<&'static Setting>, Place);

/// Reads `zip: [[learning_rate, warmup_steps], ...]`, or one such list without the outer brackets.
pub(super) fn read_zip(draft: &mut Draft, node: &Node) {
    let Content::List(items) = &node.content else {
        let message = format!(
            "`zip` is {}; it must be a list of settings, such as `[learning_rate, warmup_steps]`",
            node.shown()
        );
        return draft.refuse(&node.place, message);
    };
    let is_one = items.iter().any(|item| matches!(item.content, Content::Text(_)));
    for group in if is_one { std::slice::from_ref(node) } else { items } {
        let Content::List(names) = &group.content else {
            draft.refuse(
                &group.place,
                format!("a group of `zip` is {}; it must be a list of settings", group.shown()),
            );
            continue;
        };
        let settings: Vec<&'static Setting> = names.iter().filter_map(|name| setting(draft, name)).collect();
        if names.len() < 2 {
            draft.refuse(&group.place, "a group of `zip` pairs at least two settings");
        }
        draft.zipped.push((settings, group.place.clone()));
    }
}

fn setting(draft: &mut Draft, node: &Node) -> Option<&'static Setting> {
    let name = match &node.content {
        Content::Text(name) => name,
        _ => {
            draft.refuse(
                &node.place,
                format!("a name in `zip` is {}; it must be that of a setting", node.shown()),
            );
            return None;
        }
    };
    match named(name) {
        Ok(setting) => Some(setting),
        Err(message) => {
            draft.refuse(&node.place, message);
            None
        }
    }
}

/// The groups of settings that vary together, once all settings are known.
pub(super) fn zipped(draft: &mut Draft) -> Vec<Vec<&'static Setting>> {
    let groups = std::mem::take(&mut draft.zipped);
    if let (Some((_, place)), Some((Method::Random, _))) = (groups.first(), &draft.method) {
        draft.refuse(place, "`zip` pairs the values of a grid; `method: random` draws each by itself");
    }
    let mut seen: Vec<&Setting> = Vec::new();
    for (group, place) in &groups {
        let mut counts = Vec::new();
        for setting in group {
            if seen.contains(setting) {
                draft.refuse(place, format!("`{}` is in `zip` twice", setting.path));
            }
            seen.push(setting);
            match draft.settings.iter().find(|choice| choice.setting == *setting) {
                Some(choice) if choice.values.len() > 1 => counts.push((setting.path, choice.values.len())),
                _ => {
                    draft.refuse(place, format!("`{}` is in `zip`, but has no values to pair", setting.path))
                }
            }
        }
        if let (Some((one, few)), Some((other, many))) =
            (counts.iter().min_by_key(|(_, count)| *count), counts.iter().max_by_key(|(_, count)| *count))
            && few < many
        {
            draft.refuse(
                place,
                format!("`zip` pairs `{one}`, which has {few} values, with `{other}`, which has {many}"),
            );
        }
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

/// Reads `exclude: [{unfrozen_vision_layers: 12, learning_rate: [1e-4, 1e-3]}, ...]`.
pub(super) fn read_exclude(draft: &mut Draft, node: &Node) {
    let Content::List(items) = &node.content else {
        let message = format!("`exclude` is {}; it must be a list of mappings", node.shown());
        return draft.refuse(&node.place, message);
    };
    for item in items {
        let Content::Map(entries) = &item.content else {
            let problem =
                Problem::new(&item.place, format!("an exclusion is {}; it must be a mapping", item.shown()));
            draft
                .problems
                .push(problem.hint("`exclude: [{unfrozen_vision_layers: 12, learning_rate: 1.0e-4}]`"));
            continue;
        };
        let entries = unique(entries, &mut draft.problems);
        let choices: Vec<Choice> =
            entries.into_iter().filter_map(|entry| draft.choice(&entry.key, entry)).collect();
        if let Some(drawn) = choices.iter().find(|choice| choice.source != Source::Values) {
            draft.refuse(
                &drawn.place,
                format!("`{}` is excluded by its values, not by a range", drawn.setting.path),
            );
        }
        let values = |choice: &Choice| choice.values.iter().map(|(value, _)| value.clone()).collect();
        let exclusion: Exclusion = choices.iter().map(|choice| (choice.setting, values(choice))).collect();
        if exclusion.is_empty() {
            draft.refuse(&item.place, "an exclusion that names no setting would leave nothing");
        }
        draft.exclude.push(exclusion);
    }
}
