//! From the names in a recipe to files: a built-in study is written out, a folder is made absolute.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::hub::{Hub, HubError, HubId};
use crate::lab;
use crate::lab::study::{self, StudyError};
use crate::model::{WeightsError, weight_files};
use crate::record::RunSpec;
use crate::record::recipe::{DataFiles, DataSource, Recipe, Split, Validation};
use crate::train::Inputs;

/// The name of the built-in model and of its data.
const BUILT_IN: &str = "lab";
/// The model of a run that needs none, such as the floor of a constant caption: planning leaves no name there, so that
/// sweeps over models share the run. The built-in model stands in; nothing that it says counts.
const NO_MODEL: &str = "none";

/// Why a name in a recipe stands for no files.
#[derive(Debug, Error)]
pub enum ResolveError {
    #[error(
        "model: `{id}` has not been downloaded from the hub\nhint: `sweep run`, `sweep caption` and `sweep audit` download it"
    )]
    NotFetched { id: HubId },
    #[error(
        "model: `{name}` is neither a built-in model (`{BUILT_IN}`), nor a folder, nor a hub id (`owner/name`)"
    )]
    NoSuchModel { name: String },
    #[error("model: {}: no {file}; a model's folder holds config.json, the weights and the tokenizer", folder.display())]
    Incomplete { folder: PathBuf, file: &'static str },
    #[error("model: {0}")]
    Weights(WeightsError),
    #[error("model: {0}")]
    Hub(#[from] HubError),
    #[error("data: `{name}` is no built-in data set; there is `{BUILT_IN}`")]
    NoSuchData { name: String },
    #[error(transparent)]
    Study(#[from] StudyError),
}

/// The files that a recipe's names stand for.
///
/// The built-in study is written below `runs` where it is not there yet, once for all sweeps: it is hidden and named
/// by its content, so that a later version of the program does not change the inputs of earlier runs.
pub fn resolve(recipe: &Recipe, runs: &Path) -> Result<Inputs, ResolveError> {
    Ok(Inputs { model: resolve_model(&recipe.model, runs)?, data: resolve_data(&recipe.data, runs)? })
}

/// The run with its names replaced by absolute paths, for `config.yaml`: whoever reads that finds the files without
/// knowing what a name stood for. Ids are made of the names.
pub fn resolved(spec: &RunSpec, runs: &Path) -> Result<RunSpec, ResolveError> {
    let Inputs { model, data } = resolve(&spec.recipe, runs)?;
    let mut spec = spec.clone();
    spec.recipe.model = model.to_string_lossy().into_owned();
    spec.recipe.data = DataSource::Files(Box::new(data));
    let paraphrases = &mut spec.recipe.training.paraphrases;
    if !paraphrases.is_empty() {
        *paraphrases = absolute(Path::new(paraphrases)).to_string_lossy().into_owned();
    }
    Ok(spec)
}

/// The folder of the model that a recipe names.
pub fn resolve_model(name: &str, runs: &Path) -> Result<PathBuf, ResolveError> {
    model_folder(if name == NO_MODEL { BUILT_IN } else { name }, runs)
}

/// The folder of a model that the user names. A model of the hub is looked for in the cache; nothing is downloaded.
pub fn model_folder(name: &str, runs: &Path) -> Result<PathBuf, ResolveError> {
    if name == BUILT_IN {
        return Ok(written_study(runs)?.join(study::MODEL_FOLDER));
    }
    let folder = absolute(Path::new(name));
    if folder.is_dir() {
        check_model_folder(&folder)?;
        return Ok(folder);
    }
    let id = HubId::parse(name).ok_or_else(|| ResolveError::NoSuchModel { name: name.to_owned() })?;
    Hub::from_env()?.cached(&id).ok_or(ResolveError::NotFetched { id })
}

/// The folder that this name is a path of, if there is a tokenizer in it: all of a model that captions need.
pub fn tokenizer_folder(name: &str) -> Option<PathBuf> {
    let folder = absolute(Path::new(name));
    (name != BUILT_IN && has_tokenizer(&folder)).then_some(folder)
}

/// A tokenizer is made from the vocabulary of older repositories where it is not there itself.
fn has_tokenizer(folder: &Path) -> bool {
    ["tokenizer.json", "vocab.txt"].iter().any(|file| folder.join(file).is_file())
}

/// Whether the files without which no model loads are there. What they hold is seen when it is loaded.
fn check_model_folder(folder: &Path) -> Result<(), ResolveError> {
    let lacks = |file: &str| !folder.join(file).is_file();
    let incomplete = |file| Err(ResolveError::Incomplete { folder: folder.to_owned(), file });
    if lacks("config.json") {
        return incomplete("config.json");
    }
    weight_files::find(folder).map_err(ResolveError::Weights)?;
    if has_tokenizer(folder) { Ok(()) } else { incomplete("tokenizer.json") }
}

/// The files of the data that a recipe names.
pub fn resolve_data(source: &DataSource, runs: &Path) -> Result<DataFiles, ResolveError> {
    match source {
        DataSource::BuiltIn(name) if name == BUILT_IN => Ok(study_files(&written_study(runs)?)),
        DataSource::BuiltIn(name) => Err(ResolveError::NoSuchData { name: name.clone() }),
        DataSource::Files(files) => Ok(absolute_files(files)),
    }
}

/// The built-in study's folder below `runs`, complete.
fn written_study(runs: &Path) -> Result<PathBuf, StudyError> {
    let digest = &lab::WEIGHTS.digest;
    let name = format!("v{}-{}", study::VERSION, digest.chars().take(8).collect::<String>());
    let folder = absolute(runs).join(".lab").join(name);
    study::write(&folder, &lab::WEIGHTS)?;
    Ok(folder)
}

/// The data files of a study that was written to `folder`.
pub fn study_files(folder: &Path) -> DataFiles {
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let split = |captions: &str, images: &str| Split { captions: at(captions), images: at(images) };
    DataFiles {
        train: split(study::TRAIN_CAPTIONS, study::IMAGE_FOLDER),
        validation: Validation {
            captions: Some(at(study::VALIDATION_CAPTIONS)),
            images: Some(at(study::IMAGE_FOLDER)),
            ..Validation::default()
        },
        test: Some(split(study::TEST_CAPTIONS, study::IMAGE_FOLDER)),
        source: Some(split(study::SOURCE_CAPTIONS, study::SOURCE_IMAGE_FOLDER)),
    }
}

fn absolute_files(files: &DataFiles) -> DataFiles {
    let text = |path: &String| absolute(Path::new(path)).to_string_lossy().into_owned();
    let split = |split: &Split| Split { captions: text(&split.captions), images: text(&split.images) };
    DataFiles {
        train: split(&files.train),
        validation: Validation {
            captions: files.validation.captions.as_ref().map(text),
            images: files.validation.images.as_ref().map(text),
            ..files.validation.clone()
        },
        test: files.test.as_ref().map(split),
        source: files.source.as_ref().map(split),
    }
}

/// The path seen from the root. It need not exist; links are kept.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        resolve_model(name, Path::new("runs")).unwrap_err().to_string()
    }

    #[test]
    fn a_hub_id_is_told_from_a_folder_that_is_not_there() {
        assert!(message("no-such-owner/no-such-model").contains("has not been downloaded"));
        assert!(
            message("no-such-owner/no-such-model@v1").contains("`no-such-owner/no-such-model@v1` has not")
        );
        for folder in ["./models/blip", "/models/blip", "models/a/b", "blip", "../x"] {
            assert!(message(folder).contains("neither a built-in model"), "{folder}");
        }
    }

    #[test]
    fn a_folder_without_weights_is_refused_by_the_name_of_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_string_lossy().into_owned();
        assert!(message(&name).contains("no config.json;"));
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert!(message(&name).contains("no model weights"));
        std::fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
        assert!(message(&name).contains("no tokenizer.json;"));
        std::fs::write(folder.path().join("tokenizer.json"), "").unwrap();
        assert_eq!(resolve_model(&name, Path::new("runs")).unwrap(), folder.path());
        let [new, old] = ["tokenizer.json", "vocab.txt"].map(|file| folder.path().join(file));
        std::fs::rename(new, old).unwrap();
        assert_eq!(resolve_model(&name, Path::new("runs")).unwrap(), folder.path());
    }

    #[test]
    fn the_users_files_become_absolute() {
        let split = Split { captions: "a.json".into(), images: "/b".into() };
        let files = DataFiles { train: split, validation: Validation::default(), test: None, source: None };
        let resolved = resolve_data(&DataSource::Files(Box::new(files)), Path::new("runs")).unwrap();
        assert!(Path::new(&resolved.train.captions).is_absolute());
        assert_eq!(resolved.train.images, "/b");
        assert_eq!((resolved.validation, resolved.test), (Validation::default(), None));
    }
}
