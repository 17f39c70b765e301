//! Captions written in the forms that [`read`](super::read) knows.
//!
//! What is written reads back as the same images in the same order with the same captions, in every form: but for an
//! image without captions, which COCO has no word for.

use serde::ser::{SerializeSeq, Serializer};
use serde_json::json;

use crate::data::captions::Entry;

/// Width and height of an image, where they are known.
pub type Size = Option<(u32, u32)>;

/// `{file: caption}`; a list of captions where an image has none or several, or everywhere.
pub fn mapping(entries: &[Entry], always_lists: bool) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::with_formatter(&mut text, serde_json::ser::PrettyFormatter::new());
    let value = |entry: &Entry| match entry.captions.as_slice() {
        [caption] if !always_lists => json!(caption),
        captions => json!(captions),
    };
    // As a mapping and not as a value: the order of the entries counts.
    json.collect_map(entries.iter().map(|entry| (&entry.image, value(entry))))?;
    text.push(b'\n');
    Ok(text)
}

/// A line an image; `captions` in place of `caption` on all of them if any image has none or several, since readers of
/// such lines want columns of one type.
pub fn lines(entries: &[Entry]) -> serde_json::Result<Vec<u8>> {
    let has_one = entries.iter().all(|entry| entry.captions.len() == 1);
    let mut text = Vec::new();
    for Entry { image, captions } in entries {
        let line = if has_one {
            json!({"file_name": image, "caption": captions[0]})
        } else {
            json!({"file_name": image, "captions": captions})
        };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// A row a caption, cells apart by this separator; an image without captions has a row whose cell is empty.
pub fn table(entries: &[Entry], separator: char) -> Vec<u8> {
    let none = [String::new()];
    let rows = entries.iter().flat_map(|Entry { image, captions }| {
        let captions = if captions.is_empty() { &none[..] } else { captions };
        captions.iter().map(move |caption| [image.as_str(), caption.as_str()])
    });
    rows_of(["file_name", "caption"], rows, separator)
}

/// A table with these columns; whatever its cells hold, they read back as they are.
pub fn rows_of<'a, const N: usize>(
    header: [&'a str; N],
    rows: impl Iterator<Item = [&'a str; N]>,
    separator: char,
) -> Vec<u8> {
    let cell = |text: &str| {
        let needs_quotes = text.contains([separator, '"', '\n', '\r']) || text.trim() != text;
        if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
    };
    let line = |row: [&str; N]| row.map(cell).join(&separator.to_string()) + "\n";
    std::iter::once(header).chain(rows).map(line).collect::<String>().into_bytes()
}

/// COCO annotations; ids count from 1. `sizes` has one for each entry, or is empty.
pub fn coco(entries: &[Entry], sizes: &[Size]) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    text.extend_from_slice(b"{\"info\": {\"description\": \"captions\"}, \"licenses\": [],\n\"images\": ");
    let image = |(index, entry): (usize, &Entry)| match sizes.get(index).copied().flatten() {
        Some((width, height)) => {
            json!({"id": index + 1, "file_name": entry.image, "width": width, "height": height})
        }
        None => json!({"id": index + 1, "file_name": entry.image}),
    };
    sequence(&mut text, entries.iter().enumerate().map(image))?;
    text.extend_from_slice(b",\n\"annotations\": ");
    let captions = entries
        .iter()
        .enumerate()
        .flat_map(|(index, entry)| entry.captions.iter().map(move |caption| (index + 1, caption)));
    let annotation = |(number, (image, caption)): (usize, (usize, &String))| json!({"id": number + 1, "image_id": image, "caption": caption});
    sequence(&mut text, captions.enumerate().map(annotation))?;
    text.extend_from_slice(b"}\n");
    Ok(text)
}

/// A JSON list, item by item.
fn sequence(text: &mut Vec<u8>, items: impl Iterator<Item = serde_json::Value>) -> serde_json::Result<()> {
    let mut json = serde_json::Serializer::new(text);
    let mut list = json.serialize_seq(None)?;
    for item in items {
        list.serialize_element(&item)?;
    }
    list.end()
}
