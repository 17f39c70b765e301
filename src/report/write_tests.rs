//! What a report writes, over the runs of the example.

use std::fs;

use polars::prelude::{ParquetReader, SerReader};
use tempfile::TempDir;

use super::*;
use crate::record::invocation::Invocation;
use crate::report::example_runs::{forget_what_old_logs_lack, write_example_runs, write_runs_with_seeds};

/// The example's runs in a folder that goes when this does.
fn example() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_example_runs(folder.path()).unwrap();
    folder
}

fn report(folder: &Path) -> (Vec<Written>, PathBuf) {
    let out = folder.join("reports");
    (write(&folder.join("runs"), &out, &Options::default()).unwrap(), out.join("unfreeze"))
}

fn page(folder: &Path) -> String {
    fs::read_to_string(report(folder).1.join("index.html")).unwrap()
}

/// The folder of the example's run at this place of its plan.
fn run_dir(folder: &Path, place: usize) -> PathBuf {
    let sweep = Store::new(&folder.join("runs")).sweep("unfreeze");
    sweep.run(&sweep.read_plan().unwrap()[place].id).path
}

#[test]
fn a_report_is_complete_and_the_same_bytes_when_made_again() {
    let folder = example();
    let (written, dir) = report(folder.path());
    assert_eq!((written.len(), written[0].runs), (1, 21));
    assert_eq!(written[0].left_out, [""; 0]);
    let files = [
        "index.html",
        "runs.csv",
        "runs.parquet",
        "steps.csv",
        "steps.parquet",
        "captions.csv",
        "captions.parquet",
        "audit.csv",
        "audit.parquet",
        "metrics.png",
        "learning_curves.png",
        "losses.png",
        "calibration.png",
        "importance.png",
        "axis_effects.png",
        "heat_map.png",
        "parallel_coordinates.png",
        "expected_best.png",
    ];
    let read = || files.map(|file| fs::read(dir.join(file)).unwrap());
    let first = read();
    report(folder.path());
    assert!(read() == first, "the same runs gave other bytes");
}

#[test]
fn the_page_asks_nothing_of_the_network_and_its_one_script_is_inside_it() {
    let folder = example();
    let page = page(folder.path());
    for foreign in ["http:", "https:", "<script ", "<link", "@import", "url(", "srcset"] {
        assert!(!page.contains(foreign), "the page contains {foreign}");
    }
    assert_eq!(page.matches("src=\"").count(), page.matches("src=\"data:image/jpeg;base64,").count());
    assert_eq!(page.matches("<script").count(), 1);
    for request in ["fetch(", "XMLHttp", "import(", "WebSocket", "sendBeacon", "innerHTML"] {
        assert!(!page.contains(request), "the script contains {request}");
    }
    assert_eq!(page.matches("<article").count(), 14);
}

#[test]
fn the_page_says_what_won_what_overfits_and_what_did_not_finish() {
    let folder = example();
    let page = page(folder.path());
    for sentence in [
        "Run #1 (unfrozen vision layers 6, learning rate 5e-4, vision rate multiplier 1, weight decay 0.05) is the best of 16 fine-tuned runs by validation score: 0.",
        "On 128 test images, compared with the model before training, it gains ",
        "Against the stronger floor, the nearest image, it gains ",
        "trained runs overfit: the validation loss turns up while the training loss still falls.",
        "the loss was not a number at step 51",
        "killed by the kernel",
        "its log has no end: it was cut off, or is still running",
        "`sweep run` would start it",
    ] {
        assert!(page.contains(sentence), "the page does not say: {sentence}");
    }
}

#[test]
fn the_page_says_from_when_on_runs_overfit_and_what_they_copy() {
    let folder = example();
    let said = page(folder.path());
    for part in [
        " from epoch ",
        "Run #1 finds captions of validation images less likely than those it learnt from",
        "id=\"calibration\"",
        "Of what run #1 says of 128 test images, ",
        "captions of this kind are made by a template",
    ] {
        assert!(said.contains(part), "the page does not say: {part}");
    }
    forget_what_old_logs_lack(folder.path()).unwrap();
    fs::remove_file(folder.path().join("images_train.json")).unwrap();
    let old = page(folder.path());
    assert!(old.contains(">Overfitting<") && old.contains("these cannot be read"));
    for part in ["id=\"calibration\"", "Run #1 finds captions of validation", "Memorisation and novelty"] {
        assert!(said.contains(part) && !old.contains(part), "{part}");
    }
}

#[test]
fn the_audit_is_on_the_page_and_scores_have_a_place() {
    let folder = example();
    let page = page(folder.path());
    for part in [
        "97 % of the references repeat a pair of tokens",
        "Mend: <code>generation.no_repeat_ngram_size: 0</code> In 2 of 18 runs.",
        "What can be scored at all",
        "<th scope=\"col\" class=\"number\">place</th>",
    ] {
        assert!(page.contains(part), "the page does not say: {part}");
    }
    let audit = Store::new(&folder.path().join("runs")).sweep("unfreeze").audit_path();
    fs::write(&audit, "{").unwrap();
    let (written, dir) = report(folder.path());
    assert!(written[0].left_out[0].contains("audit.json"), "{:?}", written[0].left_out);
    assert!(!fs::read_to_string(dir.join("index.html")).unwrap().contains("id=\"audit\""));
}

#[test]
fn the_files_hold_the_tables() {
    let folder = example();
    let (_, dir) = report(folder.path());
    let read = |name: &str| ParquetReader::new(fs::File::open(dir.join(name)).unwrap()).finish().unwrap();
    let (runs, steps) = (read("runs.parquet"), read("steps.parquet"));
    let lines = |name: &str| fs::read_to_string(dir.join(name)).unwrap().lines().count();
    assert_eq!((runs.height(), lines("runs.csv")), (21, 22));
    assert_eq!(lines("steps.csv"), steps.height() + 1);
    let scores = runs.column("score").unwrap().f64().unwrap();
    let ordered: Vec<f64> = scores.iter().flatten().collect();
    assert!(ordered.is_sorted_by(|a, b| a >= b) && ordered.len() == 19, "{ordered:?}");
    let page = fs::read_to_string(dir.join("index.html")).unwrap();
    for score in ordered {
        assert!(page.contains(&format!("{score:.3}")));
    }
}

#[test]
fn captions_stand_beside_their_scores_and_findings_beside_their_remedy() {
    let folder = example();
    let (written, dir) = report(folder.path());
    let read = |name: &str| ParquetReader::new(fs::File::open(dir.join(name)).unwrap()).finish().unwrap();
    let (captions, audit) = (read("captions.parquet"), read("audit.parquet"));
    let content = serde_json::to_value(&written[0].content).unwrap();
    let first = content["runs"][0]["run"].as_str().unwrap();
    let runs = captions.column("run").unwrap().str().unwrap();
    let splits = captions.column("split").unwrap().str().unwrap();
    let is_its_test = |row: &usize| runs.get(*row) == Some(first) && splits.get(*row) == Some("test");
    let rows: Vec<usize> = (0..captions.height()).filter(is_its_test).collect();
    assert_eq!(rows.len(), 128, "a caption an image of the test split");
    let scores = captions.column("rouge_l").unwrap().f64().unwrap();
    let mean = rows.iter().map(|row| scores.get(*row).unwrap()).sum::<f64>() / rows.len() as f64;
    let of_run = content["runs"][0]["test_rouge_l"].as_f64().unwrap();
    assert!((mean - of_run).abs() < 1e-9, "{mean} is not {of_run}");
    let references = captions.column("references").unwrap().str().unwrap().get(rows[0]).unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Vec<String>>(&references).unwrap().len(), 1);
    assert_eq!(audit.column("value").unwrap().str().unwrap().get(0), Some("0"));
    assert_eq!(audit.column("severity").unwrap().str().unwrap().get(0), Some("severe"));
}

#[test]
fn settings_with_several_seeds_are_judged_in_the_place_of_runs() {
    let folder = tempfile::tempdir().unwrap();
    write_runs_with_seeds(folder.path()).unwrap();
    let (written, dir) = report(folder.path());
    let page = fs::read_to_string(dir.join("index.html")).unwrap();
    for part in [
        "<h2>Settings over their seeds</h2>",
        "6 layers, 5e-4; 3 seeds)",
        "in score, 95 % interval +0.",
        "for other seeds and other images, on 128 test images.",
        "One more combination has a single seed and is not judged.",
    ] {
        assert!(page.contains(part), "the page does not say: {part}");
    }
    let rows = serde_json::to_value(&written[0].content.settings).unwrap();
    assert_eq!(rows.as_array().unwrap().iter().filter(|row| row["seeds"] == 3).count(), 2);
    assert!(page.contains(&format!("{:.3}", rows[0]["score"].as_f64().unwrap())));
    let lines = fs::read_to_string(dir.join("settings.csv")).unwrap().lines().count();
    assert_eq!((lines, dir.join("settings.parquet").is_file()), (4, true));
}

#[test]
fn the_page_says_what_the_sweep_cost_and_what_the_best_run_did() {
    let folder = example();
    let page = page(folder.path());
    for part in [
        "<h2>Cost</h2>",
        " of it for reference runs; by the clock less where runs were at work side by side.",
        "The best run took ",
        "went into 1 run that failed or diverged.",
        "as far as memory reached; training steps alone took ",
        "<td>312 MB</td>",
    ] {
        assert!(page.contains(part), "the page does not say: {part}");
    }
    let plan = folder.path().join("only/unfreeze/plan.jsonl");
    fs::create_dir_all(plan.parent().unwrap()).unwrap();
    fs::copy(folder.path().join("runs/unfreeze/plan.jsonl"), plan).unwrap();
    write(&folder.path().join("only"), &folder.path().join("none"), &Options::default()).unwrap();
    let page = fs::read_to_string(folder.path().join("none/unfreeze/index.html")).unwrap();
    assert!(!page.contains("id=\"cost\""));
}

#[test]
fn the_page_shows_how_the_sweep_was_run_and_that_later_calls_had_another_file_or_program() {
    let folder = example();
    assert!(!page(folder.path()).contains("The sweep was run by"));
    let sweep = Store::new(&folder.path().join("runs")).sweep("unfreeze");
    let call = |file: &[u8]| Invocation::now("sweep run '<b>'".to_owned(), "cpu".to_owned(), file);
    let says = |part: &str| {
        let page = page(folder.path());
        assert!(page.contains(part), "the page does not say: {part}");
    };
    sweep.append_invocation(&call(b"a")).unwrap();
    says("run by one command. The sweep file&#39;s SHA-256 begins with ca978112ca1b.");
    says("sweep run &#39;&#60;b&#62;&#39;");
    sweep.append_invocation(&call(b"a")).unwrap();
    says(
        "2 commands and the same version of this program, all with the same sweep file (its SHA-256 begins with ca978112ca1b).",
    );
    sweep.append_invocation(&call(b"b")).unwrap();
    says("3 commands and the same version of this program, with 2 different sweep files: runs may");
    sweep.append_invocation(&Invocation { program: "0.0.1".to_owned(), ..call(b"a") }).unwrap();
    says("4 commands and 2 different versions of this program, with 2");
}

#[test]
fn tables_that_no_longer_apply_do_not_stay_beside_the_page_and_nothing_else_goes() {
    let folder = example();
    let dir = folder.path().join("reports/unfreeze");
    fs::create_dir_all(&dir).unwrap();
    for name in ["settings.csv", "settings.parquet", "ratings.csv", "ratings.parquet", "mine.csv"] {
        fs::write(dir.join(name), "old").unwrap();
    }
    fs::write(folder.path().join("reports/settings.csv"), "elsewhere").unwrap();
    let (written, _) = report(folder.path());
    for name in ["settings.csv", "settings.parquet", "ratings.csv", "ratings.parquet"] {
        assert!(!dir.join(name).exists(), "{name} is still there");
        assert!(!written[0].content.files.iter().any(|file| file.ends_with(name)));
    }
    assert!(dir.join("mine.csv").is_file() && folder.path().join("reports/settings.csv").is_file());
}

#[test]
fn pictures_of_an_earlier_report_do_not_stay_and_those_of_others_do() {
    let folder = example();
    let dir = report(folder.path()).1;
    let count = || Figures::NAMES.iter().filter(|name| dir.join(format!("{name}.png")).is_file()).count();
    let of_all = count();
    fs::write(dir.join("mine.png"), "not of a report").unwrap();
    let sweep = Store::new(&folder.path().join("runs")).sweep("unfreeze");
    let plan = sweep.read_plan().unwrap();
    sweep.write_plan(&plan[..5]).unwrap();
    report(folder.path());
    assert!(count() > 0 && count() < of_all, "{} of {of_all}", count());
    assert!(dir.join("mine.png").is_file());
}

#[test]
fn the_document_for_programs_says_what_page_and_tables_say() {
    let folder = example();
    let (written, dir) = report(folder.path());
    let content = serde_json::to_value(&written[0].content).unwrap();
    let page = fs::read_to_string(dir.join("index.html")).unwrap();
    assert_eq!(content["runs"].as_array().unwrap().len(), 21);
    assert_eq!((&content["ranked_by"], &content["runs"][0]["rank"]), (&"score".into(), &1.into()));
    assert_eq!(
        content["verdict"].as_array().unwrap().len(),
        page.split("id=\"audit\"").next().unwrap().matches("<dt>").count()
    );
    assert_eq!(content["audit"][0]["kind"], "forbidden_repeats");
    for file in content["files"].as_array().unwrap() {
        assert!(Path::new(file.as_str().unwrap()).is_file(), "{file} was not written");
    }
}

#[test]
fn nothing_is_no_report_and_a_plan_alone_is_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("runs")).unwrap();
    assert_eq!(report(folder.path()).0, []);
    let example = example();
    let plan = example.path().join("runs/unfreeze/plan.jsonl");
    let sweep = folder.path().join("runs/unfreeze");
    fs::create_dir(&sweep).unwrap();
    fs::copy(plan, sweep.join("plan.jsonl")).unwrap();
    let page = page(folder.path());
    assert!(page.contains("None of the 18 fine-tuned runs has been evaluated after an epoch of training"));
    assert!(!page.contains("<figure"));
}

#[test]
fn broken_files_are_left_out_and_said() {
    let folder = example();
    let append = |path: &Path, text: &str| {
        let before = fs::read_to_string(path).unwrap_or_default();
        fs::write(path, before + text).unwrap();
    };
    let (first, second) = (run_dir(folder.path(), 3), run_dir(folder.path(), 4));
    append(&first.join("events.jsonl"), "{\"v\":1,\n");
    append(&first.join("per_image.jsonl"), "nonsense\n");
    fs::write(second.join("events.jsonl"), [0xff, 0xfe, b'\n']).unwrap();
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    let (written, dir) = report(folder.path());
    let left_out = written[0].left_out.join("\n");
    for file in ["events.jsonl: line at byte", "per_image.jsonl: line at byte"] {
        assert!(left_out.contains(file), "{left_out}");
    }
    let page = fs::read_to_string(dir.join("index.html")).unwrap();
    assert!(page.contains("id=\"left-out\"") && page.contains("No picture: "));
}

#[test]
fn a_sweep_with_a_broken_plan_is_reported_from_its_runs() {
    let folder = example();
    fs::write(folder.path().join("runs/unfreeze/plan.jsonl"), "{}\n").unwrap();
    let (written, _) = report(folder.path());
    assert_eq!(written[0].runs, 20, "the run that never started is not known");
    assert!(written[0].left_out[0].starts_with("The plan cannot be used ("), "{:?}", written[0].left_out);
}

#[test]
fn a_run_that_trains_other_parts_than_it_was_set_to_is_exposed() {
    let folder = example();
    assert!(!page(folder.path()).contains("What was trained is not what was set"));
    let path = run_dir(folder.path(), 20).join("events.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"vision_layers\":1189632"));
    fs::write(&path, text.replace("\"vision_layers\":1189632", "\"vision_layers\":0")).unwrap();
    let page = page(folder.path());
    assert!(page.contains("is set to unfreeze 6 vision layers but trains 0 parameters of them"));
}

#[test]
fn captions_cannot_break_out_of_the_page() {
    let folder = example();
    for place in 0..21 {
        let path = run_dir(folder.path(), place).join("predictions.jsonl");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        fs::write(&path, text.replace("The upper", "<script>alert(1)</script>")).unwrap();
    }
    let page = page(folder.path());
    assert!(!page.contains("<script>alert") && page.contains("script&#62;"), "{}", page.len());
    assert_eq!(page.matches("<script").count(), 1);
}
