//! Files of captions in all their forms: the data set's, COCO's, tables, what `sweep caption` prints, a run's predictions.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sweep::data::caption_files::{self, CaptionFile};
use sweep::data::captions::read_captions;
use sweep::data::{Dataset, digest};
use sweep::random::Random;
use sweep::record::recipe::{DataFiles, Split, Validation};

use super::bytes::{damage, one_in};
use super::json::{Json, hostile, hostile_text};
use super::{Input, Reached};

const JSON: &str = "captions.json";
const LINES: &str = "captions.jsonl";
const TABLE: &str = "captions.csv";
const IMAGES: [&str; 6] = ["a.png", "b.png", "../a.png", "x/a.png", "7", "/dev/null"];

pub fn make(random: &mut Random) -> Input {
    let form = random.below(7);
    if form == 6 {
        let mut bytes = table(random).into_bytes();
        if one_in(random, 10) {
            damage(&mut bytes, random);
        }
        return Input::one(TABLE, bytes, random);
    }
    if form == 5 {
        let lines: Vec<Vec<u8>> = (0..random.below(6)).map(|_| line(random)).collect();
        let mut bytes = lines.join(&b'\n');
        if one_in(random, 10) {
            damage(&mut bytes, random);
        }
        return Input::one(LINES, bytes, random);
    }
    let count = if one_in(random, 100) { 500 } else { random.below(6) };
    let mut tree = match form {
        0 => Json::Object((0..count).map(|_| (image(random), Json::Text(caption(random)))).collect()),
        1 => Json::Object((0..count).map(|_| (image(random), captions(random))).collect()),
        2 => {
            let annotations: Vec<Value> = (0..count).map(|_| annotation("image_id", random)).collect();
            let images = [json!({"id": 7, "file_name": "a.png"}), json!({"id": "a.png"})];
            json!({"annotations": annotations, "images": images, "info": {"year": 2014}}).into()
        }
        3 => Json::List((0..count).map(|_| annotation("image_id", random).into()).collect()),
        _ => Json::List((0..count).map(|_| annotation("image", random).into()).collect()),
    };
    if !one_in(random, 3) {
        tree.mutate(random);
    }
    Input::one(JSON, tree.bytes(random), random)
}

fn image(random: &mut Random) -> String {
    if one_in(random, 6) { hostile_text(random) } else { (*random.pick(&IMAGES)).to_owned() }
}

fn caption(random: &mut Random) -> String {
    if one_in(random, 3) { hostile_text(random) } else { "a red ball on a table".to_owned() }
}

fn captions(random: &mut Random) -> Json {
    Json::List((0..random.below(4)).map(|_| Json::Text(caption(random))).collect())
}

fn annotation(key: &str, random: &mut Random) -> Value {
    let id = if one_in(random, 2) { json!(random.below(9)) } else { json!(image(random)) };
    json!({key: id, "caption": caption(random), "id": random.below(5)})
}

/// A table whose cells may hold anything, in quotes or not.
fn table(random: &mut Random) -> String {
    let separator = *random.pick(&[',', '\t', ';', '|']);
    let mut text = ["file_name", "n", "caption"].join(&separator.to_string()) + "\r\n";
    for _ in 0..random.below(6) {
        let cells = if one_in(random, 8) { random.below(5) } else { 3 };
        let cell = |random: &mut Random| match random.below(4) {
            0 => hostile_text(random),
            1 => format!("\"{}\"", hostile_text(random).replace('"', "\"\"")),
            2 => format!("\"{}", hostile_text(random)),
            _ => image(random),
        };
        let row: Vec<String> = (0..cells).map(|_| cell(random)).collect();
        text += &(row.join(&separator.to_string()) + if one_in(random, 3) { "\r\n" } else { "\n" });
    }
    text
}

fn line(random: &mut Random) -> Vec<u8> {
    let mut tree = Json::from(json!({"image": image(random), "split": "test", "caption": caption(random)}));
    if one_in(random, 4) {
        tree.mutate(random);
    }
    if one_in(random, 30) { hostile(random).text().into_bytes() } else { tree.bytes(random) }
}

pub fn feed(folder: &Path, input: &Input) -> Reached {
    let (name, bytes) = &input.files[0];
    let path = folder.join(name);
    let well_formed = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    let has_header = if *name == TABLE {
        bytes.starts_with(b"file_name")
    } else if *name == LINES {
        bytes.split(|byte| *byte == b'\n').any(well_formed)
    } else {
        well_formed(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
    };
    let _ = read_captions(&path).map_err(|error| error.to_string());
    if input.choice.is_multiple_of(4) {
        load(folder, &path);
    }
    match caption_files::read(&path) {
        Ok(file) => {
            compare(&file);
            Reached::Accepted
        }
        Err(error) => {
            let _ = error.to_string();
            if has_header { Reached::Body } else { Reached::Header }
        }
    }
}

/// What `sweep score` does with two files.
fn compare(file: &CaptionFile) {
    let _ = caption_files::pair(file, file).map_err(|error| error.to_string());
    let references: CaptionFile =
        vec![sweep::data::captions::Entry { image: "a.png".into(), captions: vec!["a ball".into()] }].into();
    let _ = caption_files::match_up(&references, &file.of_split("test"));
}

/// The file as that of a data set whose folder has one image.
fn load(folder: &Path, path: &Path) {
    const PIXEL: &[u8] = include_bytes!("../../../tests/fixtures/processor/exact_one_pixel.png");
    fs::write(folder.join("a.png"), PIXEL).expect("the scratch folder can be written");
    let text = |path: &Path| path.display().to_string();
    let split = Split { captions: text(path), images: text(folder) };
    let validation = Validation { fraction: Some(0.5), ..Validation::default() };
    let files = DataFiles { train: split.clone(), validation, test: Some(split), source: None };
    if let Ok(data) = Dataset::load(&files) {
        let _ = digest(&data);
    }
}
