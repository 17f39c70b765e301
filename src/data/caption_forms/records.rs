//! Records of an image and what is said of it: `{"file_name": "a.jpg", "caption": "..."}`, in a list or a line each.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::gathered::Gathered;
use super::{Columns, Fault};
use crate::data::captions::CaptionsFile;

/// Keys named in a message; the rest is counted.
const SHOWN: usize = 12;

/// The image of a record, and its captions.
fn of_record(mut fields: Map<String, Value>, columns: &Columns) -> Result<(String, Vec<String>), String> {
    let keys: Vec<String> = fields.keys().cloned().collect();
    let mut take = |names: Vec<&str>, what: &str| {
        let found = names.iter().find_map(|name| Some(((*name).to_owned(), fields.remove(*name)?)));
        found.ok_or_else(|| lacks(what, &names, &keys))
    };
    let (key, image) = take(columns.images(), "image")?;
    let image = name_of(&image).map_err(|error| format!("`{key}`: {error}"))?;
    let (key, captions) = take(columns.captions(), "caption")?;
    let captions = captions_of(captions).map_err(|error| format!("{image:?}: `{key}` {error}"))?;
    Ok((image, captions))
}

/// That a record or a table has no image or no caption, among what it has.
pub(super) fn lacks(what: &str, wanted: &[&str], keys: &[String]) -> String {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let wanted = quoted(wanted).join(", ");
    let mut has = quoted(&keys.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>());
    if keys.len() > SHOWN {
        has.push(format!("{} more", keys.len() - SHOWN));
    }
    let has = if has.is_empty() { "nothing".to_owned() } else { has.join(", ") };
    format!("it has no {what} ({wanted}); it has {has}")
}

/// A file's name or an id: `7` and `"7"` are the same image.
pub(super) fn name_of(id: &Value) -> Result<String, String> {
    match id {
        Value::String(name) => Ok(name.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("{} is neither a name nor a number", kind(other))),
    }
}

fn captions_of(value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(caption) => Ok(vec![caption]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(caption) => Ok(caption),
                other => Err(format!("has {} among its captions", kind(&other))),
            })
            .collect(),
        other => Err(format!("is {}; it must be a caption or a list of captions", kind(&other))),
    }
}

/// A value in a message, however large it is.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A record a line; empty lines count for nothing.
pub fn lines(text: &[u8], columns: &Columns) -> Result<CaptionsFile, Fault> {
    let mut gathered = Gathered::default();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let fields = serde_json::from_slice(line).map_err(|error| Fault::of_json(&error, index))?;
        of_record(fields, columns)
            .and_then(|(image, captions)| gathered.add(image, captions))
            .map_err(|message| Fault::at_line(index + 1, message))?;
    }
    Ok(gathered.into_file())
}

/// Whether the first line is a record by itself.
pub fn begins_with_record(text: &[u8], columns: &Columns) -> bool {
    let first = text.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let fields = first.and_then(|line| serde_json::from_slice(line).ok());
    fields.is_some_and(|fields| of_record(fields, columns).is_ok())
}

/// A JSON list of records.
pub fn list(text: &[u8], columns: &Columns) -> Result<CaptionsFile, Fault> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let gathered = List(columns).deserialize(&mut json).and_then(|list| json.end().map(|()| list));
    gathered.map(Gathered::into_file).map_err(|error| Fault::of_json(&error, 0))
}

/// Takes one record of a list after the other, so that no tree of all of them is in memory.
struct List<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = Gathered;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Gathered, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Gathered;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Gathered, A::Error> {
        let mut gathered = Gathered::default();
        while let Some(fields) = items.next_element::<Map<String, Value>>()? {
            of_record(fields, self.0)
                .and_then(|(image, captions)| gathered.add(image, captions))
                .map_err(A::Error::custom)?;
        }
        Ok(gathered)
    }
}
