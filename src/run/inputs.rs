//! Looks at every model and every data set of the missing runs before the first of them starts.
//!
//! A picture that is missing should cost a minute, not a night: all that is wrong with all inputs comes in one error.

use std::collections::BTreeSet;
use std::path::Path;

use thiserror::Error;

use super::launcher::Task;
use super::resolve::{self, ResolveError};
use crate::data::Dataset;
use crate::hub::HubId;
use crate::record::recipe::{DataFiles, DataSource};

/// Everything that is wrong with the inputs.
#[derive(Debug, Error)]
#[error("{}", problems.join("\n"))]
pub struct InputsError {
    /// At least one, each a message of its own.
    problems: Vec<String>,
}

/// What is known of the inputs.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is doubtful but usable.
    pub warnings: Vec<String>,
    /// Models that have to be downloaded first.
    pub to_fetch: Vec<HubId>,
    /// Training examples of each data set.
    examples: Vec<(DataSource, usize)>,
}

impl Checked {
    /// Optimizer steps that a run takes if nothing stops it early.
    pub fn steps(&self, task: &Task) -> usize {
        let recipe = &task.spec.recipe;
        let examples = self.examples.iter().find(|(data, _)| *data == recipe.data).map_or(0, |(_, n)| *n);
        recipe.training.total_steps(recipe.training.train_examples.of(examples))
    }
}

/// Resolves and checks the inputs of all tasks, each distinct one once.
pub fn check(tasks: &[Task], runs: &Path) -> Result<Checked, InputsError> {
    let mut checked = Checked::default();
    let mut problems = Vec::new();
    let models: BTreeSet<&str> = tasks.iter().map(|task| task.spec.recipe.model.as_str()).collect();
    for model in models {
        match resolve::resolve_model(model, runs) {
            Ok(_) => {}
            Err(ResolveError::NotFetched { id }) => checked.to_fetch.push(id),
            Err(error) => problems.push(error.to_string()),
        }
    }
    for Task { spec, .. } in tasks {
        let source = &spec.recipe.data;
        if checked.examples.iter().any(|(data, _)| data == source) {
            continue;
        }
        let examples = match resolve::resolve_data(source, runs) {
            Ok(files) => load(&files, &mut checked.warnings, &mut problems),
            Err(error) => {
                problems.push(error.to_string());
                0
            }
        };
        checked.examples.push((source.clone(), examples));
    }
    // The built-in study may have failed twice, as model and as data.
    problems.dedup();
    if problems.is_empty() { Ok(checked) } else { Err(InputsError { problems }) }
}

/// The number of training examples.
fn load(files: &DataFiles, warnings: &mut Vec<String>, problems: &mut Vec<String>) -> usize {
    match Dataset::load(files) {
        Ok(data) => {
            warnings.extend(data.warnings);
            data.train.len()
        }
        Err(error) => {
            problems.push(error.to_string());
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::{Split, Validation};
    use crate::run::dispatch::tests::{planned, task};

    #[test]
    fn all_that_is_wrong_comes_in_one_error_and_each_thing_once() {
        let folder = tempfile::tempdir().unwrap();
        let with = |model: &str, captions: &str| {
            let mut spec = planned("r1");
            spec.recipe.model = model.to_owned();
            let split = Split { captions: captions.to_owned(), images: "no/images".to_owned() };
            let validation = Validation { fraction: Some(0.1), ..Validation::default() };
            let files = DataFiles { train: split, validation, test: None, source: None };
            spec.recipe.data = DataSource::Files(Box::new(files));
            task(folder.path(), spec)
        };
        let tasks = [
            with("no/such/model", "a.json"),
            with("gone", "a.json"),
            with("no/such/model", "b.json"),
            with("owner/model", "a.json"),
        ];
        let message = check(&tasks, folder.path()).unwrap_err().to_string();
        for part in ["`no/such/model`", "`gone`", "a.json", "b.json"] {
            assert!(message.contains(part), "{part} is not in\n{message}");
        }
        assert_eq!(message.matches("`no/such/model`").count(), 1, "{message}");
    }
}
