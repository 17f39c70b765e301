//! Captions to be scored, in the forms that people have them in.
//!
//! `{image: caption}`, `{image: [captions]}`, COCO annotations (`{"annotations": [{"image_id", "caption"}], ...}`), COCO
//! results (`[{"image_id", "caption"}]`), what `sweep caption` prints (`[{"image", "caption"}]`) and a run's
//! predictions (`.jsonl`, a `{"image", "split", "caption"}` a line); and what else [`caption_forms`](super::caption_forms) reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use thiserror::Error;

use super::captions::{Entry, MAX_CAPTIONS, MAX_FILE_BYTES, check_length, read_captions, without_position};
use crate::record::bounded;

/// A file that holds no captions, or captions that do not fit their references: what and where, and maybe a hint.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct CaptionFileError(pub String);

/// Images named in a message; the rest is counted.
const SHOWN: usize = 5;

/// Captions by image, in the order of the file.
#[derive(Debug, Default, PartialEq)]
pub struct CaptionFile {
    pub entries: Vec<Entry>,
    /// Other names of images: COCO has an id and a file name for each.
    aliases: BTreeMap<String, String>,
    /// The split of each image, where the file says it.
    splits: BTreeMap<String, String>,
}

impl CaptionFile {
    /// The captions of one split, and those of which the file does not say the split.
    pub fn of_split(&self, split: &str) -> Self {
        let is_of_split = |entry: &&Entry| self.splits.get(&entry.image).is_none_or(|of| of == split);
        let entries = self.entries.iter().filter(is_of_split).cloned().collect();
        Self { entries, aliases: self.aliases.clone(), splits: self.splits.clone() }
    }
}

impl From<Vec<Entry>> for CaptionFile {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }
}

/// An image with a caption and what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub image: String,
    /// The image as the predictions name it.
    pub said_of: String,
    pub caption: String,
    pub references: Vec<String>,
}

#[derive(Deserialize)]
struct Coco {
    annotations: Vec<Annotation>,
    #[serde(default)]
    images: Vec<CocoImage>,
}

/// A file that is meant for COCO's: a list under this key is no caption of an image.
#[derive(Deserialize)]
struct HasAnnotations {
    #[serde(rename = "annotations")]
    _annotations: Vec<BTreeMap<String, IgnoredAny>>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(alias = "image")]
    image_id: Value,
    caption: String,
    #[serde(default)]
    split: Option<String>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: Value,
    #[serde(default)]
    file_name: Option<String>,
}

/// Reads a file of captions in any of the forms.
pub fn read(path: &Path) -> anyhow::Result<CaptionFile> {
    // What cannot be read the last reader has the message for.
    let bytes = bounded::read_bytes(path, MAX_FILE_BYTES).unwrap_or_default();
    if path.extension().is_some_and(|extension| extension == "jsonl") && !bytes.is_empty() {
        return match read_lines(path, &bytes) {
            Ok(lines) => gather(path, lines),
            // Lines of captions may have other names than lines of predictions.
            Err(error) => read_captions(path).map(|file| file.entries.into()).map_err(|_| error.into()),
        };
    }
    let coco = serde_json::from_slice::<Coco>(&bytes);
    if let Err(error) = &coco
        && serde_json::from_slice::<HasAnnotations>(&bytes).is_ok()
    {
        let form = "annotations have the form [{\"image_id\": 1, \"caption\": \"...\"}]";
        return Err(malformed(path, error.line(), error, form).into());
    }
    if let Ok(coco) = coco {
        let named =
            coco.images.into_iter().filter_map(|image| Some((image.file_name?, name_of(&image.id).ok()?)));
        let aliases = named.collect();
        return Ok(CaptionFile { aliases, ..gather(path, coco.annotations)? });
    }
    if bytes.trim_ascii_start().starts_with(b"[") {
        let results = serde_json::from_slice::<Vec<Annotation>>(&bytes).map_err(|error| {
            let form = "a list of captions has the form [{\"image_id\": 1, \"caption\": \"...\"}] or \
                        [{\"image\": \"a.jpg\", \"caption\": \"...\"}]";
            malformed(path, error.line(), &error, form)
        })?;
        return gather(path, results);
    }
    // This reader has the messages for whatever is wrong with the file, also where it cannot be read at all.
    let file = read_captions(path)?;
    if let Some(image) = file.duplicates.first() {
        return Err(CaptionFileError(format!("{}: {image:?} occurs twice", path.display())).into());
    }
    Ok(file.entries.into())
}

/// What is wrong in a line of a file, and the form that it should have.
fn malformed(path: &Path, line: usize, error: &serde_json::Error, form: &str) -> CaptionFileError {
    let (column, message) = (error.column(), without_position(error));
    CaptionFileError(format!("{}:{line}:{column}: {message}\nhint: {form}", path.display()))
}

fn read_lines(path: &Path, bytes: &[u8]) -> Result<Vec<Annotation>, CaptionFileError> {
    let lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let parse = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| {
            let form = "each line has the form {\"image\": \"a.jpg\", \"caption\": \"...\"}";
            malformed(path, index + 1, &error, form)
        })
    };
    filled.map(parse).collect()
}

/// Predictions beside their references.
#[derive(Debug, Default, PartialEq)]
pub struct Matched {
    /// In the order of the references.
    pub pairs: Vec<Pair>,
    /// Images that have references and no prediction.
    pub missing: usize,
    /// Predictions for images without references.
    pub strangers: Vec<String>,
}

/// As [`match_up`], refusing predictions without references. Also the number of images that have references and no
/// prediction.
pub fn pair(
    references: &CaptionFile,
    predictions: &CaptionFile,
) -> Result<(Vec<Pair>, usize), CaptionFileError> {
    let Matched { pairs, missing, strangers } = match_up(references, predictions)?;
    let met_splits: BTreeSet<Option<&String>> =
        pairs.iter().map(|pair| predictions.splits.get(&pair.said_of)).collect();
    // A run predicts for its validation and its test images: a split that the references are not about is no mistake.
    let mut unknown: Vec<&str> = strangers
        .iter()
        .filter(|image| {
            let split = predictions.splits.get(*image);
            split.is_none() || pairs.is_empty() || met_splits.contains(&split)
        })
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        unknown.sort_unstable();
        let (count, all) = (unknown.len(), predictions.entries.len());
        let named = list(&unknown);
        return Err(CaptionFileError(format!("no references for {count} of {all} predictions: {named}")));
    }
    Ok((pairs, missing))
}

/// Puts each prediction beside its references. Two predictions for an image are an error.
pub fn match_up(references: &CaptionFile, predictions: &CaptionFile) -> Result<Matched, CaptionFileError> {
    let names = Names::of(references);
    let mut said: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut strangers = Vec::new();
    for Entry { image, captions } in &predictions.entries {
        let [caption] = captions.as_slice() else {
            let count = captions.len();
            return Err(CaptionFileError(format!(
                "predictions: {image:?} has {count} captions; one is scored"
            )));
        };
        match names.find(image)? {
            None => strangers.push(image.clone()),
            Some(known) if said.insert(known, (image, caption)).is_some() => {
                return Err(CaptionFileError(format!("predictions: {known:?} occurs twice")));
            }
            Some(_) => {}
        }
    }
    let of_image = |Entry { image, captions }: &Entry| {
        let (said_of, caption) = *said.get(image.as_str())?;
        let (image, said_of) = (image.clone(), said_of.to_owned());
        Some(Pair { image, said_of, caption: caption.to_owned(), references: captions.clone() })
    };
    let is_bare = |entry: &&Entry| entry.captions.is_empty() && said.contains_key(entry.image.as_str());
    if let Some(Entry { image, .. }) = references.entries.iter().find(is_bare) {
        return Err(CaptionFileError(format!(
            "references: {image:?} has no captions; at least one is compared with"
        )));
    }
    let pairs: Vec<Pair> = references.entries.iter().filter_map(of_image).collect();
    let missing = references.entries.len() - pairs.len();
    Ok(Matched { pairs, missing, strangers })
}

/// The names that the images of the references go by.
struct Names<'a> {
    /// Names as they are written, with the image.
    exact: BTreeMap<&'a str, &'a str>,
    /// File names of paths, with all images that have them.
    last: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Names<'a> {
    fn of(references: &'a CaptionFile) -> Self {
        let own = references.entries.iter().map(|entry| (entry.image.as_str(), entry.image.as_str()));
        let known: BTreeSet<&str> = references.entries.iter().map(|entry| entry.image.as_str()).collect();
        let aliases = references.aliases.iter().map(|(name, image)| (name.as_str(), image.as_str()));
        let aliases = aliases.filter(|(_, image)| known.contains(image));
        // An image's own name goes before what another one is called as well.
        let exact: BTreeMap<&str, &str> = aliases.chain(own).collect();
        let mut last: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, image) in &exact {
            last.entry(file_name(name)).or_default().insert(image);
        }
        Self { exact, last }
    }

    /// The image that a prediction is about; none if no name fits.
    fn find(&self, name: &str) -> Result<Option<&'a str>, CaptionFileError> {
        if let Some(image) = self.exact.get(name) {
            return Ok(Some(image));
        }
        let Some(images) = self.last.get(file_name(name)) else { return Ok(None) };
        let images: Vec<&str> = images.iter().copied().collect();
        match images.as_slice() {
            [image] => Ok(Some(image)),
            _ => Err(CaptionFileError(format!(
                "predictions: {name:?} may be any of {} images of the references: {}\nhint: name it as the \
                 references do",
                images.len(),
                list(&images)
            ))),
        }
    }
}

/// What stands behind the last slash.
fn file_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// The captions of each image, in order of first appearance.
fn gather(path: &Path, annotations: Vec<Annotation>) -> anyhow::Result<CaptionFile> {
    let refused = |reason: String| CaptionFileError(format!("{}: {reason}", path.display()));
    if annotations.len() > MAX_CAPTIONS {
        let count = annotations.len();
        return Err(refused(format!("it has {count} captions; at most {MAX_CAPTIONS} are read")).into());
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut file = CaptionFile::default();
    for Annotation { image_id, caption, split } in annotations {
        let image = name_of(&image_id).map_err(|error| refused(error.to_string()))?;
        check_length(&caption).map_err(|reason| refused(format!("{image:?}: {reason}")))?;
        if let Some(split) = split {
            file.splits.insert(image.clone(), split);
        }
        let place = *places.entry(image.clone()).or_insert(file.entries.len());
        match file.entries.get_mut(place) {
            Some(entry) => entry.captions.push(caption),
            None => file.entries.push(Entry { image, captions: vec![caption] }),
        }
    }
    Ok(file)
}

/// An id as a name: `7` and `"7"` are the same image.
fn name_of(id: &Value) -> Result<String, CaptionFileError> {
    match id {
        Value::String(name) => Ok(name.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(CaptionFileError(format!("image_id: {other} is neither a number nor a name"))),
    }
}

fn list(names: &[&str]) -> String {
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
#[path = "caption_files_tests.rs"]
mod tests;
