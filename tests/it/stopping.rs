//! Sweeps that are stopped, by signals, by the clock and by failures: they end soon, leave no process behind, and go on.
//!
//! What runs in a folder is looked up in `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sweep::run::lease::Lease;

use crate::end_to_end::{json_lines, prepared};
use crate::toy;
use crate::workdir::Workdir;

/// A sweep that asks for a stop has ended after this time, on a machine with other work to do.
pub const SOON: Duration = Duration::from_secs(20);
/// Nothing here takes longer.
const AT_LAST: Duration = Duration::from_secs(120);

/// Overrides that leave the sweep a single run.
pub const ONE_RUN: &str = "unfrozen_vision_layers=1 vision_lr_multiplier=1.0 references.zero_shot=false \
                       references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false";
/// The same with three runs.
const THREE_RUNS: &str = "unfrozen_vision_layers=0,1,2 vision_lr_multiplier=1.0 references.zero_shot=false \
                          references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false";

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + AT_LAST;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process of the sweep has become a worker: one that is stopped before that holds up whoever starts it.
fn is_worker(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).nth(1) == Some(b"worker")
}

/// Processes that work in the folder, by number.
pub fn processes(workdir: &Workdir) -> Vec<u32> {
    let folder = fs::canonicalize(workdir.path()).unwrap();
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)).collect()
}

pub fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// A `sweep run` at work, and what it came to. It is killed with the test.
pub struct Running<'a> {
    workdir: &'a Workdir,
    pub child: Child,
}

/// Starts a sweep of the small study.
pub fn start<'a>(workdir: &'a Workdir, arguments: &str) -> Running<'a> {
    start_with(workdir, arguments, &[])
}

/// The same with these variables.
pub fn start_with<'a>(workdir: &'a Workdir, arguments: &str, variables: &[(&str, &str)]) -> Running<'a> {
    let mut command = workdir.command(&format!("run small.yaml --threads 1 --jobs 1 {arguments}"));
    command.envs(variables.iter().copied());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    Running { workdir, child }
}

impl Running<'_> {
    pub fn worker(&self) -> u32 {
        let mut worker = None;
        wait_until("a worker", || {
            worker = processes(self.workdir).into_iter().find(|pid| is_worker(*pid));
            worker.is_some()
        });
        worker.unwrap()
    }

    /// The exit code, what was said on standard error, and how long that took.
    pub fn end(mut self) -> (Option<i32>, String, Duration) {
        let began = Instant::now();
        wait_until("the end of the sweep", || self.child.try_wait().unwrap().is_some());
        let took = began.elapsed();
        let mut said = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said, took)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan_of(workdir: &Workdir) -> Vec<Value> {
    json_lines(&workdir.path().join("runs/small/plan.jsonl"))
}

/// The folder of the first run, once the plan is frozen.
pub fn first_run(workdir: &Workdir) -> PathBuf {
    let plan = workdir.path().join("runs/small/plan.jsonl");
    wait_until("the plan", || plan.is_file());
    workdir.path().join("runs/small").join(plan_of(workdir)[0]["id"].as_str().unwrap())
}

pub fn wait_for_event(run: &Path, event: &str) {
    wait_until(event, || events(run).iter().any(|line| line["event"] == event));
}

/// What a run has said so far; it may be in the middle of a line.
pub fn events(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub fn last_event(run: &Path) -> Value {
    events(run).pop().unwrap()
}

/// The sweep, run again, comes to its end.
pub fn completes(workdir: &Workdir, arguments: &str) {
    let shown = workdir.sweep(&format!("run small.yaml --threads 1 --no-preflight {arguments}"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
}

#[test]
fn termination_lets_the_run_save_leaves_no_process_and_loses_nothing() {
    let workdir = prepared();
    let arguments = format!("{ONE_RUN} epochs=8 --no-preflight");
    for (attempt, name) in (1..).zip(["-TERM", "-INT", "-HUP"]) {
        let sweep = start(&workdir, &arguments);
        let run = first_run(&workdir);
        let goes_on = |line: &Value| line["attempt"] == attempt && line["event"] != "started";
        wait_until("the run goes on", || events(&run).iter().any(goes_on));
        signal(name, sweep.child.id());
        let (code, said, took) = sweep.end();
        assert_eq!(code, Some(130), "{said}");
        assert!(took < SOON, "{name} took {took:?}");
        assert!(
            said.contains("stopping: 1 run saves a checkpoint and ends; Ctrl-C kills it")
                && said.contains(
                    "interrupted: 0 of 1 runs are done, 1 interrupted\ngo on with: sweep run small.yaml "
                ),
            "{said}"
        );
        assert_eq!(last_event(&run)["status"], "interrupted");
        assert_eq!(processes(&workdir), [0; 0]);
    }
    completes(&workdir, &format!("{ONE_RUN} epochs=8"));
}

#[test]
fn a_second_signal_kills_what_runs_even_if_it_does_not_listen() {
    let workdir = prepared();
    let sweep = start(&workdir, &format!("{ONE_RUN} --no-preflight"));
    wait_for_event(&first_run(&workdir), "evaluated");
    // A process that hangs, as one does in a driver.
    signal("-STOP", sweep.worker());
    signal("-TERM", sweep.child.id());
    std::thread::sleep(Duration::from_millis(300));
    signal("-TERM", sweep.child.id());
    let (code, said, took) = sweep.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(took < Duration::from_secs(5) && said.contains(": killed"), "{took:?} {said}");
    assert_eq!(processes(&workdir), [0; 0]);
    completes(&workdir, ONE_RUN);
}

#[test]
fn a_stop_is_heard_during_the_trial_step_and_before_a_run_has_begun() {
    let workdir = prepared();
    let sweep = start(&workdir, ONE_RUN);
    signal("-STOP", sweep.worker());
    stops_at_once(&workdir, sweep);

    // The run's process waits for its folder and does not listen yet.
    assert_eq!(start(&workdir, &format!("{ONE_RUN} --no-preflight --time-budget 1ms")).end().0, Some(130));
    let _held = Lease::try_take(&first_run(&workdir)).unwrap().unwrap();
    let sweep = start(&workdir, &format!("{ONE_RUN} --no-preflight"));
    sweep.worker();
    stops_at_once(&workdir, sweep);
}

/// Asks a sweep to stop that has nothing to save.
fn stops_at_once(workdir: &Workdir, sweep: Running) {
    signal("-TERM", sweep.child.id());
    let (code, said, took) = sweep.end();
    assert_eq!((code, took < SOON), (Some(130), true), "{took:?} {said}");
    assert_eq!(processes(workdir), [0; 0]);
}

#[test]
fn a_worker_that_someone_else_stops_is_missing_and_the_others_go_on() {
    let workdir = prepared();
    let sweep = start(&workdir, &format!("{THREE_RUNS} --no-preflight"));
    let run = first_run(&workdir);
    wait_for_event(&run, "evaluated");
    signal("-TERM", sweep.worker());
    let (code, said, _) = sweep.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("interrupted: 2 of 3 runs are done, 1 interrupted"), "{said}");
    assert_eq!(last_event(&run)["status"], "interrupted");
    completes(&workdir, THREE_RUNS);
}

#[test]
fn a_worker_whose_parent_is_killed_saves_and_ends_by_itself() {
    let workdir = prepared();
    let mut sweep = start(&workdir, &format!("{ONE_RUN} epochs=8 --no-preflight"));
    let run = first_run(&workdir);
    wait_for_event(&run, "evaluated");
    sweep.child.kill().unwrap();
    sweep.child.wait().unwrap();
    let began = Instant::now();
    wait_until("the worker's end", || processes(&workdir).is_empty());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(last_event(&run)["status"], "interrupted");
    completes(&workdir, &format!("{ONE_RUN} epochs=8"));
}

#[test]
fn a_sweep_waits_for_a_process_of_before_that_still_works_on_a_run_and_says_so() {
    let workdir = prepared();
    let arguments = format!("{ONE_RUN} --no-preflight");
    assert_eq!(start(&workdir, &format!("{arguments} --time-budget 1ms")).end().0, Some(130));
    let run = first_run(&workdir);
    let held = Lease::try_take(&run).unwrap().unwrap();
    let mut sweep = start(&workdir, &arguments);
    let mut said = BufReader::new(sweep.child.stderr.take().unwrap()).lines();
    let waits = "still works on it; waiting for its end, 5 min at most";
    assert!(said.any(|line| line.unwrap().contains(waits)), "nobody waited");
    std::thread::sleep(Duration::from_millis(300));
    assert!(events(&run).is_empty(), "it did not wait");
    drop(held);
    wait_until("the end of the sweep", || sweep.child.try_wait().unwrap().is_some());
    assert_eq!(sweep.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_sweep_on_the_same_folder_is_refused_at_once_and_names_the_first() {
    let workdir = prepared();
    let sweep = start(&workdir, &format!("{ONE_RUN} epochs=8 --no-preflight"));
    wait_for_event(&first_run(&workdir), "evaluated");
    let began = Instant::now();
    let shown = workdir.sweep(&format!("run small.yaml {ONE_RUN} epochs=8"));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let wanted = format!(
        "\nerror: runs/small: another `sweep run` is at work on this sweep: process {} on ",
        sweep.child.id()
    );
    assert!(
        shown.starts_with("exit 2\n")
            && shown.contains(&wanted)
            && shown.contains("hint: `sweep status runs/small` shows"),
        "{shown}"
    );
    let status = workdir.sweep("status --format json");
    assert!(status.contains("\"state\": \"running\""), "{status}");
    let pruned = workdir.sweep("prune runs --yes");
    assert!(pruned.contains("left as it is, a `sweep run` is at work on it"), "{pruned}");
    // Who starts the same run by hand waits for its turn.
    let run = first_run(&workdir);
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let mut by_hand = workdir
        .command(&format!("worker --run runs/small/{id} --runs runs --device cpu --threads 1"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(by_hand.try_wait().unwrap().is_none() && last_event(&run)["attempt"] == 1);
    signal("-TERM", sweep.child.id());
    assert_eq!(sweep.end().0, Some(130));
    wait_until("the worker's turn", || {
        let event = last_event(&run);
        event["attempt"] == 2 && event["event"] != "started"
    });
    signal("-TERM", by_hand.id());
    wait_until("the worker's end", || by_hand.try_wait().unwrap().is_some());
    assert_eq!(by_hand.wait().unwrap().code(), Some(75));
    let attempts: Vec<Value> = events(&run).iter().map(|line| line["attempt"].clone()).collect();
    assert!(attempts.is_sorted_by_key(|attempt| attempt.as_u64()), "two wrote at once: {attempts:?}");
}

#[test]
fn a_time_budget_ends_a_sweep_cleanly_and_says_how_to_go_on() {
    let workdir = prepared();
    let arguments = format!("{THREE_RUNS} epochs=400 patience=0 --no-preflight");
    let (code, said, took) = start(&workdir, &format!("{arguments} --time-budget 3s")).end();
    assert_eq!(code, Some(130), "{said}");
    assert!(took < Duration::from_secs(3) + SOON, "{took:?}");
    assert!(
        said.contains("the time budget of 3 s is spent: 1 run saves a checkpoint and ends")
            && said.contains(
                "the time budget of 3 s is spent: 0 of 3 runs are done, 1 interrupted, 2 waiting\ngo on with: \
                 sweep run small.yaml "
            )
            && said.contains(" --time-budget 3s"),
        "{said}"
    );
    assert_eq!(processes(&workdir), [0; 0]);
}

#[test]
fn a_run_beyond_its_time_ends_as_timed_out_and_the_others_go_on() {
    let workdir = prepared();
    let arguments = format!("{ONE_RUN} epochs=400 patience=0 --no-preflight --run-timeout 3s");
    let (code, said, _) = start(&workdir, &arguments).end();
    assert_eq!(code, Some(3), "{said}");
    let run = first_run(&workdir);
    assert_eq!(last_event(&run)["status"], "timed_out");
    assert!(said.contains("it had no result after 3 s, its limit (`--run-timeout`)"), "{said}");
    let status = workdir.sweep("status");
    assert!(status.contains("timed out") && status.contains("log.txt"), "{status}");
}

#[test]
fn a_run_that_hangs_is_ended_as_timed_out_and_the_others_go_on() {
    let workdir = toy::prepared();
    // The first has so many epochs that it is still at work when it is made to hang; the second has a few.
    let plan = "unfrozen_vision_layers=1 epochs=100000,2 patience=0 references.zero_shot=false \
                references.nearest_image=false references.matched_length=false simple_models=false";
    let arguments = format!("{plan} --no-preflight --device cpu --threads 1 --jobs 1 --run-timeout 5s");
    let mut command = workdir.command(&format!("run toy.yaml {arguments}"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let sweep = Running { workdir: &workdir, child };
    let mut runs = Vec::new();
    wait_until("the plan", || {
        let path = workdir.path().join("runs/toy/plan.jsonl");
        runs = if path.is_file() { json_lines(&path) } else { Vec::new() };
        !runs.is_empty()
    });
    let run = |index: usize| workdir.path().join("runs/toy").join(runs[index]["id"].as_str().unwrap());
    wait_for_event(&run(0), "evaluated");
    let began = Instant::now();
    signal("-STOP", sweep.worker());
    let (code, said, _) = sweep.end();
    assert_eq!((code, runs.len()), (Some(3), 2), "{said}");
    // Five seconds are its time, ten more its grace.
    assert!(began.elapsed() < Duration::from_secs(15) + SOON, "{:?}", began.elapsed());
    assert_eq!(last_event(&run(0))["status"], "timed_out");
    assert!(said.contains("it had no result after 5 s, its limit (`--run-timeout`)"), "{said}");
    assert_eq!(last_event(&run(1))["status"], "finished");
    assert_eq!(processes(&workdir), [0; 0]);
}

#[test]
fn a_row_of_failures_stops_the_sweep_and_what_is_left_comes_first_the_next_time() {
    let workdir = prepared();
    let arguments = format!("{THREE_RUNS} epochs=1 --no-preflight");
    // Plans alone: every run is refused before it starts.
    let (code, ..) = start(&workdir, &format!("{arguments} --time-budget 1ms")).end();
    assert_eq!(code, Some(130));
    let folders: Vec<PathBuf> = plan_of(&workdir)
        .iter()
        .map(|run| workdir.path().join("runs/small").join(run["id"].as_str().unwrap()))
        .collect();
    // A disk that takes no captions.
    for folder in &folders[..2] {
        fs::create_dir_all(folder).unwrap();
        fs::create_dir(folder.join("predictions.jsonl")).unwrap();
    }
    let (code, said, _) = start(&workdir, &format!("{arguments} --max-consecutive-failures 2")).end();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("no other run starts: 2 runs in a row have failed, all of the same cause: ")
            && said
                .contains("stopped after failures: 0 of 3 runs are done, 2 failed, 1 waiting\ngo on with: "),
        "{said}"
    );
    // The one that waits is done before those that failed are tried again, and what is mended works.
    fs::remove_dir(folders[0].join("predictions.jsonl")).unwrap();
    let (code, said, _) = start(&workdir, &format!("{arguments} --on-failure stop")).end();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("2 of 3 runs are done") || said.contains("1 run failed"), "{said}");
    let statuses: Vec<Value> = folders.iter().map(|folder| last_event(folder)["status"].clone()).collect();
    assert_eq!(statuses, ["finished", "failed", "finished"]);

    let (code, said, _) = start(&workdir, &format!("{arguments} --retry interrupted")).end();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("failed before, and left out by `--retry interrupted`: r"), "{said}");
    fs::remove_dir(folders[1].join("predictions.jsonl")).unwrap();
    completes(&workdir, &format!("{THREE_RUNS} epochs=1 --retry failed"));
}
