//! What runs leave for a report that has no model, and what controls do, through the real program.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::end_to_end::{cut, json_lines, plan, prepared};
use crate::workdir::Workdir;

/// One run with no and one with one vision layer, and the references that have a model.
fn trained() -> (Workdir, PathBuf) {
    let workdir = prepared();
    cut(&workdir, "validation", 12);
    cut(&workdir, "source", 13);
    let shown = workdir.sweep(
        "run small.yaml unfrozen_vision_layers=0,1 vision_lr_multiplier=1.0 epochs=2 warmup_steps=0 num_beams=1 \
         references.constant_caption=false references.nearest_image=false references.shuffled_captions=true \
         --no-preflight --threads 1",
    );
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    (workdir, sweep)
}

/// The folder of the run of a kind that trains this many vision layers.
fn folder(sweep: &Path, kind: &str, layers: u64) -> PathBuf {
    let is_wanted = |run: &&Value| {
        run["recipe"]["kind"] == kind && run["recipe"]["training"]["unfrozen_vision_layers"] == layers
    };
    let runs = plan(sweep);
    let found: Vec<&Value> = runs.iter().filter(is_wanted).collect();
    assert_eq!(found.len(), 1, "{kind} with {layers} layers");
    sweep.join(found[0]["id"].as_str().unwrap())
}

fn diagnostic(run: &Path, name: &str) -> Value {
    let path = run.join("diagnostics").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn has_diagnostic(run: &Path, name: &str) -> bool {
    run.join("diagnostics").join(name).exists()
}

fn started(run: &Path) -> Value {
    json_lines(&run.join("events.jsonl")).remove(0)
}

#[test]
fn what_needs_the_model_is_kept_beside_the_runs_and_controls_do_what_they_are_for() {
    let (_workdir, sweep) = trained();
    let zero_shot = folder(&sweep, "zero_shot", 0);
    the_domains_lie_apart(&zero_shot);
    let [none, one] = [0, 1].map(|layers| folder(&sweep, "fine_tuned", layers));
    only_layers_that_trained_see_anything_else(&none, &one);
    tuning_makes_the_model_forget(&zero_shot, &one);
    let matched = folder(&sweep, "matched_length", 0);
    let shuffled = folder(&sweep, "shuffled_captions", 0);
    captions_are_as_long_as_in_training(&zero_shot, &matched);
    the_control_learns_from_other_captions(&none, &shuffled);
}

fn the_domains_lie_apart(zero_shot: &Path) {
    let domain = diagnostic(zero_shot, "domain.json");
    assert_eq!((&domain["v"], &domain["images"]), (&1.into(), &12.into()));
    let layers = domain["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 7, "the embeddings and six layers");
    for (boundary, layer) in layers.iter().enumerate() {
        assert_eq!(layer["boundary"], boundary);
        for p in ["classifier_p", "mmd2_p"] {
            assert!(
                (0.0..=0.05).contains(&layer[p].as_f64().unwrap()),
                "{p} of drawn people and scenes: {layer}"
            );
        }
        assert!(layer["proxy_a_distance"].as_f64().unwrap() > 1.0, "{layer}");
        assert!(layer["mmd2"].as_f64().unwrap() > 0.1, "{layer}");
    }
    let [target, source] = ["target_nll", "source_nll"].map(|key| domain[key].as_f64().unwrap());
    assert!(source < 1.0 && target > 5.0, "pretrained on scenes: {source} there, {target} on people");
    assert!(!has_diagnostic(zero_shot, "cka.json"));
    assert!(diagnostic(zero_shot, "source.json").get("after").is_none());
}

fn only_layers_that_trained_see_anything_else(none: &Path, one: &Path) {
    for (run, unchanged) in [(none, 7), (one, 6)] {
        let cka = diagnostic(run, "cka.json");
        assert_eq!((&cka["target_images"], &cka["source_images"]), (&12.into(), &13.into()));
        let layers = cka["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 7);
        for (boundary, layer) in layers.iter().enumerate() {
            for domain in ["target", "source"] {
                let alike = layer[domain].as_f64().unwrap();
                if boundary < unchanged {
                    assert_eq!(alike, 1.0, "boundary {boundary} is below what trained");
                } else {
                    assert!(alike > 0.0 && alike < 1.0, "{layer}");
                }
            }
        }
    }
}

fn tuning_makes_the_model_forget(zero_shot: &Path, tuned: &Path) {
    let (known, source) = (diagnostic(zero_shot, "source.json"), diagnostic(tuned, "source.json"));
    assert_eq!(source["images"], 6, "half as many as validation images");
    assert_eq!(source["before"], known["before"], "the model before training is the zero-shot model");
    let of = |when: &str, key: &str| source[when][key].as_f64().unwrap();
    assert_eq!(of("after", "n"), 6.0);
    assert!(of("after", "nll") > 2.0 * of("before", "nll"), "{source}");
    assert!(of("after", "score") <= of("before", "score"), "{source}");
}

fn captions_are_as_long_as_in_training(zero_shot: &Path, matched: &Path) {
    let lengths = |run: &Path| -> Vec<usize> {
        let rows = json_lines(&run.join("predictions.jsonl"));
        rows.iter().map(|row| row["token_ids"].as_array().unwrap().len()).collect()
    };
    let note = started(matched)["notes"].as_array().unwrap().iter().map(Value::to_string).collect::<String>();
    let numbers: Vec<usize> =
        note.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let [shortest, longest] = [numbers[0], numbers[1]];
    assert!(20 < shortest && shortest < longest && longest <= 100, "{note}");
    // What is recorded are the tokens behind the start token, without the end token.
    assert!(
        lengths(matched).iter().all(|length| (shortest - 2..longest).contains(length)),
        "{note}: {:?}",
        lengths(matched)
    );
    assert!(
        lengths(zero_shot).iter().all(|length| *length < shortest),
        "the pretrained model's captions are short"
    );
    assert!(!has_diagnostic(matched, "domain.json"));
}

fn the_control_learns_from_other_captions(twin: &Path, shuffled: &Path) {
    let [of_twin, of_control] = [twin, shuffled].map(started);
    assert_eq!(of_control["data_digest"], of_twin["data_digest"], "the data are the same");
    assert!(of_control["notes"].to_string().contains("captions of another one"), "{}", of_control["notes"]);
    let evaluated = |run: &Path| -> Vec<Value> {
        json_lines(&run.join("events.jsonl"))
            .into_iter()
            .filter(|event| event["event"] == "evaluated")
            .collect()
    };
    let [twin_curve, control_curve] = [twin, shuffled].map(evaluated);
    assert_eq!(control_curve.len(), twin_curve.len());
    assert_eq!(
        control_curve[0]["val_nll"], twin_curve[0]["val_nll"],
        "nothing but the training captions differs"
    );
    assert_ne!(control_curve[0]["train_nll"], twin_curve[0]["train_nll"]);
    assert_ne!(control_curve[2]["val_nll"], twin_curve[2]["val_nll"]);
    assert!(shuffled.join("best/model.safetensors").is_file());
}
