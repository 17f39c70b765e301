//! What a run is gone on with on: never on other inputs than it began with, and never on a damaged checkpoint in silence.

use std::fs;
use std::path::Path;

use candle_core::DType;
use serde_json::{Value, json};
use sweep::lab::pretrain::random_weights;
use sweep::model::Config;
use sweep::record::event::Started;
use sweep::record::{Event, RunDir};

use crate::cuts::{ALWAYS, Bed, Cut, differences};
use crate::end_to_end::json_lines;

/// Kills the run after the first checkpoint within its second epoch.
fn cut_in_second_epoch(bed: &Bed, folder: &RunDir) {
    let undisturbed = bed.folder("undisturbed");
    bed.finish(&undisturbed, ALWAYS);
    let events = json_lines(&undisturbed.events());
    let step = events.iter().position(|line| line["event"] == "step" && line["epoch"] == 2).unwrap();
    let saved = events[step..].iter().position(|line| line["event"] == "checkpointed").unwrap();
    bed.attempt(folder, ALWAYS, Cut::KilledAfter(step + saved + 1));
}

/// A run that was killed in its second epoch with a checkpoint, and its folder.
fn cut_off(bed: &Bed, name: &str) -> RunDir {
    let folder = bed.folder(name);
    cut_in_second_epoch(bed, &folder);
    let record = folder.read_record(bed.run.clone());
    assert_eq!(record.steps.last().map(|step| step.epoch), Some(2));
    folder
}

/// Why the run does not go on, without the names of folders.
fn refusal(bed: &Bed, folder: &RunDir) -> String {
    let (ended, _) = bed.attempt(folder, ALWAYS, Cut::Never);
    let message = format!("{:#}", ended.unwrap().unwrap_err());
    let message = message.replace(&*bed.workdir.path().to_string_lossy(), "[DIR]");
    let is_digest = |word: &str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    let word = |word: &str| match word.split_once("...") {
        Some((digest, rest)) if is_digest(digest) => format!("[SHA]...{rest}"),
        _ => word.to_owned(),
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn write_weights(folder: &Path, seed: u64) {
    let config = Config::load(folder).unwrap();
    let weights = random_weights(&config, seed).unwrap().to_bytes(DType::F32).unwrap();
    fs::write(folder.join("model.safetensors"), weights).unwrap();
}

#[test]
fn a_run_is_not_gone_on_with_on_other_inputs_and_is_once_they_are_put_back() {
    let mut bed = Bed::new();
    let whole = bed.folder("whole");
    bed.finish(&whole, ALWAYS);
    let folder = cut_off(&bed, "cut");
    let input = |name: &str| bed.workdir.path().join(name);

    let (captions, text) = (input("train.json"), fs::read_to_string(input("train.json")).unwrap());
    fs::write(&captions, text.replacen(" a ", " another ", 1).replacen("\"a ", "\"another ", 1)).unwrap();
    insta::assert_snapshot!(refusal(&bed, &folder), @"
    cannot go on from [DIR]/cut/cut/last: [DIR]/train.json: captions or images are not those that the run began with: they have the SHA-256 [SHA]..., and had [SHA]...
    hint: put back what the run began with, or remove [DIR]/cut/cut to run it anew
    ");
    fs::write(&captions, text).unwrap();

    let (image, bytes) = (input("images/0.png"), fs::read(input("images/0.png")).unwrap());
    fs::copy(input("images/1.png"), &image).unwrap();
    assert!(refusal(&bed, &folder).contains("captions or images are not those that the run began with"));
    fs::write(&image, bytes).unwrap();

    let (weights, bytes) = (input("model"), fs::read(input("model/model.safetensors")).unwrap());
    write_weights(&weights, 1);
    insta::assert_snapshot!(refusal(&bed, &folder), @"
    cannot go on from [DIR]/cut/cut/last: [DIR]/model: these are not the weights that the run began with: they have the SHA-256 [SHA]..., and had [SHA]...
    hint: put back what the run began with, or remove [DIR]/cut/cut to run it anew
    ");
    fs::write(weights.join("model.safetensors"), bytes).unwrap();

    bed.run.recipe.training.learning_rate = 1e-3;
    insta::assert_snapshot!(refusal(&bed, &folder), @"
    cannot go on from [DIR]/cut/cut/last: training.learning_rate is 0.001, and was 0.03 when the run began
    hint: put back what the run began with, or remove [DIR]/cut/cut to run it anew
    ");
    bed.run.recipe.training.learning_rate = 3e-2;

    bed.finish(&folder, ALWAYS);
    assert_eq!(differences(&bed.results(&folder), &bed.results(&whole)), [""; 0]);
}

/// Why a run fails when its inputs are meddled with just after it began, without the names of folders.
fn failure_when(bed: &Bed, folder: &RunDir, meddle: &dyn Fn()) -> String {
    let after = |event: &Event| {
        if matches!(event, Event::Started(_)) {
            meddle();
        }
    };
    let (ended, _) = bed.attempt_watched(folder, ALWAYS, Cut::Never, &after);
    let message = format!("{:#}", ended.unwrap().unwrap_err());
    message.replace(&*bed.workdir.path().to_string_lossy(), "[DIR]")
}

#[test]
fn a_picture_that_changes_while_a_run_is_at_work_is_not_taken_for_the_one_that_it_began_with() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    bed.finish(&whole, ALWAYS);
    let folder = bed.folder("meddled");
    let image = |index: usize| bed.workdir.path().join(format!("images/{index}.png"));
    // A training image, a validation image and a test image.
    for index in [0, 6, 9] {
        let bytes = fs::read(image(index)).unwrap();
        let failure = failure_when(&bed, &folder, &|| {
            fs::copy(image(1), image(index)).unwrap();
        });
        let wanted = format!(
            "[DIR]/images/{index}.png: it is not the file that it was when the run began; it changed meanwhile"
        );
        assert!(failure.contains(&wanted), "{failure}");
        // The same bytes in a new file are the same picture.
        fs::remove_file(image(index)).unwrap();
        fs::write(image(index), bytes).unwrap();
    }
    // What was put back is gone on with, and nothing of the others is in it.
    bed.finish(&folder, ALWAYS);
    assert_eq!(differences(&bed.results(&folder), &bed.results(&whole)), [""; 0]);
}

#[test]
fn weights_that_change_while_a_run_is_at_work_are_not_taken_for_those_that_it_began_with() {
    let bed = Bed::new();
    let weights = bed.workdir.path().join("model");
    let bytes = fs::read(weights.join("model.safetensors")).unwrap();
    let folder = bed.folder("meddled");
    let failure = failure_when(&bed, &folder, &|| write_weights(&weights, 1));
    insta::assert_snapshot!(failure, @"
    [DIR]/model: the weights changed while the run was at work
    hint: put back what the run began with, or remove [DIR]/cut/meddled to run it anew
    ");
    fs::write(weights.join("model.safetensors"), bytes).unwrap();
    bed.finish(&folder, ALWAYS);
}

#[test]
fn a_checkpoint_of_another_version_is_refused_and_left_as_it_is() {
    let bed = Bed::new();
    let folder = cut_off(&bed, "cut");
    let state = change_state(&folder, |state| state["format"] = json!(2));
    insta::assert_snapshot!(refusal(&bed, &folder), @"
    [DIR]/cut/cut/last/training_state.json: saved by another version of this program (form 2; this one reads form 1)
    hint: go on with the version that began the run, or remove the run's folder to run it anew
    ");
    assert_eq!(fs::read_to_string(folder.last().join("training_state.json")).unwrap(), state);
}

/// Rewrites the state, and returns how it reads then.
fn change_state(folder: &RunDir, change: impl FnOnce(&mut Value)) -> String {
    let path = folder.last().join("training_state.json");
    let mut state: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut state);
    fs::write(&path, state.to_string()).unwrap();
    state.to_string()
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// The `started` line of the last attempt.
fn last_start(bed: &Bed, folder: &RunDir) -> Started {
    folder.read_record(bed.run.clone()).started.unwrap()
}

#[test]
fn a_damaged_checkpoint_makes_the_run_begin_anew_and_say_so() {
    let bed = Bed::new();
    let whole = bed.folder("whole");
    bed.finish(&whole, ALWAYS);
    for (name, damage, why) in damages() {
        let folder = cut_off(&bed, name);
        damage(&folder);
        bed.finish(&folder, ALWAYS);
        let started = last_start(&bed, &folder);
        assert_eq!((started.resumed_from_epoch, started.resumed_from_step), (0, Some(0)), "{name}");
        let note = started.notes.last().cloned().unwrap_or_default();
        let note = note.replace(&*folder.last().to_string_lossy(), "[LAST]");
        assert!(note.starts_with("the run begins anew, as its checkpoint is damaged: "), "{name}: {note}");
        assert!(note.contains(why), "{name}: {note}");
        assert_eq!(differences(&bed.results(&folder), &bed.results(&whole)), [""; 0], "{name}");
    }
}

type Damage = fn(&RunDir);

/// Damages to a checkpoint, and what is said of each.
fn damages() -> [(&'static str, Damage, &'static str); 11] {
    [
        (
            "garbage",
            |run| fs::write(run.last().join("training_state.json"), "{\"format\": 1, ").unwrap(),
            "[LAST]/training_state.json: EOF while parsing",
        ),
        (
            "another value",
            |run| fs::write(run.last().join("training_state.json"), "[]").unwrap(),
            "[LAST]/training_state.json: invalid length 0",
        ),
        (
            "an earlier version",
            |run| {
                change_state(run, |state| *state = state["state"].clone());
            },
            "[LAST]/training_state.json: missing field `format`",
        ),
        (
            "no epoch",
            |run| {
                change_state(run, |state| state["state"]["epoch"] = json!(0));
            },
            "[LAST]/training_state.json: no run stands at epoch 0",
        ),
        (
            "another step",
            |run| {
                change_state(run, |state| state["state"]["step"] = json!(u64::MAX));
            },
            "[LAST]/training_state.json: no run stands at epoch 2",
        ),
        (
            "no state",
            |run| fs::remove_file(run.last().join("training_state.json")).unwrap(),
            "[LAST]/training_state.json is missing",
        ),
        (
            "no moments",
            |run| fs::remove_file(run.last().join("moments.safetensors")).unwrap(),
            "cannot read [LAST]/moments.safetensors",
        ),
        (
            "half the moments",
            |run| truncate(&run.last().join("moments.safetensors")),
            "cannot read [LAST]/moments.safetensors",
        ),
        (
            "half the weights",
            |run| truncate(&run.last().join("model.safetensors")),
            "[LAST]/model.safetensors: ",
        ),
        (
            "other moments",
            |run| {
                fs::copy(run.last().join("model.safetensors"), run.last().join("moments.safetensors"))
                    .unwrap();
            },
            "[LAST]/moments.safetensors is of another set of trainable tensors",
        ),
        (
            "other shapes",
            |run| {
                let config = run.last().join("config.json");
                let mut value: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
                value["text_config"]["intermediate_size"] = json!(48);
                fs::write(&config, value.to_string()).unwrap();
                write_weights(&run.last(), 0);
            },
            "has the shape [48",
        ),
    ]
}

#[test]
fn a_sound_checkpoint_is_gone_on_with_without_a_word() {
    let bed = Bed::new();
    let folder = cut_off(&bed, "cut");
    bed.finish(&folder, ALWAYS);
    let started = last_start(&bed, &folder);
    assert_eq!((started.resumed_from_epoch, started.notes), (1, vec![]));
    assert!(started.resumed_from_step > Some(3));
}

#[test]
fn another_version_or_device_is_said() {
    let bed = Bed::new();
    let folder = cut_off(&bed, "cut");
    change_state(&folder, |state| {
        state["origin"]["program"] = json!("0.0.9");
        state["origin"]["device"] = json!("cuda:0");
    });
    bed.finish(&folder, ALWAYS);
    assert_eq!(
        last_start(&bed, &folder).notes,
        ["begun by sweep 0.0.9 and gone on with by sweep 0.1.0", "begun on cuda:0 and gone on with on cpu"]
    );
}

/// The run in the place where `sweep run` looks for it, cut off.
fn cut_off_in_sweep(bed: &Bed) -> RunDir {
    let folder = RunDir { path: bed.workdir.path().join("runs/exact").join(&bed.run.id) };
    fs::create_dir_all(&folder.path).unwrap();
    cut_in_second_epoch(bed, &folder);
    folder
}

const ONLY: &str = "references.zero_shot=false references.constant_caption=false references.nearest_image=false \
                    references.matched_length=false simple_models=false --no-preflight --threads 1 --device cpu";

#[test]
fn the_program_names_the_input_that_changed_and_what_to_do() {
    let bed = Bed::new();
    let folder = cut_off_in_sweep(&bed);
    let captions = bed.workdir.path().join("train.json");
    let text = fs::read_to_string(&captions).unwrap();
    fs::write(&captions, text.replacen("\"a ", "\"another ", 1)).unwrap();
    let shown = bed.workdir.sweep(&format!("run exact.yaml {ONLY}"));
    assert!(shown.starts_with("exit 3\n"), "{shown}");
    let log = fs::read_to_string(folder.log()).unwrap();
    assert!(log.contains("train.json: captions or images are not those that the run began with"), "{log}");
    assert!(shown.contains("captions or images are not those that the run began with"), "{shown}");
    assert!(shown.contains("hint: put back what the run began with, or remove"), "{shown}");

    fs::write(&captions, text).unwrap();
    let shown = bed.workdir.sweep(&format!("run exact.yaml {ONLY}"));
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    assert!(last_start(&bed, &folder).resumed_from_step > Some(0));
}

#[test]
fn settings_edited_in_a_runs_folder_are_not_worked_on() {
    let bed = Bed::new();
    assert!(bed.workdir.sweep(&format!("run exact.yaml {ONLY}")).starts_with("exit 0\n"));
    let folder = RunDir { path: bed.workdir.path().join("runs/exact").join(&bed.run.id) };
    fs::remove_file(folder.events()).unwrap();
    let text = fs::read_to_string(folder.config()).unwrap();
    fs::write(folder.config(), text.replace("learning_rate: 0.03", "learning_rate: 0.3")).unwrap();
    let worker = format!("worker --run {} --runs runs --device cpu", folder.path.display());
    let shown = bed.workdir.sweep(&worker).replace(&bed.run.id, "[ID]");
    let error = &shown[shown.find("error: ").unwrap_or_else(|| panic!("{shown}"))..];
    assert!(shown.starts_with("exit 42\n"), "{shown}");
    insta::assert_snapshot!(error, @"
    error: [DIR]/runs/exact/[ID]/config.yaml: training.learning_rate is 0.3, but the plan has 0.03 for the run [ID]
    hint: other settings are another run: change the sweep's file and `sweep run` it, which also mends this file
    ");
}

#[test]
fn complete_runs_whose_data_or_model_changed_since_are_said_at_the_next_run() {
    let bed = Bed::new();
    let run = |more: &str| {
        let shown = bed.workdir.sweep(&format!("run exact.yaml {ONLY} {more}"));
        assert!(shown.starts_with("exit 0\n"), "{shown}");
        let lines = shown.lines().skip_while(|line| !line.contains("changed since")).take(2);
        lines.collect::<Vec<_>>().join("\n").replace(&bed.run.id[..8], "[ID]")
    };
    run("");
    assert_eq!(run(""), "");
    let captions = bed.workdir.path().join("train.json");
    let text = fs::read_to_string(&captions).unwrap();
    fs::write(&captions, text.replacen("\"a ", "\"another ", 1)).unwrap();
    insta::assert_snapshot!(run(""), @"
    warning: the data changed since 1 complete run was made ([ID]): new runs do not compare with them
    hint: put the data back, or remove the folders of these runs to run them anew
    ");
    // The page of a sweep with runs on both says so.
    run("unfrozen_vision_layers=0,1");
    assert!(bed.workdir.sweep("report runs --out reports").starts_with("exit 0\n"));
    let page = fs::read_to_string(bed.workdir.path().join("reports/exact/index.html")).unwrap();
    assert!(page.contains("The runs met 2 different sets of data: their scores do not compare."));

    fs::write(&captions, text).unwrap();
    write_weights(&bed.workdir.path().join("model"), 1);
    insta::assert_snapshot!(run(""), @"
    warning: the model changed since 1 complete run was made ([ID]): new runs do not compare with them
    hint: put the model back, or remove the folders of these runs to run them anew
    ");
}
