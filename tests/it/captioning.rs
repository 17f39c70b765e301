//! `sweep caption`: a checkpoint says again what its run recorded, tells where its settings come from, and warns where
//! they do not fit its training.

use std::fs;
use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::Value;

use crate::end_to_end::{json_lines, plan, prepared};
use crate::workdir::Workdir;

/// A run of the study's cut, trained with these overrides; returns its folder.
fn trained(workdir: &Workdir, overrides: &str) -> PathBuf {
    let command = format!(
        "run small.yaml unfrozen_vision_layers=1 vision_lr_multiplier=1.0 epochs=2 references.zero_shot=false \
         references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false --no-preflight --threads 1 {overrides}"
    );
    let shown = workdir.sweep(&command);
    assert!(shown.starts_with("exit 0\n"), "{shown}");
    let sweep = workdir.path().join("runs/small");
    let id = plan(&sweep).remove(0)["id"].as_str().unwrap().to_owned();
    sweep.join(id)
}

/// Captions of images of the study, and what was said on standard error.
fn captions(workdir: &Workdir, model: &str, images: &[&str], flags: &str) -> (Vec<Value>, String) {
    let images: Vec<String> = images.iter().map(|image| format!("study/images/{image}")).collect();
    let command = format!("caption --model {model} --format json {} {flags}", images.join(" "));
    let output = workdir.command(&command).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn a_checkpoint_says_again_to_the_last_bit_what_its_run_recorded_whoever_is_in_the_batch() {
    let workdir = prepared();
    // A split's last batch by three may have one image; greedy search then has a single row.
    for beams in [1, 3] {
        let run = trained(
            &workdir,
            &format!(
                "num_beams={beams} generation.max_length=60 evaluation.batch_size=3 no_repeat_ngram_size=2"
            ),
        );
        let model = run.join("best").display().to_string();
        let recorded = json_lines(&run.join("predictions.jsonl"));
        // Four of the validation and six of the test images, and four of the training images.
        assert_eq!(recorded.len(), 14);
        let images: Vec<&str> = recorded.iter().map(|row| row["image"].as_str().unwrap()).collect();
        let same = |said: &[Value], rows: &[&Value]| {
            assert_eq!(said.len(), rows.len());
            for (said, row) in said.iter().zip(rows) {
                for key in ["caption", "token_ids", "score"] {
                    assert_eq!(said[key], row[key], "{beams} beams, {key} of {}", row["image"]);
                }
            }
        };
        let all: Vec<&Value> = recorded.iter().collect();
        same(&captions(&workdir, &model, &images, "").0, &all);
        let (backwards, rows): (Vec<&str>, Vec<&Value>) = images.iter().copied().zip(all).rev().unzip();
        same(&captions(&workdir, &model, &backwards[..7], "").0, &rows[..7]);
        for (image, row) in images.iter().zip(&recorded).step_by(4) {
            same(&captions(&workdir, &model, &[image], "").0, &[row]);
        }
    }
}

#[test]
fn captioning_tells_where_its_settings_come_from_and_which_were_replaced() {
    let workdir = prepared();
    let run = trained(&workdir, "start_token=dec training.max_length=60 generation.max_length=60");
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let image = json_lines(&run.join("predictions.jsonl"))[0]["image"].as_str().unwrap().to_owned();
    let model = format!("runs/small/{id}/best");
    let said = |model: &str, flags: &str| {
        captions(&workdir, model, &[&image], flags)
            .1
            .replace(&id, "[RUN]")
            .replace(&*workdir.path().to_string_lossy(), "[DIR]")
    };
    assert_snapshot!(said(&model, ""), @"settings: those that run [RUN] of sweep small was evaluated with");
    assert_snapshot!(said(&model, "--num-beams 2 --max-length 60"), @"settings: those that run [RUN] of sweep small was evaluated with");
    assert_snapshot!(said(&model, "--num_beams 1 --max_length 20 --length-penalty -0.5"), @"
    settings: those that run [RUN] of sweep small was evaluated with; changed: length_penalty 1 -> -0.5, max_length 60 -> 20, num_beams 2 -> 1
    warning: `generation.max_length` is 20, below `training.max_length` (60), and captions have up to 60 tokens: the longest are cut off when generated
    ");
    assert_snapshot!(said("study/model", ""), @"settings: defaults (5 beams, at most 60 tokens), as the model has no generation_config.json");
    // What transformers saves has some of the settings, under the same names.
    fs::write(
        workdir.path().join("study/model/generation_config.json"),
        r#"{"max_length": 30, "pad_token_id": 0}"#,
    )
    .unwrap();
    assert_snapshot!(said("study/model", "--num-beams 1"), @"settings: [DIR]/study/model/generation_config.json; what it lacks by default (5 beams, at most 60 tokens); changed: num_beams 5 -> 1");
    fs::write(run.join("best/sweep.json"), "{").unwrap();
    assert_snapshot!(said(&model, ""), @"
    settings: [DIR]/runs/small/[RUN]/best/generation_config.json; what it lacks by default (5 beams, at most 60 tokens)
    warning: [DIR]/runs/small/[RUN]/best/sweep.json is damaged: EOF while parsing an object at line 1 column 1: captions are not checked against how the model was trained
    ");
}

#[test]
fn a_model_trained_from_cls_or_to_shorter_captions_is_captioned_with_with_a_warning() {
    let workdir = prepared();
    let run = trained(&workdir, "start_token=cls training.max_length=30 generation.max_length=30");
    let model = run.join("best").display().to_string();
    let image = json_lines(&run.join("predictions.jsonl"))[0]["image"].as_str().unwrap().to_owned();
    let (_, said) = captions(&workdir, &model, &[&image], "--max-length 60");
    let said = said.replace(run.file_name().unwrap().to_str().unwrap(), "[RUN]");
    assert_snapshot!(said, @"
    settings: those that run [RUN] of sweep small was evaluated with; changed: max_length 30 -> 60
    warning: training begins captions with [CLS] (`start_token: cls`), generation always with [DEC]: it starts from a token that fine-tuning never showed the model
    warning: `generation.max_length` is 60, above `training.max_length` (30), and the longest caption has 76 tokens: the model never learns what comes beyond 30
    ");
}

#[test]
fn a_plan_and_the_start_of_a_run_warn_once_where_generation_does_not_fit_training() {
    let workdir = prepared();
    let text = workdir.sweep("plan small.yaml start_token=cls,dec generation.max_length=16");
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{text}");
    let run = |overrides: &str| {
        let command = format!(
            "run small.yaml unfrozen_vision_layers=0 epochs=1 --no-preflight --threads 1 references.zero_shot=false \
             references.constant_caption=false references.nearest_image=false references.matched_length=false simple_models=false {overrides}"
        );
        let output = workdir.command(&command).output().unwrap();
        assert!(output.status.success());
        assert!(!String::from_utf8_lossy(&output.stdout).contains("warning"));
        String::from_utf8(output.stderr).unwrap().matches("warning: ").count()
    };
    assert_eq!(run("generation.max_length=16 seeds=0,1"), 1);
    // The longest caption has fewer tokens than either limit, so nothing is cut.
    assert_eq!(run("generation.max_length=90 training.max_length=100"), 0);
    let json = workdir.command("plan small.yaml start_token=cls --format json").output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 2);
    assert_eq!(json["warnings"][0]["runs"].as_array().unwrap().len(), 3);
}

#[test]
fn flags_of_generation_are_checked_against_what_a_sweep_file_may_have_and_against_the_model() {
    let workdir = prepared();
    workdir.file("x.png", "");
    let refused = |flags: &str| workdir.sweep(&format!("caption --model study/model x.png {flags}"));
    assert_snapshot!(refused("--num-beams 0"), @"
    exit 2
    --- stderr
    error: invalid value '0' for '--num-beams <N>': it must be a whole number from 1 to 1000

    For more information, try '--help'.
    ");
    assert_snapshot!(refused("--repetition-penalty none"), @"
    exit 2
    --- stderr
    error: invalid value 'none' for '--repetition-penalty <X>': it must be a number above 0 and at most 1000

    For more information, try '--help'.
    ");
    assert_snapshot!(refused("--length-penalty nan"), @"
    exit 2
    --- stderr
    error: invalid value 'nan' for '--length-penalty <X>': it must be a number of at least -100 and at most 100

    For more information, try '--help'.
    ");
    assert_snapshot!(refused("--max-length 500"), @"
    exit 2
    --- stderr
    error: cannot caption with study/model
      because: max_length is 500, but the model takes from 2 to 128 tokens
    hint: `--max-length 128`
    ");
    assert_snapshot!(refused("--min-length 50 --max-length 40"), @"
    exit 2
    --- stderr
    error: cannot caption with study/model
      because: min_length is 50, more than max_length, which is 40
    ");
    assert_snapshot!(refused("--beams 3"), @"
    exit 2
    --- stderr
    error: unexpected argument '--beams' found

      tip: to pass '--beams' as a value, use '-- --beams'

    Usage: sweep caption --model <DIR> <IMAGE>...

    For more information, try '--help'.
    ");
}
