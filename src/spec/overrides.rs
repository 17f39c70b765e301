//! `key=value[,value]...` on the command line: the same keys as in the file, each in place of what it says.

use super::draft::Draft;
use super::launcher;
use super::parameter::Choice;
use super::position::place_all;
use super::problem::{Place, Problem, did_you_mean};
use super::sweep::References;
use super::yaml::{Content, Entry, Node, parse_items};

/// Applies one override. One value sets, several make an axis.
pub(super) fn apply(draft: &mut Draft, text: &str) {
    let place = Place::Override(text.to_owned());
    let Some((key, values)) = text.split_once('=') else {
        let problem = Problem::new(&place, "has no `=`");
        draft.problems.push(problem.hint("an override is written `key=value` or `key=value,value`"));
        return;
    };
    let key = key.trim();
    match parse_items(values) {
        Ok(items) => {
            let mut node = Node { content: Content::List(flat(items)), place: place.clone() };
            place_all(&mut node, &place);
            apply_value(draft, Entry { key: key.to_owned(), key_place: place, value: node });
        }
        Err(message) => draft.refuse(&place, format!("the value of `{key}` cannot be read: {message}")),
    }
}

/// `key=[1,2]` means what `key=1,2` means.
fn flat(items: Vec<Node>) -> Vec<Node> {
    match items.as_slice() {
        [Node { content: Content::List(inner), .. }] => inner.clone(),
        _ => items,
    }
}

fn apply_value(draft: &mut Draft, entry: Entry) {
    let key = entry.key.as_str();
    match key {
        "seeds" => draft.read_key(&entry),
        "name"
        | "recipe"
        | "method"
        | "metric"
        | "data"
        | "simple_models"
        | "run_cap"
        | "search_seed"
        | "bayes"
        | "early_terminate"
        | "on_failure"
        | "max_consecutive_failures" => match single(&entry) {
            Some(value) => draft.read_key(&Entry { value, ..entry }),
            None => draft.refuse(&entry.key_place, format!("`{key}` takes one value")),
        },
        "extends" => draft.refuse(&entry.key_place, "`extends` is for sweep files"),
        "parameters" | "points" | "references" | "zip" | "exclude" | "include" | "launcher" => {
            let example = match key {
                "references" => "references.zero_shot=false",
                "launcher" => "launcher.partition=gpu",
                _ => "learning_rate=1e-5,3e-5",
            };
            let problem = Problem::new(&entry.key_place, format!("`{key}` cannot be replaced as a whole"));
            draft.problems.push(problem.hint(format!("name what to change, for example `{example}`")));
        }
        _ => match (key.strip_prefix("references."), key.strip_prefix("launcher.")) {
            (Some(name), _) => apply_reference(draft, name, &entry),
            (_, Some(name)) => {
                draft.read_launcher_key(name, &launcher::overriding(name, &entry), &entry.key_place);
            }
            _ => apply_setting(draft, &entry),
        },
    }
}

/// The value of an override that has only one.
fn single(entry: &Entry) -> Option<Node> {
    match &entry.value.content {
        Content::List(items) => match items.as_slice() {
            [item] => Some(item.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn apply_reference(draft: &mut Draft, name: &str, entry: &Entry) {
    let flag = match single(entry).map(|node| node.content) {
        Some(Content::Flag(flag)) => flag,
        _ => return draft.refuse(&entry.key_place, format!("`{}` must be `true` or `false`", entry.key)),
    };
    if References::NAMES.contains(&name) {
        draft.references.insert(name.to_owned(), flag);
    } else {
        let guess = did_you_mean(name, References::NAMES);
        draft.refuse(&entry.key_place, format!("unknown reference `{name}`{guess}"));
    }
}

/// Replaces the setting where the file has it, at its rank among the axes, or adds it as the last one.
fn apply_setting(draft: &mut Draft, entry: &Entry) {
    // A range is one mapping.
    let range = single(entry).filter(|node| matches!(node.content, Content::Map(_)));
    let entry = &Entry { value: range.unwrap_or_else(|| entry.value.clone()), ..entry.clone() };
    let Some(choice) = draft.choice(&entry.key, entry) else { return };
    replace(draft, choice);
}

/// Puts a setting in the place of what the draft says of it, in points too.
pub(super) fn replace(draft: &mut Draft, choice: Choice) {
    if let Some((points, _)) = &mut draft.points {
        points.iter_mut().for_each(|point| point.retain(|other| other.setting != choice.setting));
    }
    match draft.settings.iter_mut().find(|other: &&mut Choice| other.setting == choice.setting) {
        Some(existing) => *existing = choice,
        None => draft.settings.push(choice),
    }
}
