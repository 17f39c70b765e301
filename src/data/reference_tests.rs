//! Compares pictures, processors and tokenizers with what Pillow and transformers made of the same, drawn
//! at random by `tests/reference/processor.py`. Other draws than the committed one are read where
//! `SWEEP_PROCESSOR_FIXTURES` names their folder.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use image::RgbImage;
use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::image_file::decode_rgb;
use super::resample::resize_bicubic;
use super::{CaptionTokenizer, ImageProcessor};

/// What a file of the fixtures holds; `None` where another draw has not made it.
fn fixture(name: &str) -> Option<Value> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/processor");
    let folder = std::env::var_os("SWEEP_PROCESSOR_FIXTURES").map_or(committed, PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    let reader = BufReader::new(GzDecoder::new(File::open(path).unwrap()));
    Some(serde_json::from_reader(reader).unwrap())
}

fn number<T: TryFrom<u64>>(value: &Value) -> T
where
    T::Error: std::fmt::Debug,
{
    T::try_from(value.as_u64().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// 64 bits of the digest, in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest_of_values(values: &[f32]) -> String {
    digest(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// A hash of 32-bit numbers, murmur3's last step.
fn mixed(mut number: u32) -> u32 {
    number ^= number >> 16;
    number = number.wrapping_mul(0x85eb_ca6b);
    number ^= number >> 13;
    number = number.wrapping_mul(0xc2b2_ae35);
    number ^ number >> 16
}

/// The picture that `drawn` in `tests/reference/processor_parts/drawn.py` draws.
fn drawn(case: &Value) -> RgbImage {
    let (kind, seed) = (case["kind"].as_str().unwrap(), number::<u32>(&case["seed"]));
    let [width, height] = numbers(&case["from"])[..] else { panic!("{case}") };
    let noise = |x: u32, y: u32, channel: u32| {
        let place = x.wrapping_add(y.wrapping_mul(65_537)).wrapping_add(channel.wrapping_mul(0x1000_0000));
        mixed(place.wrapping_add(seed.wrapping_mul(0x9e37_79b9))) as u8
    };
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([0, 1, 2].map(|channel| match kind {
            "noise" => noise(x, y, channel),
            "extremes" => {
                if noise(x, y, channel) < 128 {
                    0
                } else {
                    255
                }
            }
            "blocks" => noise(x >> 3, y >> 3, channel),
            "slopes" => (x * (seed % 7) + y * (seed % 5) + channel * 85) as u8,
            _ => panic!("{kind}"),
        }))
    })
}

fn all_equal(name: &str, checked: usize, wrong: &[String]) {
    assert!(checked > 0, "{name}: nothing to compare");
    println!("{name}: {checked} compared, {} differ", wrong.len());
    let shown = &wrong[..wrong.len().min(50)];
    assert!(wrong.is_empty(), "{name}: {} of {checked} differ: {shown:#?}", wrong.len());
}

#[test]
fn resizing_and_normalising_equal_pillow_and_transformers_to_the_last_bit_at_any_size() {
    let Some(cases) = fixture("resizes.json.gz") else { return };
    let wrong = array(&cases).par_iter().filter_map(|case| {
        let picture = drawn(case);
        let [width, height] = numbers(&case["to"])[..] else { panic!("{case}") };
        let resized = digest(&resize_bicubic(&picture, width, height));
        let values = ImageProcessor { width, height, ..ImageProcessor::default() }.process(&picture);
        let equal = case["resized"] == *resized && case["values"] == *digest_of_values(&values);
        (!equal).then(|| case.to_string())
    });
    all_equal("resizes", array(&cases).len(), &wrong.collect::<Vec<_>>());
}

#[test]
fn files_of_every_kind_decode_as_in_pillow_to_the_last_bit() {
    let Some(cases) = fixture("files.json.gz") else { return };
    let wrong = array(&cases).par_iter().filter_map(|case| {
        let bytes = BASE64.decode(case["file"].as_str().unwrap()).unwrap();
        let problem = match (decode_rgb(&bytes), case.get("refused")) {
            // What Pillow refuses has nothing to be compared with.
            (_, Some(_)) => return None,
            (Err(error), None) => error.to_string(),
            (Ok(picture), None) => {
                let size = numbers(&case["size"]);
                if size != [picture.width(), picture.height()] {
                    format!("{:?}, not {size:?}", picture.dimensions())
                } else if case["rgb"] != *digest(&picture) {
                    "other pixels".to_owned()
                } else {
                    return None;
                }
            }
        };
        Some(format!("{}: {problem}", case["kind"].as_str().unwrap()))
    });
    all_equal("files", array(&cases).len(), &wrong.collect::<Vec<_>>());
}

/// A folder with files of JSON, or of text where the content is a string.
fn folder_with(files: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files.as_object().unwrap() {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn processor_files_are_honoured_as_in_transformers_or_refused_by_name() {
    let Some(fixture) = fixture("settings.json.gz") else { return };
    let picture = drawn(&fixture["picture"]);
    let cases = array(&fixture["cases"]);
    let mut wrong = Vec::new();
    for case in cases {
        let folder = folder_with(&case["files"]);
        let answer = ImageProcessor::load(folder.path()).map(|processor| processor.process(&picture));
        let equal = match (answer, case["refused"].as_str()) {
            (Ok(values), None) => case["values"] == *digest_of_values(&values),
            (Err(error), Some(key)) => error.to_string().contains(&format!(": `{key}` is ")),
            _ => false,
        };
        wrong.extend((!equal).then(|| case.to_string()));
    }
    all_equal("processor files", cases.len(), &wrong);
}

/// Compares a tokenizer's ids, and texts of ids, with transformers'.
fn compare(tokenizer: &CaptionTokenizer, case: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let ends = [tokenizer.pad, tokenizer.cls, tokenizer.sep];
    if numbers(&case["special"]) != ends || number::<usize>(&case["size"]) != tokenizer.vocabulary_size {
        wrong.push(format!("{ends:?} of {}", tokenizer.vocabulary_size));
    }
    let encodings = array(&case["captions"]).iter().zip(array(&case["lengths"])).zip(array(&case["ids"]));
    for ((caption, length), ids) in encodings {
        let caption = caption.as_str().unwrap();
        let found = tokenizer.encode(caption, number(length)).unwrap();
        if found != numbers(ids) {
            let start: String = caption.chars().take(80).collect();
            wrong.push(format!("{start:?} to {length}: {found:?}, not {ids}"));
        }
    }
    for (said, text) in array(&case["said"]).iter().zip(array(&case["decoded"])) {
        let found = tokenizer.decode(&numbers(said)).unwrap();
        wrong.extend((*text != found).then(|| format!("{said}: {found:?}, not {text}")));
    }
    wrong
}

#[test]
fn tokenizers_in_folders_of_all_ages_give_the_ids_and_texts_of_transformers() {
    let Some(cases) = fixture("tokenizers.json.gz") else { return };
    let wrong: Vec<String> = array(&cases)
        .par_iter()
        .flat_map_iter(|case| {
            let folder = folder_with(&case["files"]);
            let problems = match CaptionTokenizer::load(folder.path()) {
                Ok(tokenizer) => compare(&tokenizer, case),
                Err(error) => vec![error.to_string()],
            };
            problems.into_iter().map(move |problem| format!("{}: {problem}", case["name"]))
        })
        .collect();
    let compared =
        array(&cases).iter().map(|case| array(&case["ids"]).len() + array(&case["said"]).len()).sum();
    all_equal("small tokenizers", compared, &wrong);
}

#[test]
fn the_hub_tokenizer_gives_the_ids_and_texts_of_transformers_for_ten_thousand_captions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/blip-base");
    if !folder.exists() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let Some(case) = fixture("captions_blip_base.json.gz") else { return };
    let tokenizer = CaptionTokenizer::load(&folder).unwrap();
    let compared = array(&case["ids"]).len() + array(&case["said"]).len();
    all_equal("captions", compared, &compare(&tokenizer, &case));
}
