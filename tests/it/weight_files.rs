//! A model's weights in every form in which they are published (fixtures: `tests/reference/weight_files.py`).

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use sweep::model::Weights;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weight_files")
}

/// A folder with the model's configuration.
fn model_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixtures().join("safetensors/config.json"), folder.path().join("config.json")).unwrap();
    folder
}

/// The same with one file as its weights.
fn folder_with(bytes: &[u8], name: &str) -> tempfile::TempDir {
    let folder = model_folder();
    fs::write(folder.path().join(name), bytes).unwrap();
    folder
}

/// The digest of the weights that a form has.
fn digest(form: &str) -> String {
    let folder = model_folder();
    for file in fs::read_dir(fixtures().join(form)).unwrap().flatten() {
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    digest_of(folder.path())
}

fn digest_of(folder: &Path) -> String {
    Weights::load(folder, &Device::Cpu).unwrap().digest().unwrap()
}

/// What is said of weights that cannot be used.
fn refused(bytes: &[u8], name: &str) -> String {
    let folder = folder_with(bytes, name);
    let error = Weights::load(folder.path(), &Device::Cpu).err().expect("these weights cannot be used");
    error.to_string().replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn every_form_gives_the_same_bits() {
    let expected = digest("safetensors");
    for form in ["safetensors_parts", "bin", "bin_parts", "bin_strided", "bin_double"] {
        assert_eq!(digest(form), expected, "{form}");
    }
}

#[test]
fn half_precision_gives_the_values_that_pytorch_has_for_it() {
    let rounded = fs::read(fixtures().join("bin_half/expected.safetensors")).unwrap();
    let expected = folder_with(&rounded, "model.safetensors");
    assert_eq!(digest("bin_half"), digest_of(expected.path()));
}

#[test]
fn what_a_pickle_wants_called_is_named_and_not_called() {
    let marker = Path::new("/tmp/sweep_was_unpickled");
    let evil = fs::read(fixtures().join("refused/evil.bin")).unwrap();
    let message = refused(&evil, "pytorch_model.bin");
    assert!(message.contains("it would call `posix.system`"), "{message}");
    assert!(!marker.exists());
    let sparse = fs::read(fixtures().join("refused/sparse.bin")).unwrap();
    assert!(refused(&sparse, "pytorch_model.bin").contains("torch._utils._rebuild_sparse_tensor"));
}

#[test]
fn storages_that_lie_on_each_other_are_not_read_again_and_again() {
    let mut bytes = fs::read(fixtures().join("bin/pytorch_model.bin")).unwrap();
    // The entries of the zip's directory that are storages; each gets the place and sizes of the largest.
    let is_storage = |at: usize| {
        let length = usize::from(u16::from_le_bytes([bytes[at + 28], bytes[at + 29]]));
        bytes[at + 46..][..length].windows(6).any(|part| part == b"/data/")
    };
    let starts = (0..bytes.len() - 46).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02") && is_storage(at));
    let entries: Vec<usize> = starts.collect();
    let size = |at: &usize| u32::from_le_bytes(bytes[at + 24..at + 28].try_into().unwrap());
    let largest = entries.iter().copied().max_by_key(size).unwrap();
    let (sizes, place) =
        (bytes[largest + 16..largest + 28].to_vec(), bytes[largest + 42..largest + 46].to_vec());
    for at in entries {
        bytes[at + 16..at + 28].copy_from_slice(&sizes);
        bytes[at + 42..at + 46].copy_from_slice(&place);
    }
    let message = refused(&bytes, "pytorch_model.bin");
    assert!(message.contains(" bytes; at most ") && message.ends_with(" are expected"), "{message}");
}

#[test]
fn the_format_before_pytorch_1_6_is_refused_with_what_to_do() {
    let legacy = fs::read(fixtures().join("refused/legacy.bin")).unwrap();
    let message = refused(&legacy, "pytorch_model.bin");
    assert!(
        message.starts_with("DIR/pytorch_model.bin: cannot read the weights: it is no zip file"),
        "{message}"
    );
    assert!(message.contains("\nhint: files of PyTorch before 1.6"), "{message}");
}

#[test]
fn a_part_that_is_missing_is_named() {
    let folder = model_folder();
    let index = "pytorch_model.bin.index.json";
    fs::copy(fixtures().join("bin_parts").join(index), folder.path().join(index)).unwrap();
    let message = Weights::load(folder.path(), &Device::Cpu).err().unwrap().to_string();
    assert!(message.contains("pytorch_model-00001-of-00002.bin: cannot read the weights: "), "{message}");
}

#[test]
fn files_that_are_cut_or_damaged_give_an_error_or_other_values_but_no_panic() {
    for (form, name) in [("bin", "pytorch_model.bin"), ("safetensors", "model.safetensors")] {
        let whole = fs::read(fixtures().join(form).join(name)).unwrap();
        for kept in (0..whole.len()).step_by(whole.len() / 60) {
            refused(&whole[..kept], name);
        }
        // The first bytes hold the header or the pickle, the last ones the directory of the zip file.
        let places =
            (0..4096.min(whole.len())).step_by(5).chain((whole.len() - 4096..whole.len()).step_by(7));
        for place in places {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x2a;
            let _ = Weights::load(folder_with(&damaged, name).path(), &Device::Cpu);
        }
    }
}

#[test]
fn a_tensor_with_a_value_that_is_no_number_is_named() {
    let whole = fs::read(fixtures().join("safetensors/model.safetensors")).unwrap();
    let mut damaged = whole.clone();
    let end = damaged.len();
    damaged[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let message = refused(&damaged, "model.safetensors");
    assert!(message.starts_with("DIR/model.safetensors: tensor `vision_model."), "{message}");
    assert!(message.ends_with("holds values that are not finite numbers"), "{message}");
}

#[test]
fn saved_weights_load_back_as_the_same_bits() {
    let weights = Weights::load(&fixtures().join("safetensors"), &Device::Cpu).unwrap();
    let saved = folder_with(&weights.to_bytes(DType::F32).unwrap(), "model.safetensors");
    assert_eq!(digest_of(saved.path()), weights.digest().unwrap());
}

#[test]
fn weights_of_another_model_are_refused_by_the_tensor_that_tells() {
    let whole = fs::read(fixtures().join("safetensors/model.safetensors")).unwrap();
    let folder = folder_with(&whole, "model.safetensors");
    let config = folder.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    let refused_with = |old: &str, new: &str| {
        assert!(text.contains(old), "{old}");
        fs::write(&config, text.replace(old, new)).unwrap();
        Weights::load(folder.path(), &Device::Cpu).err().unwrap().to_string()
    };
    let message = refused_with("\"intermediate_size\": 10", "\"intermediate_size\": 11");
    assert!(
        message.contains("tensor `text_decoder.bert.encoder.layer.0.intermediate.dense.bias` has shape [10], but config.json asks for [11]"),
        "{message}"
    );
    let message = refused_with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert!(
        message.contains("tensor `vision_model.encoder.layers.2.layer_norm1.bias` is missing; "),
        "{message}"
    );
}
