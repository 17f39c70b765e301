//! Logs of runs: lines of every event, damaged, reordered, torn, and by attempts that contradict each other.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};
use sweep::plan;
use sweep::random::Random;
use sweep::record::event::{Ended, Summary};
use sweep::record::{Event, Journal, RunRecord, RunSpec, Status, journal};
use sweep::spec;

use super::bytes::{damage, one_in};
use super::json::{Json, hostile};
use super::{Input, Reached};

const FILE: &str = "events.jsonl";

/// A run as planned.
pub static RUNS: LazyLock<Vec<RunSpec>> = LazyLock::new(|| {
    let sweep = spec::parse("model: lab\nparameters: {epochs: [1, 2]}\n", "study.yaml", &[]);
    plan::expand(&sweep.expect("a sound sweep file")).expect("a plan").runs
});

pub fn make(random: &mut Random) -> Input {
    let mut bytes = Vec::new();
    let attempts = 1 + random.below(3) as u64;
    let count = if one_in(random, 60) { 400 } else { random.below(12) };
    for number in 0..count {
        let attempt = 1 + number as u64 * attempts / count as u64;
        bytes.extend(line(attempt, number, random));
        bytes.push(b'\n');
    }
    if one_in(random, 4) {
        bytes.truncate(bytes.len() - random.below(bytes.len() + 1) / 4);
    }
    if one_in(random, 12) {
        damage(&mut bytes, random);
    }
    if one_in(random, 200) {
        bytes.extend(vec![b'x'; *random.pick(&[70_000, 1 << 20, (1 << 20) + 1, 3 << 20])]);
        bytes.extend(b"\n");
    }
    Input::one(FILE, bytes, random)
}

fn line(attempt: u64, number: usize, random: &mut Random) -> Vec<u8> {
    let epoch = number / 3;
    let evaluated = json!({"epoch": epoch, "step": number, "train_loss": 1.5, "val_loss": 2.0, "val_nll": 2.0, "meteor": 0.2,
        "rouge_l": 0.3, "cider_d": null, "bleu_4": 0.1, "score": 0.25, "seconds": 1.5});
    let fields: Value = match random.below(6) {
        0 => {
            json!({"event": "started", "run": RUNS[0].id, "sweep": "study", "program": "0.1.0", "device": "cpu", "threads": 1,
            "model_digest": "a", "data_digest": "b", "train_examples": 2, "validation_examples": 1, "test_examples": 1,
            "steps_per_epoch": 2, "total_steps": 8, "frozen_digest": "c", "resumed_from_epoch": random.below(4),
            "trainable": {"vision_layers": 1, "vision_other": 0, "text": 9, "frozen": 5, "tensors": 3}})
        }
        1 | 2 => json!({"event": "step", "epoch": epoch, "step": number, "loss": 2.5, "learning_rate": 1e-5,
            "gradient_norm": null, "images_per_second": 12.0}),
        3 => {
            let mut fields = evaluated;
            fields["event"] = json!("evaluated");
            fields
        }
        4 => json!({"event": "checkpointed", "epoch": epoch, "step": number, "checkpoint": "last"}),
        _ => {
            json!({"event": "ended", "status": random.pick(&["finished", "failed", "early_stopped", "interrupted"]),
            "reason": null, "summary": {"epochs": epoch, "steps": number, "seconds": 3.5, "best": evaluated, "initial": null,
            "last": null, "test": {"meteor": null, "rouge_l": 0.5}, "frozen_digest": "c", "peak_memory_bytes": 5,
            "images_encoded": 4}})
        }
    };
    let mut tree = Json::from(fields);
    if let Json::Object(entries) = &mut tree {
        let at = if one_in(random, 30) {
            hostile(random)
        } else {
            Json::Text("2026-01-09T12:00:00.000Z".to_owned())
        };
        let attempt = if one_in(random, 30) { hostile(random) } else { Json::Raw(attempt.to_string()) };
        let version = if one_in(random, 40) { hostile(random) } else { Json::Raw("1".to_owned()) };
        let envelope = [("v", version), ("at", at), ("attempt", attempt)];
        entries.splice(0..0, envelope.map(|(key, value)| (key.to_owned(), value)));
    }
    if one_in(random, 4) {
        tree.mutate(random);
    }
    if one_in(random, 6) { tree.bytes(random) } else { tree.text().into_bytes() }
}

pub fn feed(folder: &Path, input: &Input) -> Reached {
    let path = folder.join(FILE);
    let _ = journal::read_end(&path);
    let (lines, problems) = journal::read(&path).expect("what a log says is never an error");
    let reached = match (lines.is_empty(), problems.is_empty()) {
        (true, _) => Reached::Header,
        (false, false) => Reached::Body,
        (false, true) => Reached::Accepted,
    };
    let record = RunRecord::fold(RUNS[0].clone(), lines, problems);
    assert!(record.curve.is_sorted_by(|a, b| a.epoch < b.epoch), "epochs rise");
    assert!(record.steps.is_sorted_by(|a, b| a.step < b.step), "steps rise");
    // Now and then, since the disk is waited for.
    if input.choice.is_multiple_of(32) {
        append(&path);
    }
    reached
}

/// Goes on with the log as a resumed run does; what was there stays readable.
fn append(path: &Path) {
    let before = journal::read(path).expect("it was read before").0.len();
    let mut journal = Journal::open(path, 9).expect("the scratch folder can be written");
    let ended = Ended { status: Status::Failed, reason: None, summary: Summary::default() };
    journal.append(Event::Ended(Box::new(ended.clone()))).expect("the scratch folder can be written");
    let lines = journal::read(path).expect("it was read before").0;
    assert_eq!(lines.len(), before + 1, "an appended line is read and disturbs no other");
    assert_eq!(journal::read_end(path).expect("it was read before"), Some(ended), "the end is found");
}
