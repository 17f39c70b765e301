//! The `data:` section of a sweep file: a built-in's name, or captions and images of every split.

use std::collections::BTreeSet;

use super::problem::{Place, Problem, did_you_mean, one_of, quoted};
use super::yaml::{Content, Entry, Node};
use crate::record::grouping::Grouping;
use crate::record::recipe::{DataFiles, DataSource, Split, Validation};

/// Built-in data sets.
const BUILT_IN: [&str; 1] = ["lab"];

/// Where only training captions are given, this share of them validates, as in the original study.
const DEFAULT_FRACTION: f64 = 0.1;

/// The seed of the split where none is given.
const DEFAULT_SEED: u64 = 42;

/// Reads the section; what is wrong goes to `problems`, and then there is no value.
pub(super) fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<DataSource> {
    match &node.content {
        Content::Text(name) if BUILT_IN.contains(&name.as_str()) => Some(DataSource::BuiltIn(name.clone())),
        Content::Text(name) => {
            let guess = did_you_mean(name, BUILT_IN);
            let message = format!("unknown data set {}{guess}", quoted(name));
            let hint = "`lab` is built in; for files of your own write \
                        `data: {train: {captions: FILE, images: FOLDER}}`";
            problems.push(Problem::new(&node.place, message).hint(hint));
            None
        }
        Content::Map(entries) => read_files(entries, &node.place, problems),
        _ => {
            let message = format!("`data` is {}; it must be `lab` or a mapping with `train`", node.shown());
            problems.push(Problem::new(&node.place, message));
            None
        }
    }
}

fn read_files(entries: &[Entry], place: &Place, problems: &mut Vec<Problem>) -> Option<DataSource> {
    only(entries, "data", &["train", "validation", "test", "source"], problems);
    let Some(train) = find(entries, "train") else {
        problems.push(Problem::new(place, "`data` has no `train`"));
        return None;
    };
    let train = read_split(train, "data.train", problems);
    let read_optional = |key: &str, problems: &mut Vec<Problem>| {
        find(entries, key).map(|node| read_split(node, &format!("data.{key}"), problems))
    };
    let test = read_optional("test", problems);
    let source = read_optional("source", problems);
    let images = train.as_ref().map(|train| train.images.as_str()).unwrap_or_default();
    let validation = match find(entries, "validation") {
        Some(node) => read_validation(node, images, problems)?,
        None => {
            Validation { fraction: Some(DEFAULT_FRACTION), seed: Some(DEFAULT_SEED), ..Validation::default() }
        }
    };
    // A split that is there but could not be read has left its problem, which refuses the file.
    let files = DataFiles { train: train?, validation, test: test.flatten(), source: source.flatten() };
    Some(DataSource::Files(Box::new(files)))
}

fn read_split(node: &Node, path: &str, problems: &mut Vec<Problem>) -> Option<Split> {
    let entries = mapping(node, path, "`captions` and `images`", problems)?;
    only(entries, path, &["captions", "images"], problems);
    let captions = read_path(entries, path, "captions", &node.place, problems);
    let images = read_path(entries, path, "images", &node.place, problems);
    Some(Split { captions: captions?, images: images? })
}

/// A fraction of the training captions, or captions with images of their own or those of the training set.
fn read_validation(node: &Node, train_images: &str, problems: &mut Vec<Problem>) -> Option<Validation> {
    let path = "data.validation";
    let entries = mapping(node, path, "`fraction`, or `captions` and `images`", problems)?;
    let before = problems.len();
    only(entries, path, &["fraction", "seed", "group", "captions", "images"], problems);
    let validation = match (find(entries, "captions"), find(entries, "fraction")) {
        (Some(_), Some(fraction)) => {
            let message =
                format!("`{path}` has both `captions` and `fraction`; one of them says where it comes from");
            problems.push(Problem::new(&fraction.place, message));
            return None;
        }
        (Some(_), None) => {
            if let Some(group) = find(entries, "group") {
                let message =
                    format!("`{path}` has both `captions` and `group`, which belongs to a `fraction`");
                problems.push(Problem::new(&group.place, message));
            }
            let images = match find(entries, "images") {
                Some(_) => read_path(entries, path, "images", &node.place, problems),
                None => Some(train_images.to_owned()),
            };
            let captions = read_path(entries, path, "captions", &node.place, problems);
            Validation { captions, images, ..Validation::default() }
        }
        (None, fraction) => {
            if let Some(images) = find(entries, "images") {
                problems
                    .push(Problem::new(&images.place, format!("`{path}` has `images` but no `captions`")));
            }
            let fraction = fraction.map_or(Some(DEFAULT_FRACTION), |node| read_fraction(node, problems));
            let seed = find(entries, "seed").map_or(Some(DEFAULT_SEED), |node| read_seed(node, problems));
            let group = find(entries, "group").and_then(|node| read_group(node, problems));
            Validation { fraction, seed, group, ..Validation::default() }
        }
    };
    (problems.len() == before).then_some(validation)
}

fn read_fraction(node: &Node, problems: &mut Vec<Problem>) -> Option<f64> {
    match node.content {
        Content::Number(fraction) if fraction > 0.0 && fraction < 1.0 => Some(fraction),
        _ => {
            let message = format!(
                "`data.validation.fraction` is {}; it must be a number above 0 and below 1",
                node.shown()
            );
            problems.push(Problem::new(&node.place, message));
            None
        }
    }
}

fn read_group(node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    let problem = match &node.content {
        Content::Text(pattern) if !pattern.is_empty() => match Grouping::new(pattern) {
            Ok(_) => return Some(pattern.clone()),
            Err(reason) => format!(": {reason}"),
        },
        _ => String::new(),
    };
    let message = format!(
        "`data.validation.group` is {}; it must be a regular expression that finds an image's group in its name{problem}",
        node.shown()
    );
    let hint = "of names such as `id_0012-front.jpg`, `id_\\d+` keeps the pictures of a number together";
    problems.push(Problem::new(&node.place, message).hint(hint));
    None
}

fn read_seed(node: &Node, problems: &mut Vec<Problem>) -> Option<u64> {
    let seed = match node.content {
        Content::Whole(seed) => u64::try_from(seed).ok(),
        _ => None,
    };
    if seed.is_none() {
        let message =
            format!("`data.validation.seed` is {}; it must be a whole number of at least 0", node.shown());
        problems.push(Problem::new(&node.place, message));
    }
    seed
}

fn read_path(
    entries: &[Entry],
    path: &str,
    key: &str,
    around: &Place,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let problem = match find(entries, key) {
        None => Problem::new(around, format!("`{path}` has no `{key}`")),
        Some(node) => match &node.content {
            Content::Text(text) if !text.is_empty() && !text.contains('\0') => return Some(text.clone()),
            _ => Problem::new(&node.place, format!("`{path}.{key}` is {}; it must be a path", node.shown())),
        },
    };
    problems.push(problem);
    None
}

fn mapping<'a>(node: &'a Node, path: &str, keys: &str, problems: &mut Vec<Problem>) -> Option<&'a [Entry]> {
    if let Content::Map(entries) = &node.content {
        return Some(entries);
    }
    let message = format!("`{path}` is {}; it must be a mapping with {keys}", node.shown());
    problems.push(Problem::new(&node.place, message));
    None
}

/// The entries with these keys; others, and keys written twice, are refused.
pub(super) fn only<'a>(
    entries: &'a [Entry],
    path: &str,
    keys: &[&str],
    problems: &mut Vec<Problem>,
) -> Vec<&'a Entry> {
    let (known, unknown): (Vec<_>, Vec<_>) =
        unique(entries, problems).into_iter().partition(|entry| keys.contains(&entry.key.as_str()));
    for entry in unknown {
        let guess = match did_you_mean(&entry.key, keys.iter().copied()) {
            guess if guess.is_empty() => {
                format!("; there are {}", one_of(keys.iter().copied()).replace(" or ", " and "))
            }
            guess => guess,
        };
        let message = format!("unknown key {} in `{path}`{guess}", quoted(&entry.key));
        problems.push(Problem::new(&entry.key_place, message));
    }
    known
}

/// The entries without those whose key was written before: YAML readers differ in which of them counts, so
/// the later ones are refused.
pub(super) fn unique<'a>(entries: &'a [Entry], problems: &mut Vec<Problem>) -> Vec<&'a Entry> {
    let mut seen = BTreeSet::new();
    let (first, again): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| seen.insert(&entry.key));
    for entry in again {
        problems.push(Problem::new(&entry.key_place, format!("{} is written twice", quoted(&entry.key))));
    }
    first
}

/// The value of a key.
pub(super) fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Node> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}
