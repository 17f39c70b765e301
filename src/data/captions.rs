//! Reads a captions file: `{file name: caption}` or `{file name: [captions]}` as JSON, or one of the [`caption_forms`].
//!
//! The order of the file is kept, since seeded splits depend on it, and so are names that occur twice, since
//! a JSON reader that keeps only the last of them would hide a fault of the data.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::caption_forms::{self, Columns, Form};

/// Largest captions file that is read, in bytes. COCO's 600,000 captions take 92 MB.
pub const MAX_FILE_BYTES: u64 = 128 << 20;
/// Most captions of a file that are read: in memory each takes a hundred bytes more than its text.
pub const MAX_CAPTIONS: usize = 1_000_000;
/// Longest caption that is read, in characters. BLIP takes 512 tokens; and scores compare captions word by word, which
/// takes time with the square of their length.
pub const MAX_CHARACTERS: usize = 10_000;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The captions of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// File name as written in the captions file.
    pub image: String,
    pub captions: Vec<String>,
}

/// A captions file, entry by entry in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionsFile {
    pub entries: Vec<Entry>,
    /// Names that occur more than once, sorted.
    pub duplicates: Vec<String>,
}

/// Why a captions file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptionsError {
    #[error("{}: cannot read the captions: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// `place` is within the file: `:3:12` for a line and a column, `:3` for a line, `: row 3` for a row.
    #[error("{}{place}: {message}\nhint: {}", path.display(), form.hint())]
    Malformed { path: PathBuf, place: String, message: String, form: Form },
}

/// Reads a captions file, whatever form it has.
pub fn read_captions(path: &Path) -> Result<CaptionsFile, CaptionsError> {
    caption_forms::read(path, &Columns::default())
}

/// Refuses a caption that is too long to be one.
pub fn check_length(caption: &str) -> Result<(), String> {
    // A caption has no more characters than bytes.
    match caption.len() {
        0..=MAX_CHARACTERS => Ok(()),
        _ => match caption.chars().count() {
            0..=MAX_CHARACTERS => Ok(()),
            count => Err(format!("the caption has {count} characters; at most {MAX_CHARACTERS} are read")),
        },
    }
}

/// The bytes without a byte order mark.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Parses the content of a captions file that is a mapping.
pub fn parse_captions(bytes: &[u8]) -> Result<CaptionsFile, serde_json::Error> {
    let text = without_mark(bytes);
    let Entries(entries) = serde_json::from_slice(text)?;
    let mut seen = BTreeSet::new();
    let duplicates: BTreeSet<&str> =
        entries.iter().map(|entry| entry.image.as_str()).filter(|&image| !seen.insert(image)).collect();
    let duplicates = duplicates.into_iter().map(str::to_owned).collect();
    Ok(CaptionsFile { entries, duplicates })
}

/// The message of a JSON error without its " at line 1 column 2", which goes to the front.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}

struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of file names and captions")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                let mut count = 0;
                while let Some(image) = map.next_key::<String>()? {
                    let OneOrMany(captions) = map
                        .next_value()
                        .map_err(|error| A::Error::custom(format_args!("{image:?}: {error}")))?;
                    // An image without captions takes room as well.
                    count += captions.len().max(1);
                    if count > MAX_CAPTIONS {
                        let message =
                            format_args!("more than {MAX_CAPTIONS} captions; at most that many are read");
                        return Err(A::Error::custom(message));
                    }
                    entries.push(Entry { image, captions });
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor;
        impl<'de> Visitor<'de> for OneOrManyVisitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a caption or a list of captions")
            }
            fn visit_str<E: serde::de::Error>(self, caption: &str) -> Result<OneOrMany, E> {
                check_length(caption).map_err(E::custom)?;
                Ok(OneOrMany(vec![caption.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut captions = Vec::new();
                while let Some(caption) = items.next_element::<String>()? {
                    check_length(&caption).map_err(A::Error::custom)?;
                    captions.push(caption);
                }
                Ok(OneOrMany(captions))
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn parsed(text: &str) -> CaptionsFile {
        parse_captions(text.as_bytes()).unwrap()
    }

    fn refused(text: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("captions.json");
        fs::write(&path, text).unwrap();
        let message = read_captions(&path).unwrap_err().to_string();
        message.replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn entries_keep_the_order_of_the_file() {
        let file = parsed(r#"{"z.png": "last letter", "a.png": ["first", "second"], "m.png": []}"#);
        let names: Vec<&str> = file.entries.iter().map(|entry| entry.image.as_str()).collect();
        assert_eq!(names, ["z.png", "a.png", "m.png"]);
        assert_eq!(file.entries[0].captions, ["last letter"]);
        assert_eq!(file.entries[1].captions, ["first", "second"]);
        assert!(file.entries[2].captions.is_empty());
        assert!(file.duplicates.is_empty());
    }

    #[test]
    fn names_that_occur_twice_are_reported_once_each() {
        let file = parsed(r#"{"b": "1", "a": "2", "b": "3", "a": "4", "b": "5", "c": "6"}"#);
        assert_eq!(file.duplicates, ["a", "b"]);
        assert_eq!(file.entries.len(), 6);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_read_over() {
        let file = parsed("\u{feff}{\r\n\"a\": \"x\"\r\n}\r\n");
        assert_eq!(file.entries.len(), 1);
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_its_place_and_name() {
        let message = refused(b"{\n  \"a.png\": \"fine\",\n  \"b.png\": 7\n}");
        assert!(
            message.starts_with(
                "DIR/captions.json:3:12: \"b.png\": invalid type: integer `7`, expected a caption or a list of captions\nhint: "
            ),
            "{message}"
        );
        let message = refused(b"{\"a.png\": [\"x\",\n null]}");
        assert!(message.starts_with("DIR/captions.json:2:5: \"a.png\": invalid type: null"), "{message}");
    }

    #[test]
    fn text_that_is_no_object_is_refused_with_its_place() {
        let places: [(&[u8], &str); 7] = [
            (b"", "1:0: EOF"),
            (b"7", "1:1: invalid type: integer `7`, expected an object of file names"),
            (b"[\"a\"]", "1:4: invalid type: string \"a\", expected a map"),
            (b"{\"a\": \"x\"", "1:9: EOF"),
            (b"{\"a\": \"x\"} {", "1:12: trailing characters"),
            (b"{\"a\": \"\xff\"}", "1:"),
            (b"\xff\xfe{\0", "1:1: expected value"),
        ];
        for (text, start) in places {
            let message = refused(text);
            assert!(message.starts_with(&format!("DIR/captions.json:{start}")), "{message}");
        }
    }

    #[test]
    fn captions_longer_than_any_are_refused_and_the_longest_read() {
        let longest = "\u{e9}".repeat(MAX_CHARACTERS);
        assert_eq!(parsed(&format!("{{\"a\": \"{longest}\"}}")).entries[0].captions, [longest.as_str()]);
        for value in [format!("\"{longest}x\""), format!("[\"x\", \"{longest}x\"]")] {
            let message = refused(format!("{{\"a.png\": {value}}}").as_bytes());
            let expected = "\"a.png\": the caption has 10001 characters; at most 10000 are read";
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_and_a_folder_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_captions(&folder.path().join("no.json")).unwrap_err();
        assert!(missing.to_string().contains("no.json: cannot read the captions: "));
        let not_a_file = read_captions(folder.path()).unwrap_err();
        assert!(not_a_file.to_string().contains("it is a folder without metadata.jsonl"));
    }
}
