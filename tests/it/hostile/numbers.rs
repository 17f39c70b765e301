//! Numbers that are none, devices that are not there, and the other runs of a sweep, which go on.

use std::fs;

use super::{Case, Spoil, bounded, case, check, own_data};
use crate::end_to_end::{json_lines, plan};
use crate::workdir::Workdir;

const CASES: &[Case] = &[
    case("no graphics card", "caption --model model images/a.png --device cuda:0", |_| {}),
    case("no graphics card for a run", "run s.yaml --device cuda:0", |_| {}),
    case("no graphics card to look with", "audit s.yaml --images --device cuda:7", |_| {}),
    case("another kind of device", "run s.yaml --device tpu", |_| {}),
    case("no predictions", "score --references true.json --predictions said.json", |dir| {
        dir.file("true.json", r#"{"a": "x"}"#).file("said.json", "{}");
    }),
    case("no references", "score --references true.json --predictions said.json", |dir| {
        dir.file("true.json", "{}").file("said.json", r#"{"a": "x"}"#);
    }),
    case("neither", "score --references true.json --predictions said.json", |dir| {
        dir.file("true.json", "{}").file("said.json", "{}");
    }),
    case("an image without references", "score --references true.json --predictions said.json", |dir| {
        dir.file("true.json", r#"{"a": []}"#).file("said.json", r#"{"a": "x"}"#);
    }),
    case("longer captions than the model takes", "run s.yaml training.max_length=500", |_| {}),
];

#[test]
fn what_cannot_be_computed_costs_one_message() {
    check("numbers", CASES, own_data);
}

#[test]
fn metrics_of_nothing_are_zero_and_not_undefined() {
    let workdir = Workdir::new();
    for (truth, said) in [
        (r#"{"a": ""}"#, r#"{"a": ""}"#),
        (r#"{"a": "a red ball"}"#, r#"{"a": ""}"#),
        (r#"{"a": ""}"#, r#"{"a": "a red ball"}"#),
        (r#"{"a": "..."}"#, r#"{"a": "!?"}"#),
        (r#"{"a": "\u0000"}"#, r#"{"a": "\u200b"}"#),
        (r#"{"a": "x"}"#, r#"{"a": "x"}"#),
    ] {
        workdir.file("true.json", truth).file("said.json", said);
        for convention in ["coco", "original"] {
            let score = "score --references true.json --predictions said.json --per-image --format json";
            let output = bounded(said, workdir.command(&format!("{score} --convention {convention}")));
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{truth} {said}: {words}");
            let scores: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            for key in ["meteor", "rouge_l", "cider_d", "bleu_1", "bleu_2", "bleu_3", "bleu_4"] {
                for value in [&scores[key], &scores["per_image"][0][key]] {
                    // What is no number is null in JSON.
                    let value = value.as_f64().unwrap_or_else(|| panic!("{key} of {said}: {value}"));
                    assert!((0.0..=10.0).contains(&value), "{key} of {said}: {value}");
                }
            }
        }
    }
}

/// The runs of a sweep by a part of their recipe, with how they ended.
fn ends(workdir: &Workdir, part: &str) -> Vec<(String, String, String)> {
    let sweep = workdir.path().join("runs/s");
    let end = |run: &serde_json::Value| {
        let events = json_lines(&sweep.join(run["id"].as_str().unwrap()).join("events.jsonl"));
        let ended = events.into_iter().rfind(|event| event["event"] == "ended").expect("an end");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let reason = text(&ended["reason"]).replace(&*workdir.path().to_string_lossy(), "[DIR]");
        (run["recipe"].pointer(part).expect(part).to_string(), text(&ended["status"]), reason)
    };
    plan(&sweep).iter().map(end).collect()
}

#[test]
fn a_model_with_a_weight_that_is_no_number_fails_and_the_other_runs_go_on() {
    let workdir = own_data();
    super::run_store::copy(&workdir.path().join("model"), &workdir.path().join("worse"));
    // The last tensor of the file.
    let path = workdir.path().join("worse/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    workdir.bytes("worse/model.safetensors", &bytes);
    workdir.replace(
        "s.yaml",
        "parameters:\n  learning_rate: {values: [1.0e-4, 1.0e-3]}",
        "parameters:\n  model: {values: [worse, model]}",
    );
    workdir.replace("s.yaml", "model: model\n", "");
    let shown =
        workdir.shown(&bounded("worse", workdir.command("run s.yaml --no-preflight --threads 1 --jobs 1")));
    assert!(shown.starts_with("exit 3"), "{shown}");
    let reason = "[DIR]/worse/model.safetensors: tensor `vision_model.post_layernorm.weight` holds values that are not \
                  finite numbers";
    let expected = [("\"worse\"", "failed", reason), ("\"model\"", "finished", "")];
    assert_eq!(
        ends(&workdir, "/model"),
        expected.map(|(model, end, why)| (model.into(), end.into(), why.into()))
    );
}

#[test]
fn a_run_whose_loss_is_no_number_names_the_step_and_the_other_runs_go_on() {
    let workdir = own_data();
    workdir.replace("s.yaml", "{values: [1.0e-4, 1.0e-3]}", "{values: [1.0, 1.0e-3]}");
    let command = "run s.yaml --no-preflight --threads 1 --jobs 1 epochs=40 text_lr_multiplier=1000 early_stopping.patience=0";
    let shown = workdir.shown(&bounded("diverging", workdir.command(command)));
    let ends = ends(&workdir, "/training/learning_rate");
    assert!(shown.starts_with("exit 3"), "{shown}\n{ends:#?}");
    // At which step depends on how a machine rounds.
    let ends: Vec<(&str, &str, &str)> = ends
        .iter()
        .map(|(rate, status, reason)| {
            (rate.as_str(), status.as_str(), reason.split(" at step ").next().unwrap())
        })
        .collect();
    assert_eq!(
        ends,
        [("1.0", "diverged", "the loss was not a number"), ("0.001", "finished", "")],
        "{shown}"
    );
}
