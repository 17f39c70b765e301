//! A run that is cut off anywhere and gone on with comes to what it would have come to undisturbed, to the last bit.
//!
//! The toy is trained in this process, and cut where a killed process is: at a check for the wish to stop, of which there is
//! one before every step and every batch that is evaluated or captioned, or just after an event was written. A cut raises
//! a panic or an error that nothing handles, so that nothing more is written.
//!
//! `SWEEP_CUTS=all` cuts at every point instead of some of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::Device;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sweep::record::event::{Ended, Evaluated};
use sweep::record::recipe::Kind;
use sweep::record::{Event, Journal, RunDir, RunSpec, Status};
use sweep::run::resolve::resolve;
use sweep::train::{CacheUse, Heir, Inputs, Session, Stopped, execute, forget};
use sweep::{plan, spec};

use crate::end_to_end::json_lines;
use crate::toy;
use crate::workdir::Workdir;

/// A checkpoint after every step, and none within an epoch.
pub const ALWAYS: Duration = Duration::ZERO;
pub const HOURLY: Duration = Duration::from_secs(3600);

/// Where an attempt is cut off, by number from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    Never,
    /// Asked to stop at this check.
    Stopped(usize),
    /// Killed at this check.
    Killed(usize),
    /// Killed after this event was written.
    KilledAfter(usize),
    /// Killed when all is done but to record how it ended.
    KilledAtTheEnd,
}

/// The toy, and one run of it.
pub struct Bed {
    pub workdir: Workdir,
    pub run: RunSpec,
    pub inputs: Inputs,
    /// Who goes on where it stops, and its folder.
    pub heir: Option<(RunSpec, RunDir)>,
    /// Folder and size of the feature cache.
    pub cache: Option<(PathBuf, u64)>,
    /// What was said of it.
    pub said: RefCell<Vec<String>>,
}

impl Bed {
    /// A fine-tuned run of three epochs with dropout, patience and a source domain.
    pub fn new() -> Self {
        Self::of(Kind::FineTuned)
    }

    pub fn of(kind: Kind) -> Self {
        let workdir = toy::prepared();
        let at = |name: &str| workdir.path().join(name).display().to_string();
        let split =
            |name: &str| format!("{{captions: {}, images: {}}}", at(&format!("{name}.json")), at("images"));
        let text = format!(
            "name: exact\nmodel: {}\ndata:\n  train: {}\n  validation: {}\n  test: {}\n  source: {}\n\
             parameters:\n  unfrozen_vision_layers: {{values: [1]}}\n\
             training: {{learning_rate: 3.0e-2, batch_size: 2, epochs: 3, warmup_steps: 1, max_length: 16, dropout: 0.1}}\n\
             early_stopping: {{patience: 1}}\n\
             generation: {{max_length: 8, num_beams: 2}}\n",
            at("model"),
            split("train"),
            split("validation"),
            split("test"),
            split("test"),
        );
        workdir.file("exact.yaml", &text);
        let sweep = spec::load(&workdir.path().join("exact.yaml"), &[]).unwrap();
        let runs = plan::expand(&sweep).unwrap().runs;
        let mut run = runs.into_iter().find(|run| run.recipe.kind == kind).unwrap();
        // Captions come one by one, so that there is a place to cut between them.
        run.recipe.evaluation.batch_size = 1;
        let inputs = resolve(&run.recipe, workdir.path()).unwrap();
        Self { workdir, run, inputs, heir: None, cache: None, said: RefCell::default() }
    }

    /// A folder for the run, with nothing in it.
    pub fn folder(&self, name: &str) -> RunDir {
        let path = self.workdir.path().join("cut").join(name);
        fs::create_dir_all(&path).unwrap();
        RunDir { path }
    }

    /// Works on the run as its process does, until it ends or is cut off. Returns how it ended, and how many checks and
    /// events there were.
    pub fn attempt(
        &self,
        folder: &RunDir,
        every: Duration,
        cut: Cut,
    ) -> (Option<anyhow::Result<Ended>>, [usize; 2]) {
        self.attempt_watched(folder, every, cut, &|_| ())
    }

    /// The same, and does something after each event.
    pub fn attempt_watched(
        &self,
        folder: &RunDir,
        every: Duration,
        cut: Cut,
        after: &dyn Fn(&Event),
    ) -> (Option<anyhow::Result<Ended>>, [usize; 2]) {
        let attempt = folder.read_record(self.run.clone()).attempts + 1;
        let mut journal = Journal::open(&folder.events(), attempt).unwrap();
        let (checks, events) = (Cell::new(0), Cell::new(0));
        let stop = || {
            checks.set(checks.get() + 1);
            if cut == Cut::Killed(checks.get()) {
                // Unlike a panic, this prints nothing.
                resume_unwind(Box::new(()));
            }
            matches!(cut, Cut::Stopped(at) if checks.get() >= at)
        };
        let say = |text: &str| self.said.borrow_mut().push(text.to_owned());
        let session = Session {
            spec: &self.run,
            inputs: &self.inputs,
            directory: folder,
            device: Device::Cpu,
            device_name: "cpu".to_owned(),
            threads: 1,
            checkpoint_every: every,
            until_epoch: None,
            heir: self.heir.as_ref().map(|(spec, directory)| Heir { spec, directory }),
            cache: self.cache.as_ref().map(|(folder, bytes)| CacheUse {
                folder: folder.clone(),
                bytes: *bytes,
                unfrozen: [0, 1, 2].into(),
                say: &say,
            }),
            stop: &stop,
        };
        let mut emit = |event| -> anyhow::Result<()> {
            let line = journal.append(event)?;
            after(&line.event);
            events.set(events.get() + 1);
            if cut == Cut::KilledAfter(events.get()) {
                resume_unwind(Box::new(()));
            }
            Ok(())
        };
        let ended = catch_unwind(AssertUnwindSafe(|| execute(&session, &mut emit)));
        let counts = [checks.get(), events.get()];
        let Some(ended) = ended.ok().filter(|_| cut != Cut::KilledAtTheEnd) else { return (None, counts) };
        if let Ok(ended) = &ended {
            journal.append(Event::Ended(Box::new(ended.clone()))).unwrap();
            if ended.status.is_complete() {
                forget(folder).unwrap();
            }
        }
        (Some(ended), counts)
    }

    /// Works on the run until it ends.
    pub fn finish(&self, folder: &RunDir, every: Duration) -> Ended {
        let (ended, _) = self.attempt(folder, every, Cut::Never);
        let ended = ended.expect("nothing cuts it off").unwrap_or_else(|error| panic!("{error:#}"));
        assert!(ended.status.is_complete(), "{:?}: {:?}", ended.status, ended.reason);
        ended
    }

    /// What a finished run came to and left behind, by name, without times and costs.
    pub fn results(&self, folder: &RunDir) -> BTreeMap<String, String> {
        let mut record = folder.read_record(self.run.clone());
        assert_eq!(record.problems, [""; 0]);
        record.curve.iter_mut().for_each(without_time);
        record.steps.iter_mut().for_each(|step| step.images_per_second = 0.0);
        let summary = record.summary.as_mut().unwrap();
        let evaluations = [&mut summary.initial, &mut summary.best, &mut summary.last];
        evaluations.into_iter().flatten().for_each(without_time);
        (summary.seconds, summary.images_encoded, summary.peak_memory_bytes) = (0.0, 0, None);
        (summary.images_read, summary.encode_seconds) = (None, None);
        let mut results = BTreeMap::from([
            ("curve".to_owned(), format!("{:?}", record.curve)),
            ("steps".to_owned(), format!("{:?}", record.steps)),
            ("end".to_owned(), format!("{:?} {:?} {:?}", record.status, record.reason, record.summary)),
            ("rows".to_owned(), format!("{:?}", folder.read_per_image())),
        ]);
        for file in walkdir::WalkDir::new(&folder.path).sort_by_file_name() {
            let file = file.unwrap();
            let name = file.path().strip_prefix(&folder.path).unwrap().to_string_lossy().into_owned();
            if file.file_type().is_file() && !["events.jsonl", "per_image.jsonl"].contains(&name.as_str()) {
                results.insert(name, format!("{:x}", Sha256::digest(fs::read(file.path()).unwrap())));
            }
        }
        results
    }
}

fn without_time(evaluated: &mut Evaluated) {
    evaluated.seconds = 0.0;
}

/// The names of what differs.
pub fn differences(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let names = found.keys().chain(wanted.keys()).filter(|name| found.get(*name) != wanted.get(*name));
    names.cloned().collect()
}

/// All of so many points, or about so many of them, beginning with the first.
fn points(all: usize, some: usize) -> impl Iterator<Item = usize> {
    let is_thorough = std::env::var("SWEEP_CUTS").is_ok_and(|cuts| cuts == "all");
    (1..=all).step_by(if is_thorough { 1 } else { all.div_ceil(some).max(1) })
}

/// Cuts runs of this kind at many points and compares. Returns how many cuts there were.
fn cut_and_compare(kind: Kind, every: Duration, some: usize) -> usize {
    cut_and_compare_on(&Bed::of(kind), every, some)
}

/// The same with a run of one's own.
pub fn cut_and_compare_on(bed: &Bed, every: Duration, some: usize) -> usize {
    let kind = bed.run.recipe.kind;
    let whole = bed.folder("whole");
    let (ended, [checks, events]) = bed.attempt(&whole, every, Cut::Never);
    assert!(ended.unwrap().unwrap().status.is_complete());
    let wanted = bed.results(&whole);
    if kind == Kind::FineTuned {
        assert!(
            wanted.contains_key("best/model.safetensors") && wanted.contains_key("diagnostics/source.json")
        );
        assert!(checks > 40 && events > 12, "{checks} checks, {events} events");
    }
    let cuts = points(checks, some)
        .flat_map(|at| [Cut::Killed(at), Cut::Stopped(at)])
        .chain(points(events, some).map(Cut::KilledAfter));
    let mut count = 0;
    for cut in cuts {
        let folder = bed.folder("cut");
        let (ended, _) = bed.attempt(&folder, every, cut);
        match (ended, cut) {
            (None, Cut::Killed(_) | Cut::KilledAfter(_)) => {}
            (Some(Ok(ended)), Cut::Stopped(_)) => assert_eq!(ended.status, Status::Interrupted, "{cut:?}"),
            (Some(Err(error)), Cut::Stopped(_)) => assert!(error.is::<Stopped>(), "{cut:?}: {error:#}"),
            _ => panic!("{cut:?} cut nothing off"),
        }
        bed.finish(&folder, every);
        assert_eq!(differences(&bed.results(&folder), &wanted), [""; 0], "{kind:?}, {every:?}, {cut:?}");
        fs::remove_dir_all(&folder.path).unwrap();
        count += 1;
    }
    println!("{kind:?}, a checkpoint every {every:?}: {count} cuts of {checks} checks and {events} events");
    count
}

#[test]
fn a_run_cut_off_anywhere_comes_to_the_same_to_the_last_bit() {
    for every in [ALWAYS, HOURLY] {
        assert!(cut_and_compare(Kind::FineTuned, every, 12) >= 25);
    }
}

#[test]
fn controls_and_references_cut_off_anywhere_come_to_the_same() {
    for kind in
        [Kind::ZeroShot, Kind::MatchedLength, Kind::ConstantCaption, Kind::NearestImage, Kind::SmallDecoder]
    {
        cut_and_compare(kind, ALWAYS, 4);
    }
}

#[test]
fn a_run_cut_off_again_and_again_comes_to_the_same() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    bed.finish(&whole, HOURLY);
    let wanted = bed.results(&whole);
    // Every attempt gets as far as its first captions or steps, so that some of them come on little and some not at all.
    for (round, lengths) in [[5, 9, 2], [14, 14, 14], [3, 30, 7], [25, 6, 40]].iter().enumerate() {
        let folder = bed.folder(&format!("round {round}"));
        for (place, length) in lengths.iter().cycle().take(9).enumerate() {
            let every = if place % 2 == 0 { ALWAYS } else { HOURLY };
            let cut = if place % 3 == 0 { Cut::Stopped(*length) } else { Cut::Killed(*length) };
            if let (Some(ended), _) = bed.attempt(&folder, every, cut)
                && ended.unwrap().status.is_complete()
            {
                break;
            }
        }
        if !folder.read_record(bed.run.clone()).status.is_some_and(Status::is_complete) {
            bed.finish(&folder, HOURLY);
        }
        assert_eq!(differences(&bed.results(&folder), &wanted), [""; 0], "round {round}");
    }
}

/// The numbers of steps that attempts did, in their order.
pub fn steps_by_attempt(folder: &RunDir) -> Vec<usize> {
    let text = fs::read_to_string(folder.events()).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attempts = events.last().unwrap()["attempt"].as_u64().unwrap();
    let of = |attempt| events.iter().filter(|e| e["event"] == "step" && e["attempt"] == attempt).count();
    (1..=attempts).map(of).collect()
}

#[test]
fn a_killed_run_loses_no_step_where_every_one_is_saved() {
    let bed = Bed::new();
    let (_, [checks, _]) = bed.attempt(&bed.folder("whole"), ALWAYS, Cut::Never);
    let [whole] = steps_by_attempt(&bed.folder("whole"))[..] else { panic!("one attempt") };
    for at in points(checks, 10) {
        let folder = bed.folder("cut");
        bed.attempt(&folder, ALWAYS, Cut::Killed(at));
        bed.finish(&folder, ALWAYS);
        assert_eq!(steps_by_attempt(&folder).iter().sum::<usize>(), whole, "killed at check {at}");
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

/// The epochs that attempts evaluated, in the order of the log.
fn evaluated_epochs(folder: &RunDir) -> Vec<u64> {
    let events = json_lines(&folder.events());
    let evaluated = events.iter().filter(|event| event["event"] == "evaluated");
    evaluated.map(|event| event["epoch"].as_u64().unwrap()).collect()
}

#[test]
fn an_evaluation_is_kept_by_a_small_update_of_the_checkpoint_and_not_made_again_after_a_kill() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    bed.finish(&whole, ALWAYS);
    let events = json_lines(&whole.events());
    let epochs = evaluated_epochs(&whole);
    assert_eq!(epochs[..3], [0, 1, 2]);
    let folder = bed.folder("cut");
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    for epoch in &epochs {
        let is_it = |event: &Value| event["event"] == "evaluated" && event["epoch"] == *epoch;
        let evaluated = events.iter().position(is_it).unwrap();
        let is_kept = |event: &Value| event["event"] == "checkpointed" && event["checkpoint"] == "last";
        let kept = evaluated + events[evaluated..].iter().position(is_kept).unwrap();
        bed.attempt(&folder, ALWAYS, Cut::KilledAfter(kept + 1));
        if *epoch > 0 {
            // Weights and moments are those that were saved before the evaluation wrote its rows.
            let [moments, state] = ["moments.safetensors", "training_state.json"]
                .map(|name| modified(&folder.last().join(name)));
            let rows = modified(&folder.per_image());
            assert!(moments <= rows && rows <= state, "epoch {epoch}: {moments:?}, {rows:?}, {state:?}");
        }
        bed.finish(&folder, ALWAYS);
        assert_eq!(
            evaluated_epochs(&folder),
            epochs,
            "killed after the evaluation of epoch {epoch} was kept"
        );
        assert_eq!(differences(&bed.results(&folder), &bed.results(&whole)), [""; 0], "epoch {epoch}");
        fs::remove_dir_all(&folder.path).unwrap();
        fs::create_dir_all(&folder.path).unwrap();
    }
}

#[test]
fn the_images_encoded_are_those_of_all_attempts() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    let (ended, [checks, _]) = bed.attempt(&whole, HOURLY, Cut::Never);
    // All of six training, three validation and three test images, each once.
    assert_eq!(ended.unwrap().unwrap().summary.images_encoded, 12);
    let folder = bed.folder("cut");
    let mut before = 0;
    for at in [checks / 3, checks / 3, 1] {
        let (ended, _) = bed.attempt(&folder, HOURLY, Cut::Stopped(at));
        let ended = ended.unwrap().unwrap();
        assert_eq!(ended.status, Status::Interrupted);
        assert!(ended.summary.images_encoded >= before, "{} after {before}", ended.summary.images_encoded);
        before = ended.summary.images_encoded;
    }
    let all = bed.finish(&folder, HOURLY).summary.images_encoded;
    // The last attempt knows nothing of the features of those before it.
    assert!(before >= 9 && all >= before + 9, "{all} after {before}");
}

/// Kills the run where it has captioned some of the test images, and returns its folder.
fn killed_while_captioning(bed: &Bed, name: &str) -> RunDir {
    let (_, [checks, _]) = bed.attempt(&bed.folder("counted"), ALWAYS, Cut::Never);
    fs::remove_dir_all(&bed.folder("counted").path).unwrap();
    let folder = bed.folder(name);
    for at in (1..checks).rev() {
        bed.attempt(&folder, ALWAYS, Cut::Killed(at));
        let text = fs::read_to_string(folder.partial_captions()).unwrap_or_default();
        if text.matches(r#""split":"test""#).count() == 1 {
            return folder;
        }
        fs::remove_dir_all(&folder.path).unwrap();
        fs::create_dir_all(&folder.path).unwrap();
    }
    panic!("no cut fell between two test images")
}

#[test]
fn captions_that_were_said_are_not_said_again_on_the_same_checkpoint_and_are_on_another() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    bed.finish(&whole, HOURLY);
    for (is_taken_up, change) in [(true, ""), (false, r#""step":"#), (false, r#""model_digest":""#)] {
        let folder = killed_while_captioning(&bed, "cut");
        // Nobody could say this: it shows where the caption comes from.
        let text = fs::read_to_string(folder.partial_captions()).unwrap();
        let mut kept: Value = serde_json::from_str(&text).unwrap();
        let row = kept["rows"].as_array_mut().unwrap().iter_mut().find(|row| row["split"] == "test").unwrap();
        row["ids"] = serde_json::json!([600, 7, 7, 7, 3]);
        let text = kept.to_string().replace(change, &format!("{change}9"));
        let text = if change.is_empty() { kept.to_string() } else { text };
        fs::write(folder.partial_captions(), text).unwrap();
        bed.finish(&folder, HOURLY);
        let same = differences(&bed.results(&folder), &bed.results(&whole)).is_empty();
        assert_eq!(same, !is_taken_up, "{change}");
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

/// The folders of a run, hidden ones too.
fn folders(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_crash_between_the_renames_of_a_checkpoint_loses_nothing_and_leaves_nothing() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    let (_, [_, events]) = bed.attempt(&whole, ALWAYS, Cut::Never);
    let wanted = bed.results(&whole);
    for name in ["last", "best"] {
        let folder = bed.folder(name);
        bed.attempt(&folder, ALWAYS, Cut::KilledAfter(events - 2));
        fs::rename(folder.path.join(name), folder.path.join(format!(".{name}.old"))).unwrap();
        let fresh = folder.path.join(format!(".{name}.new"));
        fs::create_dir(&fresh).unwrap();
        fs::write(fresh.join("model.safetensors"), "half a file").unwrap();
        fs::write(folder.path.join(".predictions.jsonl.1.0.tmp"), "half a file").unwrap();
        bed.finish(&folder, ALWAYS);
        assert_eq!(differences(&bed.results(&folder), &wanted), [""; 0], "{name}");
        assert_eq!(folders(&folder.path), ["best", "diagnostics", "last"]);
        assert_eq!(steps_by_attempt(&folder)[1], 0, "all steps were saved");
    }
}

#[test]
fn a_run_killed_just_before_its_end_is_recorded_does_not_train_again() {
    let bed = Bed::new();
    let (whole, folder) = (bed.folder("whole"), bed.folder("cut"));
    bed.finish(&whole, HOURLY);
    let (ended, _) = bed.attempt(&folder, HOURLY, Cut::KilledAtTheEnd);
    assert!(ended.is_none());
    bed.finish(&folder, HOURLY);
    assert_eq!(steps_by_attempt(&folder)[1], 0);
    assert_eq!(differences(&bed.results(&folder), &bed.results(&whole)), [""; 0]);
}
