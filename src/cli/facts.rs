//! What planning needs to know beyond the sweep file: how many training examples there are, and how large the models
//! in folders are. Neither weights nor images are read; what cannot be learned is left open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::captions::read_captions;
use crate::data::{CaptionTokenizer, Dataset};
use crate::hub::{Hub, HubId};
use crate::lab::study;
use crate::plan::Facts;
use crate::record::recipe::{DataFiles, DataSource, Validation};
use crate::record::{RunSpec, bounded};
use crate::spec::Architecture;
use crate::train::material::longest;

/// A `config.json` is far smaller.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The facts about a plan's runs.
pub fn gather(runs: &[RunSpec]) -> Facts {
    // Data is no setting, so all runs of a sweep share theirs.
    let data = runs.first().map(|run| &run.recipe.data);
    let (train_examples, validation_examples, test_examples) = data.map(examples).unwrap_or_default();
    let mut facts = Facts { train_examples, validation_examples, test_examples, ..Facts::default() };
    for run in runs {
        let model = &run.recipe.model;
        if facts.architecture(model).is_none()
            && let Some(architecture) = architecture(model)
        {
            facts.architectures.insert(model.clone(), architecture);
        }
    }
    facts.longest_captions = longest_captions(runs);
    facts
}

/// The longest training caption for each model, where training and generation have different limits: only then does it
/// matter, and reading every caption takes time.
fn longest_captions(runs: &[RunSpec]) -> BTreeMap<String, usize> {
    let differ = |run: &&RunSpec| run.recipe.training.max_length != run.recipe.generation.max_length;
    let mut longest = BTreeMap::new();
    for run in runs.iter().filter(differ) {
        let recipe = &run.recipe;
        if !longest.contains_key(&recipe.model)
            && let Some(tokens) = longest_caption(&recipe.model, &recipe.data)
        {
            longest.insert(recipe.model.clone(), tokens);
        }
    }
    longest
}

/// `None` where the model's tokenizer is not at hand, as that of a model not yet downloaded, or the captions cannot be
/// read.
fn longest_caption(model: &str, data: &DataSource) -> Option<usize> {
    match data {
        DataSource::BuiltIn(_) => (model == "lab").then_some(study::LONGEST_CAPTION),
        DataSource::Files(files) => {
            let tokenizer = CaptionTokenizer::load(&model_folder(model)?).ok()?;
            let captions = read_captions(Path::new(&files.train.captions)).ok()?;
            longest(captions.entries.iter().flat_map(|entry| &entry.captions), &tokenizer).ok()
        }
    }
}

/// Examples for training, validation and test; 0 where there is no such split.
type Examples = (Option<usize>, Option<usize>, Option<usize>);

fn examples(data: &DataSource) -> Examples {
    match data {
        DataSource::BuiltIn(_) => {
            let [train, validation, test] = [study::TRAIN, study::VALIDATION, study::TEST];
            (Some(train as usize), Some(validation as usize), Some(test as usize))
        }
        DataSource::Files(files) => examples_in(files),
    }
}

/// The captions of the training file less those that are split off for validation, those, and those of the test file.
fn examples_in(files: &DataFiles) -> Examples {
    let count = |file: &str| Some(read_captions(Path::new(file)).ok()?.entries.len());
    let all = count(&files.train.captions);
    let test = files.test.as_ref().map_or(Some(0), |test| count(&test.captions));
    let Validation { fraction, group, captions, .. } = &files.validation;
    let split_off = match (group, fraction) {
        (Some(_), _) => {
            let train = Dataset::training_entries(files).ok().map(|entries| entries.len());
            return (train, all.zip(train).map(|(all, train)| all.saturating_sub(train)), test);
        }
        (None, Some(fraction)) => all.map(|all| (all as f64 * fraction) as usize),
        (None, None) => return (all, captions.as_ref().map_or(Some(0), |file| count(file)), test),
    };
    (all.zip(split_off).map(|(all, split_off)| all.saturating_sub(split_off)), split_off, test)
}

/// The sizes that a model's folder tells.
pub(super) fn architecture(model: &str) -> Option<Architecture> {
    let config = model_folder(model)?.join("config.json");
    Architecture::from_config(&bounded::read_text(&config, MAX_CONFIG_BYTES).ok()?).ok()
}

/// A folder, or where a model of the hub lies in the cache.
fn model_folder(model: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(model);
    if folder.is_dir() { Some(folder) } else { Hub::from_env().ok()?.cached(&HubId::parse(model)?) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::recipe::Split;
    use crate::run::dispatch::tests::planned;

    #[test]
    fn examples_split_off_for_validation_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let captions = folder.path().join("train.json").to_string_lossy().into_owned();
        fs::write(&captions, r#"{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}"#).unwrap();
        let train = Split { captions, images: String::new() };
        let validation = Validation { fraction: Some(0.3), ..Validation::default() };
        let mut run = planned("r1");
        run.recipe.data =
            DataSource::Files(Box::new(DataFiles { train, validation, test: None, source: None }));
        assert_eq!(gather(&[run.clone()]).train_examples, Some(4));
        fs::write(folder.path().join("train.json"), "[").unwrap();
        assert_eq!(gather(&[run]).train_examples, None);
        assert_eq!(gather(&[planned("r1")]).train_examples, Some(320));
    }

    #[test]
    fn a_models_folder_tells_its_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = planned("r1");
        run.recipe.model = folder.path().to_string_lossy().into_owned();
        assert!(gather(&[run.clone()]).architecture(&run.recipe.model).is_none());
        fs::write(folder.path().join("config.json"), r#"{"vision_config": {"num_hidden_layers": 3}}"#)
            .unwrap();
        let facts = gather(&[run.clone()]);
        assert_eq!(facts.architecture(&run.recipe.model).unwrap().vision.layers, 3);
    }
}
