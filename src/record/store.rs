//! The only code that knows the files under `runs/` and `reports/`.
//!
//! ```text
//! runs/<sweep>/plan.jsonl            the frozen plan, one RunSpec a line
//!              audit.json        what was found before training
//!              invocations.jsonl how `sweep run` was called, a line a call
//! runs/<sweep>/<run id>/config.yaml  the run's settings
//!                       events.jsonl, log.txt, predictions.jsonl, per_image.jsonl
//!                       best/ last/ diagnostics/
//!                       .captions.json, while an evaluation is under way
//! reports/<sweep>/index.html, *.png, and as .csv and .parquet: runs, steps, captions, audit
//! ```
//!
//! [`Store`] finds sweeps, [`SweepDir`] and [`RunDir`] name their files and read and write them. Files that
//! are written whole appear whole or not at all ([`write_atomic`]); reading takes what it can from files of
//! rows and says what it left out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::audit::{self, Audit};
use super::event::Ended;
pub use super::files::{StoreError, write_atomic, write_new};
use super::files::{append_rows, is_whole, read_rows, read_value, write_rows, write_value};
use super::journal;
use super::run::{PerImage, Prediction, RunRecord, RunSpec};

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
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    fn plan(store: &Store, name: &str) -> SweepDir {
        let sweep = store.sweep(name);
        sweep.write_plan(&[any_run("r0123456789")]).unwrap();
        sweep
    }

    #[test]
    fn sweeps_are_found_sorted_at_any_depth_but_not_in_hidden_folders_or_inside_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        for name in ["b", "a", "group/c", ".hidden", "a/r0123456789"] {
            plan(&store, name);
        }
        fs::create_dir_all(folder.path().join("empty")).unwrap();
        let names: Vec<_> = store.sweeps().unwrap().iter().map(SweepDir::name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn the_folder_may_be_a_sweep_itself_even_a_hidden_one() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = plan(&Store::new(folder.path()), ".hidden");
        assert_eq!(Store::new(&sweep.path).sweeps().unwrap(), [sweep]);
    }

    #[test]
    fn a_missing_runs_folder_is_an_error_with_a_hint() {
        let error = Store::new(Path::new("no/such/runs")).sweeps().unwrap_err();
        insta::assert_snapshot!(error, @r"
        no/such/runs: no such folder
        hint: `sweep run SPEC` creates it; `--runs DIR` names another
        ");
    }

    #[test]
    fn a_plan_reads_back_as_it_was_frozen() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        let runs = [any_run("r0123456789"), any_run("rabcdef0123")];
        sweep.write_plan(&runs).unwrap();
        assert_eq!(sweep.read_plan().unwrap(), runs);
        let records = sweep.read_records().unwrap();
        assert_eq!(
            records.iter().map(|record| &record.spec.id).collect::<Vec<_>>(),
            ["r0123456789", "rabcdef0123"]
        );
        assert!(records.iter().all(|record| record.status.is_none() && record.attempts == 0));
    }

    #[test]
    fn a_plan_whose_ids_lead_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Store::new(folder.path()).sweep("x");
        for id in ["../other", "", "0123", "r/0", "R0"] {
            sweep.write_plan(&[any_run(id)]).unwrap();
            let error = sweep.read_plan().unwrap_err().to_string();
            assert!(error.ends_with(&format!("`{id}` is not a run's id")), "{error}");
        }
    }

    #[test]
    fn a_broken_plan_is_an_error_that_names_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = plan(&Store::new(folder.path()), "x");
        fs::write(sweep.plan_path(), "{\"id\":\"r1\"}\n").unwrap();
        let error = sweep.read_plan().unwrap_err().to_string();
        assert!(error.contains("plan.jsonl: line at byte 0: missing field `sweep`"), "{error}");
        plan(&Store::new(folder.path()), "x");
        let text = fs::read(sweep.plan_path()).unwrap();
        fs::write(sweep.plan_path(), &text[..text.len() / 2]).unwrap();
        let error = sweep.read_plan().unwrap_err().to_string();
        assert!(error.ends_with("plan.jsonl: it is cut off; `sweep run` writes it anew"), "{error}");
        fs::remove_file(sweep.plan_path()).unwrap();
        assert!(sweep.read_plan().unwrap_err().to_string().contains("plan.jsonl: no such file"));
    }

    #[test]
    fn rows_of_an_epoch_done_again_replace_the_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir { path: folder.path().to_owned() };
        let row = |epoch, image: &str, loss| PerImage {
            epoch,
            image: image.to_owned(),
            split: "validation".to_owned(),
            loss: Some(loss),
            meteor: None,
            rouge_l: None,
            cider_d: None,
        };
        run.append_per_image(&[row(1, "a", 1.0), row(1, "b", 2.0)]).unwrap();
        run.append_per_image(&[row(2, "a", 3.0)]).unwrap();
        run.append_per_image(&[row(1, "b", 4.0)]).unwrap();
        let (rows, problems) = run.read_per_image();
        assert_eq!(rows, [row(1, "a", 1.0), row(1, "b", 4.0), row(2, "a", 3.0)]);
        assert!(problems.is_empty());
    }

    #[test]
    fn broken_predictions_are_left_out_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir { path: folder.path().to_owned() };
        assert_eq!(run.read_predictions(), (vec![], vec![]));
        let prediction = Prediction {
            image: "a.png".into(),
            split: "test".into(),
            caption: "a red ball".into(),
            references: vec!["a ball".into()],
            token_ids: vec![],
            score: None,
        };
        run.write_predictions(std::slice::from_ref(&prediction)).unwrap();
        let text = fs::read_to_string(run.predictions()).unwrap();
        fs::write(run.predictions(), format!("{{\"image\":1}}\n{text}")).unwrap();
        let (rows, problems) = run.read_predictions();
        assert_eq!(rows, [prediction]);
        assert!(problems[0].starts_with("line at byte 0: "), "{}", problems[0]);
    }
}
