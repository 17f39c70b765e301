//! Whether a report names the fault that was planted in a study: event logs of studies that `examples/planted.rs`
//! trained, with one known fault each, two, or none.
//!
//! `SWEEP_PLANTED_FIXTURES` names another folder that the example has packed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::workdir::Workdir;

/// What a fault is called in the file's name, and what the verdict has to say of it.
const SIGNS: [(&str, &str); 9] = [
    ("cut", "cannot be reached"),
    ("repeats", "forbids"),
    ("padding", "are padding"),
    ("start", "captions start from a token that fine-tuning never shows the model"),
    ("rate", "The learning rate is far too high"),
    ("few", "training images: expect a model that knows them by heart"),
    ("shuffled", "Training captions do not belong to their pictures"),
    ("leaked", "of the scored images were trained on"),
    ("clean", ""),
];

/// Faults that are there and not found, with the reason.
const NOT_FOUND: [&str; 1] = [
    // With half of the captions in their places the model learns from those to look at pictures.
    "shuffled-half",
];

fn studies() -> Vec<PathBuf> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/planted");
    let folder = std::env::var_os("SWEEP_PLANTED_FIXTURES").map_or(committed, PathBuf::from);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".json.gz"));
    paths.sort();
    paths
}

fn unpack(path: &Path, folder: &Path) {
    let files: BTreeMap<String, String> =
        serde_json::from_reader(GzDecoder::new(File::open(path).unwrap())).unwrap();
    for (name, text) in files {
        let target = folder.join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, text).unwrap();
    }
}

/// The text of the page's verdict, as its author wrote it.
fn why(page: &str) -> String {
    let Some((_, after)) = page.split_once("<dt>Why no better?</dt><dd>") else { return String::new() };
    let text = after.split("</dd>").next().unwrap_or_default();
    text.replace("&#39;", "'").replace("&#38;", "&")
}

#[test]
fn the_verdict_names_the_planted_fault_and_no_other() {
    let work = Workdir::new();
    let studies = studies();
    assert!(studies.len() >= 20, "{} studies", studies.len());
    let name_of = |path: &Path| path.file_name().unwrap().to_string_lossy().replace(".json.gz", "");
    for path in &studies {
        unpack(path, &work.path().join("runs").join(name_of(path)));
    }
    let output = work.sweep("report runs --out reports");
    assert!(output.starts_with("exit 0\n"), "{output}");
    let (mut wrong, mut alarms, mut clean) = (Vec::new(), 0, 0);
    for path in &studies {
        let name = name_of(path);
        let page = fs::read_to_string(work.path().join("reports").join(&name).join("index.html")).unwrap();
        let said = why(&page);
        let is_planted = |fault: &str| name.split('-').any(|part| part == fault);
        let is_missed = NOT_FOUND.iter().any(|known| name.starts_with(known));
        clean += usize::from(is_planted("clean"));
        alarms += usize::from(is_planted("clean") && !said.is_empty());
        for (fault, sign) in SIGNS.into_iter().filter(|(_, sign)| !sign.is_empty()) {
            let is_named = said.contains(sign);
            if is_named != (is_planted(fault) && !is_missed) {
                wrong.push(format!("{name}: {fault} is{} named: {said}", if is_named { "" } else { " not" }));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(alarms, 0, "of {clean} clean studies");
}
