//! An audit that looks at images, through the real program: the floor of the nearest image, pictures that are there
//! twice, and files that cannot be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use candle_core::Device;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use serde_json::Value;
use sweep::plan::expand;
use sweep::record::Store;
use sweep::record::recipe::Kind;
use sweep::run::resolve::resolve;
use sweep::spec;
use sweep::train::{Session, execute};

use crate::end_to_end::{cut, prepared};
use crate::workdir::Workdir;

fn audited(workdir: &Workdir, arguments: &str) -> Value {
    let output = workdir.command(&format!("audit {arguments} --format json")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn meanings<'a>(audit: &'a Value, kind: &str) -> Vec<&'a str> {
    let findings = audit["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["kind"] == kind)
        .filter_map(|finding| finding["meaning"].as_str())
        .collect()
}

/// The floor of the nearest image by split and metric.
fn nearest(audit: &Value) -> BTreeMap<(String, String), Value> {
    let mut floors = BTreeMap::new();
    for range in audit["ranges"].as_array().unwrap() {
        for (name, metric) in range["metrics"].as_object().unwrap() {
            floors.insert(
                (range["split"].as_str().unwrap().to_owned(), name.clone()),
                metric["nearest"].clone(),
            );
        }
    }
    floors
}

#[test]
fn the_built_in_study_has_no_picture_twice_and_the_floor_that_its_run_of_the_nearest_image_scores() {
    let workdir = Workdir::new();
    workdir.file("s.yaml", "model: lab\nparameters:\n  learning_rate: {values: [1.0e-4]}\n");
    let audit = audited(&workdir, "s.yaml --images --device cpu");
    assert_eq!(meanings(&audit, "shared_images"), [""; 0]);
    assert_eq!(meanings(&audit, "duplicate_images"), [""; 0]);
    let mut plain = audited(&workdir, "s.yaml");
    assert!(nearest(&plain).values().all(Value::is_null));

    let scores = of_the_run(workdir.path());
    assert_eq!(nearest(&audit), scores);
    // Nothing else differs from an audit that looks at no image.
    for range in plain["ranges"].as_array_mut().unwrap() {
        let split = range["split"].as_str().unwrap().to_owned();
        for (name, metric) in range["metrics"].as_object_mut().unwrap() {
            metric["nearest"] = scores[&(split.clone(), name.clone())].clone();
        }
    }
    assert_eq!(audit, plain);
}

/// What the plan's run of the nearest image scores, by split and metric.
fn of_the_run(workdir: &Path) -> BTreeMap<(String, String), Value> {
    let runs = workdir.join("runs");
    let plan = expand(&spec::load(&workdir.join("s.yaml"), &[]).unwrap()).unwrap().runs;
    let run = plan.into_iter().find(|run| run.recipe.kind == Kind::NearestImage).unwrap();
    let directory = Store::new(&runs).sweep("s").run(&run.id);
    fs::create_dir_all(&directory.path).unwrap();
    let session = Session {
        spec: &run,
        inputs: &resolve(&run.recipe, &runs).unwrap(),
        directory: &directory,
        device: Device::Cpu,
        device_name: "cpu".to_owned(),
        threads: 1,
        checkpoint_every: Duration::from_secs(60),
        until_epoch: None,
        heir: None,
        cache: None,
        stop: &|| false,
    };
    let summary = serde_json::to_value(execute(&session, &mut |_| Ok(())).unwrap().summary).unwrap();
    let mut scores = BTreeMap::new();
    for name in ["meteor", "rouge_l", "cider_d", "bleu_4", "score"] {
        for (split, key) in [("validation", "best"), ("test", "test")] {
            assert!(summary[key][name].is_f64(), "{summary}");
            scores.insert((split.to_owned(), name.to_owned()), summary[key][name].clone());
        }
    }
    scores
}

/// A picture as other programs save it again: at a quality of 60, at another size, without its first row and column.
fn save_again(picture: &RgbImage, way: usize, path: &Path) {
    match way {
        0 => {
            let file = fs::File::create(path).unwrap();
            JpegEncoder::new_with_quality(file, 60).encode_image(picture).unwrap();
        }
        1 => imageops::resize(picture, 150, 160, FilterType::Triangle).save(path).unwrap(),
        _ => imageops::crop_imm(picture, 1, 1, picture.width() - 1, picture.height() - 1)
            .to_image()
            .save(path)
            .unwrap(),
    }
}

/// Adds pictures of a split from `first` on, saved again, to those of a split: as many for each way of saving.
fn plant(workdir: &Workdir, (from, first): (&str, usize), to: &str, each: usize) {
    let read = |split: &str| -> BTreeMap<String, String> {
        serde_json::from_slice(&fs::read(workdir.path().join(format!("{split}.json"))).unwrap()).unwrap()
    };
    let mut captions = read(to);
    let images = workdir.path().join("study/images");
    for (index, (name, caption)) in read(from).into_iter().skip(first).take(3 * each).enumerate() {
        let (way, picture) = (index % 3, image::open(images.join(&name)).unwrap().to_rgb8());
        let copy = format!("{to}-{way}-{name}{}", if way == 0 { ".jpg" } else { ".png" });
        save_again(&picture, way, &images.join(&copy));
        captions.insert(copy, caption);
    }
    workdir.file(&format!("{to}.json"), &serde_json::to_string(&captions).unwrap());
}

#[test]
fn pictures_saved_again_are_found_wherever_they_are() {
    let workdir = prepared();
    for (split, count) in [("train", 60), ("validation", 10), ("test", 20)] {
        cut(&workdir, split, count);
    }
    plant(&workdir, ("validation", 0), "test", 1);
    plant(&workdir, ("train", 0), "validation", 4);
    plant(&workdir, ("train", 0), "test", 10);
    plant(&workdir, ("train", 50), "train", 2);
    // A copy of the file itself is found without looking.
    let images = workdir.path().join("study/images");
    let name = "test-1-figure-0001.png.png";
    assert!(images.join(name).exists());
    fs::copy(images.join("figure-0001.png"), images.join(name)).unwrap();

    let audit = audited(&workdir, "small.yaml --images");
    let [same_file, saved_again] = meanings(&audit, "shared_images")[..] else {
        panic!("{}", audit["findings"])
    };
    assert!(
        same_file.contains("(0 of validation, 1 of test, such as test-1-figure-0001.png.png)"),
        "{same_file}"
    );
    assert!(
        saved_again.contains("near-duplicates of training images (12 of validation, 29 of test"),
        "{saved_again}"
    );
    assert!(saved_again.contains("validation-0-figure-0000.png.jpg of figure-0000.png"), "{saved_again}");
    let [repeated] = meanings(&audit, "duplicate_images")[..] else { panic!("{}", audit["findings"]) };
    // Beside the three planted ones, the copies in test are those of validation as well.
    assert!(repeated.contains("(6 of training, 0 of validation, 15 of test"), "{repeated}");
    assert_eq!(meanings(&audited(&workdir, "small.yaml"), "shared_images"), [same_file]);
}

#[test]
fn what_cannot_be_looked_at_is_named() {
    let workdir = prepared();
    // The header is sound: only who decodes the picture sees that it is broken.
    for name in ["figure-0003.png", "figure-0320.png"] {
        let path = workdir.path().join("study/images").join(name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0x5a);
        fs::write(&path, bytes).unwrap();
    }
    assert!(workdir.sweep("audit small.yaml").starts_with("exit 0\n"));
    let said = workdir.sweep("audit small.yaml --images");
    assert!(
        said.starts_with("exit 2\n--- stderr\nerror: 2 problems with the data\n  broken image (2):\n"),
        "{said}"
    );
    for name in ["figure-0003.png: cannot be decoded", "figure-0320.png: cannot be decoded"] {
        assert!(said.contains(name), "{said}");
    }

    let workdir = prepared();
    workdir.file("study/model/model.safetensors", "no weights");
    let said = workdir.sweep("audit small.yaml --images");
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("cannot look at the images with the model in [DIR]/study/model"), "{said}");
    fs::remove_file(workdir.path().join("study/model/model.safetensors")).unwrap();
    let said = workdir.sweep("audit small.yaml --images");
    assert!(
        said.starts_with("exit 2\n--- stderr\nerror: model: [DIR]/study/model: no model weights\n"),
        "{said}"
    );
}
