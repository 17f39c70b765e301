//! The command line, driven as users drive it: each test is a command and what it shows, exit code included.

use std::io::Read;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::workdir::Workdir;

/// A sweep of two runs over the user's own files.
const OWN_DATA: &str = "\
name: own
model: lab
data:
  train: {captions: train.json, images: images}
  validation: {fraction: 0.5, seed: 1}
  test: {captions: test.json, images: images}
parameters:
  learning_rate: {values: [1.0e-4, 1.0e-3]}
";

const METRICS: &str = "meteor rouge_l cider_d bleu_1 bleu_2 bleu_3 bleu_4";

fn shipped(name: &str) -> String {
    format!("{}/sweeps/{name}", env!("CARGO_MANIFEST_DIR"))
}

// --- help ---

#[test]
fn help_names_every_subcommand() {
    let help = Workdir::new().sweep("--help");
    for subcommand in [
        "init", "plan", "run", "submit", "cancel", "report", "status", "prune", "caption", "score", "data",
        "lab",
    ] {
        assert!(help.contains(&format!("\n  {subcommand} ")), "{subcommand} is not in\n{help}");
    }
    assert!(
        help.starts_with("exit 0\n--- stdout\n")
            && help.contains("\nExamples:\n")
            && !help.contains("worker")
    );
}

#[test]
fn every_subcommand_has_help_with_examples() {
    let workdir = Workdir::new();
    for subcommand in ["plan", "run", "submit", "status", "prune", "caption", "score", "lab"] {
        let help = workdir.sweep(&format!("{subcommand} --help"));
        assert!(help.contains("Examples:"), "{help}");
        assert_snapshot!(format!("help_of_{subcommand}"), help);
    }
}

// --- usage errors ---

#[test]
fn a_slip_in_a_subcommand_is_answered_with_the_nearest_one() {
    assert_snapshot!(Workdir::new().sweep("reprot runs"), @r"
    exit 2
    --- stderr
    error: unrecognized subcommand 'reprot'

      tip: a similar subcommand exists: 'report'

    Usage: sweep <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn an_unknown_flag_is_refused() {
    assert_snapshot!(Workdir::new().sweep("run x.yaml --job 2"), @r"
    exit 2
    --- stderr
    error: unexpected argument '--job' found

      tip: a similar argument exists: '--jobs'

    Usage: sweep run --jobs <N> <SPEC> [KEY=VALUE[,VALUE]]...

    For more information, try '--help'.
    ");
}

#[test]
fn values_of_flags_are_checked_before_anything_is_read() {
    let workdir = Workdir::new();
    assert_snapshot!(workdir.sweep("run x.yaml --device gpu"), @r"
    exit 2
    --- stderr
    error: invalid value 'gpu' for '--device <DEVICE>': there are `auto`, `cpu`, `cuda:N` (such as `cuda:0`) and `metal`

    For more information, try '--help'.
    ");
    assert_snapshot!(workdir.sweep("run x.yaml --jobs 0"), @r"
    exit 2
    --- stderr
    error: invalid value '0' for '--jobs <N>': it must be a whole number from 1

    For more information, try '--help'.
    ");
}

#[test]
fn times_and_policies_are_checked_before_anything_is_read() {
    let workdir = Workdir::new();
    assert_snapshot!(workdir.sweep("run x.yaml --time-budget 90"), @r"
    exit 2
    --- stderr
    error: invalid value '90' for '--time-budget <TIME>': it must be a time with its unit, such as 45s, 90m, 2h, 1h30m or 2days

    For more information, try '--help'.
    ");
    assert_snapshot!(workdir.sweep("run x.yaml --retry diverged"), @r"
    exit 2
    --- stderr
    error: invalid value 'diverged' for '--retry <WHICH>'
      [possible values: failed, interrupted, all]

    For more information, try '--help'.
    ");
}

// --- plan ---

#[test]
fn the_shipped_sweeps_plan_without_a_download() {
    let workdir = Workdir::new();
    for name in ["unfreeze", "as_original", "conservative"] {
        assert_snapshot!(
            format!("plan_of_{name}"),
            workdir.sweep(&format!("plan {}", shipped(&format!("{name}.yaml"))))
        );
    }
}

#[test]
fn overrides_change_the_plan() {
    let workdir = Workdir::new();
    workdir.file("s.yaml", "model: lab\nparameters:\n  learning_rate: {values: [1.0e-4, 1.0e-3]}\n");
    assert_snapshot!(workdir.sweep("plan s.yaml learning_rate=1e-5 unfrozen_vision_layers=0,1 seeds=0,1"), @"
    exit 0
    --- stdout
    s: 4 fine-tuned runs, 5 reference runs

    id           kind               unfrozen_vision_layers  seed  trainable  steps
    rf53cef8680  zero-shot                               -     0          -      -
    r4acb2cc49f  constant caption                        -     0          -      -
    r52a9fd9dda  nearest image                           -     0          -      -
    r41fdee14bb  small GRU decoder                       -     0          -    300
    rf1a69e684d  matched length                          -     0          -      -
    rb79ca1c03c  fine-tuned                              0     0    904.8 k    540
    rff2635652f  fine-tuned                              0     1    904.8 k    540
    r7dc1db0623  fine-tuned                              1     0      1.1 M    540
    r7edc47c978  fine-tuned                              1     1      1.1 M    540

    needs: about 64.8 MB of memory for the largest run, 117.2 MB of disk for all
    time: about [TIME] on this processor, less with early stopping
    ");
}

#[test]
fn the_plan_counts_the_captions_of_ones_own_data() {
    let workdir = Workdir::new();
    workdir.file("own.yaml", OWN_DATA).file("train.json", r#"{"a.png": "x", "b.png": "y", "c.png": "z"}"#);
    let plan: serde_json::Value = {
        let output =
            workdir.command("plan own.yaml --format json training.batch_size=1 epochs=5").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    // Of three captions one is split off for validation: two steps an epoch.
    let runs = plan["runs"].as_array().unwrap();
    let trained: Vec<_> = runs.iter().filter(|run| run["kind"] == "fine_tuned").collect();
    assert_eq!(trained.iter().map(|run| run["steps"].as_u64()).collect::<Vec<_>>(), [Some(10), Some(10)]);
    assert!(trained.iter().all(|run| run["trainable"].as_u64() > Some(0)));
    assert!(plan["merged"].is_array() && plan["excluded"].is_u64());
}

#[test]
fn mistakes_in_the_sweep_file_are_shown_with_their_place() {
    let workdir = Workdir::new();
    workdir.file(
        "bad.yaml",
        "model: lab\nparameters:\n  learning_rat: {values: [1.0e-4]}\ntraining: {epochs: -1}\n",
    );
    assert_snapshot!(workdir.sweep("plan bad.yaml"), @r"
    exit 2
    --- stderr
    error: bad.yaml:3:3: unknown setting `learning_rat`; did you mean `learning_rate`?
    bad.yaml:4:20: `training.epochs` is -1; it must be a whole number from 1 to 100000
    ");
    assert_snapshot!(workdir.sweep("run bad.yaml"), @r"
    exit 2
    --- stderr
    error: bad.yaml:3:3: unknown setting `learning_rat`; did you mean `learning_rate`?
    bad.yaml:4:20: `training.epochs` is -1; it must be a whole number from 1 to 100000
    ");
    assert_snapshot!(workdir.sweep("plan none.yaml"), @r"
    exit 2
    --- stderr
    error: none.yaml: cannot read the sweep file: No such file or directory (os error 2)
    ");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let workdir = Workdir::new();
    let mut command = workdir.command(&format!("plan {}", shipped("unfreeze.yaml")));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

// --- run ---

#[test]
fn everything_that_is_wrong_with_the_data_is_shown_before_anything_starts() {
    let workdir = Workdir::new();
    workdir.file("own.yaml", OWN_DATA).file("train.json", r#"{"a.png": "x", "b.png": "", "c.png": "z"}"#);
    workdir.file("test.json", "{}").file("images/c.png", "not a picture");
    assert_snapshot!(workdir.sweep("run own.yaml"), @r#"
    exit 2
    --- stderr
    error: 5 problems with the data
      empty split (1):
        test: [DIR]/test.json has no entries
      empty caption (1):
        [DIR]/train.json: "b.png"
      missing image (2):
        [DIR]/images/a.png
        [DIR]/images/b.png
      broken image (1):
        [DIR]/images/c.png: not an image of a supported format (JPEG, PNG, GIF, BMP, WebP)
    "#);
    // Nothing was frozen, so there is nothing to report on.
    assert!(!workdir.path().join("runs/own/plan.jsonl").exists());
}

#[test]
fn a_model_that_is_not_here_is_refused_with_a_way_out() {
    let workdir = Workdir::new();
    workdir
        .file("s.yaml", "model: lab\ndata: lab\nparameters:\n  learning_rate: {values: [1.0e-4, 1.0e-3]}\n");
    assert_snapshot!(workdir.sweep("run s.yaml model=Salesforce/blip-image-captioning-base"), @r"
    exit 2
    --- stderr
    error: `Salesforce/blip-image-captioning-base` is no folder here and not in the cache [DIR]/hf/hub, and HF_HUB_OFFLINE forbids looking for it on the hub
    ");
    assert_snapshot!(workdir.sweep("run s.yaml model=models/blip/mine"), @r"
    exit 2
    --- stderr
    error: model: `models/blip/mine` is neither a built-in model (`lab`), nor a folder, nor a hub id (`owner/name`)
    ");
}

// --- status and report ---

#[test]
fn status_of_a_folder_without_sweeps_says_how_to_get_one() {
    let workdir = Workdir::new();
    assert_snapshot!(workdir.sweep("status"), @r"
    exit 2
    --- stderr
    error: runs: no such folder
    hint: `sweep run SPEC` creates it; `--runs DIR` names another
    ");
    std::fs::create_dir(workdir.path().join("runs")).unwrap();
    assert_snapshot!(workdir.sweep("status runs/"), @r"
    exit 2
    --- stderr
    error: runs/: holds no sweep
    hint: `sweep run SPEC` makes one
    ");
}

#[test]
fn ratings_that_cannot_be_used_are_refused_before_anything_is_written() {
    let workdir = Workdir::new();
    workdir.file(
        "ann.json",
        r#"{"v": 1, "sweep": "s", "page": "p", "rater": "Ann", "ratings": [
            {"image": "1.png", "system": "r0123456789", "accuracy": 7, "fluency": 5}], "preferences": []}"#,
    );
    assert_snapshot!(workdir.sweep("report runs --ratings ann.json"), @r"
    exit 2
    --- stderr
    error: ann.json: ratings[0].accuracy: 7 is no rating; a whole number from 1 to 5 is, or null
    ");
    assert_snapshot!(workdir.sweep("report runs --ratings bob.json"), @r"
    exit 2
    --- stderr
    error: bob.json: cannot be read: No such file or directory (os error 2)
    ");
    assert!(!workdir.path().join("reports").exists());
}

// --- score ---

#[test]
fn captions_are_scored_in_every_form_they_come_in() {
    let workdir = Workdir::new();
    workdir.file(
        "mapping.json",
        r#"{"1": "a red ball on the grass", "2": ["a dog runs", "the dog is running"]}"#,
    );
    workdir.file(
        "coco.json",
        r#"{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}], "annotations": [
            {"image_id": 1, "caption": "a red ball on the grass"}, {"image_id": 2, "caption": "a dog runs"},
            {"image_id": 2, "caption": "the dog is running"}]}"#,
    );
    workdir.file("said.json", r#"{"1": "a red ball on the snow", "2": "a dog runs"}"#);
    workdir.file(
        "results.json",
        r#"[{"image_id": 2, "caption": "a dog runs"}, {"image_id": 1, "caption": "a red ball on the snow"}]"#,
    );
    let score = |references: &str, predictions: &str| {
        let arguments =
            format!("score --references {references} --predictions {predictions} --format json --per-image");
        workdir.sweep(&arguments)
    };
    let expected = score("mapping.json", "said.json");
    let keys: Vec<&str> =
        expected.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect();
    assert_eq!(
        keys.join(" "),
        format!("convention meteor_variant n {METRICS} per_image{}", format!(" image {METRICS}").repeat(2))
    );
    assert!(expected.contains("\"n\": 2,") && expected.contains("\"rouge_l\": 0.91666666666"), "{expected}");
    assert_eq!(score("mapping.json", "results.json"), expected);
    assert_eq!(score("coco.json", "results.json"), expected);
    assert_eq!(score("coco.json", "said.json"), expected);
    let text = workdir.sweep("score --references coco.json --predictions said.json --convention original");
    assert!(text.contains("2 images, convention original") && text.contains("\nCIDEr-D  "), "{text}");
}

#[test]
fn captions_that_do_not_belong_together_are_not_scored() {
    let workdir = Workdir::new();
    workdir.file("references.json", r#"{"a": "x", "b": "y"}"#);
    workdir.file("strangers.json", r#"{"c": "x"}"#).file("some.json", r#"{"a": "x"}"#);
    assert_snapshot!(workdir.sweep("score --references references.json --predictions strangers.json"), @r"
    exit 2
    --- stderr
    error: cannot score strangers.json against references.json
      because: no references for 1 of 1 predictions: c
    ");
    let some = workdir.sweep("score --references references.json --predictions some.json");
    assert!(some.contains("scored 1 of 2 images") && some.starts_with("exit 0\n"), "{some}");
}

// --- caption and lab ---

#[test]
fn captioning_needs_a_model_and_images() {
    let workdir = Workdir::new();
    workdir.file("empty/readme.txt", "").file("x.png", "");
    assert_snapshot!(workdir.sweep("caption --model none x.png"), @r"
    exit 2
    --- stderr
    error: model: `none` is neither a built-in model (`lab`), nor a folder, nor a hub id (`owner/name`)
    ");
    assert_snapshot!(workdir.sweep("caption --model empty x.png"), @r"
    exit 2
    --- stderr
    error: model: [DIR]/empty: no config.json; a model's folder holds config.json, the weights and the tokenizer
    ");
    assert_snapshot!(workdir.sweep("caption --model empty empty"), @r"
    exit 2
    --- stderr
    error: empty: no images in this folder (jpg, jpeg, png, bmp, gif, webp)
    ");
}

#[test]
fn the_built_in_study_is_written_once_and_never_over_something_else() {
    let workdir = Workdir::new();
    let first = workdir.sweep("lab study");
    assert_snapshot!(first, @r"
    exit 0
    --- stdout
    study: 320 training, 64 validation and 160 test images, 64 of the model's own domain, and the model
    next: sweep caption --model study/model study/source/images
    ");
    assert!(workdir.path().join("study/model/config.json").is_file());
    assert_eq!(workdir.sweep("lab study"), first);
    workdir.file("taken/notes.txt", "mine");
    assert_snapshot!(workdir.sweep("lab taken"), @r"
    exit 2
    --- stderr
    error: taken exists and is not this version of the built-in study (1)
    hint: name another folder, or remove this one
    ");
}
