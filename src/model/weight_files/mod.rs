//! The files that hold a model's weights, in every form in which models are published.
//!
//! [`find`] looks for the first of `model.safetensors`, its parts, `pytorch_model.bin` and its parts, in the
//! order in which transformers looks; [`WeightFiles::read`] gives their tensors one by one. Files come from
//! strangers: nothing in them is executed, and nothing is believed that the length of the file contradicts.

mod pickle;
mod safetensors;
mod torch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

pub use self::safetensors::write as write_safetensors;
use super::config::ConfigError;

/// Single files, in the order of preference.
const SAFETENSORS: &str = "model.safetensors";
const TORCH: &str = "pytorch_model.bin";
/// An index has this name behind that of the single file it stands for.
const INDEX: &str = ".index.json";
/// Largest index that is read, in bytes. BLIP-large would need 0.1 MB.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// Every name under which weights may begin: single files and indices, in the order of preference.
pub const ENTRY_POINTS: [&str; 4] =
    [SAFETENSORS, "model.safetensors.index.json", TORCH, "pytorch_model.bin.index.json"];

/// Why weights cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error(
        "{}: no model weights\nhint: they lie beside config.json as {SAFETENSORS} or {TORCH}, or in parts named by \
         {SAFETENSORS}{INDEX} or {TORCH}{INDEX}",
        folder.display()
    )]
    Missing { folder: PathBuf },
    #[error("{}: cannot read the weights: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error(
        "{}: the weights take {} MB in memory, and {} MB can be had\nhint: `hidden_size`, `intermediate_size`, \
         `num_hidden_layers` and `vocab_size` of config.json make up that size",
        path.display(), needed.div_ceil(1 << 20), free >> 20
    )]
    TooLarge { path: PathBuf, needed: u64, free: u64 },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{}: tensor `{name}` {reason}", path.display())]
    Tensor { path: PathBuf, name: String, reason: String },
}

/// The form that weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Safetensors,
    /// A zip of `torch.save` with a pickled dictionary of tensors.
    Torch,
}

/// All files that hold a model's weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightFiles {
    form: Form,
    /// At least one; several are parts.
    pub paths: Vec<PathBuf>,
}

/// The weight files of a model folder.
pub fn find(folder: &Path) -> Result<WeightFiles, WeightsError> {
    for (form, name) in [(Form::Safetensors, SAFETENSORS), (Form::Torch, TORCH)] {
        let single = folder.join(name);
        if single.is_file() {
            return Ok(WeightFiles { form, paths: vec![single] });
        }
        let index = folder.join(format!("{name}{INDEX}"));
        if index.is_file() {
            let paths = parts(&index)?.into_iter().map(|part| folder.join(part)).collect();
            return Ok(WeightFiles { form, paths });
        }
    }
    Err(WeightsError::Missing { folder: folder.to_owned() })
}

/// The names of the files that an index speaks of, sorted. They lie beside it.
pub fn parts(index: &Path) -> Result<BTreeSet<String>, WeightsError> {
    #[derive(Deserialize)]
    #[serde(expecting = "a mapping with `weight_map`")]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let wrong = |reason: String| WeightsError::Read { path: index.to_owned(), reason };
    let length = fs::metadata(index).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_INDEX_BYTES {
        return Err(wrong(format!("the index has {length} bytes; at most {MAX_INDEX_BYTES} are read")));
    }
    let text = fs::read(index).map_err(|error| wrong(error.to_string()))?;
    let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let parts: BTreeSet<String> = weight_map.into_values().collect();
    // A part elsewhere would let an index name any file of this machine.
    if let Some(part) = parts.iter().find(|part| Path::new(part).file_name() != Some(part.as_ref())) {
        return Err(wrong(format!("part {part:?} is not the name of a file beside the index")));
    }
    if parts.is_empty() {
        return Err(wrong("`weight_map` names no file".to_owned()));
    }
    Ok(parts)
}

impl WeightFiles {
    /// Gives every floating-point tensor that is wanted by its name and shape to `take`, as `f32` on the CPU. Others,
    /// such as position numbers, are no weights and are left out. Besides what `take` keeps, one tensor at a time is in
    /// memory; what is not wanted is not read.
    ///
    /// # Errors
    /// A file that cannot be read or is not of its form, and a tensor with a value that is not a finite number.
    pub fn read(&self, wanted: &Wanted, take: &mut dyn FnMut(String, Tensor)) -> Result<(), WeightsError> {
        for path in &self.paths {
            let mut checked = |name: String, tensor: Tensor| {
                let wrong = |error: candle_core::Error| unreadable(path, &name, &error.to_string());
                let tensor = tensor.to_dtype(DType::F32).map_err(wrong)?;
                let total = tensor.sum_all().and_then(|sum| sum.to_scalar::<f32>()).map_err(wrong)?;
                if !total.is_finite() {
                    let reason = "holds values that are not finite numbers".to_owned();
                    return Err(WeightsError::Tensor { path: path.clone(), name, reason });
                }
                take(name, tensor);
                Ok(())
            };
            let wanted = |name: &str, shape: &[usize]| {
                let wrong = |reason: String| WeightsError::Tensor {
                    path: path.clone(),
                    name: name.to_owned(),
                    reason,
                };
                wanted(name, shape).map_err(wrong)
            };
            match self.form {
                Form::Safetensors => safetensors::read(path, &wanted, &mut checked)?,
                Form::Torch => torch::read(path, &wanted, &mut checked)?,
            }
        }
        Ok(())
    }
}

fn unreadable(path: &Path, name: &str, reason: &str) -> WeightsError {
    let reason = format!("cannot be read: {reason}");
    WeightsError::Tensor { path: path.to_owned(), name: name.to_owned(), reason }
}

/// Says whether a tensor of this name and shape is wanted, or what is wrong with its shape.
pub type Wanted<'a> = dyn Fn(&str, &[usize]) -> Result<bool, String> + 'a;

/// The same, with the error that names the file.
type WantedOf<'a> = dyn Fn(&str, &[usize]) -> Result<bool, WeightsError> + 'a;

/// Receives the tensors of one file.
type Take<'a> = dyn FnMut(String, Tensor) -> Result<(), WeightsError> + 'a;

/// A tensor from the bytes of a file, little-endian.
fn tensor(bytes: &[u8], dtype: DType, shape: &[usize]) -> candle_core::Result<Tensor> {
    Tensor::from_raw_buffer(bytes, dtype, shape, &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn found(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = folder(files);
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        find(folder.path())
            .map(|files| files.paths.iter().map(name).collect())
            .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
    }

    const PARTS: &str = r#"{"metadata": {}, "weight_map": {"a": "2.bin", "b": "1.bin", "c": "2.bin"}}"#;

    #[test]
    fn the_first_form_in_the_order_of_transformers_is_taken() {
        let all = [
            (SAFETENSORS, ""),
            ("model.safetensors.index.json", PARTS),
            (TORCH, ""),
            ("pytorch_model.bin.index.json", PARTS),
        ];
        let firsts = [SAFETENSORS, "1.bin", TORCH, "1.bin"];
        for (i, first) in firsts.iter().enumerate() {
            assert_eq!(found(&all[i..]).unwrap()[0], *first);
        }
        assert_eq!(found(&all[3..]).unwrap(), ["1.bin", "2.bin"]);
        assert_eq!(ENTRY_POINTS, all.map(|(name, _)| name));
        assert!(found(&[]).unwrap_err().starts_with("DIR: no model weights\nhint: "));
    }

    #[test]
    fn an_index_that_leads_elsewhere_or_nowhere_is_refused() {
        let refused = |text: &str| found(&[("pytorch_model.bin.index.json", text)]).unwrap_err();
        for part in ["../x.bin", "/etc/passwd", "a/b.bin", "..", ""] {
            let message = refused(&format!(r#"{{"weight_map": {{"a": "{part}"}}}}"#));
            assert!(message.contains("is not the name of a file beside the index"), "{part}: {message}");
        }
        assert!(refused(r#"{"weight_map": {}}"#).ends_with("names no file"));
        assert!(refused("{}").contains("missing field `weight_map`"));
        assert!(refused("[").contains("pytorch_model.bin.index.json: cannot read the weights: EOF"));
    }
}
