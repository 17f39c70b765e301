//! Points that are stopped in favour of better ones, through the real program.

use std::fs;

use serde_json::Value;
use sweep::record::{RunRecord, Status, Store};

use crate::end_to_end::json_lines;
use crate::toy;
use crate::workdir::Workdir;

const RULE: &str = "extends: toy.yaml\nearly_terminate: {type: top_k, k: 1, noise: 0}\ntraining: {epochs: 3}\nparameters: \
                    {unfrozen_vision_layers: [0, 1, 2]}\nreferences: {zero_shot: false, nearest_image: false, matched_length: false, simple_models: false}\n";

fn prepared() -> Workdir {
    let workdir = toy::prepared();
    workdir.file("few.yaml", RULE);
    workdir.file("all.yaml", &RULE.replace("{type: top_k, k: 1, noise: 0}", "none"));
    workdir
}

fn run(workdir: &Workdir, name: &str, jobs: usize) -> Vec<RunRecord> {
    let said =
        workdir.sweep(&toy::command(jobs).replace("toy.yaml", &format!("{name}.yaml name={name}{jobs}")));
    assert!(said.starts_with("exit 0\n"), "{said}");
    Store::new(&workdir.path().join("runs")).sweep(&format!("{name}{jobs}")).read_records().unwrap()
}

/// What a run measured after each epoch.
fn curve(record: &RunRecord) -> Vec<(usize, Option<f64>, Option<f64>)> {
    record.curve.iter().map(|evaluated| (evaluated.epoch, evaluated.val_nll, evaluated.score)).collect()
}

#[test]
fn the_best_goes_on_to_the_result_it_would_have_had_and_the_others_are_stopped_with_a_reason() {
    let workdir = prepared();
    let all = run(&workdir, "all", 1);
    let few = run(&workdir, "few", 1);
    let after_one = |record: &RunRecord| record.curve[1].val_loss.unwrap();
    let best = all.iter().min_by(|a, b| after_one(a).total_cmp(&after_one(b))).unwrap();
    for (whole, record) in all.iter().zip(&few) {
        let is_best = whole.spec.id == best.spec.id;
        assert_eq!(record.spec.id, whole.spec.id, "the rule is no part of a run");
        assert_eq!(record.status, Some(if is_best { Status::Finished } else { Status::Pruned }));
        let epochs = if is_best { 4 } else { 2 };
        assert_eq!(curve(record), curve(whole)[..epochs], "waiting changed what was measured");
        let folder = workdir.path().join("runs/few1").join(&record.spec.id);
        assert_eq!(record.summary.as_ref().unwrap().test.is_some(), is_best);
        assert!(!folder.join("last/optimizer.safetensors").exists(), "what only going on needs is gone");
        assert!(folder.join("best/model.safetensors").exists());
    }
    let other = run(&workdir, "few", 2);
    assert!(few.iter().zip(&other).all(|(one, two)| curve(one) == curve(two) && one.status == two.status));
    stopped_runs_are_shown(&workdir, &few, &best.spec.id);
}

/// Status, leaderboard and report say which runs were stopped and why.
fn stopped_runs_are_shown(workdir: &Workdir, runs: &[RunRecord], best: &str) {
    let stopped: Vec<&RunRecord> = runs.iter().filter(|run| run.spec.id != best).collect();
    let reason = |run: &RunRecord| run.reason.clone().unwrap();
    let status = workdir.sweep("status runs/few1");
    let board = workdir.sweep("run few.yaml name=few1 --runs runs --no-preflight --device cpu");
    assert!(workdir.sweep("report runs/few1 --out reports").starts_with("exit 0\n"));
    let page = fs::read_to_string(workdir.path().join("reports/few1/index.html")).unwrap();
    for run in &stopped {
        assert!(status.contains(&format!("{} {}", &run.spec.id[..8], reason(run))), "{status}");
        assert!(page.contains(&reason(run)), "the report does not say why {} was stopped", run.spec.id);
    }
    assert!(page.contains("2 runs were stopped in favour of better ones"), "no note on what scores mean");
    assert_eq!(status.matches("done (stopped)").count(), stopped.len(), "{status}");
    assert_eq!(board.matches("(stopped)").count(), stopped.len(), "{board}");
    let rounds = json_lines(&workdir.path().join("runs/few1/rounds.jsonl"));
    let [round] = rounds.as_slice() else { panic!("{rounds:?}") };
    assert_eq!((&round["epoch"], &round["goes_on"]), (&Value::from(1), &Value::from(vec![best])));
    let without = workdir.sweep("run all.yaml name=few1 --runs runs --no-preflight --device cpu");
    assert!(without.contains("stopped before in favour of better runs"), "{without}");
}
