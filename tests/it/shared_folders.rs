//! Sweeps in folders that several machines share, or that know no locks: a heartbeat holds them, and still no run is
//! worked on by two at once.
//!
//! The other machine is a claim in a file. That there are no locks is for the layer in front of the C library to say
//! (`tests/faults/preload.rs`).

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::end_to_end::prepared;
use crate::faults::build_layer;
use crate::stopping::{
    ONE_RUN, completes, events, first_run, last_event, processes, signal, start, start_with, wait_for_event,
    wait_until,
};
use crate::toy;
use crate::workdir::Workdir;

const HEARTBEATS: [(&str, &str); 1] = [("SWEEP_LEASE", "heartbeat")];

/// Whether anyone's heartbeat file lies below the folder.
fn leases(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.file_name().is_some_and(|name| name == ".lease")).collect()
}

/// Three `sweep run` of the toy at once, with these variables. Returns how each ended and what it said.
fn three_at_once(workdir: &Workdir, variables: &[(&str, String)]) -> Vec<(Option<i32>, String)> {
    let start = |_| -> Child {
        let mut command = workdir.command(&toy::command(2));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..3).map(start).collect();
    let outputs = children.into_iter().map(|child| child.wait_with_output().unwrap());
    outputs
        .map(|output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
        .collect()
}

#[test]
fn of_sweeps_that_begin_at_once_one_does_the_work_with_and_without_locks() {
    let folder = tempfile::tempdir().unwrap();
    let layer = build_layer(folder.path());
    for has_locks in [true, false] {
        let workdir = toy::prepared();
        let runs = workdir.path().join("runs");
        fs::create_dir(&runs).unwrap();
        let variables = if has_locks {
            HEARTBEATS.map(|(name, value)| (name, value.to_owned())).to_vec()
        } else {
            let counter = workdir.path().join("counter");
            fs::write(&counter, [0; 4096]).unwrap();
            let path = |path: &Path| path.display().to_string();
            vec![
                ("LD_PRELOAD", path(&layer)),
                ("FAULT_FOLDER", path(&fs::canonicalize(&runs).unwrap())),
                ("FAULT_COUNTER", path(&counter)),
                ("FAULT_KIND", "no locks".to_owned()),
                ("FAULT_AT", "0".to_owned()),
            ]
        };
        let ends = three_at_once(&workdir, &variables);
        assert!(ends.iter().any(|(code, _)| *code == Some(0)), "{ends:?}");
        for (code, said) in ends.iter().filter(|(code, _)| *code != Some(0)) {
            // Who came too late to begin is refused; who came later still found all done.
            assert!(
                *code == Some(2) && said.contains("another `sweep run` is at work on this sweep"),
                "{said}"
            );
        }
        let records = toy::records(&runs, toy::NAME);
        assert!(records.iter().all(|run| run.attempts == 1 && run.status.is_some_and(|it| it.is_complete())));
        assert_eq!(leases(&runs), [""; 0].map(PathBuf::from), "a heartbeat outlasts its holder");
    }
}

#[test]
fn the_heartbeats_of_killed_processes_of_this_machine_are_not_waited_for() {
    let workdir = prepared();
    let mut sweep = start_with(&workdir, &format!("{ONE_RUN} epochs=8 --no-preflight"), &HEARTBEATS);
    let run = first_run(&workdir);
    wait_for_event(&run, "evaluated");
    let refused = start_with(&workdir, ONE_RUN, &HEARTBEATS).end();
    assert!(refused.0 == Some(2) && refused.1.contains("is at work on this sweep: process "), "{refused:?}");
    // Who asks for no heartbeats sees those of others.
    assert!(workdir.sweep("status --format json").contains("\"state\": \"running\""));
    signal("-KILL", sweep.worker());
    sweep.child.kill().unwrap();
    sweep.child.wait().unwrap();
    wait_until("the worker's end", || processes(&workdir).is_empty());
    assert_eq!(leases(workdir.path()).len(), 2, "of the sweep and of the run");

    // A process has left its folder a little before it is seen to have ended.
    wait_until("the end is seen", || {
        !workdir.sweep("status --format json").contains("\"state\": \"running\"")
    });
    let (code, said, _) =
        start_with(&workdir, &format!("{ONE_RUN} epochs=8 --no-preflight"), &HEARTBEATS).end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((last_event(&run)["attempt"].as_u64(), leases(workdir.path()).len()), (Some(2), 0));
}

/// What a process of another machine, or of this one before it was started anew, leaves in a folder that it holds and
/// was heard of last so long ago.
fn claim(folder: &Path, host: &str, silence: Duration) {
    let claim = json!({
        "holder": {"pid": 1, "host": host, "since": "2026-01-09T11:00:00Z"},
        "machine": {"host": host, "boot": "before", "namespace": null},
        "began": 1,
    });
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(".lease");
    fs::write(&path, claim.to_string()).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - silence).unwrap();
}

#[test]
fn a_machine_that_is_heard_of_keeps_its_sweep_and_one_that_has_been_silent_for_minutes_does_not() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for variables in [&[][..], &HEARTBEATS] {
        for host in ["elsewhere", host.trim()] {
            let workdir = prepared();
            let folder = workdir.path().join("runs/small");
            claim(&folder, host, Duration::from_secs(60));
            let (code, said, _) = start_with(&workdir, ONE_RUN, variables).end();
            assert_eq!(code, Some(2), "{said}");
            let wanted = format!("is at work on this sweep: process 1 on {host}, since 2026-01-09T11:00:00Z");
            assert!(said.contains(&wanted), "{said}");
            assert!(said.contains("; should that machine be gone: its last sign of life is "), "{said}");
            assert!(said.contains(" s old, and after 3 min without one the folder is free"), "{said}");

            claim(&folder, host, Duration::from_secs(200));
            let (code, said, _) =
                start_with(&workdir, &format!("{ONE_RUN} epochs=1 --no-preflight"), variables).end();
            assert_eq!(code, Some(0), "{said}");
        }
    }
}

#[test]
fn a_run_that_a_silent_machine_holds_is_waited_for_until_the_silence_says_that_it_is_gone() {
    let workdir = prepared();
    let arguments = format!("{ONE_RUN} epochs=1 --no-preflight");
    assert_eq!(start(&workdir, &format!("{arguments} --time-budget 1ms")).end().0, Some(130));
    let run = first_run(&workdir);
    claim(&run, "elsewhere", Duration::from_secs(176));
    let began = Instant::now();
    let (code, said, _) = start_with(&workdir, &arguments, &HEARTBEATS).end();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(
            "another process (process 1 on elsewhere, since 2026-01-09T11:00:00Z) still works on it"
        ),
        "{said}"
    );
    assert!(began.elapsed() > Duration::from_secs(3), "it did not wait");
}

#[test]
fn a_worker_whose_folder_another_machine_took_over_while_it_slept_writes_no_other_word() {
    let workdir = prepared();
    let sweep = start_with(&workdir, &format!("{ONE_RUN} epochs=40 patience=0 --no-preflight"), &HEARTBEATS);
    let run = first_run(&workdir);
    wait_for_event(&run, "evaluated");
    let worker = sweep.worker();
    signal("-STOP", worker);
    let before: Vec<Value> = events(&run);
    claim(&run, "elsewhere", Duration::ZERO);
    signal("-CONT", worker);
    let (code, said, _) = sweep.end();
    // The run is the other's by now, and no failure.
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("0 of 1 runs are done, 1 at work elsewhere"), "{said}");
    assert!(said.contains("another has taken the folder over: process 1 on elsewhere"), "{said}");
    assert!(said.contains("its end could not be recorded: another process is at work on the run"), "{said}");
    assert_eq!(events(&run), before);
    assert!(run.join(".lease").is_file(), "the other's claim is gone");
    fs::remove_file(run.join(".lease")).unwrap();
    completes(&workdir, &format!("{ONE_RUN} epochs=40 patience=0"));
}
