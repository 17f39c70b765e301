//! The other files of a sweep's folder: plan, audit, predictions, scores by image.

use std::path::Path;

use serde_json::json;
use sweep::random::Random;
use sweep::record::{RunDir, SweepDir};

use super::bytes::{damage, one_in};
use super::event_log::RUNS;
use super::json::Json;
use super::{Input, Reached};

const FILES: [&str; 4] = ["plan.jsonl", "audit.json", "predictions.jsonl", "per_image.jsonl"];

pub fn make(random: &mut Random) -> Input {
    let which = random.below(4);
    let count = if which == 1 { 1 } else { random.below(4) };
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut tree = row(which, random);
        if one_in(random, 3) {
            tree.mutate(random);
        }
        bytes.extend(tree.bytes(random));
        bytes.push(b'\n');
    }
    if one_in(random, 10) {
        damage(&mut bytes, random);
    }
    Input { files: vec![(FILES[which], bytes)], choice: which as u64 }
}

fn row(which: usize, random: &mut Random) -> Json {
    match which {
        0 => serde_json::to_value(random.pick(&RUNS)).expect("a run is JSON").into(),
        1 => json!({"v": 1, "findings": [{"kind": "few_training_images", "severity": "note", "number": 5.0, "unit": "count",
                "meaning": "few", "remedy": null, "runs": ["r1"]}], "ranges": [], "lengths": []})
        .into(),
        2 => json!({"image": "a.png", "split": "test", "caption": "a ball", "references": ["x"], "token_ids": [1, 2],
            "score": -0.5})
        .into(),
        _ => json!({"epoch": random.below(3), "image": "a.png", "split": "validation", "loss": 1.5, "meteor": 0.5,
            "rouge_l": null, "cider_d": 0.1})
        .into(),
    }
}

pub fn feed(folder: &Path, input: &Input) -> Reached {
    let sweep = SweepDir { path: folder.to_owned() };
    let run = RunDir { path: folder.to_owned() };
    let of_rows = |rows: usize, problems: &[String]| match (rows, problems) {
        (0, [_, ..]) => Reached::Header,
        (_, [_, ..]) => Reached::Body,
        _ => Reached::Accepted,
    };
    match input.choice {
        0 => match sweep.read_plan() {
            Ok(_) => Reached::Accepted,
            // A row with the wrong values is refused by its place and key; a text that is no JSON, by the text.
            Err(error) if error.to_string().contains("field") || error.to_string().contains("id") => {
                Reached::Body
            }
            Err(_) => Reached::Header,
        },
        1 => match sweep.read_audit() {
            Ok(_) => Reached::Accepted,
            Err(_) if serde_json::from_slice::<serde::de::IgnoredAny>(&input.files[0].1).is_ok() => {
                Reached::Body
            }
            Err(_) => Reached::Header,
        },
        2 => {
            let (rows, problems) = run.read_predictions();
            of_rows(rows.len(), &problems)
        }
        _ => {
            let (rows, problems) = run.read_per_image();
            of_rows(rows.len(), &problems)
        }
    }
}
