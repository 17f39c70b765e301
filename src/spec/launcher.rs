//! `launcher`: how the sweep's runs are handed to a cluster. It changes no run, and is part of no id.
//!
//! Keys have the names that submitit and Hydra's launcher gave them, where these have one. One table serves the file, the
//! command line, the schema and the page of keys.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::data::only;
use super::draft::Draft;
use super::problem::{Place, Problem, did_you_mean, quoted};
use super::variables::is_well_formed;
use super::yaml::{Content, Entry, Node, shortest};

/// What a sweep asks of a cluster. What is not asked for is left to the cluster's own defaults.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Launcher {
    pub timeout_min: Option<u64>,
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    pub constraint: Option<String>,
    pub exclude: Option<String>,
    pub gres: Option<String>,
    pub gpus_per_node: Option<u64>,
    pub cpus_per_task: Option<u64>,
    pub mem_gb: Option<f64>,
    pub array_parallelism: Option<u64>,
    pub runs_per_task: Option<u64>,
    pub max_requeues: Option<u64>,
    pub signal_delay_s: Option<u64>,
    pub cache_dir: Option<String>,
    pub setup: Vec<String>,
    pub additional_parameters: BTreeMap<String, String>,
    pub image: Option<String>,
    pub volume_claim: Option<String>,
    pub mount: Option<String>,
}

impl Launcher {
    /// Cores of a task, which are the threads of its run.
    pub fn cpus(&self) -> u64 {
        self.cpus_per_task.unwrap_or(1)
    }

    /// Runs that a task does one after the other.
    pub fn per_task(&self) -> usize {
        self.runs_per_task.and_then(|count| usize::try_from(count).ok()).unwrap_or(1).max(1)
    }

    /// How often a task goes back into the queue.
    pub fn requeues(&self) -> u64 {
        self.max_requeues.unwrap_or(MAX_REQUEUES)
    }

    /// Seconds before the end of its time at which a task is told to save a checkpoint.
    pub fn signal_delay(&self) -> u64 {
        self.signal_delay_s.unwrap_or(SIGNAL_DELAY)
    }
}

/// A run that needs ten times its limit was given the wrong limit.
const MAX_REQUEUES: u64 = 10;
/// A batch of captions and a large model's checkpoint on a slow disk fit in.
const SIGNAL_DELAY: u64 = 180;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A whole number of at least so many.
    Count(u64),
    /// A number above 0.
    Number,
    Text,
    /// A text in which a node completes variables of its own.
    Folder,
    /// One text or several.
    Lines,
    /// Names with a value each.
    Map,
}

/// A key of `launcher`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    /// On the command line.
    pub flag: &'static str,
    pub form: Form,
    pub about: &'static str,
}

const fn key(name: &'static str, flag: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, flag, form, about }
}

/// Every key there is.
pub static KEYS: [Key; 20] = [
    key(
        "timeout_min",
        "timeout-min",
        Form::Count(1),
        "Minutes that a task may take; it saves a checkpoint before and goes back into the queue.",
    ),
    key("partition", "partition", Form::Text, "Slurm's partition."),
    key("account", "account", Form::Text, "Slurm's account."),
    key("qos", "qos", Form::Text, "Slurm's quality of service."),
    key("constraint", "constraint", Form::Text, "Features that a node must have."),
    key("exclude", "exclude", Form::Text, "Nodes that are not to be used."),
    key("gres", "gres", Form::Text, "Generic resources of a task, such as `gpu:a100:1`."),
    key("gpus_per_node", "gpus-per-node", Form::Count(0), "GPUs of a task."),
    key(
        "cpus_per_task",
        "cpus-per-task",
        Form::Count(1),
        "Cores of a task, and threads of its run; 1 where it is left out.",
    ),
    key("mem_gb", "mem-gb", Form::Number, "Memory of a task in GB."),
    key("array_parallelism", "array-parallelism", Form::Count(1), "Tasks at a time at most."),
    key(
        "runs_per_task",
        "runs-per-task",
        Form::Count(1),
        "Runs that a task does one after the other, for short runs; 1 where it is left out.",
    ),
    key(
        "max_requeues",
        "max-requeues",
        Form::Count(0),
        "How often a task that is out of time goes back into the queue; 10 where it is left out.",
    ),
    key(
        "signal_delay_s",
        "signal-delay-s",
        Form::Count(1),
        "Seconds before its end at which a task is told to save a checkpoint; 180 where it is left out.",
    ),
    key(
        "cache_dir",
        "node-cache-dir",
        Form::Folder,
        "Folder of the feature cache, such as `$TMPDIR/features` on a disk of the node's own, whose variables the task completes; beside the results where it is left out.",
    ),
    key("setup", "setup", Form::Lines, "Shell lines in front of the program, such as `module load cuda`."),
    key(
        "additional_parameters",
        "additional-parameters",
        Form::Map,
        "Other options of sbatch, such as `{nice: 100}`.",
    ),
    key("image", "image", Form::Text, "Kubernetes: the container's image, which holds `sweep`."),
    key(
        "volume_claim",
        "volume-claim",
        Form::Text,
        "Kubernetes: the claim of the volume that holds data and results.",
    ),
    key(
        "mount",
        "mount",
        Form::Text,
        "Kubernetes: where the volume is mounted; the working directory where it is left out, so that paths stay.",
    ),
];

/// What keys were given, checked.
pub(super) type Given = BTreeMap<&'static str, Value>;

/// The values of checked keys.
pub(super) fn assembled(given: &Given) -> Launcher {
    let map: Map<String, Value> =
        given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    serde_json::from_value(Value::Object(map)).unwrap_or_default()
}

impl Draft {
    pub(super) fn read_launcher(&mut self, node: &Node) {
        let Content::Map(entries) = &node.content else {
            let message =
                format!("`launcher` is {}; it must be a mapping such as `{{partition: gpu}}`", node.shown());
            return self.refuse(&node.place, message);
        };
        for entry in only(entries, "launcher", &KEYS.map(|key| key.name), &mut self.problems) {
            self.read_launcher_key(&entry.key, &entry.value, &entry.key_place);
        }
    }

    /// Reads one key, from the file or the command line.
    pub(super) fn read_launcher_key(&mut self, name: &str, node: &Node, place: &Place) {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            let guess = did_you_mean(name, KEYS.map(|key| key.name));
            return self.refuse(place, format!("unknown key {} in `launcher`{guess}", quoted(name)));
        };
        match value_of(key, node) {
            Some(value) => drop(self.launcher.insert(key.name, value)),
            None => {
                let message =
                    format!("`launcher.{name}` is {}; it must be {}", node.shown(), valid(key.form));
                self.problems.push(Problem::new(&node.place, message));
            }
        }
    }
}

/// An override's values for a key: several texts are lines where the key takes such.
pub(super) fn overriding(name: &str, entry: &Entry) -> Node {
    let takes_lines = KEYS.iter().any(|key| key.name == name && key.form == Form::Lines);
    match &entry.value.content {
        Content::List(items) if !takes_lines && items.len() == 1 => items[0].clone(),
        _ => entry.value.clone(),
    }
}

fn value_of(key: &Key, node: &Node) -> Option<Value> {
    match (key.form, &node.content) {
        (Form::Count(least), Content::Whole(number)) => {
            u64::try_from(*number).ok().filter(|number| *number >= least && *number <= MOST).map(Value::from)
        }
        (Form::Number, Content::Whole(number)) if *number > 0 => Some(json!(*number as f64)),
        (Form::Number, Content::Number(number)) if *number > 0.0 && number.is_finite() => Some(json!(number)),
        (Form::Text, _) => Some(Value::from(line_of(node)?)),
        (Form::Folder, _) => Some(Value::from(line_of(node).filter(|text| is_well_formed(text))?)),
        (Form::Lines, Content::List(items)) => {
            items.iter().map(line_of).collect::<Option<Vec<_>>>().map(Value::from)
        }
        (Form::Lines, _) => Some(json!([line_of(node)?])),
        (Form::Map, Content::Map(entries)) => {
            let pair = |entry: &Entry| {
                let is_option = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                let name =
                    Some(entry.key.clone()).filter(|name| !name.is_empty() && name.chars().all(is_option));
                Some((name?, Value::from(line_of(&entry.value)?)))
            };
            entries.iter().map(pair).collect::<Option<Map<String, Value>>>().map(Value::Object)
        }
        _ => None,
    }
}

/// Beyond all clusters, and no product of two overflows.
const MOST: u64 = 1_000_000_000;

/// A value as one line of text: it becomes a line of a script.
fn line_of(node: &Node) -> Option<String> {
    let text = match &node.content {
        Content::Text(text) => text.clone(),
        Content::Whole(number) => number.to_string(),
        Content::Number(number) => shortest(*number),
        Content::Flag(flag) => flag.to_string(),
        _ => return None,
    };
    (!text.trim().is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

fn valid(form: Form) -> String {
    match form {
        Form::Count(least) => format!("a whole number of at least {least}"),
        Form::Number => "a number above 0".to_owned(),
        Form::Text => "a line of text".to_owned(),
        Form::Folder => {
            "a folder, in which a dollar sign begins `$NAME`, `${NAME}` or `${NAME:-other}`".to_owned()
        }
        Form::Lines => "a line of text, or a list of lines".to_owned(),
        Form::Map => "a mapping of options to values, such as `{nice: 100}`".to_owned(),
    }
}

/// The JSON Schema of `launcher`.
pub(super) fn schema() -> Value {
    let form = |form: Form| match form {
        Form::Count(least) => json!({"type": "integer", "minimum": least}),
        Form::Number => json!({"type": "number", "exclusiveMinimum": 0}),
        Form::Text | Form::Folder => json!({"type": ["string", "number", "boolean"]}),
        Form::Lines => json!({"type": ["string", "array"], "items": {"type": "string"}}),
        Form::Map => {
            json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})
        }
    };
    let property = |key: &Key| {
        let mut value = form(key.form);
        value["description"] = json!(key.about);
        (key.name.to_owned(), value)
    };
    let properties: Map<String, Value> = KEYS.iter().map(property).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "description": "What `sweep submit` asks of a cluster; it changes no run."
    })
}

/// The keys as rows of the page.
pub(super) fn page() -> String {
    let mut text = "\n## `launcher`\n\nWhat `sweep submit` asks of a cluster; each is a flag of it, too.\n\n\
                    | key | values | |\n|---|---|---|\n"
        .to_owned();
    for key in &KEYS {
        text += &format!("| `{}` | {} | {} |\n", key.name, valid(key.form), key.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sweep::parse;
    use super::*;

    fn read(text: &str, overrides: &[&str]) -> Result<Launcher, String> {
        let text = format!("model: lab\n{text}\n");
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        parse(&text, "study.yaml", &overrides).map(|spec| spec.launcher).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_names_every_field_in_its_order() {
        let shown = format!("{:?}", Launcher::default());
        let mut rest = shown.as_str();
        for key in &KEYS {
            let place = rest.find(&format!("{}: ", key.name)).unwrap_or_else(|| panic!("{}", key.name));
            rest = &rest[place..];
        }
        assert_eq!(shown.matches(": ").count(), KEYS.len());
    }

    #[test]
    fn every_key_of_the_file_is_taken_and_the_command_line_replaces_it() {
        let text = "launcher: {timeout_min: 90, partition: gpu, mem_gb: 7.5, setup: [module load x, 'export A=1'], \
                    additional_parameters: {nice: 100, mail-type: END}}";
        let launcher = read(text, &["launcher.partition=cpu,long", "launcher.setup=true", "launcher.qos=7"]);
        // A list where there is one value is no text.
        assert!(launcher.unwrap_err().contains("`launcher.partition` is a list"));
        let launcher =
            read(text, &["launcher.partition=\"cpu,long\"", "launcher.setup=true", "launcher.qos=7"])
                .unwrap();
        assert_eq!((launcher.timeout_min, launcher.mem_gb), (Some(90), Some(7.5)));
        assert_eq!((launcher.partition.as_deref(), launcher.qos.as_deref()), (Some("cpu,long"), Some("7")));
        assert_eq!(launcher.setup, ["true"]);
        assert_eq!(launcher.additional_parameters["nice"], "100");
        assert_eq!((launcher.cpus(), launcher.per_task(), launcher.requeues()), (1, 1, 10));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        insta::assert_snapshot!(read("launcher: 5", &[]).unwrap_err(), @"study.yaml:2:11: `launcher` is 5; it must be a mapping such as `{partition: gpu}`");
        insta::assert_snapshot!(read("launcher: {time_min: 5, cpus_per_task: 0, mem_gb: -1, setup: [[x]], partition: \"a\\nb\"}", &[]).unwrap_err(), @r#"
        study.yaml:2:12: unknown key `time_min` in `launcher`; there are `timeout_min`, `partition`, `account`, `qos`, `constraint`, `exclude`, `gres`, `gpus_per_node`, `cpus_per_task`, `mem_gb`, `array_parallelism`, `runs_per_task`, `max_requeues`, `signal_delay_s`, `cache_dir`, `setup`, `additional_parameters`, `image`, `volume_claim` and `mount`
        study.yaml:2:40: `launcher.cpus_per_task` is 0; it must be a whole number of at least 1
        study.yaml:2:51: `launcher.mem_gb` is -1; it must be a number above 0
        study.yaml:2:62: `launcher.setup` is a list; it must be a line of text, or a list of lines
        study.yaml:2:80: `launcher.partition` is the text `a\nb`; it must be a line of text
        "#);
        insta::assert_snapshot!(read("launcher: {cache_dir: $(hostname)/x}", &[]).unwrap_err(), @"study.yaml:2:23: `launcher.cache_dir` is the text `$(hostname)/x`; it must be a folder, in which a dollar sign begins `$NAME`, `${NAME}` or `${NAME:-other}`");
        let error =
            read("launcher: {additional_parameters: {a b: 1}}", &["launcher.time_min=5"]).unwrap_err();
        let wanted = "`launcher.additional_parameters` is a mapping; it must be a mapping of options to values, such as `{nice: 100}`";
        assert!(error.contains(wanted) && error.contains("unknown key `time_min` in `launcher`"), "{error}");
    }
}
