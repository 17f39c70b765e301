//! Sweep files: settings with valid and hostile values, in block and flow style, with anchors, tags and bombs.

use std::path::Path;

use serde_json::{Value, json};
use sweep::plan;
use sweep::random::Random;
use sweep::spec::problem::Problem;
use sweep::spec::setting::SETTINGS;
use sweep::spec::{Preset, Setting, SpecError, parse_bytes};

use super::bytes::{damage, one_in};
use super::json::{Json, hostile, hostile_text};
use super::{Input, Reached};

const FILE: &str = "study.yaml";

pub fn make(random: &mut Random) -> Input {
    if one_in(random, 60) {
        return Input::one(FILE, bomb(random).into_bytes(), random);
    }
    let mut tree = sweep_file(random);
    if one_in(random, 3) {
        tree.mutate(random);
    }
    let mut text = String::new();
    if one_in(random, 10) {
        text += *random.pick(&["\u{feff}", "---\n", "%YAML 1.2\n---\n", "# a comment: [\n", "\r\n"]);
    }
    block(&tree, 0, random, &mut text);
    if one_in(random, 30) {
        text += *random.pick(&["...\n", "---\nb: 1\n", "\t", "\u{85}", "a: *nowhere\n", "\0"]);
    }
    if one_in(random, 20) {
        text = text.replace('\n', "\r\n");
    }
    let mut bytes = text.into_bytes();
    if one_in(random, 6) {
        damage(&mut bytes, random);
    }
    Input::one(FILE, bytes, random)
}

pub fn feed(_: &Path, input: &Input) -> Reached {
    let bytes = input.files[0].1.clone();
    let mut random = Random::new(input.choice, "overrides", &[]);
    let overrides: Vec<String> =
        (0..random.below(20).saturating_sub(17)).map(|_| command_line(&mut random)).collect();
    match parse_bytes(bytes, Path::new(FILE), &overrides) {
        Ok(sweep) => match plan::expand(&sweep) {
            Ok(_) => Reached::Accepted,
            Err(_) => Reached::Body,
        },
        Err(SpecError::Invalid { problems, .. }) if is_of_keys(&problems) => Reached::Body,
        Err(error) => {
            let _ = error.to_string();
            Reached::Header
        }
    }
}

/// Whether problems are about keys and values. A text that is no YAML, or no mapping, has one problem, of other words.
fn is_of_keys(problems: &[Problem]) -> bool {
    let is_of_key = |problem: &Problem| {
        ["`", "unknown key", "unknown data set", "the sweep"]
            .iter()
            .any(|start| problem.message.starts_with(start))
    };
    problems.len() > 1 || problems.iter().any(is_of_key)
}

fn command_line(random: &mut Random) -> String {
    let setting = random.pick(&SETTINGS);
    let key = if one_in(random, 4) { hostile_text(random) } else { setting.short_name().to_owned() };
    let value = value(setting, false, random).text();
    format!("{key}{}{value}", random.pick(&["=", "=", "=", "", "=[", "==", "={a: "]))
}

/// A value of a setting: a valid one, or in a file that is not sound any other.
fn value(setting: &Setting, is_sound: bool, random: &mut Random) -> Json {
    let preset = if one_in(random, 2) { Preset::Corrected } else { Preset::AsOriginal };
    if !is_sound && one_in(random, 4) {
        const WORDS: [&str; 8] = ["0", "1", "2", "0.5", "1e-5", "true", "false", "never"];
        return if one_in(random, 2) {
            hostile(random)
        } else {
            Json::Raw((*random.pick(&WORDS)).to_owned())
        };
    }
    match setting.read(&preset.recipe()) {
        Value::Bool(_) => json!(one_in(random, 2)).into(),
        Value::Number(number) => match number.as_u64() {
            Some(count) => json!(count + random.below(3) as u64).into(),
            None => json!(number.as_f64().unwrap_or(0.5) * *random.pick(&[1.0, 0.5, 0.25])).into(),
        },
        other => other.into(),
    }
}

/// Settings with one value or several, each setting at most once where the file is sound.
fn parameters(most: usize, is_sound: bool, random: &mut Random) -> Vec<(String, Json)> {
    let mut entries: Vec<(String, Json)> = Vec::new();
    for _ in 0..random.below(most + 1) {
        let setting = random.pick(&SETTINGS);
        let name = if one_in(random, 3) { setting.path } else { setting.short_name() };
        if setting.path == "model" && is_sound
            || entries.iter().any(|(other, _)| name.ends_with(other.as_str()))
        {
            continue;
        }
        let count = if one_in(random, 50) { 40 } else { random.below(4) + usize::from(is_sound) };
        let mut values: Vec<Json> = (0..count).map(|_| value(setting, is_sound, random)).collect();
        if is_sound {
            values.dedup_by_key(|value| value.text());
            values.sort_by_key(Json::text);
            values.dedup_by_key(|value| value.text());
        }
        let value = match random.below(4) {
            0 => value(setting, is_sound, random),
            1 => Json::Object(vec![("value".to_owned(), value(setting, is_sound, random))]),
            2 => Json::List(values),
            _ => Json::Object(vec![("values".to_owned(), Json::List(values))]),
        };
        entries.push((name.to_owned(), value));
    }
    entries
}

/// A sweep file, half of the time a sound one.
fn sweep_file(random: &mut Random) -> Json {
    let is_sound = one_in(random, 2);
    let mut keys: Vec<(String, Json)> = vec![("model".to_owned(), Json::Text("lab".to_owned()))];
    let mut add = |key: &str, value: Value| keys.push((key.to_owned(), value.into()));
    // Of each list the sound values come first.
    let count = |sound: usize, all: usize| if is_sound { sound } else { all };
    let data = [
        json!("lab"),
        json!({"train": {"captions": "a.json", "images": "b"}, "validation": {"fraction": 0.1, "seed": 42}}),
        json!({"train": {"captions": "a.json", "images": "b"}, "test": {"captions": "../c", "images": "/"}}),
        json!({"train": {"captions": "a.json"}, "validation": {"fraction": 1.5}}),
    ];
    let names = ["a", "study-1", "x.y", "", "../x", "é"];
    let seeds = [json!([0]), json!([0, 1, 2]), json!([]), json!(3), json!([0, 0]), json!([-1])];
    let metrics = [json!("score"), json!({"name": "val_loss", "goal": "minimize"}), json!({"name": "x"})];
    let references =
        [json!({"zero_shot": false}), json!({"shuffled_captions": true}), json!({"zero_shot": 1})];
    if one_in(random, 2) {
        add("data", data[random.below(count(3, 4))].clone());
    }
    if one_in(random, 2) {
        add("name", names[random.below(count(3, 6))].into());
    }
    if one_in(random, 2) {
        add("recipe", (*random.pick(&Preset::NAMES)).into());
    }
    if one_in(random, 3) {
        add("seeds", seeds[random.below(count(2, 6))].clone());
    }
    if one_in(random, 3) {
        add("metric", metrics[random.below(count(2, 3))].clone());
    }
    if one_in(random, 4) {
        add("references", references[random.below(count(2, 3))].clone());
    }
    if one_in(random, 3) && !is_sound {
        keys.push(("method".to_owned(), Json::Text("list".to_owned())));
        let points = (0..random.below(5)).map(|_| Json::Object(parameters(4, is_sound, random)));
        keys.push(("points".to_owned(), Json::List(points.collect())));
    }
    keys.push(("parameters".to_owned(), Json::Object(parameters(4, is_sound, random))));
    for group in ["training", "evaluation", "early_stopping", "generation"] {
        if one_in(random, 4) && !is_sound {
            let of_group = SETTINGS.iter().filter(|setting| setting.path.starts_with(group));
            let chosen: Vec<&Setting> = of_group.filter(|_| one_in(random, 4)).collect();
            let values =
                chosen.into_iter().map(|setting| (setting.key().to_owned(), value(setting, false, random)));
            keys.push((group.to_owned(), Json::Object(values.collect())));
        }
    }
    random.shuffle(&mut keys);
    Json::Object(keys)
}

/// The tree in block style, with flow style here and there. It begins on a line of its own.
fn block(tree: &Json, depth: usize, random: &mut Random, out: &mut String) {
    let indent = "  ".repeat(depth);
    match tree {
        Json::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                *out += &format!("{indent}{}:", scalar(key, random));
                below(value, depth, random, out);
            }
        }
        Json::List(items) if !items.is_empty() => {
            for item in items {
                *out += &format!("{indent}-");
                below(item, depth, random, out);
            }
        }
        flow => *out += &format!("{indent}{}\n", flow.text()),
    }
}

fn below(value: &Json, depth: usize, random: &mut Random, out: &mut String) {
    if one_in(random, 40) {
        *out += *random.pick(&[" &a", " *a", " !!str", " !x", " &b &c", " # why"]);
    }
    match value {
        Json::Object(entries) if !entries.is_empty() && !one_in(random, 3) => {
            out.push('\n');
            block(value, depth + 1, random, out);
        }
        Json::List(items) if !items.is_empty() && !one_in(random, 2) => {
            out.push('\n');
            block(value, depth + 1, random, out);
        }
        Json::Text(text) if one_in(random, 20) => {
            let lines = text.replace('\n', &format!("\n{}  ", "  ".repeat(depth)));
            *out += &format!(
                " {}\n{}  {lines}\n",
                random.pick(&["|", ">", "|-", ">+", "|9"]),
                "  ".repeat(depth)
            );
        }
        Json::Text(text) => *out += &format!(" {}\n", scalar(text, random)),
        flow => *out += &format!(" {}\n", flow.text()),
    }
}

/// A text as it stands where that is likely to work, or in quotes.
fn scalar(text: &str, random: &mut Random) -> String {
    let is_plain = text.starts_with(|c: char| c.is_alphanumeric())
        && text.chars().all(|c| c.is_alphanumeric() || "._-/ ".contains(c))
        && !text.ends_with(' ');
    match random.below(8) {
        _ if is_plain => text.to_owned(),
        0 => format!("'{}'", text.replace('\'', "''")),
        1 => text.to_owned(),
        _ => Json::Text(text.to_owned()).text(),
    }
}

/// Texts that are small and mean, or would cost, very much.
fn bomb(random: &mut Random) -> String {
    let depth = *random.pick(&[10, 63, 64, 65, 100, 1000, 10_000, 100_000]);
    let width = 2 + random.below(12);
    match random.below(9) {
        0 => {
            let mut text = format!("a0: &a0 [{}]\n", vec!["x"; width].join(", "));
            for level in 1..depth.min(200) {
                let items = vec![format!("*a{}", level - 1); width].join(", ");
                text += &format!("a{level}: &a{level} [{items}]\n");
            }
            text
        }
        1 => {
            (*random.pick(&["[", "{a: ", "- ", "? ", "- - ", "[{", "a: {", "!x ", "&a ", "* "])).repeat(depth)
        }
        2 => (0..depth.min(1200)).map(|level| " ".repeat(level) + "a:\n").collect(),
        3 => "[".repeat(depth) + &"]".repeat(depth),
        4 => (0..depth).map(|key| format!("k{key}: {key}\n")).collect(),
        5 => format!(
            "model: lab\nseeds: [{}]\n",
            (0..depth).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
        ),
        6 => {
            let values = (0..width * 8).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
            let axis = |name| format!("  {name}: [{values}]\n");
            let axes = ["epochs", "batch_size", "warmup_steps", "patience"].map(axis).concat();
            format!("model: lab\nparameters:\n{axes}")
        }
        7 => format!("name: {}\nmodel: \"{}", "x".repeat(depth), "\\x41".repeat(depth)),
        _ => {
            let (open, merge) =
                random.pick(&[("{a: &b {", "<<: *b}}"), ("a: &b\n  c: ", "*b\n"), ("&a [*a, ", "]")]);
            open.repeat(depth.min(300)) + &merge.repeat(depth.min(300))
        }
    }
}
