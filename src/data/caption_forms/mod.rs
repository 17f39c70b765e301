//! Captions files in every form that data sets come in, and the same written back.
//!
//! `{file: caption}` and `{file: [captions]}` ([`captions`](super::captions) parses them), a JSON list or JSON lines of
//! records, a table (CSV, TSV), COCO annotations, and a Hugging Face image folder with its `metadata`. [`read`] finds out
//! which it is by the name and the content. Rows of one image are gathered where its first one stands, so that a split by
//! a seed is the same for every form of a file. [`Columns`] names the parts of a record where they have names of their
//! own; [`write`](mod@write) is the way back. Parquet is no form to train from: [`parquet`](super::parquet) unpacks it.

mod coco;
mod gathered;
mod records;
mod table;
pub mod write;

use std::path::{Path, PathBuf};

use super::captions::{
    CaptionsError, CaptionsFile, MAX_FILE_BYTES, parse_captions, without_mark, without_position,
};
use crate::record::bounded;

/// Files of an image folder that hold its captions, in the order in which they are looked for.
const METADATA: [&str; 2] = ["metadata.jsonl", "metadata.csv"];

/// The names of a record's parts; where there is none, the usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    pub image: Option<String>,
    pub caption: Option<String>,
}

impl Columns {
    /// Names that an image's file usually has, the likeliest first.
    pub const IMAGE: [&str; 5] = ["file_name", "image", "filename", "file", "image_id"];
    /// Names that a caption usually has.
    pub const CAPTION: [&str; 4] = ["caption", "captions", "text", "texts"];

    /// The names to look for an image under.
    pub fn images(&self) -> Vec<&str> {
        self.image.as_deref().map_or_else(|| Self::IMAGE.to_vec(), |name| vec![name])
    }

    /// The names to look for a caption under.
    pub fn captions(&self) -> Vec<&str> {
        self.caption.as_deref().map_or_else(|| Self::CAPTION.to_vec(), |name| vec![name])
    }
}

/// The form of a captions file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{file: caption}` or `{file: [captions]}`.
    Mapping,
    /// A JSON list of records.
    List,
    /// A JSON record a line.
    Lines,
    Coco,
    Table,
    /// A folder with images and their metadata.
    Folder,
    Parquet,
}

impl Form {
    /// What such a file looks like, or what to do with it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Mapping => {
                "captions are JSON of the form {\"file name\": \"caption\"} or {\"file name\": [\"caption\", ...]}, in UTF-8"
            }
            Self::List => {
                "a list of captions is JSON of the form [{\"file_name\": \"a.jpg\", \"caption\": \"...\"}]; `sweep data \
                 convert` reads other names with --image-column and --caption-column"
            }
            Self::Lines => {
                "each line is JSON of the form {\"file_name\": \"a.jpg\", \"caption\": \"...\"}; `sweep data convert` reads \
                 other names with --image-column and --caption-column"
            }
            Self::Coco => {
                "COCO captions have the form {\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"annotations\": \
                 [{\"image_id\": 1, \"caption\": \"...\"}]}"
            }
            Self::Table => {
                "the first row names the columns, such as file_name,caption; `sweep data convert` reads other names with \
                 --image-column and --caption-column"
            }
            Self::Folder => {
                "a folder of images says its captions in metadata.jsonl, each line of the form {\"file_name\": \"a.jpg\", \
                 \"caption\": \"...\"}, or in metadata.csv"
            }
            Self::Parquet => {
                "`sweep data convert FILE FOLDER` unpacks it into a folder of images with their captions"
            }
        }
    }
}

/// What is wrong, and where in the file: `:3:12` for a line and a column, `:3` for a line, nothing for all of it.
struct Fault {
    place: String,
    message: String,
}

impl Fault {
    fn at_line(line: usize, message: impl Into<String>) -> Self {
        Self { place: format!(":{line}"), message: message.into() }
    }

    fn of_file(message: impl Into<String>) -> Self {
        Self { place: String::new(), message: message.into() }
    }

    /// A JSON error in a text that begins behind so many lines.
    fn of_json(error: &serde_json::Error, lines_before: usize) -> Self {
        let place = format!(":{}:{}", lines_before + error.line(), error.column());
        Self { place, message: without_position(error) }
    }
}

/// Reads a captions file, or the captions of a folder of images.
pub fn read(path: &Path, columns: &Columns) -> Result<CaptionsFile, CaptionsError> {
    if path.is_dir() {
        return read(&metadata_of(path)?, columns);
    }
    let form = form_by_name(path);
    if form == Some(Form::Parquet) {
        let message =
            "images and captions in Parquet are unpacked before anything is trained on them".to_owned();
        let path = path.to_owned();
        return Err(CaptionsError::Malformed { path, place: String::new(), message, form: Form::Parquet });
    }
    let bytes = bounded::read_bytes(path, MAX_FILE_BYTES)
        .map_err(|error| CaptionsError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
    let text = without_mark(&bytes);
    let (form, parsed) = match form {
        Some(Form::Table) => (Form::Table, table::parse(text, columns)),
        Some(form) => (form, records::lines(text, columns)),
        None if text.trim_ascii_start().starts_with(b"[") => (Form::List, records::list(text, columns)),
        None => of_object(text, columns),
    };
    parsed.map_err(|Fault { place, message }| CaptionsError::Malformed {
        path: path.to_owned(),
        place,
        message,
        form,
    })
}

/// The file of a folder of images that says their captions.
pub fn metadata_of(folder: &Path) -> Result<PathBuf, CaptionsError> {
    let found = METADATA.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| CaptionsError::Malformed {
        path: folder.to_owned(),
        place: String::new(),
        message: "it is a folder without metadata.jsonl or metadata.csv".to_owned(),
        form: Form::Folder,
    })
}

/// The form that a file's ending tells; JSON has several, which only the content tells apart.
pub fn form_by_name(path: &Path) -> Option<Form> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "jsonl" | "ndjson" => Some(Form::Lines),
        "csv" | "tsv" => Some(Form::Table),
        "parquet" => Some(Form::Parquet),
        _ => None,
    }
}

/// JSON that begins with no list: a mapping as a rule. Where it is none it may be COCO's, or lines in a file whose name
/// does not say so.
fn of_object(text: &[u8], columns: &Columns) -> (Form, Result<CaptionsFile, Fault>) {
    // Names that are given for columns are meant for something.
    let only_without_names = |file: CaptionsFile| match *columns == Columns::default() {
        true => Ok(file),
        false => Err(Fault::of_file("it has no columns whose names could be told")),
    };
    match parse_captions(text) {
        Ok(file) => (Form::Mapping, only_without_names(file)),
        Err(_) if coco::is_meant(text) => (Form::Coco, coco::parse(text).and_then(only_without_names)),
        Err(_) if records::begins_with_record(text, columns) => (Form::Lines, records::lines(text, columns)),
        Err(error) => (Form::Mapping, Err(Fault::of_json(&error, 0))),
    }
}

#[cfg(test)]
mod tests;
