//! The shape of the source: modules use only those below them, and stay apart from what they must not know.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules in reading order; each may use those after it.
const ORDER: [&str; 16] = [
    "cli", "report", "analysis", "cluster", "run", "lab", "hub", "train", "model", "data", "score", "plan",
    "spec", "record", "random", "normal",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its module and its text without comments.
fn files() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let relative = path.strip_prefix(&root).unwrap().to_owned();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        (module, relative, code.join("\n"))
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_module_uses_only_modules_below_it() {
    let place = |module: &str| ORDER.iter().position(|other| *other == module);
    for (module, path, code) in files() {
        let Some(own) = place(&module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "{} is in no known module", path.display());
            continue;
        };
        for rest in code.split("crate::").skip(1) {
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(used_place) = place(&used) {
                assert!(used_place >= own, "{} uses `{used}`, which stands above it", path.display());
            }
        }
    }
}

#[test]
fn only_those_who_compute_know_candle_and_planning_does_no_io() {
    for (module, path, code) in files() {
        let may_compute = ["cli", "run", "lab", "train", "model", "main", "lib"].contains(&module.as_str());
        assert!(may_compute || !code.contains("candle_"), "{} uses candle", path.display());
        let does_io =
            ["std::fs", "std::net", "SystemTime", "Instant::now"].iter().any(|word| code.contains(word));
        assert!(module != "plan" || !does_io, "{} does input or output", path.display());
    }
}

/// Who may change the file system: what is kept of a sweep goes through `record`. The others have a reason each: caches and
/// the study are no results, leases and logs are of processes, and the rest only removes what is not needed any more.
const WRITERS: &[&str] = &[
    "record",
    "hub",
    "lab",
    "cli/lab.rs",
    "data/feature_cache",
    "run/lease.rs",
    "run/lease",
    "run/process.rs",
    "run/prune.rs",
    "train/checkpoint.rs",
];

#[test]
fn what_is_kept_of_a_sweep_is_written_in_one_place() {
    let writes = [
        "fs::write(",
        "File::create",
        "OpenOptions",
        "fs::rename(",
        "fs::remove_",
        "fs::create_dir",
        "fs::copy(",
    ];
    let is_for_tests = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        ["tests.rs", "_tests.rs"].iter().any(|end| name.ends_with(end)) || name.starts_with("example_")
    };
    let mut writers = 0;
    for (_, path, code) in files().into_iter().filter(|(_, path, _)| !is_for_tests(path)) {
        // A file's tests stand at its end.
        let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
        if let Some(write) = writes.iter().find(|write| code.contains(**write)) {
            let is_known = WRITERS.iter().any(|writer| path.starts_with(writer));
            assert!(is_known, "{} uses `{write}`", path.display());
            writers += 1;
        }
    }
    assert!(writers >= 5, "the search finds {writers} writers");
}
