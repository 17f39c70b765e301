//! The feature cache as a sweep uses it: where it lies, how large it may be, and what sharing saved.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::progress::duration;
use super::resources::free_disk;
use crate::data::feature_cache;
use crate::record::recipe::Kind;
use crate::record::{RunRecord, RunSpec, Store};

/// Most bytes that it takes where none are named.
const MOST_BYTES: u64 = 20_000_000_000;
/// Of the space that is free or its own it takes this part at most, where no size is named.
const PART_OF_DISK: u64 = 10;

/// A feature cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub folder: PathBuf,
    /// Bytes that it may take.
    pub bytes: u64,
}

impl Cache {
    /// The cache of the results in `runs`, where none other is named.
    pub fn new(runs: &Path, folder: Option<PathBuf>, bytes: Option<u64>) -> Self {
        let folder = folder.unwrap_or_else(|| Store::new(runs).feature_cache());
        let bytes = bytes.unwrap_or_else(|| default_bytes(&folder));
        Self { folder, bytes }
    }
}

fn default_bytes(folder: &Path) -> u64 {
    // It may not be there yet, but the disk is.
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let free = absolute.ancestors().find(|folder| folder.is_dir()).and_then(free_disk);
    free.map_or(MOST_BYTES, |free| ((free + feature_cache::size(folder)) / PART_OF_DISK).min(MOST_BYTES))
}

/// How many vision layers runs with the model of `run` unfreeze: they begin where these layers do.
pub fn unfrozen_layers(plan: &[RunSpec], run: &RunSpec) -> BTreeSet<usize> {
    let model = plan.iter().find(|planned| planned.id == run.id).map(|planned| &planned.recipe.model);
    let same = plan.iter().filter(|other| Some(&other.recipe.model) == model);
    let looks = same.filter(|other| other.recipe.kind != Kind::ConstantCaption);
    looks
        .map(|run| if run.recipe.kind.trains() { run.recipe.training.unfrozen_vision_layers } else { 0 })
        .collect()
}

/// What sharing states saved in these runs, in words; nothing where none did.
pub fn saved(records: &[RunRecord]) -> Option<String> {
    let summaries = || records.iter().filter_map(|record| record.summary.as_ref());
    let read: usize = summaries().filter_map(|summary| summary.images_read).sum();
    if read == 0 {
        return None;
    }
    let measured =
        || summaries().filter_map(|summary| Some((summary.images_encoded, summary.encode_seconds?)));
    let encoded: usize = measured().map(|(encoded, _)| encoded).sum();
    let seconds: f64 = measured().map(|(_, seconds)| seconds).sum();
    let text = format!("shared: {encoded} images encoded, {read} times the state of one was there already");
    if encoded == 0 {
        return Some(text);
    }
    let saved = Duration::try_from_secs_f64(seconds / encoded as f64 * read as f64).unwrap_or_default();
    Some(format!("{text}, which saved about {}", duration(saved)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Summary;
    use crate::run::dispatch::tests::planned;

    fn record(encoded: usize, read: Option<usize>, seconds: Option<f64>) -> RunRecord {
        let mut record = RunRecord::fold(planned("r1"), Vec::new(), Vec::new());
        record.summary = Some(Summary {
            images_encoded: encoded,
            images_read: read,
            encode_seconds: seconds,
            ..Summary::default()
        });
        record
    }

    #[test]
    fn what_was_read_is_told_with_the_time_that_encoding_it_would_have_taken() {
        assert_eq!(saved(&[record(50, None, None)]), None, "a run without a cache");
        assert_eq!(saved(&[record(50, Some(0), Some(5.0))]), None);
        let records = [record(50, Some(0), Some(5.0)), record(0, Some(50), Some(0.0)), record(9, None, None)];
        let text =
            "shared: 50 images encoded, 50 times the state of one was there already, which saved about 5 s";
        assert_eq!(saved(&records).as_deref(), Some(text));
        assert!(saved(&records[1..]).unwrap().ends_with("was there already"), "nothing was measured");
    }

    #[test]
    fn runs_with_the_same_model_say_where_they_begin() {
        let mut plan: Vec<RunSpec> = ["r1", "r2", "r3", "r4"].map(planned).into();
        for (run, layers) in plan.iter_mut().zip([2, 5, 7, 9]) {
            run.recipe.training.unfrozen_vision_layers = layers;
        }
        plan[1].recipe.kind = Kind::ZeroShot;
        plan[2].recipe.model = "another".to_owned();
        plan[3].recipe.kind = Kind::ConstantCaption;
        let mut resolved = plan[0].clone();
        resolved.recipe.model = "/somewhere/lab".to_owned();
        assert_eq!(unfrozen_layers(&plan, &resolved), [0, 2].into());
        assert_eq!(unfrozen_layers(&[], &resolved), [].into());
    }

    #[test]
    fn the_cache_lies_with_the_results_and_takes_no_more_than_a_part_of_the_disk() {
        let runs = tempfile::tempdir().unwrap();
        let cache = Cache::new(runs.path(), None, None);
        assert_eq!(cache.folder, Store::new(runs.path()).feature_cache());
        assert!(cache.bytes <= MOST_BYTES && cache.bytes > 0);
        if let Some(free) = free_disk(runs.path()) {
            assert!(cache.bytes <= free / 5, "{} of {free}", cache.bytes);
        }
        let named = Cache::new(runs.path(), Some("/x".into()), Some(7));
        assert_eq!(named, Cache { folder: "/x".into(), bytes: 7 });
    }
}
