//! What `sweep run` does about runs that have their result: nothing that only resuming needs stays, and it is said where
//! their data or model are no longer what they were made from.
//!
//! Data are compared by their digest, which takes about as long as checking them does. A model's digest takes loading it:
//! its files are looked at only where one of them was written after the run was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use candle_core::Device;

use super::label::short_id;
use super::resolve::{self, resolve_data};
use crate::data::{self, Dataset};
use crate::model::{Weights, weight_files};
use crate::record::recipe::DataSource;
use crate::record::{RunRecord, RunSpec, Status, SweepDir};
use crate::train;

/// Ids that a note shows; the rest is counted.
const SHOWN: usize = 5;

/// Tidies up after the complete runs of a plan. Returns what the user should know of them.
pub fn look_after(sweep: &SweepDir, plan: &[RunSpec], runs: &Path) -> Vec<String> {
    let is_complete = |record: &RunRecord| record.status.is_some_and(Status::is_complete);
    let records = sweep.read_standings(plan).into_iter().filter_map(Result::ok);
    let complete: Vec<RunRecord> = records.filter(is_complete).collect();
    for run in &complete {
        // A process that is killed after its last word leaves what it would have gone on from. That it cannot be removed
        // is no reason not to run what is missing.
        let _ = train::forget(&sweep.run(&run.spec.id));
    }
    let started = |run: &RunRecord| sweep.run(&run.spec.id).read_started(run);
    let data = notes(
        "data",
        &complete,
        |run| match &run.spec.recipe.data {
            // The program's own data are named by their content.
            DataSource::BuiltIn(_) => None,
            files => Some((serde_json::to_string(files).ok()?, started(run)?.data_digest)),
        },
        |run| {
            let files = resolve_data(&run.spec.recipe.data, runs).ok()?;
            data::digest(&Dataset::load(&files).ok()?).ok()
        },
    );
    let model = notes(
        "model",
        &complete,
        |run| {
            let folder = Path::new(&run.spec.recipe.model);
            let is_newer = folder.is_dir() && was_written_after(folder, &sweep.run(&run.spec.id).events());
            is_newer.then_some((run.spec.recipe.model.clone(), started(run)?.model_digest))
        },
        |run| {
            let folder = resolve::model_folder(&run.spec.recipe.model, runs).ok()?;
            Weights::load(&folder, &Device::Cpu).ok()?.digest().ok()
        },
    );
    data.into_iter().chain(model).collect()
}

/// A note on the runs whose input has another digest now. `input` gives a run's input, by a name, and the digest that it
/// had; `digest` what it is now, and is asked once an input. Inputs that cannot be read now are those of no run to come.
fn notes(
    what: &str,
    complete: &[RunRecord],
    input: impl Fn(&RunRecord) -> Option<(String, String)>,
    digest: impl Fn(&RunRecord) -> Option<String>,
) -> Option<String> {
    let mut now: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut changed = Vec::new();
    for run in complete {
        let Some((name, before)) = input(run) else { continue };
        let now = now.entry(name).or_insert_with(|| digest(run));
        if now.as_ref().is_some_and(|now| *now != before) {
            changed.push(short_id(&run.spec.id));
        }
    }
    let count = changed.len();
    if count == 0 {
        return None;
    }
    changed.truncate(SHOWN);
    let (runs, were) = if count == 1 { ("run", "was") } else { ("runs", "were") };
    let others = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    Some(format!(
        "warning: the {what} changed since {count} complete {runs} {were} made ({}{others}): new runs do not compare with \
         them\nhint: put the {what} back, or remove the folders of these runs to run them anew",
        changed.join(", ")
    ))
}

/// Whether a weight file of the model was written after the run's log was last.
fn was_written_after(model: &Path, log: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Ok(files) = weight_files::find(model) else { return false };
    let newest: Option<SystemTime> = files.paths.iter().filter_map(|path| written(path)).max();
    newest > written(log)
}
