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
    let again = workdir.sweep(&toy::command(1).replace("toy.yaml", "search.yaml name=whole"));
    assert!(again.starts_with("exit 0\n") && !again.contains("epoch 1/1"), "{again}");
}
