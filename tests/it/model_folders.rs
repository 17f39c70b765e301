//! What a user meets whose model folder is not quite what the hub's are.

use std::fs;
use std::path::Path;

use crate::workdir::Workdir;

/// The built-in model as a folder `model`, and a picture, `x.png`.
fn with_model() -> Workdir {
    let workdir = Workdir::new();
    workdir.file("model/readme.txt", "");
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab");
    for entry in fs::read_dir(assets).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, workdir.path().join("model").join(path.file_name().unwrap())).unwrap();
    }
    let picture = image::RgbImage::from_fn(70, 50, |x, y| image::Rgb([(x * 3) as u8, (y * 5) as u8, 90]));
    picture.save(workdir.path().join("x.png")).unwrap();
    workdir
}

const CAPTION: &str = "caption --model model x.png --num-beams 1 --format json";

#[test]
fn a_processor_of_another_size_than_the_model_is_named() {
    let workdir = with_model();
    workdir.file("model/preprocessor_config.json", r#"{"size": 32}"#);
    let shown = workdir.sweep(CAPTION);
    let expected = "the processor makes images of 32 x 32, but the model takes 64 x 64";
    assert!(shown.starts_with("exit 2") && shown.contains(expected), "{shown}");
}

#[test]
fn a_folder_without_a_processor_file_says_where_to_get_one() {
    let workdir = with_model();
    fs::remove_file(workdir.path().join("model/preprocessor_config.json")).unwrap();
    let shown = workdir.sweep(CAPTION);
    assert!(shown.starts_with("exit 2") && shown.contains("no preprocessor_config.json"), "{shown}");
    assert!(shown.contains("hint: copy it from the model's repository"), "{shown}");
}

#[test]
fn a_picture_of_another_size_is_named_where_the_processor_does_not_resize() {
    let workdir = with_model();
    workdir.file("model/preprocessor_config.json", r#"{"size": 64, "do_resize": false}"#);
    let shown = workdir.sweep(CAPTION);
    assert!(shown.contains("x.png: 70 x 50 pixels, but the processor does not resize"), "{shown}");
}

#[test]
fn older_and_newer_layouts_of_the_same_model_say_the_same() {
    let workdir = with_model();
    let whole = workdir.sweep(CAPTION);
    assert!(whole.starts_with("exit 0"), "{whole}");
    let model = workdir.path().join("model");
    // Older repositories have the vocabulary alone, and transformers 5 keeps processors in one file.
    fs::remove_file(model.join("tokenizer.json")).unwrap();
    let processor = fs::read_to_string(model.join("preprocessor_config.json")).unwrap();
    fs::write(model.join("processor_config.json"), format!(r#"{{"image_processor": {processor}}}"#)).unwrap();
    fs::remove_file(model.join("preprocessor_config.json")).unwrap();
    assert_eq!(workdir.sweep(CAPTION), whole);
}
