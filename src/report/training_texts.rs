//! The captions that runs learnt from, read from the files that the runs name themselves.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::gather::RunData;
use crate::data::Dataset;
use crate::record::recipe::DataFiles;

/// One set of training captions.
pub struct TrainingTexts {
    /// Ids of the runs that learnt from it.
    pub runs: BTreeSet<String>,
    pub captions: Vec<String>,
}

/// Each set of training captions of the runs that said something, read once; and what could not be read, in words.
pub fn read_training_texts(runs: &[RunData]) -> (Vec<TrainingTexts>, Vec<String>) {
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    for (files, runs) in files_of(runs) {
        match Dataset::training_captions(&files) {
            Ok(captions) => texts.push(TrainingTexts { runs, captions }),
            Err(error) => {
                let reason: Vec<String> = error.to_string().split_whitespace().map(str::to_owned).collect();
                problems.push(format!(
                    "How much runs copy from their training captions: these cannot be read ({}).",
                    reason.join(" ")
                ));
            }
        }
    }
    (texts, problems)
}

/// The files of each data set with the runs that name them in their `config.yaml`, where paths are absolute.
fn files_of(runs: &[RunData]) -> Vec<(DataFiles, BTreeSet<String>)> {
    let mut found: Vec<(DataFiles, BTreeSet<String>)> = Vec::new();
    let spoke = runs.par_iter().filter(|run| !run.predictions.is_empty());
    let named: Vec<(String, DataFiles)> =
        spoke.filter_map(|run| Some((run.id().to_owned(), run.data_files()?))).collect();
    for (id, files) in named {
        match found.iter_mut().find(|(known, _)| *known == files) {
            Some((_, runs)) => drop(runs.insert(id)),
            None => found.push((files, [id].into())),
        }
    }
    found
}
