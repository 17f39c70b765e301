//! Weights in safetensors form: small files of their own, the fixture's model, and headers that lie.

use std::path::Path;
use std::sync::LazyLock;

use candle_core::Device;
use serde_json::json;
use sweep::model::{Weights, WeightsError};
use sweep::random::Random;

use super::bytes::{damage, edge, noise, one_in};
use super::json::Json;
use super::{Input, Reached};

const FILE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const MODEL: &[u8] = include_bytes!("../../../tests/fixtures/weight_files/safetensors/model.safetensors");
const MODEL_CONFIG: &[u8] = include_bytes!("../../../tests/fixtures/weight_files/safetensors/config.json");
const DTYPES: [(&str, usize); 10] = [
    ("F32", 32),
    ("F64", 64),
    ("F16", 16),
    ("BF16", 16),
    ("I64", 64),
    ("U8", 8),
    ("BOOL", 8),
    ("F8_E4M3", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
];

pub fn make(random: &mut Random) -> Input {
    let (mut header, mut data) = if one_in(random, 10) { WHOLE_MODEL.clone() } else { small(random) };
    if one_in(random, 5) {
        lie(&mut header, random);
    }
    if one_in(random, 12) {
        header.mutate(random);
    }
    let mut text = header.text().into_bytes();
    if one_in(random, 3) {
        text.extend(vec![b' '; random.below(16)]);
    }
    let mut length = text.len() as u64;
    if one_in(random, 20) {
        length = *random.pick(&[0, 1, length - 1, length + 1, 100_000_000, 1 << 63, u64::MAX, u64::MAX - 7]);
    }
    if one_in(random, 12) {
        match random.below(3) {
            0 => data.truncate(random.below(data.len() + 1)),
            1 => data.extend(noise(random, 9)),
            _ => data.resize(data.len() + (edge(random) as usize).min(1 << 16), 0),
        }
    }
    let mut file = length.to_le_bytes().to_vec();
    file.extend(text);
    file.extend(data);
    if one_in(random, 16) {
        damage(&mut file, random);
    }
    let mut input = Input::one(FILE, file, random);
    input.files.push((CONFIG, MODEL_CONFIG.to_vec()));
    if one_in(random, 20) {
        in_parts(&mut input, random);
    }
    input
}

/// The file as a part that an index speaks of.
fn in_parts(input: &mut Input, random: &mut Random) {
    let mut index = Json::from(
        json!({"metadata": {"total_size": 8}, "weight_map": {"a": "part.safetensors", "b": CONFIG}}),
    );
    if !one_in(random, 3) {
        index = Json::from(json!({"weight_map": {"a": "part.safetensors"}}));
    }
    if one_in(random, 2) {
        index.mutate(random);
    }
    input.files[0].0 = "part.safetensors";
    input.files.push((INDEX, index.bytes(random)));
}

/// The fixture's header, and its data.
static WHOLE_MODEL: LazyLock<(Json, Vec<u8>)> = LazyLock::new(|| {
    let length = u64::from_le_bytes(MODEL[..8].try_into().expect("eight bytes")) as usize;
    let header = std::str::from_utf8(&MODEL[8..8 + length]).expect("the fixture's header is text");
    (Json::parsed(header), MODEL[8 + length..].to_vec())
});

/// A few tensors that lie one behind the other: some of the model's, some of other shapes and types. The values are
/// numbers more often than not.
fn small(random: &mut Random) -> (Json, Vec<u8>) {
    let (Json::Object(known), _) = &*WHOLE_MODEL else { unreachable!("a header is an object") };
    let mut entries = Vec::new();
    let mut data = Vec::new();
    for number in 0..random.below(6) {
        let (name, mut tensor) = random.pick(known).clone();
        let mut bits = 32;
        let shape: Vec<usize> = match tensor.get("shape") {
            Some(Json::List(sizes)) if !one_in(random, 4) => sizes
                .iter()
                .map(|size| size.text().parse().expect("the fixture's sizes are numbers"))
                .collect(),
            _ => (0..random.below(5)).map(|_| random.below(5)).collect(),
        };
        let mut dtype = "F32";
        if one_in(random, 2) {
            (dtype, bits) = *random.pick(&DTYPES);
        }
        let bytes = (shape.iter().product::<usize>() * bits).div_ceil(8);
        let begin = data.len();
        data.extend(if one_in(random, 2) { vec![0; bytes] } else { noise(random, bytes) });
        let name = if one_in(random, 4) { format!("t{number}") } else { name };
        let offsets = [begin, data.len()];
        entries.push((name, json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}).into()));
    }
    if one_in(random, 3) {
        entries.push(("__metadata__".to_owned(), json!({"format": "pt"}).into()));
    }
    (Json::Object(entries), data)
}

/// Makes one number of one tensor a lie.
fn lie(header: &mut Json, random: &mut Random) {
    let Json::Object(entries) = header else { return };
    if entries.is_empty() {
        return;
    }
    let place = random.below(entries.len());
    let number = Json::Raw(edge(random).to_string());
    let extra = edge(random);
    match (random.below(4), &mut entries[place].1) {
        (0, tensor) => {
            if let Some(Json::List(sizes)) = tensor.get("shape") {
                sizes.push(number);
            }
        }
        (1, tensor) => {
            if let Some(Json::List(sizes)) = tensor.get("shape") {
                sizes.extend([Json::Raw("0".to_owned()), number, Json::Raw(extra.to_string())]);
            }
        }
        (2, tensor) => {
            if let Some(Json::List(offsets)) = tensor.get("data_offsets") {
                let which = random.below(offsets.len().max(1));
                if let Some(offset) = offsets.get_mut(which) {
                    *offset = number;
                }
            }
        }
        (_, tensor) => {
            if let Some(dtype) = tensor.get("dtype") {
                *dtype = Json::Text(random.pick(&DTYPES).0.to_owned());
            }
        }
    }
}

pub fn feed(folder: &Path, _: &Input) -> Reached {
    reached(Weights::load(folder, &Device::Cpu))
}

/// A file is refused by its header, or because of one tensor.
pub fn reached(result: Result<Weights, WeightsError>) -> Reached {
    match result {
        Ok(_) => Reached::Accepted,
        Err(error @ WeightsError::Tensor { .. }) => {
            let _ = error.to_string();
            Reached::Body
        }
        Err(error) => {
            let _ = error.to_string();
            Reached::Header
        }
    }
}
