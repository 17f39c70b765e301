//! Writes the built-in study to a folder, as ordinary files that any tool can read.
//!
//! [`write`] draws the figures (the data to fine-tune on) and the held-out scenes (the domain that the model
//! comes from), and puts the model beside them in the Hugging Face layout. The folder appears complete or
//! not at all. How many examples there are is known without drawing any.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder, RgbImage};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Weights;
use super::figure::{Hidden, Visible, figure};
use super::scene::{SceneObject, scene};
use super::vocabulary::MODEL_FILES;

/// Changes whenever a picture, a caption, a split or the layout of the folder does.
pub const VERSION: u32 = 1;

/// Figures to train on.
pub const TRAIN: u64 = 320;
/// Figures to choose the best epoch by.
pub const VALIDATION: u64 = 64;
/// Figures to report on.
pub const TEST: u64 = 160;
/// Scenes to measure by what a model forgets.
pub const SOURCE: u64 = 64;

/// Word pieces of the longest training caption, with the start and end token: known without drawing it.
pub const LONGEST_CAPTION: usize = 85;

/// Seed of the held-out scenes; the model is pretrained on those of another seed.
pub const SOURCE_SEED: u64 = 1;
/// Seed of the figures; their splits are successive ranges of indices.
pub const FIGURE_SEED: u64 = 2;

/// The model in the Hugging Face layout.
pub const MODEL_FOLDER: &str = "model";
/// The figures' pictures, of all splits.
pub const IMAGE_FOLDER: &str = "images";
/// The held-out scenes' pictures.
pub const SOURCE_IMAGE_FOLDER: &str = "source/images";
/// Captions, `{file name: caption}`.
pub const TRAIN_CAPTIONS: &str = "train_captions.json";
pub const VALIDATION_CAPTIONS: &str = "validation_captions.json";
pub const TEST_CAPTIONS: &str = "test_captions.json";
pub const SOURCE_CAPTIONS: &str = "source_captions.json";
/// What the pictures show, in fields.
pub const ATTRIBUTES: &str = "attributes.json";

/// Present in every complete study; says which one it is.
const MARKER: &str = "study.json";

/// Why the study could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Encode { path: PathBuf, source: image::ImageError },
    #[error("cannot write {}: {source}", path.display())]
    Serialize { path: PathBuf, source: serde_json::Error },
    #[error(
        "{} exists and is not this version of the built-in study ({VERSION})\nhint: name another folder, or remove this one",
        path.display()
    )]
    Occupied { path: PathBuf },
}

/// The content of [`MARKER`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    version: u32,
    /// SHA-256 of `model.safetensors`.
    weights: String,
}

/// The content of [`ATTRIBUTES`]; keys are file names.
#[derive(Serialize)]
struct Attributes {
    figures: BTreeMap<String, FigureTruth>,
    scenes: BTreeMap<String, SceneTruth>,
}

/// What a figure wears: what the picture shows and what only the caption tells.
#[derive(Serialize)]
struct FigureTruth {
    visible: Visible,
    hidden: Hidden,
}

#[derive(Serialize)]
struct SceneTruth {
    objects: Vec<SceneObject>,
    place: &'static str,
}

/// Writes the study into `dir`, with `weights` as the content of its `model.safetensors`.
///
/// Does nothing where `dir` already holds the same study. All is written into a folder beside `dir` first
/// and renamed at the end, so that an interruption leaves no incomplete study, and of several processes that
/// write the same one, one wins and all succeed.
///
/// # Errors
/// [`StudyError::Occupied`] where `dir` holds something else; otherwise what the file system says.
pub fn write(dir: &Path, weights: &Weights) -> Result<(), StudyError> {
    let marker = Marker { version: VERSION, weights: weights.digest.clone() };
    publish(dir, &marker, |draft| write_all(draft, weights.bytes, &marker))
}

/// Lets `fill` write a draft beside `dir` and gives it its name.
fn publish(
    dir: &Path,
    marker: &Marker,
    fill: impl FnOnce(&Path) -> Result<(), StudyError>,
) -> Result<(), StudyError> {
    if is_complete(dir, marker) {
        return Ok(());
    }
    if !is_free(dir) {
        return Err(StudyError::Occupied { path: dir.to_owned() });
    }
    let draft = draft_path(dir);
    let published = fill(&draft).and_then(|()| {
        // Some systems rename a folder over an empty one, others do not.
        let _ = fs::remove_dir(dir);
        fs::rename(&draft, dir).map_err(|source| StudyError::Write { path: dir.to_owned(), source })
    });
    if published.is_err() {
        let _ = fs::remove_dir_all(&draft);
        if is_complete(dir, marker) {
            return Ok(());
        }
    }
    published
}

fn is_complete(dir: &Path, wanted: &Marker) -> bool {
    let text = fs::read_to_string(dir.join(MARKER)).unwrap_or_default();
    serde_json::from_str::<Marker>(&text).is_ok_and(|found| found == *wanted)
}

/// Whether a study may be put there: nothing exists, or an empty folder.
fn is_free(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// A name beside `dir` that no other writer uses.
fn draft_path(dir: &Path) -> PathBuf {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}.{}-{number}.draft", std::process::id()))
}

fn write_all(dir: &Path, model_weights: &[u8], marker: &Marker) -> Result<(), StudyError> {
    let model = dir.join(MODEL_FOLDER);
    for folder in [&model, &dir.join(IMAGE_FOLDER), &dir.join(SOURCE_IMAGE_FOLDER)] {
        fs::create_dir_all(folder).map_err(|source| StudyError::Write { path: folder.clone(), source })?;
    }
    for (name, content) in MODEL_FILES {
        write_file(&model.join(name), content.as_bytes())?;
    }
    write_file(&model.join("model.safetensors"), model_weights)?;

    let attributes = Attributes { figures: write_figures(dir)?, scenes: write_scenes(dir)? };
    write_json(&dir.join(ATTRIBUTES), &attributes)?;
    write_file(&dir.join("README.txt"), README.as_bytes())?;
    write_json(&dir.join(MARKER), marker)
}

fn write_figures(dir: &Path) -> Result<BTreeMap<String, FigureTruth>, StudyError> {
    let mut truths = BTreeMap::new();
    let mut first = 0;
    for (file, count) in [(TRAIN_CAPTIONS, TRAIN), (VALIDATION_CAPTIONS, VALIDATION), (TEST_CAPTIONS, TEST)] {
        let drawn: Vec<_> = (first..first + count)
            .into_par_iter()
            .map(|index| {
                let figure = figure(FIGURE_SEED, index);
                let name = format!("figure-{index:04}.png");
                write_image(&dir.join(IMAGE_FOLDER).join(&name), &figure.image)?;
                Ok((name, figure.caption, FigureTruth { visible: figure.visible, hidden: figure.hidden }))
            })
            .collect::<Result<_, StudyError>>()?;
        let captions: BTreeMap<_, _> = drawn.iter().map(|(name, caption, _)| (name, caption)).collect();
        write_json(&dir.join(file), &captions)?;
        truths.extend(drawn.into_iter().map(|(name, _, truth)| (name, truth)));
        first += count;
    }
    Ok(truths)
}

fn write_scenes(dir: &Path) -> Result<BTreeMap<String, SceneTruth>, StudyError> {
    let drawn: Vec<_> = (0..SOURCE)
        .into_par_iter()
        .map(|index| {
            let scene = scene(SOURCE_SEED, index);
            let name = format!("scene-{index:04}.png");
            write_image(&dir.join(SOURCE_IMAGE_FOLDER).join(&name), &scene.image)?;
            Ok((name, scene.caption, SceneTruth { objects: scene.objects, place: scene.place }))
        })
        .collect::<Result<_, StudyError>>()?;
    let captions: BTreeMap<_, _> = drawn.iter().map(|(name, caption, _)| (name, caption)).collect();
    write_json(&dir.join(SOURCE_CAPTIONS), &captions)?;
    Ok(drawn.into_iter().map(|(name, _, truth)| (name, truth)).collect())
}

fn write_image(path: &Path, image: &RgbImage) -> Result<(), StudyError> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(image.as_raw(), image.width(), image.height(), image::ExtendedColorType::Rgb8)
        .map_err(|source| StudyError::Encode { path: path.to_owned(), source })?;
    write_file(path, &bytes)
}

fn write_json(path: &Path, content: &impl Serialize) -> Result<(), StudyError> {
    let text = serde_json::to_string_pretty(content)
        .map_err(|source| StudyError::Serialize { path: path.to_owned(), source })?;
    write_file(path, format!("{text}\n").as_bytes())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    fs::write(path, bytes).map_err(|source| StudyError::Write { path: path.to_owned(), source })
}

const README: &str = "\
The built-in study of `sweep`: a small image captioner and a domain it was not made for.

model/                    a small BLIP, pretrained on drawn everyday scenes with short captions
                          (\"a red ball on the grass\"); Hugging Face layout
images/                   drawn clothed figures, 224 x 224 pixels: the domain to fine-tune on
train_captions.json       {file name: caption}; long, structured captions of several sentences
validation_captions.json
test_captions.json
source/images/            held-out scenes of the kind that the model was pretrained on
source_captions.json
attributes.json           what each picture shows, in fields. Of the figures, `visible` is in the
                          picture; `hidden` (fabrics, rings) is told by the caption alone, and no
                          model can learn it from the picture
study.json                the version of the study

All pictures and captions are drawn by the program from fixed seeds: they show nobody, and they are
the same on every machine. They may be used and passed on under the license of the program.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn captions(dir: &Path, file: &str) -> BTreeMap<String, String> {
        serde_json::from_str(&fs::read_to_string(dir.join(file)).unwrap()).unwrap()
    }

    #[test]
    fn the_folder_holds_every_split_and_every_picture_is_named_in_exactly_one() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("study");
        write(&dir, &Weights::of(b"weights")).unwrap();
        let mut names = Vec::new();
        for (file, count) in
            [(TRAIN_CAPTIONS, TRAIN), (VALIDATION_CAPTIONS, VALIDATION), (TEST_CAPTIONS, TEST)]
        {
            let split = captions(&dir, file);
            assert_eq!(split.len() as u64, count, "{file}");
            names.extend(split.into_keys());
        }
        names.sort();
        let mut drawn: Vec<_> = fs::read_dir(dir.join(IMAGE_FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        drawn.sort();
        assert_eq!(names, drawn);
        for (name, _) in captions(&dir, SOURCE_CAPTIONS) {
            let picture = image::open(dir.join(SOURCE_IMAGE_FOLDER).join(name)).unwrap();
            assert_eq!((picture.width(), picture.height()), (224, 224));
        }
        let attributes: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(dir.join(ATTRIBUTES)).unwrap()).unwrap();
        assert_eq!(attributes["figures"].as_object().unwrap().len(), names.len());
        assert_eq!(fs::read(dir.join("model/model.safetensors")).unwrap(), b"weights");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "a draft was left behind");
    }

    fn marker() -> Marker {
        Marker { version: VERSION, weights: "digest".to_owned() }
    }

    /// Stands in for the drawing: a folder with one file and the marker.
    fn fill(draft: &Path, content: &str) -> Result<(), StudyError> {
        fs::create_dir_all(draft).unwrap();
        write_file(&draft.join("content"), content.as_bytes())?;
        write_json(&draft.join(MARKER), &marker())
    }

    #[test]
    fn a_study_that_is_there_is_not_written_again() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("study");
        publish(&dir, &marker(), |draft| fill(draft, "first")).unwrap();
        publish(&dir, &marker(), |draft| fill(draft, "second")).unwrap();
        assert_eq!(fs::read_to_string(dir.join("content")).unwrap(), "first");
        let other_weights = Marker { weights: "another digest".to_owned(), ..marker() };
        let refused = publish(&dir, &other_weights, |draft| fill(draft, "third"));
        assert!(matches!(refused, Err(StudyError::Occupied { .. })));
    }

    #[test]
    fn of_two_writers_one_wins_and_both_succeed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("study");
        let result = publish(&dir, &marker(), |draft| {
            publish(&dir, &marker(), |draft| fill(draft, "the faster one"))?;
            fill(draft, "the slower one")
        });
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(fs::read_to_string(dir.join("content")).unwrap(), "the faster one");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn a_failure_leaves_neither_a_study_nor_a_draft() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("study");
        let result = publish(&dir, &marker(), |draft| {
            fill(draft, "half")?;
            write_file(&draft.join("no such folder/file"), b"")
        });
        assert!(matches!(result, Err(StudyError::Write { .. })), "{result:?}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_anything_else_in_it_is_refused_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("notes.txt"), "mine").unwrap();
        let error = publish(home.path(), &marker(), |draft| fill(draft, "")).unwrap_err();
        assert!(error.to_string().contains("hint: "), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
