//! Everything that a report on one sweep reads, in one value: [`SweepData`].
//!
//! Reading never fails for the sake of one run: what cannot be read is left out and said in words.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use walkdir::WalkDir;

use super::training_texts::{TrainingTexts, read_training_texts};
use crate::analysis::audit::add_nearest;
use crate::analysis::lexicon::Lexicon;
use crate::record::audit::Audit;
use crate::record::config::read_config;
use crate::record::diagnostics::{Cka, Diagnostic, Domain, Source};
use crate::record::image_use::ImageUse;
use crate::record::invocation::Invocation;
use crate::record::pairing::Pairing;
use crate::record::recipe::{Convention, DataFiles, DataSource, Kind};
use crate::record::run::{PerImage, Prediction};
use crate::record::search::Chosen;
use crate::record::{RunDir, RunRecord, RunSpec, Status, SweepDir};

/// A sweep's runs, in the plan's order.
pub struct SweepData {
    /// Path of the sweep's folder below the one that was named, or its own name.
    pub name: String,
    pub runs: Vec<RunData>,
    /// What was found before training, where an audit was made, with the floor of the nearest image from its run.
    pub audit: Option<Audit>,
    /// How the sweep was run, the first call first; none where an earlier version of this program ran it.
    pub invocations: Vec<Invocation>,
    /// The points of a search, a round after the other; none where the sweep is none.
    pub search: Vec<Chosen>,
    /// The captions that runs learnt from, as far as their files are still there.
    pub training: Vec<TrainingTexts>,
    /// The words that name attributes.
    pub lexicon: Lexicon,
    /// What was left out and why, a sentence each.
    pub left_out: Vec<String>,
}

/// Whose captions a row of the tables is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    Run(Kind),
    /// Another system's, read from a file.
    Other,
}

impl RowKind {
    /// The name shown to people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Run(kind) => kind.label(),
            Self::Other => "other system",
        }
    }

    pub fn named(label: &str) -> Option<Self> {
        let kinds = std::iter::once(Kind::FineTuned).chain(Kind::REFERENCES).map(Self::Run);
        kinds.chain([Self::Other]).find(|kind| kind.label() == label)
    }

    pub fn is_fine_tuned(self) -> bool {
        self == Self::Run(Kind::FineTuned)
    }
}

/// A run with the rows it left behind, or what another system said as if a run had recorded it.
pub struct RunData {
    pub kind: RowKind,
    pub dir: RunDir,
    pub record: RunRecord,
    pub predictions: Vec<Prediction>,
    pub per_image: Vec<PerImage>,
    pub diagnostics: Diagnostics,
}

/// What of a run needed its model to be computed; each absent where it was not measured.
#[derive(Default)]
pub struct Diagnostics {
    pub image_use: Option<ImageUse>,
    pub pairing: Option<Pairing>,
    pub domain: Option<Domain>,
    pub cka: Option<Cka>,
    pub source: Option<Source>,
}

impl RunData {
    pub fn id(&self) -> &str {
        &self.record.spec.id
    }

    /// What it said of the images of a split, in the order of its file.
    pub fn said<'a>(&'a self, split: &'a str) -> impl Iterator<Item = &'a Prediction> {
        self.predictions.iter().filter(move |row| row.split == split)
    }

    /// The same by image; of an image with several rows the last counts.
    pub fn said_of(&self, split: &str) -> BTreeMap<&str, &Prediction> {
        let rows = self.predictions.iter().filter(|row| row.split == split);
        rows.map(|row| (row.image.as_str(), row)).collect()
    }

    /// The files that it was trained and judged on, by its own `config.yaml`, which has absolute paths.
    pub fn data_files(&self) -> Option<DataFiles> {
        match read_config(&self.dir).ok()?.recipe.data {
            DataSource::Files(files) => Some(*files),
            DataSource::BuiltIn(_) => None,
        }
    }
}

/// Reads a sweep's folder.
pub fn gather(sweep: &SweepDir, name: String, lexicon: &Lexicon) -> SweepData {
    let mut left_out = Vec::new();
    let plan = sweep.read_plan().unwrap_or_else(|error| {
        left_out.push(format!("The plan cannot be used ({error}); runs were found by their `config.yaml`."));
        specs_of_folders(sweep)
    });
    let planned: BTreeSet<&str> = plan.iter().map(|spec| spec.id.as_str()).collect();
    let others = run_folders(sweep).into_iter().filter(|id| !planned.contains(id.as_str())).count();
    if others > 0 {
        left_out.push(format!("{others} folders of runs that the plan does not name."));
    }
    let read: Vec<(RunData, Vec<String>)> =
        plan.into_par_iter().map(|spec| read_run(sweep.run(&spec.id), spec)).collect();
    let mut runs = Vec::with_capacity(read.len());
    for (run, problems) in read {
        left_out.extend(problems);
        runs.push(run);
    }
    left_out.extend(mismatches(&runs));
    left_out.extend(stopped_early(&runs));
    let audit = read_audit(sweep, &runs, &mut left_out);
    let (invocations, problems) = sweep.read_invocations();
    left_out.extend(problems.iter().map(|problem| format!("invocations.jsonl: {problem}.")));
    let (search, problems) = sweep.read_chosen();
    left_out.extend(problems.iter().map(|problem| format!("search.jsonl: {problem}.")));
    let (training, unread) = read_training_texts(&runs);
    left_out.extend(unread);
    SweepData { name, runs, audit, invocations, search, training, lexicon: lexicon.clone(), left_out }
}

fn read_audit(sweep: &SweepDir, runs: &[RunData], left_out: &mut Vec<String>) -> Option<Audit> {
    let mut audit = sweep.read_audit().unwrap_or_else(|error| {
        left_out.push(format!("The audit cannot be used ({error}); `sweep run` makes it anew."));
        None
    })?;
    add_nearest(&mut audit, runs.iter().map(|run| &run.record));
    Some(audit)
}

/// What to know of runs that were stopped in favour of better ones.
fn stopped_early(runs: &[RunData]) -> Option<String> {
    let count = runs.iter().filter(|run| run.record.status == Some(Status::Pruned)).count();
    (count > 0).then(|| {
        let (runs, their) = if count == 1 { ("run was", "its") } else { ("runs were", "their") };
        format!(
            "{count} {runs} stopped in favour of better ones (`early_terminate`): the scores are those of {their} best epoch \
             until then, and there are none of test images."
        )
    })
}

/// The run and what was wrong with its files.
fn read_run(dir: RunDir, spec: RunSpec) -> (RunData, Vec<String>) {
    let record = dir.read_record(spec);
    let (predictions, mut prediction_problems) = dir.read_predictions();
    let (per_image, mut per_image_problems) = dir.read_per_image();
    // One that was stopped early may have had no best epoch to say anything.
    if record.status.is_some_and(|status| status.is_complete() && status != Status::Pruned) {
        let files =
            [(dir.predictions(), &mut prediction_problems), (dir.per_image(), &mut per_image_problems)];
        for (path, problems) in files {
            if !path.exists() {
                problems.push("it is gone, although the run is complete".to_owned());
            }
        }
    }
    let mut diagnostic_problems = Vec::new();
    let diagnostics = Diagnostics {
        image_use: diagnostic(&dir, &mut diagnostic_problems),
        pairing: diagnostic(&dir, &mut diagnostic_problems),
        domain: diagnostic(&dir, &mut diagnostic_problems),
        cka: diagnostic(&dir, &mut diagnostic_problems),
        source: diagnostic(&dir, &mut diagnostic_problems),
    };
    let files = [
        ("events.jsonl", &record.problems),
        ("predictions.jsonl", &prediction_problems),
        ("per_image.jsonl", &per_image_problems),
        ("diagnostics", &diagnostic_problems),
    ];
    let id = &record.spec.id;
    let problems = files
        .iter()
        .flat_map(|(file, problems)| {
            problems.iter().map(move |problem| format!("Run {id}, {file}: {problem}."))
        })
        .collect();
    let kind = RowKind::Run(record.spec.recipe.kind);
    (RunData { kind, dir, record, predictions, per_image, diagnostics }, problems)
}

fn diagnostic<T: Diagnostic>(dir: &RunDir, problems: &mut Vec<String>) -> Option<T> {
    dir.read_diagnostic().unwrap_or_else(|error| {
        problems.push(error.to_string());
        None
    })
}

/// Folders of the sweep that hold a run's files.
fn run_folders(sweep: &SweepDir) -> Vec<String> {
    let folders = WalkDir::new(&sweep.path).min_depth(1).max_depth(1).sort_by_file_name();
    folders
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| {
            entry.path().join("events.jsonl").is_file() || entry.path().join("config.yaml").is_file()
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The runs whose own settings can be read, for a sweep whose plan cannot.
fn specs_of_folders(sweep: &SweepDir) -> Vec<RunSpec> {
    let read = |id: String| read_config(&sweep.run(&id)).ok().filter(|spec| spec.id == id);
    run_folders(sweep).into_iter().filter_map(read).collect()
}

/// The name of a convention as in files.
pub fn convention_name(convention: Convention) -> &'static str {
    convention.name()
}

/// Runs that met other weights or data than most cannot be compared with them; the page has to say so.
fn mismatches(runs: &[RunData]) -> Vec<String> {
    let digests =
        |digest: fn(&RunData) -> Option<&str>| -> BTreeSet<&str> { runs.iter().filter_map(digest).collect() };
    // A constant caption comes from no model: its run is the same whatever model the others have.
    let models = digests(|run| {
        let has_model = run.kind != RowKind::Run(Kind::ConstantCaption);
        run.record.started.as_ref().filter(|_| has_model).map(|started| started.model_digest.as_str())
    });
    let data = digests(|run| run.record.started.as_ref().map(|started| started.data_digest.as_str()));
    let conventions: BTreeSet<&str> =
        runs.iter().map(|run| convention_name(run.record.spec.recipe.evaluation.convention)).collect();
    let mut problems = Vec::new();
    if conventions.len() > 1 {
        problems
            .push("The runs are scored by different conventions: their scores do not compare.".to_owned());
    }
    if data.len() > 1 {
        problems.push(format!(
            "The runs met {} different sets of data: their scores do not compare.",
            data.len()
        ));
    }
    if models.len() > 1 {
        problems.push(format!("The runs began from {} different sets of model weights.", models.len()));
    }
    problems
}
