//! Results that were damaged since they were written, and places where none can be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use insta::assert_snapshot;

use super::{Case, Spoil, bounded, case, check, own_data};
use crate::end_to_end::plan;
use crate::workdir::Workdir;

const STATUS: &str = "status runs";
const REPORT: &str = "report runs";

/// A sweep that is finished, of one fine-tuned run and the floor of a constant caption. The run's folder is linked as
/// `run`, so that commands need not know its id.
fn finished() -> Workdir {
    static ORIGINAL: OnceLock<Workdir> = OnceLock::new();
    let original = ORIGINAL.get_or_init(|| {
        let workdir = own_data();
        workdir.replace("s.yaml", "[1.0e-4, 1.0e-3]", "[1.0e-3]");
        workdir.replace("s.yaml", "constant_caption: false", "constant_caption: true");
        let shown = workdir.sweep("run s.yaml --no-preflight --threads 1");
        assert!(shown.starts_with("exit 0"), "{shown}");
        workdir
    });
    let workdir = Workdir::new();
    copy(original.path(), workdir.path());
    workdir.link("run", &format!("runs/s/{}", id(&workdir)));
    workdir
}

/// The id of the fine-tuned run.
fn id(workdir: &Workdir) -> String {
    let runs = plan(&workdir.path().join("runs/s"));
    let trained = runs.iter().find(|run| run["recipe"]["kind"] == "fine_tuned").unwrap();
    trained["id"].as_str().unwrap().to_owned()
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &copied);
        } else if path.extension().is_some_and(|extension| extension == "safetensors") {
            // Large, and never changed in place.
            fs::hard_link(&path, &copied).or_else(|_| fs::copy(&path, copied).map(drop)).unwrap();
        } else {
            fs::copy(&path, copied).unwrap();
        }
    }
}

/// Changes the bytes of a file.
fn change(workdir: &Workdir, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(workdir.path().join(name)).unwrap();
    change(&mut bytes);
    workdir.bytes(name, &bytes);
}

/// Overwrites the beginning of the middle line of a file of lines.
fn damage_middle_line(workdir: &Workdir, name: &str) {
    change(workdir, name, |bytes| {
        let lines: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        let start = lines[(lines.len() - 1) / 2] + 1;
        bytes[start..start + 4].copy_from_slice(b"\0\xff{[");
    });
}

const PLAN: &str = "runs/s/plan.jsonl";

const CASES: &[Case] = &[
    case("no folder", "status nowhere", |_| {}),
    case("a file for the folder", "status s.yaml", |_| {}),
    case("no folder to report on", "report nowhere", |_| {}),
    case("a folder without a sweep", "report images", |_| {}),
    case("a plan that is empty", STATUS, |dir| dir.bytes(PLAN, b"")),
    case("a plan that is cut off", STATUS, |dir| change(dir, PLAN, |bytes| bytes.truncate(bytes.len() - 30))),
    case("a plan with a damaged line", STATUS, |dir| change(dir, PLAN, |bytes| bytes[0] = b'[')),
    case("a plan with a damaged line, reported on", REPORT, |dir| change(dir, PLAN, |bytes| bytes[0] = b'[')),
    case("a plan with a damaged line, run again", "run s.yaml --no-preflight", |dir| {
        change(dir, PLAN, |bytes| bytes[0] = b'[');
    }),
    case("a plan with a line of two megabytes", STATUS, |dir| {
        dir.bytes(PLAN, format!("{{\"id\": \"{}\"}}\n", "x".repeat(2 << 20)).as_bytes());
    }),
    case("a plan whose ids lead elsewhere", STATUS, |dir| {
        let id = id(dir);
        dir.replace(PLAN, &id, "../../evil");
    }),
    case("a plan that is cut off, run again", "run s.yaml --no-preflight", |dir| {
        change(dir, PLAN, |bytes| bytes.truncate(bytes.len() - 30));
    }),
    case("a plan that says each run twice", STATUS, |dir| {
        change(dir, PLAN, |bytes| bytes.extend(bytes.clone()));
    }),
    case("a plan that says each run twice, reported on", REPORT, |dir| {
        change(dir, PLAN, |bytes| bytes.extend(bytes.clone()));
    }),
    case("a plan that is a folder", STATUS, |dir| dir.folder(PLAN)),
    case("a log whose last line is torn", REPORT, |dir| {
        change(dir, "run/events.jsonl", |bytes| bytes.truncate(bytes.len() - 30));
    }),
    case("a log with a damaged line", STATUS, |dir| damage_middle_line(dir, "run/events.jsonl")),
    case("a log with a damaged line, reported on", REPORT, |dir| damage_middle_line(dir, "run/events.jsonl")),
    case("a log that is empty", REPORT, |dir| dir.bytes("run/events.jsonl", b"")),
    case("a log that says everything twice", REPORT, |dir| {
        change(dir, "run/events.jsonl", |bytes| bytes.extend(bytes.clone()));
    }),
    case("a log that is a folder", REPORT, |dir| dir.folder("run/events.jsonl")),
    case("a log of zeros", REPORT, |dir| dir.hollow("run/events.jsonl", 64 << 20)),
    case("predictions with a damaged line", REPORT, |dir| damage_middle_line(dir, "run/predictions.jsonl")),
    case("predictions of another run's form", REPORT, |dir| {
        dir.bytes("run/predictions.jsonl", b"{\"a\": 1}\n")
    }),
    case("no predictions", REPORT, |dir| dir.remove("run/predictions.jsonl")),
    case("scores of images with a damaged line", REPORT, |dir| {
        damage_middle_line(dir, "run/per_image.jsonl")
    }),
    case("an audit that is cut off", REPORT, |dir| {
        change(dir, "runs/s/audit.json", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("settings that are cut off", REPORT, |dir| {
        change(dir, "run/config.yaml", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("settings that are missing", REPORT, |dir| dir.remove("run/config.yaml")),
    case("pictures that are gone", REPORT, |dir| dir.remove("images")),
    case("a checkpoint that is gone", "caption --model run/best images/a.png", |dir| dir.remove("run/best")),
    case("a checkpoint that is cut off", "caption --model run/best images/a.png", |dir| {
        change(dir, "run/best/model.safetensors", |bytes| bytes.truncate(bytes.len() / 2));
    }),
    case("a lexicon that is none", "report runs --lexicon s.yaml", |_| {}),
    case("a lexicon that is a pipe", "report runs --lexicon pipe", |dir| dir.pipe("pipe")),
    case("ratings that are a pipe", "report runs --ratings pipe", |dir| dir.pipe("pipe")),
    case("captions of another system that are none", "report runs --with GPT=s.yaml", |_| {}),
];

#[test]
fn damaged_results_cost_a_message_and_the_others_are_still_reported() {
    check("run_store", CASES, finished);
}

#[test]
fn a_damaged_sweep_hides_no_other_from_status() {
    let workdir = finished();
    copy(&workdir.path().join("runs/s"), &workdir.path().join("runs/t"));
    change(&workdir, PLAN, |bytes| bytes[0] = b'[');
    let shown = workdir.sweep(STATUS);
    assert!(shown.starts_with("exit 2") && shown.contains("\nruns/t: 2 runs: 2 done\n"), "{shown}");
    assert!(shown.contains("\nerror: runs/s/plan.jsonl: line at byte 0: "), "{shown}");
}

/// Places where nothing can be written, whoever asks.
const NOWHERE: &[Case] = &[
    case("a file for the folder of results", "run s.yaml --no-preflight --runs s.yaml", |_| {}),
    case(
        "a folder of results in a file system without files",
        "run s.yaml --no-preflight --runs /proc/sweep",
        |_| {},
    ),
    case("a file for the folder of the study", "lab s.yaml", |_| {}),
];

#[test]
fn a_place_where_nothing_can_be_written_is_named() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: there is no /proc");
        return;
    }
    check("nowhere_to_write", NOWHERE, own_data);
}

#[test]
fn a_report_that_cannot_be_written_is_named() {
    check(
        "report_nowhere",
        &[case("a file for the folder of reports", "report runs --out s.yaml", |_| {})],
        finished,
    );
}

#[test]
fn a_full_disk_below_standard_output_is_said() {
    let workdir = own_data();
    let plan = workdir.command("plan s.yaml");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" plan s.yaml > /dev/full"]).arg(plan.get_program());
    command.current_dir(workdir.path());
    if !PathBuf::from("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let output = bounded("full", command);
    assert_snapshot!("full_output", workdir.shown(&output));
}

/// The disk of a namespace of its own, which is full after two megabytes: less than a checkpoint takes.
#[test]
fn a_full_disk_ends_the_run_with_its_name_and_the_sweep_with_a_table() {
    let workdir = own_data();
    fs::create_dir(workdir.path().join("full")).unwrap();
    let program = workdir.command("");
    let script = "mount -t tmpfs -o size=2m tmpfs full && exec \"$0\" run s.yaml --runs full --threads 1 --no-preflight";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(program.get_program());
    command.current_dir(workdir.path());
    let probe = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o size=2m tmpfs full"])
        .current_dir(workdir.path())
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let shown = workdir.shown(&bounded("full disk", command));
    let is_named = shown.contains("No space left on device") || shown.contains("are free on the disk");
    assert!(shown.starts_with("exit 3") && is_named, "{shown}");
}
