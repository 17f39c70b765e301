//! Frees disk by rule: what a run that has ended needs no more, and what a crash left of writes.
//!
//! Only names that this program gives are ever removed, and never what a run may still go on from. Whoever removes holds
//! the sweep and each run meanwhile, so that nobody works there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use walkdir::WalkDir;

use super::label::{has_several_seeds, label};
use super::leaderboard::leaderboard;
use super::lease::{self, Lease};
use super::policy::Standing;
use crate::record::recipe::{Kind, MetricName};
use crate::record::{RunDir, RunRecord, RunSpec, Store, SweepDir};

/// Which models stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The best epoch's of each run.
    Best,
    /// That of the run that leads its sweep.
    Winner,
}

/// What can be removed of a run, or of the sweep's own folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Rubbish {
    /// Id and label of the run.
    pub run: Option<(String, String)>,
    pub paths: Vec<PathBuf>,
    pub bytes: u64,
}

/// What was found in a sweep.
#[derive(Debug, Default)]
pub struct Found {
    pub rubbish: Vec<Rubbish>,
    /// What is left alone, and why.
    pub notes: Vec<String>,
}

/// Looks without touching anything.
pub fn look(sweep: &SweepDir, keep: Keep) -> anyhow::Result<Found> {
    go_through(sweep, keep, |folder, _| Ok((!lease::is_held(folder)).then_some(())), |_| Ok(()))
}

/// Removes what [`look`] finds.
pub fn prune(sweep: &SweepDir, keep: Keep) -> anyhow::Result<Found> {
    let take = |folder: &Path, what: &str| {
        Lease::try_take(folder).with_context(|| format!("{}: the {what} cannot be taken", folder.display()))
    };
    go_through(sweep, keep, take, |path| {
        remove(path).with_context(|| format!("{}: cannot be removed", path.display()))
    })
}

/// Bytes in the feature cache beside the sweeps in `runs`; `None` where there is none.
pub fn look_at_cache(runs: &Path) -> Option<u64> {
    let folder = Store::new(runs).feature_cache();
    is_folder(&folder).then(|| size_of(&folder))
}

/// Removes the feature cache. Who works with it meanwhile encodes again what is gone.
pub fn drop_cache(runs: &Path) -> anyhow::Result<()> {
    let folder = Store::new(runs).feature_cache();
    fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot be removed", folder.display()))
}

/// `take` gives the right to a folder, which lasts as long as its value; `None` where another process holds it.
fn go_through<T>(
    sweep: &SweepDir,
    keep: Keep,
    take: impl Fn(&Path, &str) -> anyhow::Result<Option<T>>,
    act: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let Some(_sweep_is_ours) = take(&sweep.path, "sweep")? else {
        found.notes.push(format!("{}: left as it is, a `sweep run` is at work on it", sweep.path.display()));
        return Ok(found);
    };
    let records = sweep.read_records()?;
    let specs: Vec<RunSpec> = records.iter().map(|record| record.spec.clone()).collect();
    let with_seed = has_several_seeds(&specs);
    let models = Models::of(sweep, keep, &records, &mut found.notes);
    let mut add = |run: Option<(String, String)>, paths: Vec<PathBuf>| -> anyhow::Result<()> {
        if !paths.is_empty() {
            let bytes = paths.iter().map(|path| size_of(path)).sum();
            paths.iter().try_for_each(|path| act(path))?;
            found.rubbish.push(Rubbish { run, paths, bytes });
        }
        Ok(())
    };
    add(None, temporary_files(&sweep.path))?;
    for spec in specs {
        let directory = sweep.run(&spec.id);
        // To take a folder is to create it where there is none.
        if !directory.path.is_dir() {
            continue;
        }
        let Some(_run_is_ours) = take(&directory.path, "run")? else {
            found.notes.push(format!("run {}: left as it is, a process works on it", spec.id));
            continue;
        };
        let name = (spec.id.clone(), label(&spec, with_seed));
        let stays = models.stays(&spec.id);
        add(Some(name), rubbish_of_run(&directory, &directory.read_record(spec), stays))?;
    }
    Ok(found)
}

/// Which runs' models stay.
enum Models {
    All,
    OnlyOf(String),
}

impl Models {
    fn of(sweep: &SweepDir, keep: Keep, records: &[RunRecord], notes: &mut Vec<String>) -> Self {
        if keep == Keep::Best {
            return Self::All;
        }
        let folder = sweep.path.display();
        let unfinished = records
            .iter()
            .filter(|record| matches!(Standing::of(record), Standing::New | Standing::Interrupted))
            .count();
        let why = match winner(records) {
            _ if unfinished > 0 => format!("{unfinished} of its runs have no result yet"),
            Some(id) if sweep.run(&id).best().is_dir() => return Self::OnlyOf(id),
            Some(id) => format!("its winner, {id}, has no model"),
            None => "none of its runs has a rank".to_owned(),
        };
        notes.push(format!("{folder}: the best model of every run stays, for {why}"));
        Self::All
    }

    fn stays(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::OnlyOf(winner) => winner == id,
        }
    }
}

/// The fine-tuned run that leads the sweep, as in its report.
fn winner(records: &[RunRecord]) -> Option<String> {
    let trained: Vec<RunRecord> =
        records.iter().filter(|record| record.spec.recipe.kind == Kind::FineTuned).cloned().collect();
    let metric = MetricName::common(trained.iter().map(|record| record.spec.recipe.early_stopping.metric));
    leaderboard(&trained, metric).into_iter().find(|row| row.metric.is_some()).map(|row| row.id)
}

fn rubbish_of_run(directory: &RunDir, record: &RunRecord, model_stays: bool) -> Vec<PathBuf> {
    let has_ended = matches!(Standing::of(record), Standing::Complete | Standing::Diverged);
    let mut paths = Vec::new();
    for (folder, stays) in [(directory.last(), false), (directory.best(), model_stays)] {
        let (new, old) = (beside(&folder, "new"), beside(&folder, "old"));
        // What a crash left of a swap: until the run has ended, one of them may be all there is.
        let is_whole = is_folder(&folder);
        if has_ended || is_whole || is_folder(&old) {
            paths.push(new);
        }
        if has_ended || is_whole {
            paths.push(old);
        }
        if has_ended && !stays {
            paths.push(folder);
        }
    }
    paths.retain(|path| is_folder(path));
    let kept = [directory.path.clone(), directory.best(), directory.last(), directory.diagnostics()];
    let kept = kept.into_iter().filter(|folder| !paths.contains(folder));
    let temporary: Vec<PathBuf> = kept.flat_map(|folder| temporary_files(&folder)).collect();
    paths.extend(temporary);
    paths
}

/// A folder itself, not a link to one: what a user put elsewhere is the user's.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Files that a crash kept from being renamed to their names.
fn temporary_files(folder: &Path) -> Vec<PathBuf> {
    let is_temporary = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file && name.starts_with('.') && name.ends_with(".tmp")
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.filter(is_temporary).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// `.NAME.new` and `.NAME.old`, as checkpoints are swapped in.
fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{suffix}"))
}

fn size_of(path: &Path) -> u64 {
    let entries = WalkDir::new(path).into_iter().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(|data| data.is_file())
        .map(|data| data.len())
        .sum()
}

/// Removes a file, or a folder in a way that leaves no half of it under its name.
fn remove(path: &Path) -> std::io::Result<()> {
    if !is_folder(path) {
        return fs::remove_file(path);
    }
    let is_visible = !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.');
    if !is_visible {
        return fs::remove_dir_all(path);
    }
    let aside = beside(path, "old");
    if is_folder(&aside) {
        fs::remove_dir_all(&aside)?;
    }
    fs::rename(path, &aside)?;
    fs::remove_dir_all(&aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::{Ended, Summary};
    use crate::record::{Event, Journal, Status};
    use crate::run::dispatch::tests::{evaluated, planned, started};

    /// A sweep of runs with these ends and scores; each has all that a run can leave behind.
    fn sweep(folder: &Path, runs: &[(&str, Option<Status>, f64)]) -> SweepDir {
        let sweep = Store::new(folder).sweep("x");
        let specs: Vec<RunSpec> = runs.iter().map(|(id, ..)| planned(id)).collect();
        sweep.write_plan(&specs).unwrap();
        for (id, status, score) in runs {
            let directory = sweep.run(id);
            for name in ["best", "last", ".last.new", ".last.old", ".best.new", ".best.old", "mine"] {
                fs::create_dir_all(directory.path.join(name)).unwrap();
                fs::write(directory.path.join(name).join("model.safetensors"), [0; 1000]).unwrap();
            }
            fs::write(directory.path.join(".config.yaml.7.0.tmp"), [0; 10]).unwrap();
            fs::write(directory.path.join("best/.model.safetensors.7.1.tmp"), [0; 10]).unwrap();
            let mut journal = Journal::open(&directory.events(), 1).unwrap();
            journal.append(started(id)).unwrap();
            if let Some(status) = *status {
                let summary = Summary { best: Some(evaluated(1, *score)), ..Summary::default() };
                journal.append(Event::Ended(Box::new(Ended { status, reason: None, summary }))).unwrap();
            }
        }
        fs::write(sweep.path.join(".plan.jsonl.7.2.tmp"), [0; 10]).unwrap();
        sweep
    }

    /// What is left of a run, by name.
    fn left(sweep: &SweepDir, id: &str) -> String {
        let entries = fs::read_dir(sweep.run(id).path).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names.join(" ")
    }

    #[test]
    fn a_run_that_ended_keeps_its_best_and_one_that_did_not_what_it_goes_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let runs = [
            ("ra", Some(Status::Finished), 0.4),
            ("rb", Some(Status::Failed), 0.3),
            ("rc", None, 0.0),
            ("rd", Some(Status::Diverged), 0.2),
        ];
        let sweep = sweep(folder.path(), &runs);
        // All that is left of a checkpoint whose swap was cut off.
        for name in ["last", "best", ".best.old"] {
            fs::remove_dir_all(sweep.run("rc").path.join(name)).unwrap();
        }
        let seen = look(&sweep, Keep::Best).unwrap();
        assert!(sweep.run("ra").last().is_dir(), "looking removed something");
        let done = prune(&sweep, Keep::Best).unwrap();
        assert_eq!(seen.rubbish, done.rubbish);
        assert_eq!(done.rubbish[0].run, None);
        assert_eq!((done.rubbish[1].paths.len(), done.rubbish[1].bytes), (7, 5 * 1000 + 20));
        assert_eq!(left(&sweep, "ra"), "best events.jsonl mine");
        assert_eq!(left(&sweep, "rb"), "best events.jsonl last mine");
        assert_eq!(left(&sweep, "rc"), ".best.new .last.old events.jsonl mine");
        assert_eq!(left(&sweep, "rd"), "best events.jsonl mine");
        assert!(!sweep.path.join(".plan.jsonl.7.2.tmp").exists());
        assert!(prune(&sweep, Keep::Best).unwrap().rubbish.is_empty(), "there was more to remove");
    }

    #[test]
    fn of_a_sweep_that_is_done_only_the_winner_may_keep_its_model() {
        let folder = tempfile::tempdir().unwrap();
        let runs = [("ra", Some(Status::Finished), 0.4), ("rb", Some(Status::EarlyStopped), 0.5)];
        let sweep = sweep(folder.path(), &runs);
        assert!(prune(&sweep, Keep::Winner).unwrap().notes.is_empty());
        assert_eq!(left(&sweep, "ra"), "events.jsonl mine");
        assert_eq!(left(&sweep, "rb"), "best events.jsonl mine");
    }

    #[test]
    fn as_long_as_a_run_may_still_win_every_model_stays() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = sweep(folder.path(), &[("ra", Some(Status::Finished), 0.4), ("rb", None, 0.0)]);
        let done = prune(&sweep, Keep::Winner).unwrap();
        assert!(
            done.notes[0]
                .ends_with("x: the best model of every run stays, for 1 of its runs have no result yet")
        );
        assert_eq!(left(&sweep, "ra"), "best events.jsonl mine");
    }

    #[test]
    fn nothing_is_touched_that_someone_holds_or_that_is_a_link_to_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let sweep =
            sweep(folder.path(), &[("ra", Some(Status::Finished), 0.4), ("rb", Some(Status::Finished), 0.3)]);
        let before = left(&sweep, "ra");
        let held = Lease::try_take(&sweep.run("ra").path).unwrap();
        for found in [look(&sweep, Keep::Best).unwrap(), prune(&sweep, Keep::Best).unwrap()] {
            assert_eq!(found.notes, ["run ra: left as it is, a process works on it"]);
        }
        assert_eq!(left(&sweep, "ra"), before);
        drop(held);
        let _held = Lease::try_take(&sweep.path).unwrap();
        let found = prune(&sweep, Keep::Best).unwrap();
        assert!(found.rubbish.is_empty() && found.notes[0].contains("a `sweep run` is at work"));
        assert_eq!(left(&sweep, "ra"), before);
        #[cfg(unix)]
        {
            drop(_held);
            let elsewhere = folder.path().join("elsewhere");
            fs::rename(sweep.run("ra").last(), &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, sweep.run("ra").last()).unwrap();
            prune(&sweep, Keep::Best).unwrap();
            assert!(elsewhere.join("model.safetensors").is_file() && sweep.run("ra").last().is_dir());
        }
    }
}
