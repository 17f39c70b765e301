//! Whether a report names the fault that was planted in a study: event logs of studies that `examples/planted`
//! trained, with one known fault each, two, or none.
//!
//! `SWEEP_PLANTED_FIXTURES` names another folder that the example has packed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::workdir::Workdir;

/// What the verdict says of a fault.
struct Sign {
    /// Either of these, separated by `|`.
    text: &'static str,
    /// The faults that it has to be said of, as in the names of files.
    of: &'static [&'static str],
    /// Other faults that it may be said of: they bring it about.
    also: &'static [&'static str],
}

const fn sign(text: &'static str, of: &'static [&'static str], also: &'static [&'static str]) -> Sign {
    Sign { text, of, also }
}

const SIGNS: &[Sign] = &[
    sign("are cut in mid-sentence", &["trainingcut"], &["cut"]),
    sign("cannot be reached", &["saidcut"], &["cut"]),
    sign("are cut in mid-sentence|cannot be reached", &["cut", "trainingcut", "saidcut"], &[]),
    sign("forbids", &["repeats"], &[]),
    sign("are padding", &["padding"], &[]),
    sign("captions start from a token that fine-tuning never shows the model", &["start"], &[]),
    sign("The learning rate is far too high", &["rate"], &[]),
    sign("The learning rate is too low or the run too short", &["slow"], &["few", "short"]),
    sign("training images: expect a model that knows them by heart", &["few"], &[]),
    sign(
        "Training captions do not belong to their pictures",
        &["shuffled"],
        &["references", "domain", "constant"],
    ),
    sign("of the scored images were trained on", &["leaked"], &[]),
    sign("The warm-up", &["warmup"], &["short", "few"]),
    sign("the model forgets what it was pretrained on", &["decay"], &[]),
    sign("the model learns to be unsure", &["smoothing"], &[]),
    sign("little is left to learn from", &["dropout"], &[]),
    sign("the steps are smaller than the rate says", &["clip"], &[]),
    sign("what they see is unlearnt", &["vision"], &[]),
    sign("The text decoder, which writes the captions, does not train", &["frozen", "textrate"], &[]),
    sign("come in the order of their file", &["order"], &[]),
    sign("tokens that generation has to say", &["long"], &[]),
    sign("makes each of them less likely", &["penalty"], &[]),
    sign("rewards repetition", &["reward"], &[]),
    sign("prefer the shortest caption", &["brief"], &[]),
    sign("it compares raw words", &["cased"], &[]),
    sign("chance has more say in it", &["samples"], &[]),
    sign("what is chosen is what chance preferred", &["choose"], &[]),
    sign("those that are scored against belong to other pictures", &["references"], &[]),
    sign("stand with more than one image", &["constant"], &["domain"]),
    sign("Training captions are written otherwise", &["domain", "shortened"], &["constant"]),
    sign("The model makes nothing of the pictures", &[], &[]),
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
        let is_any = |faults: &[&str]| faults.iter().any(|fault| name.split('-').any(|part| part == *fault));
        clean += usize::from(is_any(&["clean"]));
        alarms += usize::from(is_any(&["clean"]) && !said.is_empty());
        for sign in SIGNS {
            let is_named = sign.text.split('|').any(|text| said.contains(text));
            if is_named != is_any(sign.of) && !(is_named && is_any(sign.also)) {
                let not = if is_named { "is" } else { "is not" };
                wrong.push(format!("{name}: `{}` {not} said: {said}", sign.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(20 * alarms <= clean, "{alarms} of {clean} clean studies");
}
