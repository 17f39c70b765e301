//! `sweep data check` through the real program, on the built-in study's pictures with faults planted among them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use serde_json::Value;
use sweep::analysis::check::Kind;
use sweep::data::fingerprint::Fingerprint;
use sweep::lab::{self, study};

use crate::workdir::Workdir;

/// So many figures of the study with their captions, written as `train.json` and `images/`.
fn figures(workdir: &Workdir, count: u64) -> BTreeMap<String, Value> {
    fs::create_dir_all(workdir.path().join("images")).unwrap();
    let write = |index: u64| {
        let figure = lab::figure(study::FIGURE_SEED, index);
        let name = format!("figure-{index:04}.png");
        figure.image.save(workdir.path().join("images").join(&name)).unwrap();
        (name, Value::from(figure.caption))
    };
    (0..count).map(write).collect()
}

fn captions(workdir: &Workdir, file: &str, captions: &BTreeMap<String, Value>) {
    workdir.file(file, &serde_json::to_string(captions).unwrap());
}

/// A picture as JPEG at quality 60, smaller, cut by a row and a column, or all of it.
fn save_again(picture: &RgbImage, way: usize, path: &Path) {
    let jpeg = |picture: &RgbImage| {
        JpegEncoder::new_with_quality(fs::File::create(path).unwrap(), 60).encode_image(picture).unwrap();
    };
    let smaller = |picture: &RgbImage| imageops::resize(picture, 150, 160, FilterType::Triangle);
    let cut = || imageops::crop_imm(picture, 1, 1, picture.width() - 1, picture.height() - 1).to_image();
    match way {
        0 => jpeg(picture),
        1 => smaller(picture).save(path).unwrap(),
        2 => cut().save(path).unwrap(),
        _ => jpeg(&smaller(&cut())),
    }
}

#[test]
fn pictures_saved_again_are_known_and_no_two_of_the_study_are_one() {
    let workdir = Workdir::new();
    figures(&workdir, 200);
    let images = workdir.path().join("images");
    let read = |name: String| Fingerprint::read(&images.join(name)).unwrap();
    let prints: Vec<Fingerprint> = (0..200).map(|index| read(format!("figure-{index:04}.png"))).collect();
    let near = |(index, one): (usize, &Fingerprint)| {
        prints[index + 1..].iter().filter(|other| one.is_near(other)).count()
    };
    assert_eq!(prints.iter().enumerate().map(near).sum::<usize>(), 0);
    for (index, print) in prints.iter().enumerate().take(24) {
        let picture = image::open(images.join(format!("figure-{index:04}.png"))).unwrap().to_rgb8();
        let name = format!("again-{index}.{}", if index % 4 % 3 == 0 { "jpg" } else { "png" });
        save_again(&picture, index % 4, &images.join(&name));
        assert!(read(name).is_near(print), "{index}");
    }
}

/// A study with one fault of every kind.
fn faulty() -> Workdir {
    let workdir = Workdir::new();
    let mut train = figures(&workdir, 60);
    let images = workdir.path().join("images");
    let at = |name: &str| images.join(name);
    let picture = |index: usize| image::open(at(&format!("figure-{index:04}.png"))).unwrap().to_rgb8();
    save_again(&picture(3), 3, &at("z-again.jpg"));
    fs::copy(at("figure-0004.png"), at("z-copy.png")).unwrap();
    save_again(&picture(5), 0, &at("scored.jpg"));
    imageops::resize(&picture(6), 20, 200, FilterType::Triangle).save(at("z-tiny.png")).unwrap();
    fs::write(at("z-broken.png"), "no picture").unwrap();
    let usual = train["figure-0003.png"].clone();
    for name in ["z-again.jpg", "z-copy.png", "z-tiny.png", "z-broken.png", "z-missing.png", "../secret.png"]
    {
        train.insert(name.to_owned(), usual.clone());
    }
    let german = "Die Dame trägt ein rotes Kleid mit kurzen Ärmeln und einen Hut aus Wolle.";
    train.insert("figure-0010.png".to_owned(), "".into());
    train.insert("figure-0011.png".to_owned(), serde_json::json!([usual, usual]));
    train.insert("figure-0012.png".to_owned(), serde_json::json!([german, usual]));
    captions(&workdir, "train.json", &train);
    workdir.file("test.json", r#"{"scored.jpg": "The lady wears a hat."}"#);
    workdir.file(
        "s.yaml",
        "model: lab\ndata:\n  train: {captions: train.json, images: images}\n  test: {captions: test.json, images: images}\n",
    );
    workdir
}

#[test]
fn every_kind_of_fault_is_found_by_name_and_left_out_of_the_copy() {
    let workdir = faulty();
    let seen = workdir.sweep("data check s.yaml --write clean.json");
    insta::assert_snapshot!(seen, @"
    exit 0
    --- stdout
    train: 66 images, 68 captions
    test: 1 image, 1 caption

    found                 train  test  cleaned copy         for example
    missing image             1     -  without the image    z-missing.png: there is no such file
    broken image              2     -  without the image    ../secret.png: is no name of a file below [DIR]/images
    tiny image                1     -  without the image    z-tiny.png: 20 x 200 pixels
    duplicate image           1     -  without the image    z-copy.png: the same bytes as figure-0004.png
    near duplicate image      2     -  without the image    z-again.jpg: the picture of figure-0003.png, saved again
    leaked image              1     -  without the image    figure-0005.png: the picture, saved again, of scored.jpg in test
    empty caption             1     -  without the caption  figure-0010.png: there is nothing in it
    repeated caption          1     -  without the caption  figure-0011.png: the image has the same caption before
    other language            1     -  without the caption  figure-0012.png: it seems to be German; most captions are English
    unusual length            1     -  as it is             figure-0012.png: it has 14 words; 44 are usual
    unusual words             1     -  as it is             figure-0012.png: 14 of its 14 words are in no other caption: aus, dame, die, ein, einen, ...

    note: train: 76 % of the captions begin with one of ten triples of words, 26 % with `the upper
    clothing`: a model learns the pattern first, and scores count it

    note: train: 15 % of the captions stand word for word with more than one image; the commonest with
    10: `Her tank shirt has no sleeves, cotton fabric and black pure color patterns. The ...`

    note: train: by their names the images are of 7 kinds, 91 % of them `figure` and 2 % `z-tiny`: a
    model learns to guess the common ones (`balance` evens them out)
    --- stderr
    looking at 67 images
    clean.json: 58 images, 58 captions; 10 left out, each with its reason in clean.json.removed.csv
    ");
    let clean: BTreeMap<String, Value> =
        serde_json::from_slice(&fs::read(workdir.path().join("clean.json")).unwrap()).unwrap();
    assert_eq!(clean.len(), 58, "of 66 all but seven images and one that was left without a caption");
    assert!(clean["figure-0011.png"].is_string() && clean["figure-0012.png"].is_string());
    let reasons = fs::read_to_string(workdir.path().join("clean.json.removed.csv")).unwrap();
    insta::assert_snapshot!(reasons.lines().map(without_caption).collect::<Vec<_>>().join("\n"), @r#"
    image | ?
    ../secret.png | broken_image
    figure-0005.png | leaked_image
    figure-0010.png | empty_caption
    figure-0011.png | repeated_caption
    figure-0012.png | other_language
    z-again.jpg | near_duplicate_image
    z-broken.png | broken_image
    z-copy.png | duplicate_image
    z-missing.png | missing_image
    z-tiny.png | tiny_image
    "#);
    // A clean copy has nothing that would be left out, and trains as it is.
    let text = fs::read_to_string(workdir.path().join("s.yaml")).unwrap();
    workdir.file("clean.yaml", &text.replace("train.json", "clean.json"));
    let again = workdir.sweep("data check clean.yaml");
    assert!(again.contains("no image and no caption found that is wrong by itself"), "{again}");
    assert!(workdir.sweep("audit clean.yaml").starts_with("exit 0\n"));
    assert!(workdir.sweep("audit s.yaml").starts_with("exit 2\n"));
}

/// A row of reasons without the caption, which may be long.
fn without_caption(row: &str) -> String {
    let fault = Kind::ALL.iter().map(|kind| kind.name()).find(|name| row.contains(&format!(",{name},")));
    format!("{} | {}", row.split(',').next().unwrap(), fault.unwrap_or("?"))
}

#[test]
fn what_is_to_be_kept_stays_and_programs_read_every_fault() {
    let workdir = faulty();
    let output = workdir
        .command("data check train.json images --format json --write clean.csv --keep near_duplicate_image,other_language")
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["v"], &report["sets"][0]["images"]), (&1.into(), &66.into()));
    let faults = report["faults"].as_array().unwrap();
    let of = |kind: &str| -> Vec<&str> {
        faults.iter().filter(|one| one["kind"] == kind).filter_map(|one| one["image"].as_str()).collect()
    };
    assert_eq!(of("near_duplicate_image"), ["z-again.jpg", "z-tiny.png"]);
    assert_eq!(of("leaked_image"), [""; 0], "captions alone have no other split");
    let clean = fs::read_to_string(workdir.path().join("clean.csv")).unwrap();
    assert!(clean.contains("z-again.jpg") && clean.contains("Die Dame") && !clean.contains("z-copy.png"));
}

#[test]
fn wrong_words_on_the_command_line_are_refused_with_a_way_out() {
    let workdir = faulty();
    insta::assert_snapshot!(workdir.sweep("data check train.json"), @"
    exit 2
    --- stderr
    error: train.json: the folder of its images has to be known
    hint: name it behind train.json
    ");
    insta::assert_snapshot!(workdir.sweep("data check train.json nowhere"), @"
    exit 2
    --- stderr
    error: nowhere: no such folder of images
    ");
    insta::assert_snapshot!(workdir.sweep("data check s.yaml images"), @"
    exit 2
    --- stderr
    error: s.yaml: a sweep file names its images itself; leave IMAGES out
    ");
    insta::assert_snapshot!(workdir.sweep("data check train.json images --write test.json"), @"
    exit 2
    --- stderr
    error: test.json: is there already
    hint: name another file for the cleaned copy
    ");
    insta::assert_snapshot!(workdir.sweep("data check train.json images --write clean.parquet"), @"
    exit 2
    --- stderr
    error: clean.parquet: a cleaned copy ends in .json, .jsonl, .csv or .tsv
    ");
    insta::assert_snapshot!(workdir.sweep("data check train.json images --keep leaked_image"), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --write <FILE>

    Usage: sweep data check --write <FILE> --keep <KIND,...> <CAPTIONS|SPEC> <IMAGES>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(workdir.sweep("data check train.json images --write a.csv --keep unusual_words"), @"
    exit 2
    --- stderr
    error: invalid value 'unusual_words' for '--keep <KIND,...>'
      [possible values: missing_image, broken_image, tiny_image, repeated_name, duplicate_image, near_duplicate_image, leaked_image, empty_caption, repeated_caption, overlong_caption, other_language]

    For more information, try '--help'.
    ");
}

#[test]
fn captions_of_every_form_train_the_same_and_convert_through_the_program() {
    let workdir = Workdir::new();
    let train = figures(&workdir, 12);
    captions(&workdir, "train.json", &train);
    workdir.file("test.json", r#"{"figure-0000.png": "The lady wears a hat."}"#);
    let audit = |captions: &str, images: &str| {
        workdir.file(
            "s.yaml",
            &format!("model: lab\ndata:\n  train: {{captions: {captions}, images: {images}}}\n  validation: {{fraction: 0.5}}\n"),
        );
        let seen = workdir.sweep("audit s.yaml");
        assert!(seen.starts_with("exit 0\n"), "{captions}: {seen}");
        seen
    };
    let expected = audit("train.json", "images");
    for (to, flags) in [
        ("a.csv", ""),
        ("a.tsv", ""),
        ("a.jsonl", ""),
        ("lists.json", "--to json-lists"),
        ("coco.json", "--to coco"),
    ] {
        let seen = workdir.sweep(&format!("data convert train.json {to} {flags}"));
        assert_eq!(seen, format!("exit 0\n--- stdout\n{to}: 12 images, 12 captions\n"));
        assert_eq!(audit(to, "images"), expected, "{to}");
    }
    for to in ["folder", "a.parquet"] {
        let seen = workdir.sweep(&format!("data convert train.json {to} --images images"));
        assert!(seen.starts_with("exit 0\n"), "{seen}");
    }
    assert_eq!(audit("folder", "folder"), expected);
    assert!(workdir.sweep("data convert a.parquet unpacked").starts_with("exit 0\n"));
    assert_eq!(audit("unpacked/metadata.jsonl", "unpacked"), expected);
    insta::assert_snapshot!(workdir.sweep("data convert train.json a.csv"), @"
    exit 2
    --- stderr
    error: a.csv: is there already, and nothing is written over it
    hint: name another place, or remove this one
    ");
    insta::assert_snapshot!(workdir.sweep("data convert train.json a.txt"), @"
    exit 2
    --- stderr
    error: a.txt: its ending tells no form of captions
    hint: end it in .json, .jsonl, .csv, .tsv or .parquet, or say --to FORM
    ");
    insta::assert_snapshot!(workdir.sweep("data convert train.json new.csv --caption-column words"), @r#"
    exit 2
    --- stderr
    error: train.json: it has no columns whose names could be told
    hint: captions are JSON of the form {"file name": "caption"} or {"file name": ["caption", ...]}, in UTF-8
    "#);
    insta::assert_snapshot!(workdir.sweep("data convert a.csv new.csv --caption-column words"), @"
    exit 2
    --- stderr
    error: a.csv:1: it has no caption (`words`); it has `file_name`, `caption`
    hint: the first row names the columns, such as file_name,caption; `sweep data convert` reads other names with --image-column and --caption-column
    ");
}
