//! `sweep init` through the real program: what it writes plans, audits and splits as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use insta::assert_snapshot;
use sweep::data::Dataset;
use sweep::lab::{self, study};
use sweep::record::recipe::DataSource;
use sweep::spec;

use crate::workdir::Workdir;

/// Figures of the study under these names, with their captions in `captions.json`.
fn figures(names: &[String]) -> Workdir {
    let workdir = Workdir::new();
    fs::create_dir_all(workdir.path().join("images")).unwrap();
    let mut captions = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let figure = lab::figure(study::FIGURE_SEED, index as u64);
        figure.image.save(workdir.path().join("images").join(name)).unwrap();
        captions.insert(name.clone(), figure.caption);
    }
    workdir.file("captions.json", &serde_json::to_string(&captions).unwrap());
    workdir
}

/// Forty pictures of ten products.
fn products() -> Workdir {
    let names: Vec<String> = (0..40).map(|n| format!("WOMEN-id_{:04}-{}.png", n / 4, n % 4)).collect();
    figures(&names)
}

fn written(workdir: &Workdir, arguments: &str) -> String {
    let seen = workdir.sweep(&format!("init {arguments}"));
    assert!(seen.starts_with("exit 0\n"), "{seen}");
    fs::read_to_string(workdir.path().join("sweep.yaml")).unwrap()
}

/// The text without what the machine can do.
fn anywhere(text: &str) -> String {
    let line = |line: &str| match (line.find(" in about "), line.contains("GFLOP/s")) {
        (Some(place), true) => format!("{} in about [TIME AND MACHINE]", &line[..place]),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_says_why_and_plans_and_audits_as_it_is() {
    let workdir = products();
    let text = written(&workdir, "images captions.json --model lab --time 2days");
    assert_snapshot!(anywhere(&text), @r"
    # Written by `sweep init` for 40 images with 40 captions. Nothing here is sacred: change what you know better.
    #
    #   sweep data check sweep.yaml    what is wrong with single images and captions
    #   sweep audit sweep.yaml         what these settings make unreachable, before any training
    #   sweep run sweep.yaml           27 runs in about [TIME AND MACHINE]
    #   sweep report runs/

    model: lab
    data:
      # Captions have 44 words on average, and 79 tokens at most.
      train: {captions: captions.json, images: images}
      # Pictures of one group stay on one side, by an id in the name: 40 images, 10 groups such as `id_0000`.
      validation: {fraction: 0.2, seed: 42, group: 'id_\d+'}
      # Without test images, scores are of the images by which epochs are chosen, and flatter them.
      # test: {captions: FILE, images: FOLDER}

    # All settings that are not named here, with the original study's faults mended.
    recipe: corrected
    parameters:
      # Whether seeing must be learnt too: the last so many of 6 vision layers train beside the text decoder.
      unfrozen_vision_layers: {values: [0, 2, 6]}
      # The best rate is worth more than any other setting, and differs with what trains.
      learning_rate: {values: [5.0e-4, 1.0e-3, 2.0e-3]}
    # More seeds tell luck from lead: every combination runs once for each.
    seeds: [0, 1, 2]

    # `max_length` holds the longest caption.
    training: {epochs: 10, batch_size: 8, max_length: 80, warmup_ratio: 0.1, vision_lr_multiplier: 0.1}
    # No caption has the same 6 tokens twice: a model that does has lost its way.
    generation: {max_length: 80, no_repeat_ngram_size: 6}
    early_stopping: {patience: 3}
    ");
    let plan = workdir.sweep("plan sweep.yaml");
    assert!(plan.starts_with("exit 0\n--- stdout\nsweep: 27 fine-tuned runs, 5 reference runs\n"), "{plan}");
    let audit = workdir.sweep("audit sweep.yaml");
    assert!(audit.starts_with("exit 0\n") && !audit.contains("max_length"), "{audit}");
    let again = workdir.sweep("init images captions.json");
    assert_snapshot!(again, @"
    exit 2
    --- stderr
    error: sweep.yaml: is there already, and nothing is written over it
    hint: --out FILE names another one
    ");
    assert_eq!(fs::read_to_string(workdir.path().join("sweep.yaml")).unwrap(), text);
}

#[test]
fn pictures_of_a_product_are_on_one_side_of_the_split_that_is_written() {
    let workdir = products();
    written(&workdir, "images captions.json --model lab --time 2days");
    let spec = spec::load(&workdir.path().join("sweep.yaml"), &[]).unwrap();
    let DataSource::Files(mut files) = spec.base.data else { panic!("files") };
    for path in [&mut files.train.captions, &mut files.train.images] {
        *path = workdir.path().join(&*path).to_string_lossy().into_owned();
    }
    let data = Dataset::load(&files).unwrap();
    assert_eq!((data.train.len(), data.validation.len(), data.warnings.len()), (32, 8, 0));
    let products = |examples: &[sweep::data::Example]| -> BTreeSet<String> {
        examples.iter().map(|example| example.image[..13].to_owned()).collect()
    };
    assert!(products(&data.train).is_disjoint(&products(&data.validation)));
    // The plan counts as training does: eight updates of four images, ten epochs.
    let plan = workdir.sweep("plan sweep.yaml training.batch_size=4");
    assert!(plan.contains("     80\n"), "{plan}");
}

#[test]
fn less_time_makes_a_smaller_sweep_and_too_little_is_said() {
    let workdir = figures(&(0..200).map(|n| format!("{n:04}.png")).collect::<Vec<_>>());
    workdir.sweep("data convert captions.json captions.csv");
    let text = written(&workdir, "images captions.csv --time 1s");
    for part in [
        "model: Salesforce/blip-image-captioning-base\n",
        "captions: captions.csv, images: images}",
        "tokens at most, guessed by words until the model is here",
        "unfrozen_vision_layers: {value: 0}",
        "epochs: 5",
        "train_examples: 90",
        "# File names show no groups.",
        "no_repeat_ngram_size: 0",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    fs::remove_file(workdir.path().join("sweep.yaml")).unwrap();
    let seen = workdir.sweep("init images captions.csv --time 1s");
    assert!(
        seen.contains("warning: even the smallest sweep takes about ")
            && seen.contains(", and 1 s were named"),
        "{seen}"
    );
    let plan = workdir.sweep("plan sweep.yaml");
    assert!(plan.starts_with("exit 0\n--- stdout\nsweep: 1 fine-tuned run, "), "{plan}");
}

#[test]
fn what_cannot_be_looked_at_is_refused_with_a_way_out() {
    let workdir = products();
    workdir
        .file("other.json", r#"{"x.png": "a hat"}"#)
        .file("one.json", r#"{"WOMEN-id_0000-0.png": "a hat"}"#);
    assert_snapshot!(workdir.sweep("init nowhere captions.json"), @"
    exit 2
    --- stderr
    error: nowhere: no such folder of images
    ");
    assert_snapshot!(workdir.sweep("init images other.json"), @r#"
    exit 2
    --- stderr
    error: other.json: none of its 1 images, such as "x.png", is in images
    "#);
    assert_snapshot!(workdir.sweep("init images one.json --model lab"), @"
    exit 2
    --- stderr
    error: one.json: one image cannot be split into two sides
    ");
    assert_snapshot!(workdir.sweep("init images captions.json --model some/model"), @"
    exit 2
    --- stderr
    error: some/model: the sizes of this model are not known here
    hint: --model names a hub id that is known or downloaded, a model's folder, or `lab`
    ");
    assert_snapshot!(workdir.sweep("init images captions.json --time 8"), @"
    exit 2
    --- stderr
    error: invalid value '8' for '--time <TIME>': it must be a time with its unit, such as 45s, 90m, 2h, 1h30m or 2days

    For more information, try '--help'.
    ");
    assert_snapshot!(workdir.sweep("init images captions.json --model lab --out no/such/sweep.yaml"), @"
    exit 2
    --- stderr
    error: no/such: no such folder
    ");
    assert_snapshot!(workdir.sweep("init images"), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <CAPTIONS>

    Usage: sweep init <IMAGES> <CAPTIONS>

    For more information, try '--help'.
    ");
}

#[test]
fn a_sheet_of_pictures_is_drawn_of_captions_and_of_sweeps() {
    let workdir = products();
    let seen = workdir.sweep("data preview captions.json images --count 6 --columns 3");
    assert_snapshot!(seen, @"
    exit 0
    --- stdout
    preview.png: 6 of 40 images with their captions
    ");
    let sheet = image::open(workdir.path().join("preview.png")).unwrap();
    assert!(sheet.width() > 1000 && sheet.height() > 900, "{} x {}", sheet.width(), sheet.height());
    assert_snapshot!(workdir.sweep("data preview captions.json images"), @"
    exit 2
    --- stderr
    error: preview.png: is there already, and nothing is written over it
    hint: --out FILE.png names another one
    ");
    fs::write(workdir.path().join("images/WOMEN-id_0000-0.png"), "broken").unwrap();
    let seen = workdir.sweep("data preview captions.json images --count 40 --out all.png");
    assert_snapshot!(seen, @"
    exit 0
    --- stdout
    all.png: 39 of 40 images with their captions
    --- stderr
    left out: [DIR]/images/WOMEN-id_0000-0.png: not an image of a supported format (JPEG, PNG, GIF, BMP, WebP)
    ");
    assert_snapshot!(workdir.sweep("data preview captions.json images --count 0 --out none.png"), @"
    exit 2
    --- stderr
    error: invalid value '0' for '--count <N>': 0 is not in 1..=60

    For more information, try '--help'.
    ");
    written(&workdir, "images captions.json --model lab");
    let seen = workdir.sweep("data preview sweep.yaml --count 1 --seed 5 --out one.png");
    assert!(seen.starts_with("exit 0\n"), "{seen}");
}
