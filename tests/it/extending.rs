//! Sweep files that build on others: extending a finished sweep runs what is new and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::end_to_end::plan;
use crate::toy;
use crate::workdir::Workdir;

const WIDER: &str = "extends: ../toy.yaml\nname: toy\nparameters: {unfrozen_vision_layers: [0, 1, 2]}\n";

/// The bytes of each run's log, by its id.
fn logs(sweep: &Path) -> BTreeMap<String, Vec<u8>> {
    let ids = plan(sweep).into_iter().map(|run| run["id"].as_str().unwrap().to_owned());
    ids.map(|id| (id.clone(), fs::read(sweep.join(id).join("events.jsonl")).unwrap())).collect()
}

fn widened() -> Workdir {
    let workdir = toy::prepared();
    workdir.file("more/wider.yaml", WIDER);
    workdir
}

#[test]
fn extending_a_finished_sweep_by_new_values_runs_only_those() {
    let workdir = widened();
    let sweep = workdir.path().join("runs").join(toy::NAME);
    let first = workdir.sweep(&toy::command(1));
    assert!(first.starts_with("exit 0\n"), "{first}");
    let before = logs(&sweep);

    let told = workdir.sweep("plan --diff toy.yaml more/wider.yaml");
    let again = workdir.sweep(&toy::command(1).replace("toy.yaml", "more/wider.yaml"));
    assert!(again.starts_with("exit 0\n"), "{again}");
    let after = logs(&sweep);
    let new: Vec<&String> = after.keys().filter(|id| !before.contains_key(*id)).collect();
    assert_eq!((before.len(), new.len()), (5, 1));
    assert!(before.iter().all(|(id, log)| after.get(id) == Some(log)), "a finished run was touched");
    assert!(again.contains("1 run to do, 5 complete already"), "{again}");
    assert!(told.contains("5 runs in both, 0 runs only in A, 1 run only in B"), "{told}");
    assert!(told.contains(new[0].as_str()), "{told}");
}

#[test]
fn a_call_is_recorded_with_the_digest_of_all_files_that_the_sweep_is_in() {
    let workdir = widened();
    let digest_of = |base: &str| {
        workdir.file("toy.yaml", base);
        let said =
            workdir.sweep("run more/wider.yaml --runs runs --time-budget 1ms --no-preflight --device cpu");
        let calls = workdir.path().join("runs").join(toy::NAME).join("invocations.jsonl");
        let calls = fs::read_to_string(calls).unwrap_or_else(|error| panic!("{error}: {said}"));
        let last: serde_json::Value = serde_json::from_str(calls.lines().last().unwrap()).unwrap();
        last["spec_digest"].as_str().unwrap().to_owned()
    };
    let text = fs::read_to_string(workdir.path().join("toy.yaml")).unwrap();
    let first = digest_of(&text);
    assert_eq!(digest_of(&text), first);
    assert_ne!(digest_of(&format!("{text}# another line\n")), first);
}
