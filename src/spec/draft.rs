//! What a sweep file and the command line say, key by key, before it is put together.
//!
//! Reading never stops at a problem: a [`Draft`] holds what could be read and every problem met, so that a
//! user mends a file once. [`Draft::read`] takes the file, `overrides` the command line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::bayes::{self, Rounds};
use super::constraints::{self, Pattern, Zipped};
use super::data::{find, only, unique};
use super::early_terminate::EarlyTerminate;
use super::failures::OnFailure;
use super::launcher;
use super::parameter::Choice;
use super::preset::Preset;
use super::problem::{Place, Problem, did_you_mean, one_of, quoted};
use super::setting::{GROUPS, METRICS, SETTINGS};
use super::sweep::{Method, References};
use super::yaml::{Content, Entry, Node};
use crate::record::recipe::{DataSource, MetricName};

/// Keys of a sweep file besides the groups.
pub(super) const TOP_LEVEL: [&str; 22] = [
    "extends",
    "name",
    "model",
    "data",
    "recipe",
    "method",
    "seeds",
    "metric",
    "parameters",
    "points",
    "zip",
    "exclude",
    "include",
    "run_cap",
    "search_seed",
    "bayes",
    "early_terminate",
    "references",
    "simple_models",
    "on_failure",
    "max_consecutive_failures",
    "launcher",
];

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The file that this one builds on.
    pub extends: Option<(String, Place)>,
    pub name: Option<(String, Place)>,
    pub recipe: Option<Preset>,
    pub method: Option<(Method, Place)>,
    pub seeds: Option<Vec<u64>>,
    pub run_cap: Option<usize>,
    pub search_seed: Option<u64>,
    pub bayes: Option<Rounds>,
    pub zipped: Option<Vec<Zipped>>,
    pub exclude: Option<Vec<Pattern>>,
    pub include: Option<Vec<(Pattern, Place)>>,
    pub metric: Option<(MetricName, Place)>,
    /// Whether there is a `data` key, and what it says if it could be read.
    pub data: Option<Option<DataSource>>,
    /// Those that are switched on or off.
    pub references: BTreeMap<String, bool>,
    /// Whether there is the key, and what it says unless `none`.
    pub early_terminate: Option<Option<EarlyTerminate>>,
    pub on_failure: Option<OnFailure>,
    pub max_consecutive_failures: Option<usize>,
    pub launcher: launcher::Given,
    /// In the order written.
    pub settings: Vec<Choice>,
    pub points: Option<(Vec<Vec<Choice>>, Place)>,
    pub problems: Vec<Problem>,
}

/// The metric of this name.
pub(super) fn metric_named(name: &str) -> Option<MetricName> {
    serde_json::from_value(Value::from(name)).ok()
}

impl Draft {
    /// Reads a sweep file's tree. A file that has no keys is the only problem it has.
    pub fn read(root: &Node) -> Result<Self, Problem> {
        let entries = match &root.content {
            Content::Map(entries) => entries,
            Content::Null => {
                let problem = Problem::new(&Place::FILE, "the file is empty");
                return Err(problem.hint("a sweep needs a `model`, and `parameters` that vary"));
            }
            _ => {
                return Err(Problem::new(
                    &root.place,
                    format!("the file is {}; it must be a mapping", root.shown()),
                ));
            }
        };
        let mut draft = Self::default();
        let entries = unique(entries, &mut draft.problems);
        entries.into_iter().for_each(|entry| draft.read_key(entry));
        Ok(draft)
    }

    /// Reads one key of the top level, from the file or the command line.
    pub fn read_key(&mut self, entry: &Entry) {
        let Entry { key, key_place, value } = entry;
        match key.as_str() {
            "extends" => super::extends::read(self, value),
            "name" => self.read_name(value),
            "model" => self.read_setting("model", entry),
            "data" => self.data = Some(super::data::read(value, &mut self.problems)),
            "recipe" => self.read_recipe(value),
            "method" => self.read_method(value),
            "seeds" => self.read_seeds(value),
            "metric" => self.read_metric(value),
            "references" => self.read_references(value),
            "simple_models" => self.read_switch("simple_models", value),
            "parameters" => self.read_parameters(value),
            "points" => self.read_points(value),
            "zip" => constraints::read_zip(self, value),
            "exclude" => constraints::read_exclude(self, value),
            "include" => constraints::read_include(self, value),
            "run_cap" => self.run_cap = self.read_whole("run_cap", value, 1).or(self.run_cap),
            "search_seed" => {
                let seed = self.read_whole("search_seed", value, 0);
                self.search_seed = seed.map(|seed| seed as u64).or(self.search_seed);
            }
            "bayes" => bayes::read(self, value),
            "early_terminate" => self.read_early_terminate(value),
            "on_failure" => self.read_on_failure(value),
            "max_consecutive_failures" => self.read_max_consecutive_failures(value),
            "launcher" => self.read_launcher(value),
            group if GROUPS.contains(&group) => self.read_group(group, value),
            _ => self.refuse_key(key, key_place),
        }
    }

    fn refuse_key(&mut self, key: &str, place: &Place) {
        let meant: Vec<&str> =
            SETTINGS.iter().filter(|setting| setting.key() == key).map(|setting| setting.path).collect();
        if meant.is_empty() {
            let guess = match did_you_mean(key, TOP_LEVEL.into_iter().chain(GROUPS)) {
                guess if guess.is_empty() => {
                    format!(
                        "; there are {}",
                        one_of(TOP_LEVEL.into_iter().chain(GROUPS)).replace(" or ", " and ")
                    )
                }
                guess => guess,
            };
            return self.refuse(place, format!("unknown key {}{guess}", quoted(key)));
        }
        let problem = Problem::new(place, format!("`{key}` does not belong at the top level"));
        self.problems
            .push(problem.hint(format!("write {} under `parameters`, or in its group", one_of(meant))));
    }

    pub fn refuse(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }

    fn read_name(&mut self, node: &Node) {
        match &node.content {
            Content::Text(name) => self.name = Some((name.clone(), node.place.clone())),
            _ => self.refuse(&node.place, format!("`name` is {}; it must be a text", node.shown())),
        }
    }

    fn read_recipe(&mut self, node: &Node) {
        let preset = match &node.content {
            Content::Text(name) => Preset::named(name),
            _ => None,
        };
        match preset {
            Some(preset) => self.recipe = Some(preset),
            None => self.refuse_word("recipe", node, &Preset::NAMES),
        }
    }

    fn read_method(&mut self, node: &Node) {
        let method = match &node.content {
            Content::Text(name) => Method::NAMES.into_iter().find(|(other, _)| other == name),
            _ => None,
        };
        let Some((_, method)) = method else {
            return self.refuse_word("method", node, &Method::NAMES.map(|(name, _)| name));
        };
        self.method = Some((method, node.place.clone()));
    }

    /// A whole number of at least `least`.
    pub fn read_whole(&mut self, key: &str, node: &Node, least: usize) -> Option<usize> {
        let number = match node.content {
            Content::Whole(number) => usize::try_from(number).ok().filter(|number| *number >= least),
            _ => None,
        };
        if number.is_none() {
            self.refuse(
                &node.place,
                format!("`{key}` is {}; it must be a whole number of at least {least}", node.shown()),
            );
        }
        number
    }

    pub fn refuse_word(&mut self, key: &str, node: &Node, words: &[&str]) {
        let guess = match &node.content {
            Content::Text(text) => did_you_mean(text, words.iter().copied()),
            _ => String::new(),
        };
        let valid = one_of(words.iter().copied());
        self.refuse(&node.place, format!("`{key}` is {}; it must be {valid}{guess}", node.shown()));
    }

    fn read_seeds(&mut self, node: &Node) {
        let Content::List(items) = &node.content else {
            let message = format!(
                "`seeds` is {}; it must be a list of whole numbers, such as `[0, 1, 2]`",
                node.shown()
            );
            return self.refuse(&node.place, message);
        };
        if items.is_empty() {
            return self.refuse(&node.place, "`seeds` is empty; a run needs one");
        }
        let mut seeds = Vec::new();
        let mut seen = BTreeSet::new();
        for item in items {
            let seed = match item.content {
                Content::Whole(seed) => u64::try_from(seed).ok(),
                _ => None,
            };
            match seed {
                Some(seed) if !seen.insert(seed) => {
                    self.refuse(&item.place, format!("seed {seed} is there twice"))
                }
                Some(seed) => seeds.push(seed),
                None => {
                    let message =
                        format!("a seed is {}; it must be a whole number of at least 0", item.shown());
                    self.refuse(&item.place, message);
                }
            }
        }
        self.seeds = Some(seeds);
    }

    /// `{name: score, goal: maximize}`, or the name alone.
    fn read_metric(&mut self, node: &Node) {
        let (name_node, goal) = match &node.content {
            Content::Map(entries) => {
                only(entries, "metric", &["name", "goal"], &mut self.problems);
                match find(entries, "name") {
                    Some(name) => (name, find(entries, "goal")),
                    None => return self.refuse(&node.place, "`metric` has no `name`"),
                }
            }
            _ => (node, None),
        };
        let name = match &name_node.content {
            Content::Text(name) => metric_named(name),
            _ => None,
        };
        let Some(name) = name else { return self.refuse_word("metric", name_node, METRICS) };
        let (better, right_goal) =
            if name.higher_is_better() { ("higher", "maximize") } else { ("lower", "minimize") };
        if let Some(goal) = goal
            && goal.content != Content::Text(right_goal.to_owned())
        {
            let message = format!("`metric.goal` is {}, but {} is better", goal.shown(), better);
            self.refuse(&goal.place, format!("{message}; it must be `{right_goal}`"));
        }
        self.metric = Some((name, name_node.place.clone()));
    }

    fn read_references(&mut self, node: &Node) {
        let Content::Map(entries) = &node.content else {
            let message = format!(
                "`references` is {}; it must be a mapping such as `{{zero_shot: false}}`",
                node.shown()
            );
            return self.refuse(&node.place, message);
        };
        for entry in only(entries, "references", &References::NAMES, &mut self.problems) {
            match entry.value.content {
                Content::Flag(flag) => {
                    self.references.insert(entry.key.clone(), flag);
                }
                _ => self.refuse_word(&format!("references.{}", entry.key), &entry.value, &["true", "false"]),
            }
        }
    }

    /// A reference that has a key of its own at the top, too.
    fn read_switch(&mut self, name: &str, node: &Node) {
        match node.content {
            Content::Flag(flag) => {
                self.references.insert(name.to_owned(), flag);
            }
            _ => self.refuse_word(name, node, &["true", "false"]),
        }
    }

    fn read_group(&mut self, group: &str, node: &Node) {
        let Content::Map(entries) = &node.content else {
            return self.refuse(
                &node.place,
                format!("`{group}` is {}; it must be a mapping of settings", node.shown()),
            );
        };
        let prefix = format!("{group}.");
        let keys: Vec<&str> =
            SETTINGS.iter().filter_map(|setting| setting.path.strip_prefix(&prefix)).collect();
        for entry in only(entries, group, &keys, &mut self.problems) {
            let path = format!("{group}.{}", entry.key);
            if let Content::List(_) | Content::Map(_) = entry.value.content {
                let problem =
                    Problem::new(&entry.value.place, format!("`{path}` is {}", entry.value.shown()));
                self.problems
                    .push(problem.hint(format!("what varies is written under `parameters`, as `{path}`")));
                continue;
            }
            self.read_setting(&path, entry);
        }
    }

    fn read_parameters(&mut self, node: &Node) {
        match &node.content {
            Content::Map(entries) => {
                for entry in unique(entries, &mut self.problems) {
                    match &entry.value.content {
                        Content::Map(inner) if GROUPS.contains(&entry.key.as_str()) => {
                            self.read_nested(&entry.key, inner);
                        }
                        _ => self.read_setting(&entry.key, entry),
                    }
                }
            }
            Content::Null => {}
            _ => self.refuse(&node.place, format!("`parameters` is {}; it must be a mapping", node.shown())),
        }
    }

    /// Parameters of one group: `generation: {num_beams: [1, 5]}`, or with `parameters` in between, as W&B nests them.
    fn read_nested(&mut self, group: &str, entries: &[Entry]) {
        if let [Entry { key, value: Node { content: Content::Map(inner), .. }, .. }] = entries
            && key == "parameters"
        {
            return self.read_nested(group, inner);
        }
        for entry in unique(entries, &mut self.problems) {
            self.read_setting(&format!("{group}.{}", entry.key), entry);
        }
    }

    /// Reads a setting and adds it to those of the sweep.
    fn read_setting(&mut self, name: &str, entry: &Entry) {
        let Some(choice) = self.choice(name, entry) else { return };
        match self.settings.iter().find(|other| other.setting == choice.setting) {
            None => self.settings.push(choice),
            Some(_) => {
                let message = format!("`{}` is set in another place too", choice.setting.path);
                self.refuse(&choice.place, message);
            }
        }
    }

    fn read_points(&mut self, node: &Node) {
        let Content::List(items) = &node.content else {
            return self
                .refuse(&node.place, format!("`points` is {}; it must be a list of mappings", node.shown()));
        };
        let points = items.iter().filter_map(|item| self.read_point(item)).collect();
        self.points = Some((points, node.place.clone()));
    }

    fn read_point(&mut self, node: &Node) -> Option<Vec<Choice>> {
        let Content::Map(entries) = &node.content else {
            let message = format!(
                "a point is {}; it must be a mapping such as `{{learning_rate: 1.0e-5}}`",
                node.shown()
            );
            self.refuse(&node.place, message);
            return None;
        };
        let mut point: Vec<Choice> = Vec::new();
        for entry in entries {
            let Some(choice) = self.choice(&entry.key, entry) else { continue };
            if point.iter().any(|other| other.setting == choice.setting) {
                self.refuse(&choice.place, format!("`{}` is written twice", choice.setting.path));
            } else if choice.varies() {
                let problem = Problem::new(&choice.place, format!("`{}` varies within one point", entry.key));
                self.problems.push(problem.hint("what varies for all points is written under `parameters`"));
            } else {
                point.push(choice);
            }
        }
        Some(point)
    }
}
