//! A sweep that is real but tiny: the program's own code from end to end, in about a second.
//!
//! The model has a few thousand parameters and random weights, the pictures 32 by 32 pixels. What it learns is nothing;
//! what it writes are all the files that a large sweep writes, in the same order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::DType;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Value, json};
use sweep::lab::pretrain::random_weights;
use sweep::lab::scene_at;
use sweep::lab::vocabulary::MODEL_FILES;
use sweep::model::Config;
use sweep::record::{RunRecord, Store};
use sweep::report;

use crate::workdir::Workdir;

/// The name of the sweep, which is that of its folders.
pub const NAME: &str = "toy";

/// Two fine-tuned runs of two epochs, each better by its loss than the one before, and references. The constant caption
/// is not among them: it does not depend on the model, and would be made with the built-in study's.
const SPEC: &str = "\
name: toy
model: model
data:
  train: {captions: train.json, images: images}
  validation: {captions: validation.json, images: images}
  test: {captions: test.json, images: images}
parameters:
  unfrozen_vision_layers: {values: [0, 1]}
training: {learning_rate: 1.0e-2, batch_size: 2, epochs: 2, warmup_steps: 1, max_length: 16, dropout: 0.1}
generation: {max_length: 8, num_beams: 2}
metric: {name: val_loss, goal: minimize}
references: {constant_caption: false, simple_models: false}
";

const SIDE: u32 = 32;

/// A folder with the model, the pictures, their captions and the sweep file.
pub fn prepared() -> Workdir {
    let workdir = Workdir::new();
    write_model(&workdir);
    write_pictures(&workdir);
    workdir.file("toy.yaml", SPEC);
    workdir
}

/// How the toy is run: in `runs/`, without anything that does not belong to the runs themselves.
pub fn command(jobs: usize) -> String {
    format!("run toy.yaml --runs runs --no-preflight --device cpu --threads 1 --jobs {jobs}")
}

fn write_model(workdir: &Workdir) {
    for (name, text) in MODEL_FILES {
        let text = match name {
            "config.json" => small(text, &["text_config", "vision_config"]).to_string(),
            "preprocessor_config.json" => with(text, "size", json!(SIDE)),
            _ => text.to_owned(),
        };
        workdir.file(&format!("model/{name}"), &text);
    }
    let folder = workdir.path().join("model");
    let config = Config::load(&folder).unwrap();
    let weights = random_weights(&config, 0).unwrap().to_bytes(DType::F32).unwrap();
    fs::write(folder.join("model.safetensors"), weights).unwrap();
}

/// The study's configuration with layers few and narrow.
fn small(text: &str, parts: &[&str]) -> Value {
    let mut config: Value = serde_json::from_str(text).unwrap();
    for part in parts {
        for (key, value) in [
            ("hidden_size", 16),
            ("encoder_hidden_size", 16),
            ("projection_dim", 16),
            ("intermediate_size", 32),
            ("num_attention_heads", 2),
            ("num_hidden_layers", 2),
            ("image_size", SIDE),
            ("patch_size", 16),
            ("max_position_embeddings", 32),
        ] {
            if let Some(setting) = config[*part].get_mut(key) {
                *setting = json!(value);
            }
        }
    }
    config
}

fn with(text: &str, key: &str, value: Value) -> String {
    let mut object: Value = serde_json::from_str(text).unwrap();
    object[key] = value;
    object.to_string()
}

fn write_pictures(workdir: &Workdir) {
    fs::create_dir_all(workdir.path().join("images")).unwrap();
    let mut first = 0;
    for (split, count) in [("train", 6), ("validation", 3), ("test", 3)] {
        let mut captions = BTreeMap::new();
        for index in first..first + count {
            let scene = scene_at(7, index, SIDE);
            let name = format!("{index}.png");
            let mut bytes = Vec::new();
            PngEncoder::new(&mut bytes)
                .write_image(scene.image.as_raw(), SIDE, SIDE, ExtendedColorType::Rgb8)
                .unwrap();
            fs::write(workdir.path().join("images").join(&name), bytes).unwrap();
            captions.insert(name, scene.caption);
        }
        workdir.file(&format!("{split}.json"), &json!(captions).to_string());
        first += count;
    }
}

/// The runs as their logs have them.
pub fn records(runs: &Path, sweep: &str) -> Vec<RunRecord> {
    Store::new(runs).sweep(sweep).read_records().unwrap()
}

/// Columns that are of the clock, of the machine or of how often a run had to begin, not of what it found.
const ASIDE: [&str; 5] = ["attempts", "last_seen", "seconds", "peak_memory_bytes", "images_encoded"];

/// The tables of the report on a finished sweep without [`ASIDE`], and what its runs said, by name.
pub fn tables(runs: &Path, sweep: &str) -> BTreeMap<String, String> {
    let out = tempfile::tempdir().unwrap();
    let written = report::write(runs, out.path(), &report::Options::default()).unwrap();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].left_out, [""; 0]);
    let mut tables = BTreeMap::new();
    for name in ["runs", "steps", "captions", "audit"] {
        let text = fs::read_to_string(out.path().join(sweep).join(format!("{name}.csv"))).unwrap();
        tables.insert(name.to_owned(), without_aside(&text));
    }
    for record in records(runs, sweep) {
        let id = record.spec.id;
        let text = fs::read_to_string(runs.join(sweep).join(&id).join("predictions.jsonl")).unwrap();
        tables.insert(format!("predictions of {id}"), text);
    }
    tables
}

fn without_aside(table: &str) -> String {
    let mut rows = csv_rows(table).into_iter();
    let names = rows.next().unwrap();
    let kept: Vec<usize> =
        (0..names.len()).filter(|column| !ASIDE.contains(&names[*column].as_str())).collect();
    let line = |row: Vec<String>| {
        let cells: Vec<&str> = kept.iter().map(|column| row[*column].as_str()).collect();
        cells.join(" | ") + "\n"
    };
    std::iter::once(names.clone()).chain(rows).map(line).collect()
}

/// Rows of cells; a quoted cell may hold commas, line ends and doubled quotes.
pub fn csv_rows(table: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    for character in table.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    rows
}

/// Which of the tables differ, and how: an empty text where none does.
pub fn difference(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> String {
    let mut differences = String::new();
    for (name, wanted) in wanted {
        let found = found.get(name).map_or("", String::as_str);
        let lines = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
        match lines {
            Some((found, wanted)) => differences += &format!("{name}:\n  {found}\nwanted\n  {wanted}\n"),
            None if found != wanted => differences += &format!("{name}: another number of lines\n"),
            None => {}
        }
    }
    differences
}

#[test]
fn a_toy_sweep_ends_well_and_comes_to_the_same_tables_again_and_with_other_jobs() {
    let workdir = prepared();
    let runs = workdir.path().join("runs");
    let mut tables = [2, 1].map(|jobs| {
        let began = std::time::Instant::now();
        let shown = workdir.sweep(&command(jobs));
        assert!(shown.starts_with("exit 0\n"), "{shown}");
        println!("{jobs} at a time: {:.2} s", began.elapsed().as_secs_f64());
        let began = std::time::Instant::now();
        let tables = tables(&runs, NAME);
        println!("report: {:.2} s", began.elapsed().as_secs_f64());
        fs::remove_dir_all(&runs).unwrap();
        tables
    });
    assert_eq!(difference(&tables[0], &tables[1]), "");
    assert!(tables[0]["runs"].lines().count() > 4, "{}", tables[0]["runs"]);
    // The comparison can fail.
    let text = tables[1].get_mut("steps").unwrap();
    *text = text.replacen("0.", "1.", 1);
    assert_ne!(difference(&tables[0], &tables[1]), "");
}
