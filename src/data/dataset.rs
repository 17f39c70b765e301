//! The examples of every split, checked before anything else happens.
//!
//! [`Dataset::load`] reads the captions files, splits off the validation examples and looks at every image's
//! header. It returns either a data set whose images are all there, or one error that lists everything that
//! is wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use rayon::prelude::*;

use super::captions::{Entry, read_captions};
use super::image_file::{self, Digest, ImageFileError, ImageProblem};
use super::problems::{ProblemKind, Problems, shown_path};
use super::split::Share;
use crate::record::grouping::Grouping;
use crate::record::recipe::{DataFiles, Split, Validation};

/// The seed of the validation split where only a fraction is given: the original study's.
const DEFAULT_SPLIT_SEED: u64 = 42;
/// Images named in a warning; the rest is counted.
const SHOWN: usize = 5;

/// An image and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// File name as written in the captions file.
    pub image: String,
    pub path: PathBuf,
    /// At least one; none is blank.
    pub captions: Vec<String>,
    /// SHA-256 of the image's file, once it was taken: from then on no other file passes for it.
    pub digest: Option<Digest>,
}

impl Example {
    fn new(path: PathBuf, entry: Entry) -> Self {
        Self { image: entry.image, path, captions: entry.captions, digest: None }
    }
}

/// The splits of a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    /// In the order of the captions file, or of the seeded shuffle that split off the validation examples.
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    /// Empty where the data set has no test split.
    pub test: Vec<Example>,
    /// Examples of the domain the model came from; empty where none is given.
    pub source: Vec<Example>,
    /// What is doubtful but usable, in words.
    pub warnings: Vec<String>,
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{0}")]
    Problems(Problems),
    #[error(
        "data.validation: {0}\nhint: write `validation: {{fraction: 0.1, seed: 42}}`, or `captions` and `images` of its own"
    )]
    Validation(String),
    #[error(transparent)]
    Image(#[from] ImageFileError),
}

impl Dataset {
    /// Reads all splits.
    ///
    /// A validation fraction is split off as the original study did it: the training captions in the order of
    /// their file are shuffled as Python's `random.seed(seed); random.shuffle` does, and the last `int(n *
    /// fraction)` of them are taken. Where images have groups, whole groups are taken until there are as many.
    ///
    /// # Errors
    /// Every unreadable captions file, empty split, empty caption, duplicate name and missing or broken
    /// image, in one error. That an image is in two splits is a warning.
    pub fn load(files: &DataFiles) -> Result<Self, DataError> {
        let rule = ValidationRule::new(&files.validation)?;
        let mut problems = Problems::default();
        let mut data = Self { train: read_split("train", &files.train, &mut problems), ..Self::default() };
        let mut warnings = Vec::new();
        match rule {
            ValidationRule::Share(share) if !data.train.is_empty() => {
                warnings.extend(share.warning(&data.train));
                data.split_off_validation(&share, &mut problems);
            }
            ValidationRule::Share(_) => {}
            ValidationRule::Files(split) => {
                data.validation = read_split("validation", &split, &mut problems);
            }
        }
        if let Some(split) = &files.test {
            data.test = read_split("test", split, &mut problems);
        }
        if let Some(split) = &files.source {
            data.source = read_split("source", split, &mut problems);
        }
        data.check_images(&mut problems);
        if !problems.is_empty() {
            return Err(DataError::Problems(problems));
        }
        warnings.extend(data.shared_images());
        data.warnings = warnings;
        Ok(data)
    }

    /// The captions that are trained on, without a look at any image: those may be gone when the captions are asked for.
    ///
    /// # Errors
    /// A captions file that cannot be read, and a rule of validation that makes no sense.
    pub fn training_captions(files: &DataFiles) -> Result<Vec<String>, DataError> {
        Ok(Self::training_entries(files)?.into_iter().flat_map(|entry| entry.captions).collect())
    }

    /// The images that are trained on with their captions, likewise.
    ///
    /// # Errors
    /// As [`Dataset::training_captions`].
    pub fn training_entries(files: &DataFiles) -> Result<Vec<Entry>, DataError> {
        let rule = ValidationRule::new(&files.validation)?;
        let mut problems = Problems::default();
        let mut entries = read_entries("train", &files.train, &mut problems).unwrap_or_default();
        if let ValidationRule::Share(share) = rule {
            share.split_off(&mut entries, |entry| &entry.image);
        }
        if problems.is_empty() { Ok(entries) } else { Err(DataError::Problems(problems)) }
    }

    /// The splits with their names, in a fixed order.
    pub fn splits(&self) -> [(&'static str, &[Example]); 4] {
        [
            ("train", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
            ("source", &self.source),
        ]
    }

    /// The same, to be changed.
    pub(super) fn splits_mut(&mut self) -> [(&'static str, &mut [Example]); 4] {
        [
            ("train", &mut self.train),
            ("validation", &mut self.validation),
            ("test", &mut self.test),
            ("source", &mut self.source),
        ]
    }

    fn split_off_validation(&mut self, share: &Share, problems: &mut Problems) {
        let total = self.train.len();
        self.validation = share.split_off(&mut self.train, |example| &example.image);
        for (name, examples) in [("train", &self.train), ("validation", &self.validation)] {
            if examples.is_empty() {
                let groups = if share.group.is_some() { " by whole groups" } else { "" };
                let fraction = share.fraction;
                let entry =
                    format!("{name}: a fraction of {fraction}{groups} leaves none of {total} examples");
                problems.add(ProblemKind::EmptySplit, entry);
            }
        }
    }

    /// Looks at every image once, however many splits it is in.
    fn check_images(&self, problems: &mut Problems) {
        let paths: BTreeSet<&Path> = self
            .splits()
            .into_iter()
            .flat_map(|(_, examples)| examples)
            .map(|example| example.path.as_path())
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        let paths: Vec<&Path> = paths.into_iter().collect();
        let failures: Vec<ImageFileError> =
            paths.par_iter().filter_map(|path| image_file::inspect(path).err()).collect();
        for failure in failures {
            match failure.problem {
                ImageProblem::Missing => {
                    problems.add(ProblemKind::MissingImage, missing(&failure.path));
                }
                _ => problems.add(ProblemKind::BrokenImage, failure.to_string()),
            }
        }
    }

    /// A sentence for each two of the training, validation and test splits that share images.
    fn shared_images(&self) -> Vec<String> {
        let [train, validation, test, _] = self.splits();
        let pairs = [(train, validation), (train, test), (validation, test)];
        pairs.into_iter().filter_map(|(first, second)| shared(first, second)).collect()
    }
}

fn shared(first: (&str, &[Example]), second: (&str, &[Example])) -> Option<String> {
    let paths: BTreeSet<&Path> = first.1.iter().map(|example| example.path.as_path()).collect();
    let both: Vec<&str> = second
        .1
        .iter()
        .filter(|example| paths.contains(example.path.as_path()))
        .map(|example| example.image.as_str())
        .collect();
    if both.is_empty() {
        return None;
    }
    let mut names = both.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if both.len() > SHOWN {
        names += &format!(" and {} more", both.len() - SHOWN);
    }
    let count = both.len();
    let images = if count == 1 { "image is" } else { "images are" };
    Some(format!("{count} {images} in both {} and {}: {names}", first.0, second.0))
}

/// Where the validation examples come from, with its settings checked.
enum ValidationRule {
    Share(Share),
    Files(Split),
}

impl ValidationRule {
    fn new(validation: &Validation) -> Result<Self, DataError> {
        let refused = |reason: &str| Err(DataError::Validation(reason.to_owned()));
        match (validation.fraction, &validation.captions, &validation.images) {
            (Some(fraction), None, None) if fraction > 0.0 && fraction < 1.0 => {
                let seed = validation.seed.unwrap_or(DEFAULT_SPLIT_SEED);
                let group = validation.group.as_deref().map(Grouping::new).transpose();
                let group = group.map_err(|reason| DataError::Validation(format!("group: {reason}")))?;
                Ok(Self::Share(Share { fraction, seed, group }))
            }
            (Some(fraction), None, None) => {
                refused(&format!("fraction is {fraction}; it must lie between 0 and 1"))
            }
            (None, Some(_), Some(_)) if validation.seed.is_some() => {
                refused("seed has no meaning beside `captions` and `images`")
            }
            (None, Some(_), Some(_)) if validation.group.is_some() => {
                refused("group has no meaning beside `captions` and `images`")
            }
            (None, Some(captions), Some(images)) => {
                Ok(Self::Files(Split { captions: captions.clone(), images: images.clone() }))
            }
            (Some(_), _, _) => refused("fraction excludes `captions` and `images`"),
            (None, None, None) => refused("it says neither fraction nor files"),
            (None, _, _) => refused("`captions` and `images` are needed both"),
        }
    }
}

/// The entries of a captions file; nothing where it cannot be read.
fn read_entries(name: &str, split: &Split, problems: &mut Problems) -> Option<Vec<Entry>> {
    let file = match read_captions(Path::new(&split.captions)) {
        Ok(file) => file,
        Err(error) => {
            problems.add(ProblemKind::Captions, error.to_string());
            return None;
        }
    };
    for image in &file.duplicates {
        problems.add(ProblemKind::DuplicateEntry, format!("{}: {image:?}", split.captions));
    }
    if file.entries.is_empty() {
        problems.add(ProblemKind::EmptySplit, format!("{name}: {} has no entries", split.captions));
    }
    Some(file.entries)
}

/// The examples of a captions file, whose captions are sound. Images are checked later, for all splits together.
fn read_split(name: &str, split: &Split, problems: &mut Problems) -> Vec<Example> {
    let Some(entries) = read_entries(name, split, problems) else { return Vec::new() };
    // One path for one image, however the folder is written, so that splits can be compared.
    let folder = match fs::canonicalize(&split.images) {
        Ok(folder) if !folder.is_dir() => {
            problems.add(ProblemKind::ImagesFolder, format!("{name}: {}: it is no folder", split.images));
            return Vec::new();
        }
        Ok(folder) => folder,
        Err(error) => {
            problems.add(ProblemKind::ImagesFolder, format!("{name}: {}: {error}", split.images));
            return Vec::new();
        }
    };
    let mut examples = Vec::with_capacity(entries.len());
    for entry in entries {
        let is_blank = |caption: &String| caption.trim().is_empty();
        if entry.captions.is_empty() || entry.captions.iter().any(is_blank) {
            let described = format!("{}: {:?}", split.captions, entry.image);
            problems.add(ProblemKind::EmptyCaption, described);
        }
        match place_in(&folder, &entry.image) {
            Ok(path) => examples.push(Example::new(path, entry)),
            Err(reason) => {
                let described = format!("{}: {:?} {reason}", split.captions, entry.image);
                problems.add(ProblemKind::StrayImage, described);
                // It counts, so that a split is not found to be empty as well; nobody looks at it.
                examples.push(Example::new(PathBuf::new(), entry));
            }
        }
    }
    examples
}

/// A path that leads nowhere. Letters that are no ASCII are spelt out as well: accented ones have two forms that look
/// the same, and systems differ in the one that they give to files.
fn missing(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let spelt = if name.is_ascii() { String::new() } else { format!(" (\"{}\")", name.escape_default()) };
    format!("{}{spelt}", shown_path(path))
}

/// The path of an image, whose name comes from a file that may be a stranger's: neither it nor a link may lead out of
/// the folder. `folder` has no links in it.
pub fn place_in(folder: &Path, image: &str) -> Result<PathBuf, String> {
    let inside = folder.display();
    let stays = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    if image.is_empty() || !Path::new(image).components().all(stays) {
        return Err(format!("is no name of a file below {inside}"));
    }
    let path = folder.join(image);
    let may_lead_away = |path: &Path| path.is_symlink() || path.parent() != Some(folder);
    // What is missing or cannot be read is found when it is looked at.
    match fs::canonicalize(&path) {
        Ok(real) if may_lead_away(&path) && !real.starts_with(folder) => Err(format!(
            "is a link to {}, which is not below {inside}; copy the image there, or let `images` name its folder",
            shown_path(&real)
        )),
        _ => Ok(path),
    }
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
