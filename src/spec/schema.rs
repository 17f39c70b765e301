//! What a sweep file may say, for editors (JSON Schema) and for people (a page of Markdown), from the table of settings.

use std::ops::Bound::{Excluded, Included, Unbounded};

use serde_json::{Map, Value, json};

use super::draft::TOP_LEVEL;
use super::failures::OnFailure;
use super::preset::Preset;
use super::setting::{GROUPS, METRICS, Range, SETTINGS, Setting, shown};
use super::sweep::{Method, References};

/// The JSON Schema (draft 2020-12) of a sweep file.
pub fn schema() -> Value {
    let split = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["captions", "images"],
        "properties": {
            "captions": {"type": "string", "description": "A file of captions."},
            "images": {"type": "string", "description": "The folder of their images."}
        }
    });
    let mut definitions = Map::from_iter([("split".to_owned(), split)]);
    let when = json!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": settings_as(SEVERAL),
        "description": "The parameter varies where all of these settings have one of their values."
    });
    definitions.insert(WHEN.to_owned(), when);
    for setting in &SETTINGS {
        let forms = [(VALUE, value(setting)), (SEVERAL, several(setting)), (PARAMETER, parameter(setting))];
        for (form, definition) in forms {
            definitions.insert(name_of(form, setting), described(definition, setting.about));
        }
    }
    let mut properties = top_level();
    for group in GROUPS {
        properties.insert(group.to_owned(), of_group(group));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweep file",
        "type": "object",
        "additionalProperties": false,
        "required": ["model"],
        "properties": properties,
        "$defs": definitions
    })
}

/// What a setting's definitions are of: one value, one or several, and all that `parameters` takes.
const VALUE: &str = "value";
const SEVERAL: &str = "values";
const PARAMETER: &str = "parameter";
/// The definition of where a parameter varies.
const WHEN: &str = "when";

fn name_of(form: &str, setting: &Setting) -> String {
    format!("{form} of {}", setting.path)
}

fn reference(form: &str, setting: &Setting) -> Value {
    json!({"$ref": format!("#/$defs/{}", name_of(form, setting).replace(' ', "%20"))})
}

/// The keys of the top level but for the groups of settings.
fn top_level() -> Map<String, Value> {
    let whole =
        |least: usize, about: &str| json!({"type": "integer", "minimum": least, "description": about});
    let settings = json!({"type": "object", "additionalProperties": false, "properties": settings_as(VALUE)});
    let mut parameters = settings_as(PARAMETER);
    parameters.extend(GROUPS.map(|group| (group.to_owned(), nested(group))));
    let lines = |about: &str| {
        json!({
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "properties": settings_as(SEVERAL)
            },
            "description": about
        })
    };
    let switches: Map<String, Value> =
        References::NAMES.iter().map(|name| ((*name).to_owned(), json!({"type": "boolean"}))).collect();
    let keys = json!({
        "extends": {
            "type": "string",
            "minLength": 1,
            "description": "A sweep file, by its path from this one, that this one builds on: what is written here stands in the \
                            place of what is there, setting by setting, and lists as a whole. The name is not passed on."
        },
        "name": {"type": "string", "description": "Names the sweep's folders; the file's name where it is left out."},
        "model": described(reference(VALUE, &SETTINGS[0]), SETTINGS[0].about),
        "data": data(),
        "recipe": {"enum": Preset::NAMES, "description": "The settings that nothing else mentions."},
        "method": {
            "enum": Method::NAMES.map(|(name, _)| name),
            "description": "Every combination of the parameters, the points written out, points drawn at random, or points chosen in \
                            rounds by the results of those before."
        },
        "seeds": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "uniqueItems": true,
            "description": "Replications of every point."
        },
        "metric": {
            "description": "What ranks the runs and chooses each one's best epoch.",
            "anyOf": [
                {"enum": METRICS},
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name"],
                    "properties": {"name": {"enum": METRICS}, "goal": {"enum": ["maximize", "minimize"]}}
                }
            ]
        },
        "parameters": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": parameters,
            "description": "What varies: lists of values, or ranges to draw from; with `when: {SETTING: VALUES}` only where \
                            others have given values, and `otherwise` is the value elsewhere."
        },
        "points": {"type": "array", "items": settings, "description": "The points of `method: list`."},
        "zip": {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 2}]},
            "description": "Parameters whose values are paired and not crossed."
        },
        "exclude": lines(
            "Combinations that are left out: those in which all of a line's settings have one of its values."
        ),
        "include": lines(
            "Combinations that are added, whatever is excluded or capped: a line's, crossed with the parameters that it does \
             not name."
        ),
        "run_cap": whole(1, "At most so many combinations are run; of `method: random` and `bayes`, how many are drawn."),
        "search_seed": whole(0, "What `method: random` and `bayes` draw by; 0 where it is left out."),
        "bayes": {
            "type": "object",
            "additionalProperties": false,
            "properties": {"startup": {"type": "integer", "minimum": 1}, "round": {"type": "integer", "minimum": 1}},
            "description": "The rounds of `method: bayes`: `startup` points are drawn as `random` draws them (10), then `round` \
                            at a time (4) are chosen by a tree-structured Parzen estimator."
        },
        "early_terminate": early_terminate(),
        "references": {
            "type": "object",
            "additionalProperties": false,
            "properties": switches,
            "description": "Runs that serve as points of reference, on or off."
        },
        "simple_models": {
            "type": "boolean",
            "description": "Whether a small decoder is trained on frozen features beside the fine-tuned runs; the same as \
                            `references.simple_models`."
        },
        "on_failure": {"enum": OnFailure::WORDS, "description": "What becomes of the other runs when one fails."},
        "max_consecutive_failures": whole(0, "After how many failures in a row no other run starts; 0 is never."),
        "launcher": super::launcher::schema(),
    });
    match keys {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}

fn early_terminate() -> Value {
    let whole = |least: usize| json!({"type": "integer", "minimum": least});
    let rule = |name: &str, key: &str, least: usize, required: &[&str]| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": {
                "type": {"const": name},
                "min_iter": whole(1),
                "noise": {"type": "number", "minimum": 0, "maximum": 10},
                "metric": {"enum": METRICS},
                key: whole(least)
            }
        })
    };
    json!({
        "description": "Stops points in favour of better ones: `hyperband` lets the best of `eta` go on after `min_iter` epochs, \
                        `eta` times as many, and so on, `median` those not below it every `interval` epochs, `top_k` the \
                        best `k` once; and besides all that are not worse by more than `noise` standard errors over the same \
                        images, or still warm up or unfreeze. `metric` is what they are compared by; if nothing is said, \
                        `val_nll` in the first half of the epochs and then the sweep's metric, and that alone where points differ in \
                        model, prompt or `max_length`, whose losses do not compare.",
        "anyOf": [
            {"enum": ["none", null]},
            rule("hyperband", "eta", 2, &["type"]),
            rule("median", "interval", 1, &["type"]),
            rule("top_k", "k", 1, &["type", "k"])
        ]
    })
}

fn data() -> Value {
    let split = json!({"$ref": "#/$defs/split"});
    let validation = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "captions": {"type": "string"},
            "images": {"type": "string"},
            "fraction": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "seed": {"type": "integer", "minimum": 0},
            "group": {
                "type": "string",
                "minLength": 1,
                "description": "A regular expression that finds an image's group in its name: a group stays together."
            }
        }
    });
    json!({
        "description": "Captions and images; paths are relative to where the command is typed.",
        "anyOf": [
            {"const": "lab"},
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["train"],
                "properties": {"train": split, "validation": validation, "test": split, "source": split}
            }
        ]
    })
}

fn of_group(group: &str) -> Value {
    let properties: Map<String, Value> =
        in_group(group).map(|setting| (setting.key().to_owned(), reference(VALUE, setting))).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// Parameters of one group below its name, as W&B nests them or without its `parameters` in between.
fn nested(group: &str) -> Value {
    let properties: Map<String, Value> =
        in_group(group).map(|setting| (setting.key().to_owned(), reference(PARAMETER, setting))).collect();
    let own = json!({"type": "object", "additionalProperties": false, "properties": properties});
    let as_wandb = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["parameters"],
        "properties": {"parameters": own}
    });
    json!({"anyOf": [own, as_wandb]})
}

fn in_group(group: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(move |setting| setting.path.split_once('.').is_some_and(|(first, _)| first == group))
}

/// Every setting by its path, and by its short name where it has one.
fn settings_as(form: &str) -> Map<String, Value> {
    let names =
        SETTINGS.iter().flat_map(|setting| [(setting.short_name(), setting), (setting.path, setting)]);
    names.map(|(name, setting)| (name.to_owned(), reference(form, setting))).collect()
}

fn described(mut value: Value, about: &str) -> Value {
    value["description"] = json!(about);
    value
}

/// One value of a setting.
fn value(setting: &Setting) -> Value {
    match &setting.range {
        Range::Flag => json!({"type": "boolean"}),
        Range::FlagOr(word) => json!({"enum": [true, false, word]}),
        Range::Count(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        // To a schema 1.0 is a whole number; either way it is valid.
        Range::CountOrShare(most) => json!({
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": most},
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
            ]
        }),
        Range::Number(low, high) => {
            let mut value = json!({"type": "number"});
            match low {
                Included(low) => value["minimum"] = json!(low),
                Excluded(low) => value["exclusiveMinimum"] = json!(low),
                Unbounded => {}
            }
            match high {
                Included(high) => value["maximum"] = json!(high),
                Excluded(high) => value["exclusiveMaximum"] = json!(high),
                Unbounded => {}
            }
            value
        }
        Range::Word(words) => json!({"enum": words}),
        Range::Text => json!({"type": "string", "minLength": 1}),
        Range::Line => json!({"type": "string"}),
        Range::Pattern => json!({"type": "string", "format": "regex"}),
    }
}

fn several(setting: &Setting) -> Value {
    json!({"anyOf": [reference(VALUE, setting), list(setting)]})
}

fn list(setting: &Setting) -> Value {
    json!({"type": "array", "items": reference(VALUE, setting), "minItems": 1})
}

/// All that `parameters` takes for a setting.
fn parameter(setting: &Setting) -> Value {
    let object = |required: &[&str], mut properties: Value| {
        properties["when"] = json!({"$ref": format!("#/$defs/{WHEN}")});
        properties["otherwise"] = reference(VALUE, setting);
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
            "dependentRequired": {"otherwise": ["when"]}
        })
    };
    let probabilities = json!({"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}});
    let mut forms = vec![
        reference(VALUE, setting),
        list(setting),
        object(&["value"], json!({"value": reference(VALUE, setting)})),
        object(&["values"], json!({"values": list(setting), "probabilities": probabilities})),
    ];
    if let Range::Count(..) | Range::CountOrShare(_) | Range::Number(..) = setting.range {
        let range = json!({
            "min": reference(VALUE, setting),
            "max": reference(VALUE, setting),
            "distribution": {"enum": super::distribution::DISTRIBUTIONS},
            "q": {"type": "number", "exclusiveMinimum": 0}
        });
        forms.push(object(&["min", "max"], range));
    }
    json!({"anyOf": forms})
}

/// Every key of a sweep file with its meaning, as a page of Markdown.
pub fn page() -> String {
    let mut text = "\
# Every key of a sweep file

Made by `sweep schema --format markdown`. In front of a file's first line,
`# yaml-language-server: $schema=schema.json` makes editors complete and check it.

| key | |
|---|---|
"
    .to_owned();
    let keys = top_level();
    for key in TOP_LEVEL {
        let about = keys.get(key).and_then(|value| value["description"].as_str()).unwrap_or_default();
        text += &format!("| `{key}` | {about} |\n");
    }
    text += "\n## Settings\n\nWhat is set is written in its group, `training: {epochs: 5}`, and what varies under `parameters`, where the key alone \
             is enough unless it occurs in several groups.\n";
    let [corrected, original] = [Preset::Corrected, Preset::AsOriginal].map(Preset::recipe);
    for group in GROUPS {
        text += &format!(
            "\n### `{group}`\n\n| key | values | `corrected` | `as-original` | |\n|---|---|---|---|---|\n"
        );
        for setting in in_group(group) {
            let (key, valid) = (setting.key(), setting.valid());
            let [ours, theirs] = [&corrected, &original].map(|recipe| shown(&setting.read(recipe)));
            text += &format!("| `{key}` | {valid} | {ours} | {theirs} | {} |\n", setting.about);
        }
    }
    text + &super::launcher::page()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn committed(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn what_is_committed_is_what_this_program_takes() {
        let text = schema().to_string() + "\n";
        assert!(committed("schema.json") == text, "sweep schema > sweeps/schema.json");
        assert!(committed("KEYS.md") == page(), "sweep schema --format markdown > sweeps/KEYS.md");
    }

    #[test]
    fn the_schema_has_every_key_that_is_read() {
        let schema = schema();
        let known =
            |key: &&str| schema["properties"].get(*key).is_some_and(|value| !value["description"].is_null());
        assert!(TOP_LEVEL.iter().all(known), "{TOP_LEVEL:?}");
        assert_eq!(schema["properties"].as_object().unwrap().len(), TOP_LEVEL.len() + GROUPS.len());
        let parameters = schema["properties"]["parameters"]["properties"].as_object().unwrap();
        assert!(SETTINGS.iter().all(|setting| parameters.contains_key(setting.path)));
        assert!(parameters.contains_key("learning_rate") && !parameters.contains_key("max_length"));
    }
}
