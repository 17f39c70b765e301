//! Models whose weights or configurations are wrong.

use std::fs;

use serde_json::{Value, json};
use sweep::model::Config;

use super::{Case, Spoil, assets, case, check, fixture, own_data};
use crate::workdir::Workdir;

const CAPTION: &str = "caption --model model images/a.png";
const WEIGHTS: &str = "model/model.safetensors";
const CONFIG: &str = "model/config.json";
const PROCESSOR: &str = "model/preprocessor_config.json";
/// A tensor of the model: the biases of its 128 patches' channels.
const TENSOR: &str = "vision_model.embeddings.patch_embedding.bias";

/// The built-in model's weights with another header or other values.
fn edited(workdir: &Workdir, edit: impl FnOnce(&mut Value, &mut Vec<u8>)) {
    let whole = fs::read(assets().join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&whole[8..8 + length]).unwrap();
    let mut data = whole[8 + length..].to_vec();
    edit(&mut header, &mut data);
    weights(workdir, &header.to_string(), &data);
}

/// A file with this header and these values.
fn weights(workdir: &Workdir, header: &str, data: &[u8]) {
    let length = (header.len() as u64).to_le_bytes();
    workdir.bytes(WEIGHTS, &[&length[..], header.as_bytes(), data].concat());
}

/// The same with another header alone, which is told how long the values are. Returns the file's length.
fn edited_header(workdir: &Workdir, edit: impl FnOnce(&mut Value, u64)) -> u64 {
    edited(workdir, |header, data| edit(header, data.len() as u64));
    fs::metadata(workdir.path().join(WEIGHTS)).unwrap().len()
}

/// Makes the weights' file so long, without a byte more on the disk.
fn lengthen(workdir: &Workdir, length: u64) {
    let file = fs::OpenOptions::new().write(true).open(workdir.path().join(WEIGHTS)).unwrap();
    file.set_len(length).unwrap();
}

/// A model of which each size may be, and weights for it that the disk holds nothing of.
fn enormous(workdir: &Workdir) {
    for (place, value) in [("hidden_size", 8192), ("intermediate_size", 32_768), ("num_hidden_layers", 16)] {
        config(workdir, &format!("/vision_config/{place}"), json!(value));
    }
    let shapes = Config::load(&workdir.path().join("model")).unwrap().tensor_shapes();
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in shapes {
        let begin = end;
        end += 4 * shape.iter().map(|size| *size as u64).product::<u64>();
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}));
    }
    assert!(end > 48 << 30, "{end} bytes");
    let header = Value::Object(header).to_string();
    weights(workdir, &header, b"");
    lengthen(workdir, 8 + header.len() as u64 + end);
}

/// The built-in model's configuration with another value at a place such as `/vision_config/hidden_size`.
fn config(workdir: &Workdir, place: &str, value: Value) {
    let path = workdir.path().join(CONFIG);
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    *config.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
    workdir.bytes(CONFIG, config.to_string().as_bytes());
}

/// Weights in the form of PyTorch.
fn torch(workdir: &Workdir, bytes: &[u8]) {
    workdir.remove(WEIGHTS);
    workdir.bytes("model/pytorch_model.bin", bytes);
}

const FILES: &[Case] = &[
    case("no weights", CAPTION, |dir| dir.remove(WEIGHTS)),
    case("empty", CAPTION, |dir| dir.bytes(WEIGHTS, b"")),
    case("cut off in the values", CAPTION, |dir| {
        let whole = fs::read(dir.path().join(WEIGHTS)).unwrap();
        dir.bytes(WEIGHTS, &whole[..whole.len() - 1000]);
    }),
    case("cut off in the header", CAPTION, |dir| {
        let whole = fs::read(dir.path().join(WEIGHTS)).unwrap();
        dir.bytes(WEIGHTS, &whole[..200]);
    }),
    case("a header of 2^63 bytes", CAPTION, |dir| {
        dir.bytes(WEIGHTS, &[&(1u64 << 63).to_le_bytes()[..], b"{}"].concat());
    }),
    case("a header of a gigabyte, in a file of two", CAPTION, |dir| {
        dir.hollow(WEIGHTS, 2 << 30);
        use std::os::unix::fs::FileExt;
        let file = fs::OpenOptions::new().write(true).open(dir.path().join(WEIGHTS)).unwrap();
        file.write_all_at(&(1u64 << 30).to_le_bytes(), 0).unwrap();
    }),
    case("a header that is no JSON", CAPTION, |dir| weights(dir, "no header", b"")),
    case("a header of ten thousand lists in each other", CAPTION, |dir| {
        weights(dir, &"[".repeat(10_000), b"");
    }),
    case("offsets that overlap", CAPTION, |dir| {
        edited(dir, |header, _| header[TENSOR]["data_offsets"] = json!([0, 512]));
    }),
    case("offsets beyond the file", CAPTION, |dir| {
        weights(
            dir,
            r#"{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,18446744073709551615]}}"#,
            b"",
        );
    }),
    case("a shape whose size overflows", CAPTION, |dir| {
        weights(dir, r#"{"x":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#, b"");
    }),
    case("an unknown type of values", CAPTION, |dir| {
        edited(dir, |header, _| header[TENSOR]["dtype"] = json!("F31"))
    }),
    case("whole numbers for weights", CAPTION, |dir| {
        edited(dir, |header, _| header[TENSOR]["dtype"] = json!("I16"))
    }),
    case("another shape", CAPTION, |dir| edited(dir, |header, _| header[TENSOR]["shape"] = json!([64, 2]))),
    case("a tensor by another name, so that one is missing", CAPTION, |dir| {
        edited(dir, |header, _| {
            let header = header.as_object_mut().unwrap();
            let tensor = header.remove(TENSOR).unwrap();
            header.insert("vision_model.embeddings.patch_embedding.bais".to_owned(), tensor);
        });
    }),
    case("a tensor more, which is passed over", CAPTION, |dir| {
        edited(dir, |header, data| {
            header["more"] =
                json!({"dtype": "F32", "shape": [1], "data_offsets": [data.len(), data.len() + 4]});
            data.extend([0; 4]);
        });
    }),
    case("a weight that is no number", CAPTION, |dir| {
        edited(dir, |header, data| {
            let start = header[TENSOR]["data_offsets"][0].as_u64().unwrap() as usize;
            data[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        });
    }),
    case("fifty gigabytes of nothing that fit the configuration", CAPTION, enormous),
    case("a tensor of fifty gigabytes more, which is passed over", CAPTION, |dir| {
        let length = edited_header(dir, |header, bytes| {
            header["more"] = json!({
                "dtype": "F32", "shape": [50u64 << 28], "data_offsets": [bytes, bytes + (50 << 30)],
            });
        });
        lengthen(dir, length + (50 << 30));
    }),
    case("a folder", CAPTION, |dir| dir.folder(WEIGHTS)),
    case("a pipe", CAPTION, |dir| dir.pipe(WEIGHTS)),
    case("a link to itself", CAPTION, |dir| dir.link(WEIGHTS, "model.safetensors")),
    case("a page of a web server", CAPTION, |dir| {
        dir.bytes(WEIGHTS, b"<!DOCTYPE html><html>not found</html>")
    }),
    case("a pointer of Git LFS", CAPTION, |dir| {
        dir.bytes(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 989820849\n");
    }),
    case("parts that lie elsewhere", CAPTION, |dir| {
        dir.remove(WEIGHTS);
        dir.file("model/model.safetensors.index.json", r#"{"weight_map": {"x": "../../secret"}}"#);
    }),
    case("parts that are missing", CAPTION, |dir| {
        dir.remove(WEIGHTS);
        dir.file("model/model.safetensors.index.json", r#"{"weight_map": {"x": "model-1.safetensors"}}"#);
    }),
    case("an index that is none", CAPTION, |dir| {
        dir.remove(WEIGHTS);
        dir.file("model/model.safetensors.index.json", "[]");
    }),
    case("a pickle that would run a program", CAPTION, |dir| {
        torch(dir, &fixture("weight_files/refused/evil.bin"));
    }),
    case("a file of PyTorch before 1.6", CAPTION, |dir| {
        torch(dir, &fixture("weight_files/refused/legacy.bin"))
    }),
    case("no zip", CAPTION, |dir| torch(dir, b"PK\x03\x04 and no more")),
    case("PyTorch weights of another model", CAPTION, |dir| {
        torch(dir, &fixture("weight_files/bin/pytorch_model.bin"));
    }),
];

const CONFIGURATIONS: &[Case] = &[
    case("no configuration", CAPTION, |dir| dir.remove(CONFIG)),
    case("empty", CAPTION, |dir| dir.bytes(CONFIG, b"")),
    case("a list", CAPTION, |dir| dir.bytes(CONFIG, b"[]")),
    case("ten thousand lists in each other", CAPTION, |dir| dir.bytes(CONFIG, "[".repeat(10_000).as_bytes())),
    case("a gigabyte", CAPTION, |dir| dir.hollow(CONFIG, 1 << 30)),
    case("a pipe", CAPTION, |dir| dir.pipe(CONFIG)),
    case("another kind of model", CAPTION, |dir| {
        dir.bytes(CONFIG, br#"{"model_type": "bert", "hidden_size": 768}"#);
    }),
    case("another kind of model without its name", CAPTION, |dir| dir.bytes(CONFIG, br#"{"n_embd": 768}"#)),
    case("a thousand million channels", CAPTION, |dir| {
        config(dir, "/vision_config/hidden_size", json!(1_000_000_000));
    }),
    case("a million layers", CAPTION, |dir| config(dir, "/text_config/num_hidden_layers", json!(1_000_000))),
    case("no layers", CAPTION, |dir| config(dir, "/vision_config/num_hidden_layers", json!(0))),
    case("images of a million pixels a side", CAPTION, |dir| {
        config(dir, "/vision_config/image_size", json!(1_000_000));
    }),
    case("a negative size", CAPTION, |dir| config(dir, "/text_config/hidden_size", json!(-1))),
    case("a size that is a text", CAPTION, |dir| config(dir, "/text_config/hidden_size", json!("wide"))),
    case("no pixels in a patch", CAPTION, |dir| config(dir, "/vision_config/patch_size", json!(0))),
    case("heads that do not divide the width", CAPTION, |dir| {
        config(dir, "/vision_config/num_attention_heads", json!(7));
    }),
    case("no heads", CAPTION, |dir| config(dir, "/vision_config/num_attention_heads", json!(0))),
    case("a vocabulary of four thousand million words", CAPTION, |dir| {
        config(dir, "/text_config/vocab_size", json!(4_000_000_000u32));
    }),
    case("an epsilon below zero", CAPTION, |dir| config(dir, "/text_config/layer_norm_eps", json!(-1.0))),
    case("a width that is not the weights'", CAPTION, |dir| {
        config(dir, "/text_config/hidden_size", json!(64))
    }),
    case("a start token beyond the vocabulary", CAPTION, |dir| {
        config(dir, "/text_config/bos_token_id", json!(99_999));
    }),
    case("an absurd model of one's own in a plan", "plan s.yaml", |dir| {
        config(dir, "/vision_config/num_hidden_layers", json!(1_000_000));
    }),
    case("no processor", CAPTION, |dir| dir.remove(PROCESSOR)),
    case("a processor that is a pipe", CAPTION, |dir| dir.pipe(PROCESSOR)),
    case("a processor of a million pixels a side", CAPTION, |dir| {
        dir.bytes(PROCESSOR, br#"{"size": {"height": 1000000, "width": 1000000}}"#);
    }),
    case("a processor that divides by zero", CAPTION, |dir| {
        dir.bytes(PROCESSOR, br#"{"size": {"height": 64, "width": 64}, "image_std": [0, 0, 0]}"#);
    }),
    case("settings of generation that are no mapping", CAPTION, |dir| {
        dir.file("model/generation_config.json", "7");
    }),
    case("a thousand million beams", CAPTION, |dir| {
        dir.file("model/generation_config.json", r#"{"num_beams": 1000000000}"#);
    }),
    case("a penalty that is no number", CAPTION, |dir| {
        dir.file("model/generation_config.json", r#"{"length_penalty": "high"}"#);
    }),
    case("settings of generation that are a pipe", CAPTION, |dir| dir.pipe("model/generation_config.json")),
    case("a record of training that is a pipe", CAPTION, |dir| dir.pipe("model/sweep.json")),
];

#[test]
fn weights_that_are_wrong_cost_one_message_with_file_and_tensor() {
    check("weights", FILES, own_data);
}

#[test]
fn a_configuration_that_is_wrong_costs_one_message_with_file_and_key() {
    check("configurations", CONFIGURATIONS, own_data);
}
