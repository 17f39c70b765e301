//! Trains studies with one known fault each, to see whether `sweep report` names it.
//!
//! ```text
//! cargo build --release
//! cargo run --release --example planted -- FOLDER [--seeds N] [--from SEED] [--only NAME]... [--pack FOLDER]
//! ```
//!
//! Every study is the built-in one with a fault at half, whole and double strength, or two at once, or none. Seeds other
//! than 0 deal its images out anew and leave the reference runs away. `--pack` writes what a report reads of each study to
//! one compressed file, the fixtures of `tests/it/planted.rs`; studies that are packed already are passed over.

mod faults;
mod pack;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sweep::lab::{self, study};

use faults::{Captions, FAULTS, Fault, SOUND, Splits};

struct Arguments {
    folder: PathBuf,
    seeds: u64,
    from: u64,
    only: Vec<String>,
    pack: Option<PathBuf>,
}

fn main() -> Result<()> {
    let mut arguments = arguments()?;
    // What is packed leaves the folder's path out: a short one would stand in other words, too.
    fs::create_dir_all(&arguments.folder)?;
    arguments.folder = fs::canonicalize(&arguments.folder)?;
    let study_folder = arguments.folder.join("study");
    study::write(&study_folder, &lab::WEIGHTS)?;
    let wanted =
        |fault: &&Fault| arguments.only.is_empty() || arguments.only.iter().any(|name| name == fault.name);
    for seed in arguments.from..arguments.from + arguments.seeds {
        for fault in FAULTS.iter().filter(wanted) {
            let name = format!("{}-s{seed}", fault.name);
            let packed = arguments.pack.as_ref().map(|folder| folder.join(format!("{name}.json.gz")));
            if packed.as_ref().is_some_and(|path| path.exists()) {
                continue;
            }
            let sweep = plant(&study_folder, &arguments.folder, fault, &name, seed)?;
            train(&sweep, &arguments.folder.join("runs"))?;
            if let Some(target) = packed {
                pack::pack(&arguments.folder.join("runs").join(&name), &target)?;
            }
        }
    }
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().context("name the folder to work in")?;
    let mut found = Arguments { folder: folder.into(), seeds: 1, from: 0, only: Vec::new(), pack: None };
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--seeds" => found.seeds = value.parse()?,
            "--from" => found.from = value.parse()?,
            "--only" => found.only.push(value),
            "--pack" => found.pack = Some(value.into()),
            _ => bail!("{word}: there are --seeds, --from, --only and --pack"),
        }
    }
    let known = |name: &&String| FAULTS.iter().any(|fault| fault.name == **name);
    let unknown = found.only.iter().find(|name| !known(name));
    ensure!(unknown.is_none(), "--only {}: there is no such fault", unknown.unwrap_or(&String::new()));
    Ok(found)
}

/// Writes the captions and the sweep file of a study.
fn plant(study_folder: &Path, folder: &Path, fault: &Fault, name: &str, seed: u64) -> Result<PathBuf> {
    let read =
        |file: &str| -> Result<Captions> { Ok(serde_json::from_slice(&fs::read(study_folder.join(file))?)?) };
    let splits = Splits {
        train: read(study::TRAIN_CAPTIONS)?,
        validation: read(study::VALIDATION_CAPTIONS)?,
        test: read(study::TEST_CAPTIONS)?,
        source: read(study::SOURCE_CAPTIONS)?,
    };
    let splits = splits.dealt(seed).with_fault(fault.data, seed);
    let data = folder.join("data").join(name);
    fs::create_dir_all(&data)?;
    let mut text =
        format!("name: {name}\nmodel: lab\nrecipe: corrected\nmethod: grid\nseeds: [{seed}]\ndata:\n");
    let images = study_folder.join(study::IMAGE_FOLDER);
    let files = [("train", &splits.train), ("validation", &splits.validation), ("test", &splits.test)];
    for (split, captions) in files {
        let file = data.join(format!("{split}.json"));
        fs::write(&file, serde_json::to_vec_pretty(captions)?)?;
        text.push_str(&format!(
            "  {split}: {{captions: {}, images: {}}}\n",
            file.display(),
            images.display()
        ));
    }
    if seed > 0 {
        text.push_str(
            "references: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}\n",
        );
    }
    let mut settings: BTreeMap<&str, &str> = SOUND.into();
    settings.extend(fault.settings.iter().copied());
    text.push_str("parameters:\n");
    settings.iter().for_each(|(key, value)| text.push_str(&format!("  {key}: {{value: {value}}}\n")));
    let sweep = data.join("sweep.yaml");
    fs::write(&sweep, text)?;
    Ok(sweep)
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
