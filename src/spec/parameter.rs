//! A parameter as the sweep file writes it: a scalar, a list, `{value}`, `{values}`, or what values are drawn from.

use serde_json::Value;

use super::condition::{self, When};
use super::data::{find, only};
use super::distribution::{Range, probabilities};
use super::draft::Draft;
use super::problem::Place;
use super::search::Source;
use super::setting::{Setting, named};
use super::yaml::{Content, Entry, Node};

/// A setting and the values it takes in the sweep, each where it was written.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub setting: &'static Setting,
    pub place: Place,
    /// One value sets, several make an axis. Empty only where every value was refused.
    pub values: Vec<(Value, Place)>,
    pub source: Source,
    /// Where it varies, if not everywhere.
    pub when: Option<When>,
}

impl Choice {
    /// Whether it has not one value throughout.
    pub fn varies(&self) -> bool {
        self.values.len() > 1 || self.source != Source::Values || self.when.is_some()
    }
}

impl Draft {
    /// A setting with its value or values, or the range that they are drawn from. `None` where there is no such setting, or
    /// no such range.
    pub fn choice(&mut self, name: &str, entry: &Entry) -> Option<Choice> {
        let setting = match named(name) {
            Ok(setting) => setting,
            Err(message) => {
                self.refuse(&entry.key_place, message);
                return None;
            }
        };
        if let Content::Map(entries) = &entry.value.content
            && condition::KEYS.iter().any(|key| find(entries, key).is_some())
        {
            return condition::read(self, name, entry, entries);
        }
        let mut choice = Choice {
            setting,
            place: entry.key_place.clone(),
            values: Vec::new(),
            source: Source::Values,
            when: None,
        };
        if let Content::Map(entries) = &entry.value.content
            && ["min", "max", "distribution", "q"].iter().any(|key| find(entries, key).is_some())
        {
            let range = Range::read(self, name, setting, &entry.value, entries)?;
            let ends = ["min", "max"].into_iter().filter_map(|key| find(entries, key));
            choice.values =
                ends.filter_map(|node| Some((setting.check(node).ok()?, node.place.clone()))).collect();
            choice.source = Source::Range(range);
            return Some(choice);
        }
        for node in self.value_nodes(name, &entry.value) {
            match setting.check(node) {
                Ok(value) => choice.values.push((value, node.place.clone())),
                Err(message) => self.refuse(&node.place, format!("`{name}` {message}")),
            }
        }
        if let Content::Map(entries) = &entry.value.content
            && let Some(node) = find(entries, "probabilities")
        {
            let weights = probabilities(self, name, node, choice.values.len())?;
            choice.source = Source::Weighted(weights);
        }
        Some(choice)
    }

    /// The nodes of a setting's values. None have left a problem.
    fn value_nodes<'a>(&mut self, name: &str, node: &'a Node) -> &'a [Node] {
        let entries = match &node.content {
            Content::List(items) if items.is_empty() => {
                self.refuse(&node.place, format!("`{name}` has no values"));
                return items;
            }
            Content::List(items) => return items,
            Content::Map(entries) => entries,
            _ => return std::slice::from_ref(node),
        };
        only(entries, name, &["values", "value", "probabilities"], &mut self.problems);
        match (find(entries, "values"), find(entries, "value")) {
            (Some(Node { content: Content::List(items), .. }), None) if !items.is_empty() => return items,
            (Some(Node { content: Content::List(_), place }), None) => {
                self.refuse(place, format!("`{name}` has no values"));
            }
            (Some(values), None) => {
                self.refuse(
                    &values.place,
                    format!("`{name}.values` is {}; it must be a list", values.shown()),
                );
            }
            (None, Some(value)) => return std::slice::from_ref(value),
            (Some(_), Some(value)) => {
                self.refuse(&value.place, format!("`{name}` has both `values` and `value`"))
            }
            (None, None) => self.refuse(&node.place, format!("`{name}` has neither `values` nor `value`")),
        }
        &[]
    }
}
