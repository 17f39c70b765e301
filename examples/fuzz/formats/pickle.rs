//! Weights in PyTorch's form: a zip of a pickle and storages. The pickle is made opcode by opcode.

use std::path::Path;

use candle_core::Device;
use sweep::model::{Weights, WeightsError};
use sweep::random::Random;

use super::bytes::{damage, edge, noise, one_in};
use super::json::hostile_text;
use super::safetensors::reached;
use super::{Input, Reached, zip};

const FILE: &str = "pytorch_model.bin";
const CONFIG: &str = "config.json";
const MODEL: &[u8] = include_bytes!("../../../tests/fixtures/weight_files/bin_strided/pytorch_model.bin");
const MODEL_CONFIG: &[u8] = include_bytes!("../../../tests/fixtures/weight_files/safetensors/config.json");

pub fn make(random: &mut Random) -> Input {
    let mut file = if one_in(random, 16) { MODEL.to_vec() } else { small(random) };
    if one_in(random, 12) {
        damage(&mut file, random);
    }
    let mut input = Input::one(FILE, file, random);
    input.files.push((CONFIG, MODEL_CONFIG.to_vec()));
    input
}

pub fn feed(folder: &Path, _: &Input) -> Reached {
    let result = Weights::load(folder, &Device::Cpu);
    // The header is the zip's directory; its entries and the pickle in one of them lie behind it.
    match &result {
        Err(WeightsError::Read { reason, .. })
            if !reason.starts_with("it is no zip") && !reason.starts_with("it holds no data.pkl") =>
        {
            Reached::Body
        }
        _ => reached(result),
    }
}

fn small(random: &mut Random) -> Vec<u8> {
    let storages = 1 + random.below(3);
    let length = *random.pick(&[0, 24, 32, 256, 256, 320]);
    let mut opcodes =
        if one_in(random, 40) { bomb(random) } else { dictionary(storages, length / 4, random) };
    if one_in(random, 3) {
        shuffle(&mut opcodes, random);
    }
    let mut pickle = opcodes.concat();
    if one_in(random, 8) {
        damage(&mut pickle, random);
    }
    let mut entries = vec![("m/data.pkl".to_owned(), pickle)];
    for storage in 0..storages {
        let bytes = if one_in(random, 2) { vec![0; length] } else { noise(random, length) };
        entries.push((format!("m/data/{storage}"), bytes));
    }
    if one_in(random, 4) {
        const ORDERS: [&[u8]; 4] = [b"little", b"big", b"", &[b' '; 40]];
        let order = ORDERS[random.below(ORDERS.len())];
        entries.push(("m/byteorder".to_owned(), order.to_vec()));
    }
    if one_in(random, 20) {
        random.shuffle(&mut entries);
        entries.push(random.pick(&entries).clone());
    }
    if one_in(random, 20) {
        entries[0].0 = format!("{}/data.pkl", hostile_text(random));
    }
    let lies = one_in(random, 6);
    zip::archive(&entries, lies, random)
}

/// An opcode with its argument.
type Opcode = Vec<u8>;

fn text(text: &str) -> Opcode {
    let mut opcode = vec![b'X'];
    opcode.extend((text.len() as u32).to_le_bytes());
    opcode.extend(text.as_bytes());
    opcode
}

fn global(name: &str) -> Opcode {
    format!("c{}\n", name.replacen(' ', "\n", 1)).into_bytes()
}

/// A whole number in the shortest opcode, or one that does not hold it.
fn whole(number: u64, random: &mut Random) -> Opcode {
    let bytes = number.to_le_bytes();
    match random.below(12) {
        0 => [b"J", &bytes[..4]].concat(),
        1 => [&[0x8a, 8], &bytes[..]].concat(),
        2 => [&[0x8a, random.below(12) as u8], &bytes[..]].concat(),
        _ if number < 256 => vec![b'K', bytes[0]],
        _ if number < 65_536 => vec![b'M', bytes[0], bytes[1]],
        _ => [&[0x8a, 8], &bytes[..]].concat(),
    }
}

fn tuple(items: impl IntoIterator<Item = Opcode>) -> Vec<Opcode> {
    let mut opcodes = vec![vec![b'(']];
    opcodes.extend(items);
    opcodes.push(vec![b't']);
    opcodes
}

/// A dictionary of tensors as `torch.save` writes it, with sizes that lie at times.
fn dictionary(storages: usize, values: usize, random: &mut Random) -> Vec<Opcode> {
    const CLASSES: [&str; 6] = [
        "torch FloatStorage",
        "torch DoubleStorage",
        "torch HalfStorage",
        "torch BFloat16Storage",
        "torch LongStorage",
        "os system",
    ];
    // Tensors that the configuration knows.
    const TENSORS: [(&str, &[u64]); 4] = [
        ("vision_model.post_layernorm.bias", &[8]),
        ("text_decoder.cls.predictions.transform.dense.bias", &[6]),
        ("vision_model.embeddings.class_embedding", &[1, 1, 8]),
        ("vision_model.embeddings.position_embedding", &[1, 5, 8]),
    ];
    let mut opcodes = vec![vec![0x80, 2], vec![b'}'], vec![b'q', 0], vec![b'(']];
    let size_of = |likely: u64, random: &mut Random| {
        let number = match random.below(40) {
            0 => edge(random),
            1 => random.below(4) as u64,
            _ => likely,
        };
        whole(number, random)
    };
    for (name, shape) in TENSORS.into_iter().take(random.below(5)) {
        opcodes.push(text(if one_in(random, 8) { "t" } else { name }));
        let is_parameter = one_in(random, 6);
        if is_parameter {
            opcodes.push(global("torch._utils _rebuild_parameter"));
            opcodes.push(vec![b'(']);
        }
        let call = if one_in(random, 20) { "posix system" } else { "torch._utils _rebuild_tensor_v2" };
        opcodes.push(global(call));
        opcodes.push(vec![b'(']);
        let class = if one_in(random, 3) { *random.pick(&CLASSES) } else { CLASSES[0] };
        let key = if one_in(random, 20) { hostile_text(random) } else { random.below(storages).to_string() };
        let name = [text("storage"), global(class), text(&key), text("cpu"), whole(values as u64, random)];
        opcodes.extend(tuple(name));
        opcodes.push(vec![b'Q']);
        opcodes.push(size_of(random.below(3) as u64, random));
        let sizes: Vec<Opcode> = shape.iter().map(|size| size_of(*size, random)).collect();
        opcodes.extend(tuple(sizes));
        // Rows that lie one behind the other, or all values on each other.
        let step = if one_in(random, 4) { 0 } else { 1 };
        let rows = shape.iter().skip(1).map(|_| size_of(8 * step, random)).collect::<Vec<_>>();
        let mut strides = [rows, vec![size_of(step, random)]].concat();
        if one_in(random, 30) {
            strides.pop();
        }
        opcodes.extend(tuple(strides));
        opcodes.extend([
            vec![0x89],
            global("collections OrderedDict"),
            vec![b')'],
            vec![b'R'],
            vec![b't'],
            vec![b'R'],
        ]);
        if is_parameter {
            opcodes.extend([vec![0x88], vec![b'N'], vec![b't'], vec![b'R']]);
        }
    }
    opcodes.extend([vec![b'u'], vec![b'.']]);
    opcodes
}

/// Opcodes left out, doubled, exchanged or put in.
fn shuffle(opcodes: &mut Vec<Opcode>, random: &mut Random) {
    const OTHERS: [&[u8]; 18] = [
        b"(", b")", b"]", b"}", b"N", b"t", b"a", b"e", b"s", b"u", b"R", b"b", b"Q", b"q\x01", b"h\x01",
        b"h\x00", b"\x81", b"\x87",
    ];
    for _ in 0..=random.below(3) {
        if opcodes.is_empty() {
            return;
        }
        let (place, other) = (random.below(opcodes.len()), random.below(opcodes.len()));
        match random.below(5) {
            0 => drop(opcodes.remove(place)),
            1 => opcodes.insert(place, opcodes[other].clone()),
            2 => opcodes.swap(place, other),
            3 => opcodes.insert(place, random.pick(&OTHERS).to_vec()),
            _ => damage(&mut opcodes[place], random),
        }
    }
}

/// Few bytes that stand for very many values.
fn bomb(random: &mut Random) -> Vec<Opcode> {
    let depth = *random.pick(&[10, 200, 10_000]);
    const REPEATED: [&[&[u8]]; 7] = [
        &[b"h\x00", b"h\x00", b"\x86", b"q\x00"],
        &[b"\x85"],
        &[b"("],
        &[b"]"],
        &[b"]", b"q\x00", b"h\x00", b"a"],
        &[b"(h\x00h\x00h\x00t", b"q\x00"],
        &[b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff"],
    ];
    let repeated = REPEATED[random.below(REPEATED.len())];
    let mut opcodes = vec![vec![0x80, 2], text("lol"), vec![b'q', 0]];
    for _ in 0..depth {
        opcodes.extend(repeated.iter().map(|opcode| opcode.to_vec()));
    }
    opcodes.extend([vec![b'.']]);
    opcodes
}
