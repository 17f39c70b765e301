//! A sweep whose processes are killed at random moments, again and again until it is finished: it comes to the tables of
//! an undisturbed sweep, no finished run is run again, no run is ever worked on twice at once, and nothing stays behind.
//!
//! `SWEEP_KILL_ROUNDS` says how many kills the toy meets, `SWEEP_KILL_STUDY_ROUNDS` how many a cut of the built-in study
//! does, `SWEEP_KILL_SEED` which. Processes are found in `/proc`, so this is for Linux alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use sweep::random::Random;

use crate::end_to_end;
use crate::toy::{self, difference, records, tables};
use crate::workdir::Workdir;

/// Two runs of two epochs over a cut of the built-in study.
const STUDY: &str = "run small.yaml vision_lr_multiplier=1.0 epochs=2 references.constant_caption=false \
    references.nearest_image=false references.matched_length=false simple_models=false --runs runs --no-preflight --device cpu --threads 1 --jobs 2";

/// An orphan has this long to save its checkpoint and end.
const PATIENCE: Duration = Duration::from_secs(60);

struct Killing {
    workdir: Workdir,
    sweep: &'static str,
    command: String,
    random: Random,
    /// Attempts of the runs that are finished.
    finished: BTreeMap<String, u64>,
    kills: [usize; 2],
}

impl Killing {
    fn runs(&self) -> PathBuf {
        self.workdir.path().join("runs")
    }

    fn start(&self) -> Child {
        let printed = File::create(self.workdir.path().join("printed.txt")).unwrap();
        let mut command = self.workdir.command(&self.command);
        command.stdout(printed.try_clone().unwrap()).stderr(printed).spawn().unwrap()
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.workdir.path().join("printed.txt")).unwrap_or_default()
    }

    /// Kills a process of the sweep at a random moment within `span`, and returns the sweep's exit code, where it has one.
    fn round(&mut self, span: Duration) -> Option<i32> {
        let mut sweep = self.start();
        std::thread::sleep(span.mul_f64(self.random.uniform()));
        let workers = children_of(sweep.id());
        if workers.is_empty() || self.random.chance(0.5) {
            self.kills[0] += 1;
            let _ = sweep.kill();
        } else {
            self.kills[1] += 1;
            // It may have ended meanwhile, which is as good.
            let worker = *self.random.pick(&workers);
            let _ = Command::new("kill").args(["-9", &worker.to_string()]).status();
        }
        sweep.wait().unwrap().code()
    }

    /// Kills until a sweep comes through; `span` is about how long an undisturbed one takes. Returns the rounds.
    fn until_it_is_finished(&mut self, span: Duration) -> usize {
        let _ = fs::remove_dir_all(self.runs());
        self.finished.clear();
        let mut rounds = 0;
        loop {
            // Longer than a sweep takes, so that one comes through in the end.
            let code = self.round(span.mul_f64(1.3));
            rounds += usize::from(code != Some(0));
            self.check_logs();
            match code {
                Some(0) => break,
                // The parent was killed; a run of it was; an orphan stopped before its successor was killed.
                None | Some(3 | 130) => {}
                Some(code) => panic!("exit {code}\n{}", self.printed()),
            }
            assert!(rounds < 200, "the sweep never comes through\n{}", self.printed());
        }
        // What is found finished is not done again, and completes what a kill at the very end left.
        let began = Instant::now();
        assert_eq!(self.start().wait().unwrap().code(), Some(0), "{}", self.printed());
        self.check_logs();
        assert_eq!(self.finished.len(), records(&self.runs(), self.sweep).len());
        while !processes_of(self.workdir.path()).is_empty() {
            assert!(began.elapsed() < PATIENCE, "left behind: {:?}", processes_of(self.workdir.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
        rounds
    }

    /// No log shows two workers at once, or work after the end of a finished run.
    fn check_logs(&mut self) {
        let sweep = self.runs().join(self.sweep);
        if !sweep.join("plan.jsonl").is_file() {
            return;
        }
        for record in records(&self.runs(), self.sweep) {
            let id = record.spec.id;
            let events = sweep.join(&id).join("events.jsonl");
            if !events.is_file() {
                continue;
            }
            assert_eq!(record.problems, [""; 0], "{id}");
            let text = fs::read_to_string(&events).unwrap();
            // A worker may be at its last line.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            check_order(&id, &lines);
            if record.status.is_some_and(|status| status.is_complete()) {
                let attempts = *self.finished.entry(id.clone()).or_insert(record.attempts);
                assert_eq!(record.attempts, attempts, "{id} was run again after it had finished");
            } else {
                assert!(!self.finished.contains_key(&id), "{id} is finished no more");
            }
        }
    }
}

fn check_order(id: &str, lines: &[Value]) {
    let attempt = |line: &Value| line["attempt"].as_u64().unwrap();
    assert!(lines.is_sorted_by_key(attempt), "{id}: an attempt goes on after the next has begun");
    for pair in lines.windows(2) {
        let is_next = attempt(&pair[1]) > attempt(&pair[0]);
        assert!(pair[1]["event"] != "started" || is_next, "{id}: an attempt starts twice");
        assert!(pair[0]["event"] != "ended" || is_next, "{id}: an attempt goes on after its end");
    }
}

/// The processes that this one has started and that have not ended.
pub fn children_of(parent: u32) -> Vec<u32> {
    let parent_of = |stat: &str| {
        // The name in brackets may hold anything.
        let rest = &stat[stat.rfind(')')? + 2..];
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        (state != "Z").then(|| fields.next()?.parse::<u32>().ok()).flatten()
    };
    let stats =
        processes().filter_map(|pid| Some((pid, fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)));
    stats.filter(|(_, stat)| parent_of(stat) == Some(parent)).map(|(pid, _)| pid).collect()
}

/// The processes that are told of a folder, by their command line.
fn processes_of(folder: &Path) -> Vec<(u32, String)> {
    let folder = folder.to_string_lossy();
    let command = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&words).replace('\0', " ")))
    };
    processes().filter_map(command).filter(|(_, words)| words.contains(&*folder)).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn rounds(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Sweeps are killed until `wanted` rounds have gone by, each to its end.
fn kill(workdir: Workdir, sweep: &'static str, command: String, wanted: usize) {
    let seed = std::env::var("SWEEP_KILL_SEED").map_or(0, |text| text.parse().unwrap());
    let random = Random::new(seed, "killing", &[]);
    let mut killing = Killing { workdir, sweep, command, random, finished: BTreeMap::new(), kills: [0; 2] };
    // The fastest of three: where all kills come late, few meet anything.
    let undisturbed_sweep = |_| {
        let _ = fs::remove_dir_all(killing.runs());
        let began = Instant::now();
        assert_eq!(killing.start().wait().unwrap().code(), Some(0), "{}", killing.printed());
        began.elapsed()
    };
    let span = (0..3).map(undisturbed_sweep).min().unwrap();
    let undisturbed = tables(&killing.runs(), sweep);
    let (mut rounds, mut sweeps) = (0, 0);
    while rounds < wanted {
        rounds += killing.until_it_is_finished(span);
        sweeps += 1;
        let difference = difference(&tables(&killing.runs(), sweep), &undisturbed);
        assert_eq!(difference, "", "after {rounds} rounds");
    }
    let [parents, workers] = killing.kills;
    println!(
        "{rounds} rounds over {sweeps} sweeps of {span:.2?}: {parents} kills of a parent, {workers} of a worker"
    );
}

#[test]
fn a_toy_sweep_killed_at_random_moments_comes_to_the_tables_of_an_undisturbed_one() {
    kill(toy::prepared(), toy::NAME, toy::command(2), rounds("SWEEP_KILL_ROUNDS", 20));
}

#[test]
fn the_study_killed_at_random_moments_comes_to_the_tables_of_an_undisturbed_sweep() {
    kill(end_to_end::prepared(), "small", STUDY.to_owned(), rounds("SWEEP_KILL_STUDY_ROUNDS", 2));
}
