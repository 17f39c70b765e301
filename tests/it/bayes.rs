//! A search that learns from its results, through the real program.

use std::fs;

use crate::end_to_end::json_lines;
use crate::toy;
use crate::workdir::Workdir;

const SEARCH: &str = "extends: toy.yaml\nmethod: bayes\nrun_cap: 5\nbayes: {startup: 2, round: 2}\ntraining: {epochs: 1}\nparameters: \
                      {learning_rate: {distribution: log_uniform_values, min: 1.0e-4, max: 1.0e-2}, unfrozen_vision_layers: {min: 0, max: 2}}\n\
                      references: {zero_shot: false, nearest_image: false, matched_length: false}\n";

fn run(workdir: &Workdir, name: &str, jobs: usize, overrides: &str) -> String {
    let command = toy::command(jobs).replace("toy.yaml", &format!("search.yaml name={name} {overrides}"));
    let said = workdir.sweep(&command);
    assert!(said.starts_with("exit 0\n"), "{said}");
    fs::read_to_string(workdir.path().join(format!("runs/{name}/plan.jsonl"))).unwrap().replace(name, "NAME")
}

#[test]
fn rounds_are_the_same_however_many_run_at_a_time_and_after_a_cut() {
    let workdir = toy::prepared();
    workdir.file("search.yaml", SEARCH);
    let plan = workdir.sweep("plan search.yaml");
    assert!(
        plan.contains("these 2 points are drawn; the other 3 follow from what they come to, 2 at a time"),
        "{plan}"
    );
    let whole = run(&workdir, "whole", 1, "");
    assert_eq!(whole.lines().count(), 5, "a run a point");
    let rounds = json_lines(&workdir.path().join("runs/whole/search.jsonl"));
    let after: Vec<_> = rounds.iter().map(|round| round["after"].as_u64().unwrap()).collect();
    assert_eq!((after, &rounds[2]["of"]), (vec![0, 2, 4], &serde_json::Value::from(5)));
    assert_eq!(run(&workdir, "both", 2, ""), whole);
    // Cut off within the second round, and nothing left of it but the logs of the runs.
    run(&workdir, "part", 1, "run_cap=3");
    fs::remove_file(workdir.path().join("runs/part/search.jsonl")).unwrap();
    assert_eq!(run(&workdir, "part", 1, ""), whole);
    // Of a search that is done the file alone is gone: it is there again, as are the runs in the plan, and none is run.
    let written = fs::read_to_string(workdir.path().join("runs/whole/search.jsonl")).unwrap();
    fs::remove_file(workdir.path().join("runs/whole/search.jsonl")).unwrap();
    let lost = workdir.sweep(&toy::command(1).replace("toy.yaml", "search.yaml name=whole"));
    assert!(lost.starts_with("exit 0\n") && !lost.contains("epoch 1/1"), "{lost}");
    assert!(!lost.contains("no longer planned") && !lost.contains("not in the plan"), "{lost}");
    let points = |text: &str| {
        text.lines().map(|line| line.split_once("\"after\"").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let now = fs::read_to_string(workdir.path().join("runs/whole/search.jsonl")).unwrap();
    assert_eq!(points(&now), points(&written));
    // Where a run of the first round has lost its result, too, what follows from it has to wait.
    let first = whole.lines().next().unwrap().split('"').nth(3).unwrap();
    fs::remove_file(workdir.path().join("runs/whole/search.jsonl")).unwrap();
    fs::remove_file(workdir.path().join(format!("runs/whole/{first}/events.jsonl"))).unwrap();
    let lost = workdir.sweep(&toy::command(1).replace("toy.yaml", "search.yaml name=whole"));
    let told = "3 runs of before are not in the plan so far; where the search comes to them again, their results count";
    assert!(
        lost.starts_with("exit 0\n") && lost.contains(told) && lost.matches("epoch 1/1").count() == 1,
        "{lost}"
    );
    let again = workdir.sweep(&toy::command(1).replace("toy.yaml", "search.yaml name=whole"));
    assert!(again.starts_with("exit 0\n") && !again.contains("epoch 1/1"), "{again}");
}
