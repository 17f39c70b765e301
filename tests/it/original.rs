//! `recipe: as-original` against the original script's rules: whole small runs, epoch by epoch, as transformers, torch
//! and the metric packages have them (`tests/reference/original.py`).

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use base64::Engine;
use serde::Deserialize;
use serde_json::Value;
use sweep::data::mt19937::PythonRandom;

use crate::workdir::Workdir;

#[derive(Deserialize)]
struct Fixtures {
    splits: Vec<Split>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Split {
    n: usize,
    seed: u64,
    first: Vec<usize>,
    validation: Vec<usize>,
    validating: usize,
    checksum: u64,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    fraction: f64,
    batch_size: usize,
    epochs: usize,
    patience: usize,
    rate: f64,
    warmup: usize,
    max_length: usize,
    samples: usize,
    test_samples: usize,
    /// Pictures as PNG in base 64, and their captions.
    train: Vec<(String, String)>,
    test: Vec<(String, String)>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    epochs: Vec<Epoch>,
    /// 0 where none was.
    best_epoch: u64,
    test: Test,
}

#[derive(Deserialize)]
struct Epoch {
    train_loss: f64,
    meteor: f64,
    rouge_l: f64,
    cider_d: f64,
    /// What the epoch is compared by.
    score: f64,
    captions: Vec<String>,
}

#[derive(Deserialize)]
struct Test {
    captions: Vec<String>,
    meteor: f64,
    rouge_l: f64,
    cider_d: f64,
}

/// The committed values, or those of another seed in the folder that `SWEEP_ORIGINAL_FIXTURES` names.
fn folder() -> PathBuf {
    std::env::var_os("SWEEP_ORIGINAL_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/original"),
        PathBuf::from,
    )
}

fn fixtures() -> Fixtures {
    let mut text = String::new();
    let file = fs::File::open(folder().join("cases.json.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_split_is_that_of_pythons_shuffle_for_any_number_of_captions_and_any_seed() {
    for split in fixtures().splits {
        let mut order: Vec<usize> = (0..split.n).collect();
        PythonRandom::new(split.seed).shuffle(&mut order);
        let (n, seed) = (split.n, split.seed);
        assert_eq!(order[..split.first.len()], split.first, "{n} with seed {seed}");
        let validation = &order[n - split.validating..];
        assert_eq!(validation[..split.validation.len()], split.validation, "{n} with seed {seed}");
        assert_eq!(split.validating, (n as f64 * 0.1) as usize);
        let checksum = order.iter().zip(1u128..).map(|(index, place)| place * *index as u128).sum::<u128>();
        assert_eq!((checksum % ((1 << 61) - 1)) as u64, split.checksum, "{n} with seed {seed}");
    }
}

/// A folder with the case's pictures, captions and sweep file.
fn prepared(case: &Case) -> Workdir {
    let workdir = Workdir::new();
    let write = |split: &str, rows: &[(String, String)]| {
        // The order of the file decides the split, so it is written by hand.
        let entries: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(i, (png, caption))| {
                let name = format!("{split}{i:03}.png");
                let path = workdir.path().join("images").join(&name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, base64::engine::general_purpose::STANDARD.decode(png).unwrap()).unwrap();
                format!("{}: {}", Value::from(name), Value::from(caption.as_str()))
            })
            .collect();
        workdir.file(&format!("{split}.json"), &format!("{{{}}}", entries.join(",\n")));
    };
    write("train", &case.train);
    write("test", &case.test);
    let Case {
        fraction, batch_size, epochs, patience, rate, warmup, max_length, samples, test_samples, ..
    } = case;
    workdir.file(
        "case.yaml",
        &format!(
            "name: case
model: {}
data:
  train: {{captions: train.json, images: images}}
  validation: {{fraction: {fraction}, seed: 42}}
  test: {{captions: test.json, images: images}}
recipe: as-original
references: {{zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false, simple_models: false}}
# The original's order of training is unseeded; the values compared with are of the order as split.
training: {{unfrozen_vision_layers: 0, batch_size: {batch_size}, epochs: {epochs}, learning_rate: {rate:?},
           warmup_steps: {warmup}, max_length: {max_length}, shuffle: false}}
evaluation: {{samples: {samples}, test_samples: {test_samples}}}
early_stopping: {{patience: {patience}}}
generation: {{max_length: {max_length}}}
",
            folder().join("model").display()
        ),
    );
    workdir
}

fn close(found: &Value, expected: f64, tolerance: f64) -> bool {
    let found = found.as_f64().unwrap();
    (found - expected).abs() <= tolerance * expected.abs().max(f64::from(tolerance < 1e-6))
}

#[test]
fn a_run_as_original_takes_every_epoch_as_the_original_script_does() {
    for case in fixtures().cases {
        let workdir = prepared(&case);
        let shown = workdir.sweep("run case.yaml --threads 1 --no-preflight");
        assert!(shown.starts_with("exit 0\n"), "{}: {shown}", case.name);
        let sweep = workdir.path().join("runs/case");
        let plan = fs::read_to_string(sweep.join("plan.jsonl")).unwrap();
        let id = serde_json::from_str::<Value>(plan.lines().next().unwrap()).unwrap()["id"].clone();
        let run = sweep.join(id.as_str().unwrap());
        let rows = |name: &str| -> Vec<Value> {
            let text = fs::read_to_string(run.join(name)).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let events = rows("events.jsonl");
        same_epochs(&case, &events);
        same_ending(&case, events.last().unwrap(), &rows("predictions.jsonl"));
        assert_eq!(run.join("best").exists(), case.expected.best_epoch > 0, "{}", case.name);
        assert!(run.join("last/model.safetensors").exists(), "{}", case.name);
        let none_best = case.expected.best_epoch == 0;
        assert_eq!(shown.contains("note: run "), none_best, "{}: {shown}", case.name);
        assert!(workdir.sweep("report runs").starts_with("exit 0\n"), "{}", case.name);
        let page = fs::read_to_string(workdir.path().join("reports/case/index.html")).unwrap();
        assert_eq!(
            page.contains("No epoch of any fine-tuned run was good enough"),
            none_best,
            "{}",
            case.name
        );
    }
}

fn same_epochs(case: &Case, events: &[Value]) {
    let found: Vec<&Value> =
        events.iter().filter(|event| event["event"] == "evaluated" && event["epoch"] != 0).collect();
    assert_eq!(found.len(), case.expected.epochs.len(), "{}: epochs", case.name);
    for (found, expected) in found.iter().zip(&case.expected.epochs) {
        let context = format!("{}: {found}", case.name);
        assert!(close(&found["train_loss"], expected.train_loss, 1e-4), "{context}");
        assert!(close(&found["meteor"], expected.meteor, 1e-9), "{context}");
        assert!(close(&found["rouge_l"], expected.rouge_l, 1e-9), "{context}");
        assert!(close(&found["cider_d"], expected.cider_d, 1e-9), "{context}");
        // A score is recorded as ever; what stood in for it is beside it, and only then.
        let mean = (expected.meteor + expected.rouge_l + expected.cider_d) / 3.0;
        assert!(close(&found["score"], mean, 1e-9), "{context}");
        if expected.cider_d > 0.0 {
            assert!(found.get("compared").is_none() && (mean - expected.score).abs() < 1e-12, "{context}");
        } else {
            assert!(close(&found["compared"], expected.score, 1e-4), "{context}");
        }
    }
}

fn same_ending(case: &Case, ended: &Value, predictions: &[Value]) {
    let (name, Expected { epochs, best_epoch, test }) = (&case.name, &case.expected);
    let stopped = epochs.len() < case.epochs || epochs.len() - *best_epoch as usize >= case.patience;
    assert_eq!(ended["status"], if stopped { "early_stopped" } else { "finished" }, "{name}");
    assert_eq!(ended["summary"]["best"]["epoch"].as_u64().unwrap_or(0), *best_epoch, "{name}");
    let reason = ended["reason"].as_str().unwrap_or_default();
    assert_eq!(
        reason.contains("no epoch was good enough to be the best"),
        *best_epoch == 0,
        "{name}: {reason}"
    );
    let said = |split: &str| -> Vec<&str> {
        let of_split = predictions.iter().filter(|row| row["split"] == split);
        of_split.map(|row| row["caption"].as_str().unwrap()).collect()
    };
    assert_eq!(said("test"), test.captions, "{name}");
    match epochs.get((*best_epoch as usize).wrapping_sub(1)) {
        Some(best) => assert_eq!(said("validation"), best.captions, "{name}"),
        None => assert_eq!(said("validation").len(), epochs[0].captions.len(), "{name}"),
    }
    let scores = &ended["summary"]["test"];
    assert!(close(&scores["meteor"], test.meteor, 1e-9), "{name}: {scores}");
    assert!(close(&scores["rouge_l"], test.rouge_l, 1e-9), "{name}: {scores}");
    assert!(close(&scores["cider_d"], test.cider_d, 1e-9), "{name}: {scores}");
}
