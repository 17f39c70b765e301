//! Captions, and images where a form holds them, from one form into another.
//!
//! Nothing is written over. Folders are filled beside their place and then put there, and whether all images are there is
//! seen before the first of them is copied.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::caption_forms::write::{self, Size};
use super::caption_forms::{self, Columns};
use super::captions::{CaptionsError, Entry};
use super::dataset::place_in;
use super::image_file::{self, Digest};
use super::parquet::{self, ParquetError, RowToWrite};
use crate::record::folder;
use crate::record::store::{StoreError, write_atomic, write_new_with};

/// Images named in a message; the rest is counted.
const SHOWN: usize = 5;

/// What captions are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `{file: caption}`, with lists where an image has none or several.
    Json,
    /// `{file: [captions]}`.
    JsonLists,
    Coco,
    Lines,
    Csv,
    Tsv,
    /// A folder of images with `metadata.jsonl`.
    Folder,
    Parquet,
}

impl Target {
    /// By the ending of a name; a name without one is that of a folder.
    pub fn by_name(path: &Path) -> Option<Self> {
        match path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("json") => Some(Self::Json),
            Some("jsonl" | "ndjson") => Some(Self::Lines),
            Some("csv") => Some(Self::Csv),
            Some("tsv") => Some(Self::Tsv),
            Some("parquet") => Some(Self::Parquet),
            None => Some(Self::Folder),
            Some(_) => None,
        }
    }
}

/// Why nothing was converted.
#[derive(Debug, Error)]
pub enum ConvertError {
    #[error(transparent)]
    Captions(#[from] CaptionsError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the captions: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Refused(String),
}

/// What is to be made of what.
#[derive(Debug)]
pub struct Request<'a> {
    pub from: &'a Path,
    pub to: &'a Path,
    pub target: Target,
    /// Where the images lie; those of a Parquet file are written there.
    pub images: Option<&'a Path>,
    pub columns: Columns,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Converted {
    pub images: usize,
    pub captions: usize,
    /// The folder that image files were written to, if they were.
    pub unpacked: Option<PathBuf>,
}

pub fn convert(request: &Request) -> Result<Converted, ConvertError> {
    let Request { from, to, target, .. } = request;
    refuse_if_there(to)?;
    let (entries, unpacked) = if caption_forms::form_by_name(from) == Some(caption_forms::Form::Parquet) {
        unpack(request)?
    } else {
        (read(request)?, None)
    };
    let captions = entries.iter().map(|entry| entry.captions.len()).sum();
    let converted = Converted { images: entries.len(), captions, unpacked };
    match target {
        // The captions lie beside the unpacked images already.
        Target::Folder if converted.unpacked.is_some() => {}
        Target::Folder => copy_images(&located(request, &entries)?, to, &entries)?,
        Target::Parquet => pack(&located(request, &entries)?, to, &entries)?,
        Target::Coco => write_atomic(to, &write::coco(&entries, &sizes(request, &converted, &entries)?)?)?,
        Target::Json => write_atomic(to, &write::mapping(&entries, false)?)?,
        Target::JsonLists => write_atomic(to, &write::mapping(&entries, true)?)?,
        Target::Lines => write_atomic(to, &write::lines(&entries)?)?,
        Target::Csv => write_atomic(to, &write::table(&entries, ','))?,
        Target::Tsv => write_atomic(to, &write::table(&entries, '\t'))?,
    }
    let unpacked = converted.unpacked.or((*target == Target::Folder).then(|| to.to_path_buf()));
    Ok(Converted { unpacked, ..converted })
}

fn refused(message: String) -> ConvertError {
    ConvertError::Refused(message)
}

/// An empty folder may be filled; anything else that is there stays as it is.
fn refuse_if_there(path: &Path) -> Result<(), ConvertError> {
    let is_empty_folder = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if path.symlink_metadata().is_err() || is_empty_folder {
        return Ok(());
    }
    let hint = "name another place, or remove this one";
    Err(refused(format!(
        "{}: is there already, and nothing is written over it\nhint: {hint}",
        path.display()
    )))
}

fn read(request: &Request) -> Result<Vec<Entry>, ConvertError> {
    let file = caption_forms::read(request.from, &request.columns)?;
    let from = request.from.display();
    if let Some(image) = file.duplicates.first() {
        return Err(refused(format!(
            "{from}: {image:?} occurs twice\nhint: `sweep data check` tells all such images"
        )));
    }
    if file.entries.is_empty() {
        return Err(refused(format!("{from}: it has no captions")));
    }
    Ok(file.entries)
}

/// The path of every image, all of which are there.
fn located(request: &Request, entries: &[Entry]) -> Result<Vec<PathBuf>, ConvertError> {
    let own = request.from.is_dir().then_some(request.from);
    let Some(images) = request.images.or(own) else {
        return Err(refused(
            "the images have to be known for this form\nhint: --images DIR names their folder".to_owned(),
        ));
    };
    let folder = fs::canonicalize(images)
        .map_err(|error| refused(format!("{}: cannot look for images: {error}", images.display())))?;
    let mut paths = Vec::with_capacity(entries.len());
    let mut missing = Vec::new();
    for Entry { image, .. } in entries {
        match place_in(&folder, image) {
            Ok(path) if path.is_file() => paths.push(path),
            Ok(_) => missing.push(image.as_str()),
            Err(reason) => return Err(refused(format!("{:?} {reason}", image))),
        }
    }
    if missing.is_empty() {
        return Ok(paths);
    }
    let others = missing.len().saturating_sub(SHOWN);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    let named = missing.iter().take(SHOWN).map(|image| format!("{image:?}")).collect::<Vec<_>>().join(", ");
    let all = entries.len();
    Err(refused(format!(
        "{}: {} of {all} images are missing: {named}{more}",
        images.display(),
        missing.len()
    )))
}

fn image_bytes(path: &Path) -> Result<Vec<u8>, ConvertError> {
    image_file::read_bytes(path).map_err(|problem| refused(format!("{}: {problem}", path.display())))
}

/// Sizes for COCO, where it is known where the images are.
fn sizes(request: &Request, converted: &Converted, entries: &[Entry]) -> Result<Vec<Size>, ConvertError> {
    let images = converted.unpacked.as_deref().or(request.images);
    let request = Request { images, columns: Columns::default(), ..*request };
    if images.is_none() && !request.from.is_dir() {
        return Ok(Vec::new());
    }
    // A broken image has no size; that is for `sweep data check` to say.
    Ok(located(&request, entries)?.iter().map(|path| image_file::inspect(path).ok()).collect())
}

/// A folder with what `fill` puts into it, there as a whole or not at all.
fn make_folder(
    place: &Path,
    fill: impl FnOnce(&Path) -> Result<Vec<Entry>, ConvertError>,
) -> Result<Vec<Entry>, ConvertError> {
    let place = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let fresh = folder::fresh(&place)?;
    let filled = fill(&fresh).and_then(|entries| {
        write_atomic(&fresh.join("metadata.jsonl"), &write::lines(&entries)?)?;
        Ok(entries)
    });
    match filled {
        Ok(entries) => {
            folder::replace(&place, &fresh)?;
            Ok(entries)
        }
        Err(error) => {
            folder::remove(&fresh)?;
            Err(error)
        }
    }
}

fn copy_images(paths: &[PathBuf], to: &Path, entries: &[Entry]) -> Result<(), ConvertError> {
    make_folder(to, |folder| {
        for (path, entry) in paths.iter().zip(entries) {
            write_atomic(&folder.join(&entry.image), &image_bytes(path)?)?;
        }
        Ok(entries.to_vec())
    })?;
    Ok(())
}

fn pack(paths: &[PathBuf], to: &Path, entries: &[Entry]) -> Result<(), ConvertError> {
    let has_one = entries.iter().all(|entry| entry.captions.len() == 1);
    let rows = paths.iter().zip(entries).map(|(path, Entry { image, captions })| {
        let image_bytes = image_bytes(path).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(RowToWrite { name: image.clone(), image: image_bytes, captions: captions.clone() })
    });
    let written = write_new_with(to, |out| parquet::write(out, has_one, rows));
    if written.is_err() {
        crate::record::store::remove_file(to)?;
    }
    Ok(written?)
}

/// Writes the images of a Parquet file into a folder. The captions' lines lie beside them.
fn unpack(request: &Request) -> Result<(Vec<Entry>, Option<PathBuf>), ConvertError> {
    let folder = match (request.target, request.images) {
        (Target::Folder, None) => request.to,
        (Target::Folder, Some(_)) => {
            return Err(refused(
                "the images of a Parquet file go into the folder that is made; leave --images out".to_owned(),
            ));
        }
        (_, Some(images)) => images,
        (_, None) => {
            let hint = "--images DIR names a new folder for them; or let the target be a folder";
            return Err(refused(format!("the images of a Parquet file need a place\nhint: {hint}")));
        }
    };
    refuse_if_there(folder)?;
    let entries = make_folder(folder, |fresh| {
        let mut unpacked = Unpacked::default();
        parquet::read(request.from, &request.columns, |row| {
            let (name, is_new) = unpacked.add(&row);
            if is_new {
                write_atomic(&fresh.join(name), &row.image)?;
            }
            Ok::<(), ConvertError>(())
        })?;
        if unpacked.entries.is_empty() {
            return Err(refused(format!("{}: it has no rows", request.from.display())));
        }
        Ok(unpacked.entries)
    })?;
    Ok((entries, Some(folder.to_owned())))
}

/// The images of a Parquet file so far, by the names that they get.
#[derive(Default)]
struct Unpacked {
    entries: Vec<Entry>,
    /// What each name holds, and where its entry is. Names are told apart without case, as some systems do.
    names: HashMap<String, (Digest, usize)>,
    /// The first image with each content, for rows that have no name.
    contents: HashMap<Digest, usize>,
}

impl Unpacked {
    /// The name of a row's image, and whether it is a new one. A row that repeats an image adds its captions to it.
    fn add(&mut self, row: &parquet::Row) -> (String, bool) {
        let digest: Digest = Sha256::digest(&row.image).into();
        let wanted = row.name.as_deref().and_then(|name| safe_name(name, &row.image));
        let known = match &wanted {
            None => self.contents.get(&digest).copied(),
            Some(name) => {
                let same = self.names.get(&name.to_lowercase()).filter(|(other, _)| *other == digest);
                same.map(|(_, place)| *place)
            }
        };
        if let Some(entry) = known.and_then(|place| self.entries.get_mut(place)) {
            entry.captions.extend(row.captions.iter().cloned());
            return (entry.image.clone(), false);
        }
        let plain = || format!("{:06}.{}", row.number, ending(&row.image));
        let mut name = wanted.unwrap_or_else(plain);
        while self.names.contains_key(&name.to_lowercase()) {
            name = format!("{}-{name}", row.number);
        }
        self.names.insert(name.to_lowercase(), (digest, self.entries.len()));
        self.contents.entry(digest).or_insert(self.entries.len());
        self.entries.push(Entry { image: name.clone(), captions: row.captions.clone() });
        (name, true)
    }
}

/// The last part of a path, which a stranger wrote, if it can be the name of an image in a folder.
fn safe_name(path: &str, image: &[u8]) -> Option<String> {
    const LONGEST: usize = 150;
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let is_safe = |letter: char| !letter.is_control() && !"<>:\"|?*".contains(letter);
    let is_name =
        !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name.chars().all(is_safe);
    // What the folder says its captions in is no image.
    if !is_name || name.to_lowercase().starts_with("metadata.") {
        return None;
    }
    let has_ending = Path::new(name).extension().is_some_and(|ending| (2..=4).contains(&ending.len()));
    Some(if has_ending { name.to_owned() } else { format!("{name}.{}", ending(image)) })
}

/// What files with such a content end in.
fn ending(image: &[u8]) -> &'static str {
    let known = image::guess_format(image).ok().and_then(|format| format.extensions_str().first());
    known.copied().unwrap_or("bin")
}

#[cfg(test)]
mod tests;
