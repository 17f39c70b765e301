//! `zip`, `exclude` and `include`: which values of a grid go together, which do not, and which do besides.

use serde_json::Value;

use super::data::unique;
use super::draft::Draft;
use super::parameter::Choice;
use super::problem::{Place, Problem};
use super::search::Source;
use super::setting::{Setting, named};
use super::sweep::Method;
use super::yaml::{Content, Entry, Node};

/// Settings with some of their values: a combination fits where every one of them has one of these.
pub type Pattern = Vec<(&'static Setting, Vec<Value>)>;

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
    let mut groups = Vec::new();
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
        groups.push((settings, group.place.clone()));
    }
    draft.zipped = Some(groups);
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
    let groups = draft.zipped.take().unwrap_or_default();
    let alone = match &draft.method {
        Some((Method::Random, _)) => Some("`method: random` draws each by itself"),
        Some((Method::Bayes, _)) => Some("`method: bayes` chooses each by itself"),
        _ => None,
    };
    if let (Some((_, place)), Some(alone)) = (groups.first(), alone) {
        draft.refuse(place, format!("`zip` pairs the values of a grid; {alone}"));
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
                Some(choice) if choice.when.is_some() => {
                    draft.refuse(
                        place,
                        format!("`{}` is in `zip`, but varies by its own `when`", setting.path),
                    );
                }
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
    let example = "`exclude: [{unfrozen_vision_layers: 12, learning_rate: 1.0e-4}]`";
    draft.exclude = lines(draft, node, "exclude", example, "would leave nothing")
        .map(|lines| lines.into_iter().map(|(pattern, _)| pattern).collect());
}

/// Reads `include: [{unfrozen_vision_layers: 12, learning_rate: 1e-6}, ...]`.
pub(super) fn read_include(draft: &mut Draft, node: &Node) {
    let example = "`include: [{unfrozen_vision_layers: 12, learning_rate: 1.0e-6}]`";
    draft.include = lines(draft, node, "include", example, "would add what is there");
}

/// Reads a list of mappings of settings to one value or several.
fn lines(
    draft: &mut Draft,
    node: &Node,
    key: &str,
    example: &str,
    nothing: &str,
) -> Option<Vec<(Pattern, Place)>> {
    let Content::List(items) = &node.content else {
        let message = format!("`{key}` is {}; it must be a list of mappings", node.shown());
        draft.refuse(&node.place, message);
        return None;
    };
    let mut lines = Vec::new();
    for item in items {
        let Content::Map(entries) = &item.content else {
            let message = format!("a line of `{key}` is {}; it must be a mapping", item.shown());
            draft.problems.push(Problem::new(&item.place, message).hint(example));
            continue;
        };
        let entries = unique(entries, &mut draft.problems);
        let Some(pattern) = pattern(draft, entries) else { continue };
        if pattern.is_empty() {
            draft.refuse(&item.place, format!("a line of `{key}` that names no setting {nothing}"));
        }
        lines.push((pattern, item.place.clone()));
    }
    Some(lines)
}

/// Settings with one value or several each. A setting that cannot be read has left a problem.
pub(super) fn pattern(draft: &mut Draft, entries: Vec<&Entry>) -> Option<Pattern> {
    let count = entries.len();
    let mut pattern = Pattern::new();
    for entry in entries {
        let Some(choice) = draft.choice(&entry.key, entry) else { continue };
        if choice.source != Source::Values || choice.when.is_some() {
            let name = choice.setting.path;
            draft.refuse(
                &choice.place,
                format!("`{name}` stands here for its values, without range or `when`"),
            );
        } else {
            pattern.push((choice.setting, choice.values.into_iter().map(|(value, _)| value).collect()));
        }
    }
    (pattern.len() == count).then_some(pattern)
}

/// The included lines, as points of their own.
pub(super) fn included(draft: &mut Draft, zipped: &[Vec<&'static Setting>]) -> Vec<Vec<Choice>> {
    let lines = draft.include.take().unwrap_or_default();
    for (pattern, place) in &lines {
        let is_named = |setting: &&'static Setting| pattern.iter().any(|(other, _)| other == setting);
        for group in zipped.iter().filter(|group| group.iter().any(&is_named)) {
            if let Some(missing) = group.iter().find(|setting| !is_named(setting)) {
                let message = format!("`{}` is missing: `zip` pairs it with what is there", missing.path);
                draft.refuse(place, message);
            }
        }
    }
    let choice = |(setting, values): (&'static Setting, Vec<Value>), place: &Place| Choice {
        setting,
        place: place.clone(),
        values: values.into_iter().map(|value| (value, place.clone())).collect(),
        source: Source::Values,
        when: None,
    };
    lines
        .into_iter()
        .map(|(pattern, place)| pattern.into_iter().map(|setting| choice(setting, &place)).collect())
        .collect()
}
