//! Small sweeps through the real program: plan, train, resume, caption, report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::Digest;

use crate::workdir::Workdir;

/// Two fine-tuned runs over a cut of the built-in study, as a user's own files.
const SPEC: &str = "\
name: small
model: study/model
data:
  train: {captions: train.json, images: study/images}
  validation: {captions: validation.json, images: study/images}
  test: {captions: test.json, images: study/images}
  source: {captions: source.json, images: study/source/images}
parameters:
  unfrozen_vision_layers: {values: [0, 2]}
  vision_lr_multiplier: {values: [0.5, 1.0]}
training: {learning_rate: 1.0e-3, batch_size: 4, epochs: 3, warmup_steps: 2, max_length: 60}
generation: {max_length: 16, num_beams: 2}
";

/// A folder with the study, a small cut of its captions, and the sweep file.
pub fn prepared() -> Workdir {
    let workdir = Workdir::new();
    assert!(workdir.sweep("lab study").starts_with("exit 0\n"));
    for (split, count) in [("train", 16), ("validation", 4), ("test", 6), ("source", 5)] {
        cut(&workdir, split, count);
    }
    workdir.file("small.yaml", SPEC);
    workdir
}

/// The first captions of a split of the study as the split of the sweep.
pub fn cut(workdir: &Workdir, split: &str, count: usize) {
    let text = fs::read(workdir.path().join(format!("study/{split}_captions.json"))).unwrap();
    let captions: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap();
    let cut: BTreeMap<_, _> = captions.into_iter().take(count).collect();
    workdir.file(&format!("{split}.json"), &serde_json::to_string(&cut).unwrap());
}

pub fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn plan(sweep: &Path) -> Vec<Value> {
    json_lines(&sweep.join("plan.jsonl"))
}

fn is_fine_tuned(run: &Value) -> bool {
    run["recipe"]["kind"] == "fine_tuned"
}

/// What a run measured, without times: its evaluations and its test scores.
fn measured(sweep: &Path, run: &Value) -> Vec<String> {
    let events = json_lines(&sweep.join(run["id"].as_str().unwrap()).join("events.jsonl"));
    let mut rows: BTreeMap<u64, String> = BTreeMap::new();
    for mut event in events.iter().filter(|event| event["event"] == "evaluated").cloned() {
        for key in ["at", "attempt", "seconds"] {
            event.as_object_mut().unwrap().remove(key);
        }
        rows.insert(event["epoch"].as_u64().unwrap(), event.to_string());
    }
    let ended = events.iter().rfind(|event| event["event"] == "ended").expect("the run ended");
    let [test, train, frozen] = ["test", "train", "frozen_digest"].map(|key| &ended["summary"][key]);
    let summary = format!("{test} {train} {frozen}");
    rows.into_values().chain([summary]).collect()
}

#[test]
fn a_sweep_is_the_same_whatever_the_jobs_and_is_not_run_twice() {
    let workdir = prepared();
    let first = workdir.sweep("run small.yaml --runs one --jobs 1 --threads 1");
    assert!(first.starts_with("exit 0\n"), "{first}");
    let sweep = workdir.path().join("one/small");
    let runs = plan(&sweep);
    // Without an unfrozen layer both multipliers are one run.
    assert_eq!(runs.iter().filter(|run| is_fine_tuned(run)).count(), 3);
    assert_eq!(runs.len(), 8);

    let logs = || {
        runs.iter().map(|run| fs::read(sweep.join(run["id"].as_str().unwrap()).join("events.jsonl")).unwrap())
    };
    let before: Vec<Vec<u8>> = logs().collect();
    assert!(workdir.sweep("run small.yaml --runs one --jobs 1 --threads 1").starts_with("exit 0\n"));
    assert!(logs().eq(before), "a finished run was run again");
    every_call_is_recorded(&workdir, &sweep);

    assert!(workdir.sweep("run small.yaml --runs two --jobs 2 --threads 1").starts_with("exit 0\n"));
    let other = workdir.path().join("two/small");
    let ids = |sweep: &Path| plan(sweep).iter().map(|run| run["id"].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&sweep), ids(&other));
    for run in &runs {
        assert_eq!(measured(&sweep, run), measured(&other, run), "{}", run["id"]);
    }

    captions_are_reproduced(&workdir, &sweep, &runs);
    report_has_every_run(&workdir, &runs);
}

/// The first call trained and the second found nothing to do.
fn every_call_is_recorded(workdir: &Workdir, sweep: &Path) {
    let calls = json_lines(&sweep.join("invocations.jsonl"));
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call["command"], "sweep run small.yaml --runs one --jobs 1 --threads 1");
        assert_eq!([&call["jobs"], &call["threads"], &call["v"]], [&json!(1); 3]);
        assert_eq!(
            (call["device"].as_str(), call["system"].as_str()),
            (Some("auto"), Some(std::env::consts::OS))
        );
        let file = fs::read(workdir.path().join("small.yaml")).unwrap();
        assert_eq!(call["spec_digest"], format!("{:x}", sha2::Sha256::digest(file)));
    }
}

fn captions_are_reproduced(workdir: &Workdir, sweep: &Path, runs: &[Value]) {
    let run = runs.iter().rfind(|run| is_fine_tuned(run)).unwrap()["id"].as_str().unwrap();
    let predictions = json_lines(&sweep.join(run).join("predictions.jsonl"));
    let tested: Vec<&Value> = predictions.iter().filter(|row| row["split"] == "test").collect();
    assert_eq!(tested.len(), 6);
    let images: Vec<String> =
        tested.iter().map(|row| format!("study/images/{}", row["image"].as_str().unwrap())).collect();
    let command = format!("caption --model one/small/{run}/best --format json {}", images.join(" "));
    let output = workdir.command(&command).output().unwrap();
    let captions: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for (caption, prediction) in captions.iter().zip(tested) {
        assert_eq!(caption["caption"], prediction["caption"]);
        assert_eq!(caption["token_ids"], prediction["token_ids"]);
    }
}

fn report_has_every_run(workdir: &Workdir, runs: &[Value]) {
    let shown = workdir.sweep("report one --out reports --rating");
    assert!(
        shown.starts_with("exit 0\n") && shown.trim_end().ends_with("reports/small/rating.html"),
        "{shown}"
    );
    let folder = workdir.path().join("reports/small");
    let table = fs::read_to_string(folder.join("runs.csv")).unwrap();
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    for run in runs {
        let id = run["id"].as_str().unwrap();
        assert!(table.contains(id) && page.contains(&id[..8]), "{id} is not in the report");
    }
    for file in ["runs.parquet", "steps.csv", "steps.parquet"] {
        assert!(folder.join(file).is_file(), "{file} is missing");
    }
    assert!(
        fs::read_dir(&folder).unwrap().any(|entry| entry
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "png"))
    );
}

#[test]
fn training_images_are_evaluated_beside_the_others_and_enter_no_number_of_theirs() {
    let workdir = prepared();
    let only = "unfrozen_vision_layers=1 vision_lr_multiplier=1.0 epochs=2 num_beams=1 references.constant_caption=false \
                references.nearest_image=false references.matched_length=false simple_models=false --no-preflight --threads 1 --runs runs";
    assert!(workdir.sweep(&format!("run small.yaml {only}")).starts_with("exit 0\n"));
    let sweep = workdir.path().join("runs/small");
    for run in plan(&sweep) {
        let folder = sweep.join(run["id"].as_str().unwrap());
        let events = json_lines(&folder.join("events.jsonl"));
        let epochs: Vec<&Value> = events.iter().filter(|event| event["event"] == "evaluated").collect();
        assert_eq!(epochs.len(), if is_fine_tuned(&run) { 3 } else { 1 });
        let rows = json_lines(&folder.join("per_image.jsonl"));
        for evaluated in &epochs {
            for key in ["train_nll", "ece", "confidence", "accuracy"] {
                assert!(evaluated[key].as_f64().is_some_and(|number| number >= 0.0), "{key} of {evaluated}");
            }
            for split in ["train", "validation"] {
                let of = |row: &&Value| row["split"] == split && row["epoch"] == evaluated["epoch"];
                let images: BTreeSet<String> =
                    rows.iter().filter(of).map(|row| row["image"].to_string()).collect();
                assert_eq!(images.len(), 4, "as many training images as there are validation images");
                assert!(
                    rows.iter().filter(of).all(|row| row["loss"].as_f64().is_some_and(|loss| loss > 0.0))
                );
            }
        }
        let predictions = json_lines(&folder.join("predictions.jsonl"));
        let of_train: Vec<&Value> = predictions.iter().filter(|row| row["split"] == "train").collect();
        assert_eq!(of_train.len(), 4);
        let names: Value =
            serde_json::from_str(&fs::read_to_string(workdir.path().join("train.json")).unwrap()).unwrap();
        assert!(of_train.iter().all(|row| names.get(row["image"].as_str().unwrap()).is_some()));
        assert_eq!(events.last().unwrap()["summary"]["train"]["n"], 4.0);
    }

    // Whatever the rows of the training split say, and whether there are any: the other splits' numbers stay.
    let reported = || {
        assert!(workdir.sweep("report runs --out reports").starts_with("exit 0\n"));
        let table = fs::read_to_string(workdir.path().join("reports/small/runs.csv")).unwrap();
        let mut rows = table.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let names = rows.next().unwrap();
        let is_of_others = |name: &str| {
            ["score", "meteor", "rouge_l", "cider_d", "bleu_4", "val_loss", "val_nll"].contains(&name)
                || name.starts_with("test_")
                || name.starts_with("val_nll_rise")
        };
        let kept: Vec<usize> = (0..names.len()).filter(|column| is_of_others(&names[*column])).collect();
        assert!(kept.len() > 12, "{names:?}");
        rows.map(|row| kept.iter().map(|column| row[*column].clone()).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let as_measured = reported();
    assert_eq!(as_measured.len(), 2);
    for replace in [
        |row: &Value| {
            json!({"epoch": row["epoch"], "image": row["image"], "split": "train", "loss": 99.0,
                                         "meteor": 1.0, "rouge_l": 1.0, "cider_d": 10.0, "caption": "nonsense",
                                         "references": row["references"]}).to_string() + "\n"
        },
        |_: &Value| String::new(),
    ] {
        for run in plan(&sweep) {
            for file in ["per_image.jsonl", "predictions.jsonl"] {
                let path = sweep.join(run["id"].as_str().unwrap()).join(file);
                let rows = json_lines(&path);
                let line =
                    |row: &Value| if row["split"] == "train" { replace(row) } else { format!("{row}\n") };
                fs::write(&path, rows.iter().map(line).collect::<String>()).unwrap();
            }
        }
        assert_eq!(reported(), as_measured);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_and_comes_to_the_same_numbers() {
    let workdir = prepared();
    let only = "unfrozen_vision_layers=1 vision_lr_multiplier=1.0 dropout=0.1 epochs=6 references.zero_shot=false \
                references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false --no-preflight --threads 1";
    assert!(workdir.sweep(&format!("run small.yaml {only} --runs whole")).starts_with("exit 0\n"));
    let whole = workdir.path().join("whole/small");
    let run = plan(&whole).remove(0);

    let mut child = workdir.command(&format!("run small.yaml {only} --runs cut")).spawn().unwrap();
    let cut = workdir.path().join("cut/small");
    let events = cut.join(run["id"].as_str().unwrap()).join("events.jsonl");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !fs::read_to_string(&events).is_ok_and(|text| text.contains("\"checkpointed\"")) {
        assert!(Instant::now() < deadline, "no checkpoint was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let interrupted = json_lines(&events);
    assert_eq!(interrupted.last().unwrap()["status"], "interrupted");

    assert!(workdir.sweep(&format!("run small.yaml {only} --runs cut")).starts_with("exit 0\n"));
    assert_eq!(measured(&cut, &run), measured(&whole, &run));
    let files =
        ["best/model.safetensors", "predictions.jsonl", "diagnostics/cka.json", "diagnostics/source.json"];
    for file in files {
        let [resumed, whole] =
            [&cut, &whole].map(|sweep| fs::read(sweep.join(run["id"].as_str().unwrap()).join(file)).unwrap());
        assert!(resumed == whole, "the resumed run has another {file}");
    }
}

#[test]
fn a_run_in_another_precision_is_another_run_that_says_the_captions_it_was_scored_for() {
    let workdir = prepared();
    let only = "unfrozen_vision_layers=1 vision_lr_multiplier=1.0 epochs=1 references.zero_shot=false \
                references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false --no-preflight";
    let shown = workdir.sweep(&format!("run small.yaml precision=f32,bf16,f16 {only}"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    let runs = plan(&sweep);
    let [exact, coarse, finer] = [0, 1, 2].map(|i| measured(&sweep, &runs[i]));
    assert!(exact != coarse && exact != finer && coarse != finer);
    for run in &runs[1..3] {
        let folder = sweep.join(run["id"].as_str().unwrap());
        let row = json_lines(&folder.join("predictions.jsonl")).remove(0);
        let said = workdir.sweep(&format!(
            "caption --model {}/best study/images/{} --format json",
            folder.display(),
            row["image"].as_str().unwrap()
        ));
        let score = row["score"].to_string();
        assert!(said.contains(row["caption"].as_str().unwrap()) && said.contains(&score), "{row} {said}");
    }
}

#[test]
fn dropout_changes_what_is_learnt_in_the_same_way_every_time_and_leaves_evaluation_alone() {
    let workdir = prepared();
    let evaluations = |dropout: &str, runs: &str| {
        let only = "unfrozen_vision_layers=1 vision_lr_multiplier=1.0 epochs=1 warmup_steps=0 references.zero_shot=false \
                    references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false --no-preflight --threads 1";
        let shown = workdir.sweep(&format!("run small.yaml dropout={dropout} {only} --runs {runs}"));
        assert!(shown.starts_with("exit 0\n"), "{shown}");
        let sweep = workdir.path().join(format!("{runs}/small"));
        measured(&sweep, &plan(&sweep).remove(0))
    };
    let (without, with) = (evaluations("0.0", "without"), evaluations("0.3", "with"));
    assert_eq!(with[0], without[0], "the model before training");
    assert_ne!(with[1], without[1], "the model after an epoch");
    assert_eq!(with, evaluations("0.3", "again"));
}
