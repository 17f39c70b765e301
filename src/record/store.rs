//! The only code that knows the files under `runs/` and `reports/`.
//!
//! ```text
//! runs/<sweep>/plan.jsonl            the frozen plan, one RunSpec a line
//!              audit.json        what was found before training
//!              invocations.jsonl how `sweep run` was called, a line a call
//!              rounds.jsonl      what was stopped in favour of better runs, a line a comparison
//!              search.jsonl      which points a search chose, a line a round
//! runs/<sweep>/<run id>/config.yaml  the run's settings
//!                       events.jsonl, log.txt, predictions.jsonl, per_image.jsonl
//!                       best/ last/ diagnostics/
//!                       .captions.json, while an evaluation is under way
//! runs/.cache/features/              states of images that all sweeps share; may go at any time
//! reports/<sweep>/index.html, *.png, and as .csv and .parquet: runs, steps, captions, audit
//! ```
//!
//! [`Store`] finds sweeps, [`SweepDir`] and [`RunDir`] name their files and read and write them. Files that
//! are written whole appear whole or not at all ([`write_atomic`]); reading takes what it can from files of
//! rows and says what it left out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use walkdir::WalkDir;

use super::audit::{self, Audit};
use super::event::{Ended, Event, Line, Started};
pub use super::files::{StoreError, remove_file, write_atomic, write_new, write_new_with};
use super::files::{append_rows, is_whole, read_rows, read_value, write_rows, write_value};
use super::journal;
use super::run::{PerImage, Prediction, RunRecord, RunSpec};

/// Logs that a thread reads at least: of fewer, nobody notices how long it takes.
const ONE_BY_ONE: usize = 64;
/// Sweeps are looked for this many folders below the folder that was named.
const MAX_SWEEP_DEPTH: usize = 4;

/// The `runs/` folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of a sweep, which need not exist.
    pub fn sweep(&self, name: &str) -> SweepDir {
        SweepDir { path: self.root.join(name) }
    }

    /// What runs share of their images' states. Hidden, so that nobody takes it for a sweep.
    pub fn feature_cache(&self) -> PathBuf {
        self.root.join(".cache").join("features")
    }

    /// The sweeps in this folder, by path: folders that hold a plan. The folder may be a sweep's itself.
    /// Hidden folders and folders that may not be read are passed over.
    pub fn sweeps(&self) -> Result<Vec<SweepDir>, StoreError> {
        if !self.root.is_dir() {
            return Err(StoreError::NoFolder { path: self.root.clone() });
        }
        let mut folders = WalkDir::new(&self.root)
            .follow_links(true)
            .max_depth(MAX_SWEEP_DEPTH)
            .sort_by_file_name()
            .into_iter();
        let mut sweeps = Vec::new();
        while let Some(entry) = folders.next() {
            let Ok(entry) = entry else { continue };
            if !entry.file_type().is_dir() {
                continue;
            }
            let is_hidden = entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
            let sweep = SweepDir { path: entry.into_path() };
            let is_sweep = sweep.plan_path().is_file();
            if is_sweep || is_hidden {
                folders.skip_current_dir();
            }
            if is_sweep && !is_hidden {
                sweeps.push(sweep);
            }
        }
        Ok(sweeps)
    }
}

/// `runs/<sweep>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepDir {
    pub path: PathBuf,
}

impl SweepDir {
    /// The folder's own name, which is the sweep's.
    pub fn name(&self) -> String {
        let absolute = fs::canonicalize(&self.path);
        let path = if self.path.file_name().is_some() {
            &self.path
        } else {
            absolute.as_ref().unwrap_or(&self.path)
        };
        path.file_name().map_or_else(|| "runs".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    pub fn plan_path(&self) -> PathBuf {
        self.path.join("plan.jsonl")
    }

    /// The folder of a run, which need not exist.
    pub fn run(&self, id: &str) -> RunDir {
        RunDir { path: self.path.join(id) }
    }

    /// Freezes the plan, replacing an earlier one.
    pub fn write_plan(&self, runs: &[RunSpec]) -> Result<(), StoreError> {
        write_rows(&self.plan_path(), runs)
    }

    /// The frozen plan. One broken line makes it an error: a plan is written whole.
    pub fn read_plan(&self) -> Result<Vec<RunSpec>, StoreError> {
        let path = self.plan_path();
        if !path.is_file() {
            return Err(StoreError::broken(&path, "no such file; a sweep's folder has one once it was run"));
        }
        let (runs, problems) = read_rows::<RunSpec>(&path);
        if !problems.is_empty() {
            return Err(StoreError::broken(&path, problems.join("; ")));
        }
        if runs.is_empty() || !is_whole(&path)? {
            return Err(StoreError::broken(&path, "it is cut off; `sweep run` writes it anew"));
        }
        let ids: HashSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
        if let Some(id) = ids.iter().find(|id| !is_run_id(id)) {
            return Err(StoreError::broken(&path, format!("`{id}` is not a run's id")));
        }
        if ids.len() < runs.len() {
            let (named, all) = (ids.len(), runs.len());
            return Err(StoreError::broken(
                &path,
                format!("it names {named} runs in {all} lines; each is one line"),
            ));
        }
        drop(ids);
        Ok(runs)
    }

    pub fn audit_path(&self) -> PathBuf {
        self.path.join("audit.json")
    }

    pub fn rounds_path(&self) -> PathBuf {
        self.path.join("rounds.jsonl")
    }

    pub fn search_path(&self) -> PathBuf {
        self.path.join("search.jsonl")
    }

    pub fn invocations_path(&self) -> PathBuf {
        self.path.join("invocations.jsonl")
    }

    /// Replaces an earlier audit.
    pub fn write_audit(&self, audit: &Audit) -> Result<(), StoreError> {
        write_value(&self.audit_path(), audit)
    }

    /// The audit of the sweep; nothing where none was made, or one of another version.
    pub fn read_audit(&self) -> Result<Option<Audit>, StoreError> {
        let audit: Option<Audit> = read_value(&self.audit_path())?;
        Ok(audit.filter(|audit| audit.v == audit::VERSION))
    }

    /// How the runs of the plan stand, in the plan's order.
    pub fn read_records(&self) -> Result<Vec<RunRecord>, StoreError> {
        let read = |spec: RunSpec| self.run(&spec.id).read_record(spec);
        Ok(self.read_plan()?.into_iter().map(read).collect())
    }

    /// How these runs stand, in their order, as [`RunDir::try_read_standing`] has it.
    pub fn read_standings(&self, runs: &[RunSpec]) -> Vec<Result<RunRecord, StoreError>> {
        let read = |spec: &RunSpec| self.run(&spec.id).try_read_standing(spec.clone());
        runs.par_iter().with_min_len(ONE_BY_ONE).map(read).collect()
    }
}

/// Ids become folder names, and a plan may come from elsewhere: nothing in one may lead out of the sweep.
fn is_run_id(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.len() <= 64
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// `runs/<sweep>/<run id>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    pub path: PathBuf,
}

impl RunDir {
    /// The run's settings, resolved.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.yaml")
    }

    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// What the run's process printed.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// The best epoch's model, in the Hugging Face layout.
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// The last epoch's model and what resuming needs.
    pub fn last(&self) -> PathBuf {
        self.path.join("last")
    }

    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions.jsonl")
    }

    pub fn per_image(&self) -> PathBuf {
        self.path.join("per_image.jsonl")
    }

    pub fn diagnostics(&self) -> PathBuf {
        self.path.join("diagnostics")
    }

    /// How the run ended, without reading the whole log. `None` also where the log cannot be read.
    pub fn read_end(&self) -> Option<Ended> {
        journal::read_end(&self.events()).ok().flatten()
    }

    /// How the run stands. A log that cannot be read is a problem of the record, not an error.
    pub fn read_record(&self, spec: RunSpec) -> RunRecord {
        let (lines, problems) =
            journal::read(&self.events()).unwrap_or_else(|error| (Vec::new(), vec![error.to_string()]));
        RunRecord::fold(spec, lines, problems)
    }

    /// How the run stands, for whoever decides by it what to do: a run whose log cannot be read is not one that has
    /// not started. Damaged lines are problems of the record here too.
    pub fn try_read_record(&self, spec: RunSpec) -> Result<RunRecord, StoreError> {
        let (lines, problems) = journal::read(&self.events())?;
        Ok(RunRecord::fold(spec, lines, problems))
    }

    /// The same, but of a complete run no more than how it ended, from the end of its log: ten thousand runs that have
    /// their results are looked through in no time.
    pub fn try_read_standing(&self, spec: RunSpec) -> Result<RunRecord, StoreError> {
        match journal::read_last(&self.events()) {
            Ok(Some(Line { at, attempt, event: Event::Ended(ended) })) if ended.status.is_complete() => {
                Ok(RunRecord::ended(spec, attempt, at, *ended))
            }
            _ => self.try_read_record(spec),
        }
    }

    /// What the last attempt of a run said when it started.
    pub fn read_started(&self, record: &RunRecord) -> Option<Started> {
        match (record.attempts, journal::read_first(&self.events())) {
            (1, Some(Line { event: Event::Started(started), .. })) => Some(*started),
            _ => self.read_record(record.spec.clone()).started,
        }
    }

    /// Replaces the captions of the best epoch.
    pub fn write_predictions(&self, rows: &[Prediction]) -> Result<(), StoreError> {
        write_rows(&self.predictions(), rows)
    }

    /// The captions of the best epoch, and what was wrong with rows left out. No file means no rows.
    pub fn read_predictions(&self) -> (Vec<Prediction>, Vec<String>) {
        read_rows(&self.predictions())
    }

    /// Adds an epoch's rows.
    pub fn append_per_image(&self, rows: &[PerImage]) -> Result<(), StoreError> {
        append_rows(&self.per_image(), rows)
    }

    /// The rows of every epoch, and what was wrong with rows left out. Where a resumed run did an epoch
    /// again, its later row takes the place of the earlier one.
    pub fn read_per_image(&self) -> (Vec<PerImage>, Vec<String>) {
        let (rows, problems) = read_rows::<PerImage>(&self.per_image());
        let mut position_of = HashMap::new();
        let mut latest: Vec<PerImage> = Vec::with_capacity(rows.len());
        for row in rows {
            let key = (row.epoch, row.split.clone(), row.image.clone());
            let position = *position_of.entry(key).or_insert(latest.len());
            match latest.get_mut(position) {
                Some(earlier) => *earlier = row,
                None => latest.push(row),
            }
        }
        (latest, problems)
    }
}

/// `reports/<sweep>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportDir {
    pub path: PathBuf,
}

impl ReportDir {
    /// The report on a sweep under `root`, the `reports/` folder.
    pub fn new(root: &Path, sweep: &str) -> Self {
        Self { path: root.join(sweep) }
    }

    pub fn index(&self) -> PathBuf {
        self.path.join("index.html")
    }

    /// The page on which people rate captions.
    pub fn rating(&self) -> PathBuf {
        self.path.join("rating.html")
    }

    /// The page on two runs.
    pub fn comparison(&self, a: &str, b: &str) -> PathBuf {
        self.path.join(format!("compare-{a}-{b}.html"))
    }

    /// A chart by its name without ending.
    pub fn chart(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.png"))
    }

    /// A table by its name, such as `runs`, for people and spreadsheets.
    pub fn csv(&self, table: &str) -> PathBuf {
        self.path.join(format!("{table}.csv"))
    }

    /// A table by its name, for programs.
    pub fn parquet(&self, table: &str) -> PathBuf {
        self.path.join(format!("{table}.parquet"))
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
