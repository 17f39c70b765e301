//! Trains studies with one known fault each, to see whether `sweep report` names it.
//!
//! ```text
//! cargo build --release
//! cargo run --release --example planted -- FOLDER [--seeds N] [--only NAME]... [--pack FOLDER]
//! ```
//!
//! Every study is the built-in one with a fault at half, whole and double strength, or two at once, or none. `--pack`
//! writes what a report reads of each study to one compressed file: the fixtures of `tests/it/planted.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use sweep::lab::{self, study};
use sweep::random::Random;

type Captions = BTreeMap<String, String>;

/// A fault: what it does to the sweep's settings and to the training captions.
struct Fault {
    name: &'static str,
    /// Lines of the sweep file that replace those of a sound one.
    settings: &'static [(&'static str, &'static str)],
    data: Data,
}

#[derive(Clone, Copy)]
enum Data {
    Sound,
    /// Only so many training images.
    Few(usize),
    /// This share of the training captions dealt to other images.
    Shuffled(f64),
    /// So many test images with their captions among the training images.
    Leaked(usize),
}

const fn fault(name: &'static str, settings: &'static [(&'static str, &'static str)], data: Data) -> Fault {
    Fault { name, settings, data }
}

const CUT: &str = "training.max_length";
const SAID: &str = "generation.max_length";
const REPEAT: &str = "generation.no_repeat_ngram_size";
const PADS: &str = "training.mask_padding";
const START: &str = "training.start_token";
const RATE: &str = "training.learning_rate";
const BATCH: &str = "training.batch_size";

const FAULTS: &[Fault] = &[
    fault("clean", &[], Data::Sound),
    fault("cut-half", &[(CUT, "72"), (SAID, "72")], Data::Sound),
    fault("cut", &[(CUT, "60"), (SAID, "60")], Data::Sound),
    fault("cut-double", &[(CUT, "36"), (SAID, "36")], Data::Sound),
    fault("repeats-half", &[(REPEAT, "4")], Data::Sound),
    fault("repeats", &[(REPEAT, "2")], Data::Sound),
    fault("repeats-double", &[(REPEAT, "1")], Data::Sound),
    fault("padding-half", &[(PADS, "false"), (BATCH, "2")], Data::Sound),
    fault("padding", &[(PADS, "false")], Data::Sound),
    fault("padding-double", &[(PADS, "false"), (BATCH, "8")], Data::Sound),
    fault("start", &[(START, "cls")], Data::Sound),
    fault("rate-half", &[(RATE, "2.5e-2")], Data::Sound),
    fault("rate", &[(RATE, "5.0e-2")], Data::Sound),
    fault("rate-double", &[(RATE, "1.0e-1")], Data::Sound),
    fault("few-half", &[], Data::Few(80)),
    fault("few", &[], Data::Few(40)),
    fault("few-double", &[], Data::Few(20)),
    fault("shuffled-half", &[], Data::Shuffled(0.5)),
    fault("shuffled", &[], Data::Shuffled(1.0)),
    fault("leaked-half", &[], Data::Leaked(16)),
    fault("leaked", &[], Data::Leaked(32)),
    fault("leaked-double", &[], Data::Leaked(64)),
    fault("repeats-and-start", &[(REPEAT, "2"), (START, "cls")], Data::Sound),
    fault("cut-and-shuffled", &[(CUT, "60"), (SAID, "60")], Data::Shuffled(1.0)),
    fault("rate-and-padding", &[(RATE, "5.0e-2"), (PADS, "false")], Data::Sound),
    fault("few-and-repeats", &[(REPEAT, "2")], Data::Few(40)),
];

struct Arguments {
    folder: PathBuf,
    seeds: u64,
    only: Vec<String>,
    pack: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let study_folder = arguments.folder.join("study");
    study::write(&study_folder, lab::WEIGHTS)?;
    for seed in 0..arguments.seeds {
        for fault in FAULTS {
            if !arguments.only.is_empty() && !arguments.only.iter().any(|name| name == fault.name) {
                continue;
            }
            let name = format!("{}-s{seed}", fault.name);
            let sweep = plant(&study_folder, &arguments.folder, fault, &name, seed)?;
            train(&sweep, &arguments.folder.join("runs"))?;
            if let Some(pack) = &arguments.pack {
                pack_study(
                    &arguments.folder.join("runs").join(&name),
                    &pack.join(format!("{name}.json.gz")),
                )?;
            }
        }
    }
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().context("name the folder to work in")?;
    let mut found = Arguments { folder: folder.into(), seeds: 1, only: Vec::new(), pack: None };
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--seeds" => found.seeds = value.parse()?,
            "--only" => found.only.push(value),
            "--pack" => found.pack = Some(value.into()),
            _ => bail!("{word}: there are --seeds, --only and --pack"),
        }
    }
    Ok(found)
}

/// Writes the captions and the sweep file of a study.
fn plant(study_folder: &Path, folder: &Path, fault: &Fault, name: &str, seed: u64) -> Result<PathBuf> {
    let read =
        |file: &str| -> Result<Captions> { Ok(serde_json::from_slice(&fs::read(study_folder.join(file))?)?) };
    let (train, test) = (read(study::TRAIN_CAPTIONS)?, read(study::TEST_CAPTIONS)?);
    let train = with_fault(train, &test, fault.data, seed);
    let data = folder.join("data").join(name);
    fs::create_dir_all(&data)?;
    let captions = data.join("train.json");
    fs::write(&captions, serde_json::to_vec_pretty(&train)?)?;

    let mut settings: BTreeMap<&str, &str> = [
        ("training.unfrozen_vision_layers", "2"),
        (RATE, "2.0e-3"),
        ("training.vision_lr_multiplier", "0.3"),
        (BATCH, "4"),
        ("training.epochs", "8"),
        ("training.warmup_steps", "20"),
        (CUT, "96"),
        (SAID, "96"),
        ("generation.num_beams", "1"),
        ("early_stopping.patience", "0"),
    ]
    .into();
    settings.extend(fault.settings.iter().copied());
    let mut text = format!(
        "name: {name}\nmodel: lab\ndata:\n  train: {{captions: {0}, images: {1}}}\n  validation: {{captions: {2}, images: {1}}}\n  \
         test: {{captions: {3}, images: {1}}}\nrecipe: corrected\nmethod: grid\nseeds: [{seed}]\nparameters:\n",
        captions.display(),
        study_folder.join(study::IMAGE_FOLDER).display(),
        study_folder.join(study::VALIDATION_CAPTIONS).display(),
        study_folder.join(study::TEST_CAPTIONS).display(),
    );
    settings.iter().for_each(|(key, value)| text.push_str(&format!("  {key}: {{value: {value}}}\n")));
    let sweep = data.join("sweep.yaml");
    fs::write(&sweep, text)?;
    Ok(sweep)
}

fn with_fault(mut train: Captions, test: &Captions, data: Data, seed: u64) -> Captions {
    let mut random = Random::new(seed, "planted", &[]);
    match data {
        Data::Sound => {}
        Data::Few(count) => {
            let mut names: Vec<String> = train.keys().cloned().collect();
            random.shuffle(&mut names);
            names.into_iter().skip(count).for_each(|name| {
                train.remove(&name);
            });
        }
        Data::Shuffled(share) => {
            let mut names: Vec<String> = train.keys().cloned().collect();
            random.shuffle(&mut names);
            names.truncate((share * names.len() as f64) as usize);
            let captions: Vec<String> = names.iter().filter_map(|name| train.get(name)).cloned().collect();
            // Each gets the caption of the next: none keeps its own.
            for (name, caption) in names.iter().zip(captions.iter().cycle().skip(1)) {
                train.insert(name.clone(), caption.clone());
            }
        }
        Data::Leaked(count) => {
            let mut names: Vec<&String> = test.keys().collect();
            random.shuffle(&mut names);
            train.extend(names.into_iter().take(count).map(|name| (name.clone(), test[name].clone())));
        }
    }
    train
}

/// Runs the sweep with the program that lies beside this one.
fn train(sweep: &Path, runs: &Path) -> Result<()> {
    let own = std::env::current_exe()?;
    let program = own.parent().and_then(Path::parent).context("no folder above")?.join("sweep");
    let status = Command::new(&program)
        .arg("run")
        .arg(sweep)
        .arg("--runs")
        .arg(runs)
        .args(["--jobs", "1", "--threads", "1", "--no-preflight"])
        .status()
        .with_context(|| format!("{}: `cargo build --release` makes it", program.display()))?;
    // 3: some runs failed, which a rate that is too high may do.
    ensure!(matches!(status.code(), Some(0 | 3)), "{}: {status}", sweep.display());
    Ok(())
}

/// Writes the files that a diagnosis needs as one: a compressed map from path to text. The folder's own path is left out.
fn pack_study(sweep: &Path, target: &Path) -> Result<()> {
    const FILES: [&str; 4] = ["events.jsonl", "per_image.jsonl", "plan.jsonl", "audit.json"];
    let root = sweep.parent().and_then(Path::parent).context("no folder above")?.to_string_lossy();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(sweep).sort_by_file_name() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let is_diagnostic = entry.path().parent().is_some_and(|parent| parent.ends_with("diagnostics"));
        if FILES.contains(&name.as_ref()) || is_diagnostic && name.ends_with(".json") {
            let path = entry.path().strip_prefix(sweep)?.to_string_lossy().into_owned();
            files.insert(path, fs::read_to_string(entry.path())?.replace(root.as_ref(), "planted"));
        }
    }
    fs::create_dir_all(target.parent().context("no folder")?)?;
    let mut encoder = GzEncoder::new(fs::File::create(target)?, Compression::best());
    encoder.write_all(&serde_json::to_vec(&files)?)?;
    encoder.finish()?;
    Ok(())
}
