//! Captions to be scored, in the forms that people have them in.
//!
//! `{image: caption}`, `{image: [captions]}`, COCO annotations (`{"annotations": [{"image_id", "caption"}], ...}`) and
//! COCO results (`[{"image_id", "caption"}]`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::exit::BadInput;
use crate::data::captions::{Entry, read_captions};

/// Images named in a message; the rest is counted.
const SHOWN: usize = 5;
/// Larger files are no caption files.
const MAX_BYTES: u64 = 1 << 30;

/// Captions by image, in the order of the file.
#[derive(Debug, PartialEq)]
pub struct CaptionFile {
    pub entries: Vec<Entry>,
    /// Other names of images: COCO has an id and a file name for each.
    aliases: BTreeMap<String, String>,
}

/// An image with a caption and what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub image: String,
    pub caption: String,
    pub references: Vec<String>,
}

#[derive(Deserialize)]
struct Coco {
    annotations: Vec<Annotation>,
    #[serde(default)]
    images: Vec<CocoImage>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    caption: String,
}

#[derive(Deserialize)]
struct CocoImage {
    id: Value,
    #[serde(default)]
    file_name: Option<String>,
}

/// Reads a file of captions in any of the forms.
pub fn read(path: &Path) -> anyhow::Result<CaptionFile> {
    let is_huge = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_BYTES);
    let bytes = if is_huge { Vec::new() } else { std::fs::read(path).unwrap_or_default() };
    if let Ok(coco) = serde_json::from_slice::<Coco>(&bytes) {
        let named = coco.images.into_iter().filter_map(|image| Some((image.file_name?, name_of(&image.id))));
        return Ok(CaptionFile { entries: gather(coco.annotations), aliases: named.collect() });
    }
    if bytes.trim_ascii_start().starts_with(b"[") {
        let results = serde_json::from_slice::<Vec<Annotation>>(&bytes).map_err(|error| {
            let form = "a list of captions has the form [{\"image_id\": 1, \"caption\": \"...\"}]";
            BadInput(format!("{}: {error}\nhint: {form}", path.display()))
        })?;
        return Ok(CaptionFile { entries: gather(results), aliases: BTreeMap::new() });
    }
    // This reader has the messages for whatever is wrong with the file, also where it cannot be read at all.
    let file = read_captions(path)?;
    if let Some(image) = file.duplicates.first() {
        return Err(BadInput(format!("{}: {image:?} occurs twice", path.display())).into());
    }
    Ok(CaptionFile { entries: file.entries, aliases: BTreeMap::new() })
}

/// Puts each prediction beside its references, in the order of the references. Also the number of images that have
/// references and no prediction.
pub fn pair(references: &CaptionFile, predictions: &CaptionFile) -> Result<(Vec<Pair>, usize), BadInput> {
    let mut said: BTreeMap<&str, &str> = BTreeMap::new();
    for Entry { image, captions } in &predictions.entries {
        let [caption] = captions.as_slice() else {
            let count = captions.len();
            return Err(BadInput(format!("predictions: {image:?} has {count} captions; one is scored")));
        };
        let image = references.aliases.get(image).unwrap_or(image);
        if said.insert(image, caption).is_some() {
            return Err(BadInput(format!("predictions: {image:?} occurs twice")));
        }
    }
    let known: BTreeSet<&str> = references.entries.iter().map(|entry| entry.image.as_str()).collect();
    let strangers: Vec<&str> = said.keys().copied().filter(|image| !known.contains(image)).collect();
    if !strangers.is_empty() {
        return Err(BadInput(format!(
            "no references for {} of {} predictions: {}",
            strangers.len(),
            said.len(),
            list(&strangers)
        )));
    }
    let pairs: Vec<Pair> = references
        .entries
        .iter()
        .filter_map(|entry| {
            let caption = (*said.get(entry.image.as_str())?).to_owned();
            Some(Pair { image: entry.image.clone(), caption, references: entry.captions.clone() })
        })
        .collect();
    let missing = references.entries.len() - pairs.len();
    Ok((pairs, missing))
}

/// The captions of each image, in order of first appearance.
fn gather(annotations: Vec<Annotation>) -> Vec<Entry> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    for Annotation { image_id, caption } in annotations {
        let image = name_of(&image_id);
        let place = *places.entry(image.clone()).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(entry) => entry.captions.push(caption),
            None => entries.push(Entry { image, captions: vec![caption] }),
        }
    }
    entries
}

/// An id as a name: `7` and `"7"` are the same image.
fn name_of(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn list(names: &[&str]) -> String {
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> anyhow::Result<CaptionFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("captions.json");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn pairs(references: &str, predictions: &str) -> Result<(Vec<Pair>, usize), BadInput> {
        pair(&file(references).unwrap(), &file(predictions).unwrap())
    }

    const COCO: &str = r#"{"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "annotations": [{"image_id": 7, "id": 1, "caption": "one"}, {"image_id": 8, "id": 2, "caption": "two"},
                        {"image_id": 7, "id": 3, "caption": "uno"}]}"#;

    #[test]
    fn all_forms_of_references_and_predictions_meet() {
        let expected = vec![
            Pair { image: "7".into(), caption: "x".into(), references: vec!["one".into(), "uno".into()] },
            Pair { image: "8".into(), caption: "y".into(), references: vec!["two".into()] },
        ];
        let mapping = r#"{"7": ["one", "uno"], "8": "two"}"#;
        for references in [COCO, mapping] {
            for predictions in [
                r#"[{"image_id": 8, "caption": "y"}, {"image_id": 7, "caption": "x"}]"#,
                r#"{"7": "x", "8": ["y"]}"#,
            ] {
                assert_eq!(pairs(references, predictions).unwrap(), (expected.clone(), 0));
            }
        }
        assert_eq!(pairs(COCO, r#"{"b.jpg": "y", "a.jpg": "x"}"#).unwrap().0, expected);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let message = |references, predictions| pairs(references, predictions).unwrap_err().to_string();
        assert_eq!(
            message(r#"{"a": "x"}"#, r#"{"b": "y", "c": "z", "a": "x"}"#),
            "no references for 2 of 3 predictions: b, c"
        );
        assert_eq!(message(COCO, r#"{"7": "x", "a.jpg": "x"}"#), "predictions: \"7\" occurs twice");
        assert_eq!(message(COCO, r#"{"7": ["x", "y"]}"#), "predictions: \"7\" has 2 captions; one is scored");
        assert_eq!(pairs(COCO, r#"{"7": "x"}"#).unwrap().1, 1);
    }

    #[test]
    fn a_file_of_no_known_form_is_refused_with_the_forms() {
        for text in [r#"[{"image": 1}]"#, r#"{"a": 1}"#, "", "[1"] {
            let message = file(text).unwrap_err().to_string();
            assert!(message.contains("captions.json") && message.contains("hint: "), "{text}: {message}");
        }
        assert!(
            read(Path::new("no/such.json")).unwrap_err().to_string().contains("no/such.json: cannot read")
        );
    }
}
