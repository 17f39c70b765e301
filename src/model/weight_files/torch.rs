//! One file of `torch.save` (PyTorch 1.6 or newer): a zip of a pickled dictionary and the tensors' storages.
//!
//! Layout: `NAME/data.pkl`, `NAME/data/KEY` for each storage, stored without compression. A tensor is a call of
//! `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...)`, a parameter one of
//! `_rebuild_parameter(tensor, ...)`; see `torch/_utils.py`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use candle_core::DType;
use zip::ZipArchive;

use super::pickle::{self, Id, Pickle, Value};
use super::{Take, WantedOf, WeightsError, tensor, unreadable};

/// Longest pickle that is read, in bytes; that of BLIP-large has 0.2 MB. In memory each byte may become a value.
const MAX_PICKLE_BYTES: u64 = 4 << 20;
/// How many times a file's own length its tensors may take: tied ones share a storage.
const MAX_SHARING: u64 = 4;

/// Reads the floating-point tensors of a file.
pub fn read(path: &Path, wanted: &WantedOf, take: &mut Take) -> Result<(), WeightsError> {
    let wrong = |reason: String| WeightsError::Read { path: path.to_owned(), reason };
    let mut archive = open(path).map_err(wrong)?;
    let dictionary = archive.pickle().map_err(wrong)?;
    let mut budget = archive.length.saturating_mul(MAX_SHARING);
    // Entries of a zip may lie on each other: then few bytes are read as many storages.
    let mut unread = archive.length;
    let mut places = places(&dictionary).map_err(wrong)?;
    let mut unwanted = Ok(());
    places.retain(|(name, place)| match wanted(name, &place.size) {
        Ok(is_wanted) => is_wanted,
        Err(error) => {
            unwanted = Err(error);
            false
        }
    });
    unwanted?;
    for (storage, tensors) in by_storage(places) {
        let storage = archive.entry(&format!("data/{storage}"), unread).map_err(wrong)?;
        unread = unread.saturating_sub(storage.len() as u64);
        for (name, dtype, place) in tensors {
            let wrong = |reason: String| unreadable(path, &name, &reason);
            let bytes = place.cut(&storage, dtype.size_in_bytes(), &mut budget).map_err(wrong)?;
            let tensor = tensor(&bytes, dtype, &place.size).map_err(|error| wrong(error.to_string()))?;
            take(name, tensor)?;
        }
    }
    Ok(())
}

/// The floating-point tensors of each storage.
fn by_storage(places: Vec<(String, Place)>) -> BTreeMap<String, Vec<(String, DType, Place)>> {
    let mut storages: BTreeMap<String, Vec<(String, DType, Place)>> = BTreeMap::new();
    for (name, place) in places {
        if let Some(dtype) = place.dtype {
            storages.entry(place.storage.clone()).or_default().push((name, dtype, place));
        }
    }
    storages
}

struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// The folder that all entries lie in.
    root: String,
    /// Bytes of the whole file.
    length: u64,
}

fn open(path: &Path) -> Result<Archive, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
        format!(
            "it is no zip file ({error})\nhint: files of PyTorch before 1.6 are none; open and save such a model once with transformers"
        )
    })?;
    let pickle = zip.file_names().flatten().find_map(|name| Some(name.strip_suffix("/data.pkl")?.to_owned()));
    let root = pickle.ok_or("it holds no data.pkl, which torch.save would have written")?;
    Ok(Archive { zip, root, length })
}

impl Archive {
    fn pickle(&mut self) -> Result<Pickle, String> {
        if let Ok(order) = self.entry("byteorder", 16)
            && order.trim_ascii() != b"little"
        {
            return Err("it was written on a machine of the other byte order".to_owned());
        }
        let bytes = self.entry("data.pkl", MAX_PICKLE_BYTES)?;
        pickle::read(&bytes).map_err(|reason| format!("its data.pkl cannot be used: {reason}"))
    }

    fn entry(&mut self, name: &str, most: u64) -> Result<Vec<u8>, String> {
        let name = format!("{}/{name}", self.root);
        let entry = self.zip.by_name(&name).map_err(|error| format!("{name}: {error}"))?;
        if entry.size() > most {
            return Err(format!("{name} has {} bytes; at most {most} are expected", entry.size()));
        }
        let mut bytes = Vec::new();
        entry
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(bytes)
    }
}

/// Where a tensor's values lie.
#[derive(Debug)]
struct Place {
    storage: String,
    /// `None` for numbers that are no floating-point ones.
    dtype: Option<DType>,
    /// Values before the first one.
    offset: usize,
    size: Vec<usize>,
    /// Steps from one value to the next along each dimension.
    stride: Vec<usize>,
}

impl Place {
    /// The values in the order of their indices, `width` bytes each, out of the storage's. They are taken off
    /// the budget.
    fn cut(&self, storage: &[u8], width: usize, budget: &mut u64) -> Result<Vec<u8>, String> {
        let bounds = || "its size is out of all bounds".to_owned();
        let needed = self.elements().ok_or_else(bounds)?;
        let last = self.last_index().ok_or_else(bounds)?;
        let held = storage.len() / width;
        if needed == 0 {
            return Ok(Vec::new());
        }
        if last >= held || needed > held {
            return Err(format!("it has {needed} values up to the {}th of a storage of {held}", last + 1));
        }
        *budget =
            budget.checked_sub((needed * width) as u64).ok_or("the file's tensors take more room than it")?;
        if self.is_contiguous() {
            return Ok(storage[self.offset * width..][..needed * width].to_vec());
        }
        let mut bytes = Vec::with_capacity(needed * width);
        for index in self.indices(needed) {
            bytes.extend_from_slice(&storage[index * width..][..width]);
        }
        Ok(bytes)
    }

    fn elements(&self) -> Option<usize> {
        self.size.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
    }

    /// The index in the storage of the value that lies furthest back.
    fn last_index(&self) -> Option<usize> {
        self.size.iter().zip(&self.stride).try_fold(self.offset, |index, (size, stride)| {
            index.checked_add(size.saturating_sub(1).checked_mul(*stride)?)
        })
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.size.iter().zip(&self.stride).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == expected;
            expected = expected.wrapping_mul(*size);
            fits
        })
    }

    /// The places of the first `count` values, the last index running fastest.
    fn indices(&self, count: usize) -> impl Iterator<Item = usize> {
        (0..count).map(|mut number| {
            let mut index = self.offset;
            for (size, stride) in self.size.iter().zip(&self.stride).rev() {
                index += number % size * stride;
                number /= size;
            }
            index
        })
    }
}

/// Name and place of every tensor of a pickled dictionary; entries that are no tensors are left out.
fn places(pickle: &Pickle) -> Result<Vec<(String, Place)>, String> {
    let Value::Dict(entries) = &pickle.values[pickle.root] else {
        return Err("it does not hold a dictionary of tensors".to_owned());
    };
    let mut places = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let (Value::Text(name), Value::Call { function, arguments }) =
            (&pickle.values[*key], &pickle.values[*value])
        {
            let place =
                rebuilt(pickle, *function, *arguments).map_err(|reason| format!("`{name}`: {reason}"))?;
            places.push((name.clone(), place));
        }
    }
    Ok(places)
}

/// The place of the tensor that a call would make.
fn rebuilt(pickle: &Pickle, function: Id, arguments: Id) -> Result<Place, String> {
    let (function, arguments) = (global(pickle, function)?, tuple(pickle, arguments)?);
    match (function, arguments) {
        ("torch._utils._rebuild_tensor_v2", [storage, offset, size, stride, ..]) => {
            let (storage, dtype) = storage_of(pickle, *storage)?;
            let size = numbers(pickle, *size)?;
            let stride = numbers(pickle, *stride)?;
            if size.len() != stride.len() {
                return Err("its size and stride differ in length".to_owned());
            }
            Ok(Place { storage, dtype, offset: number(pickle, *offset)?, size, stride })
        }
        ("torch._utils._rebuild_parameter", [tensor, ..]) => match &pickle.values[*tensor] {
            // A parameter in a parameter is none that PyTorch writes, so this goes one level deep.
            Value::Call { function, arguments } if !is_parameter(pickle, *function) => {
                rebuilt(pickle, *function, *arguments)
            }
            _ => Err("it is a parameter of what is no tensor".to_owned()),
        },
        (other, _) => Err(format!("it would call `{other}`, which makes no plain tensor; nothing is called")),
    }
}

fn is_parameter(pickle: &Pickle, function: Id) -> bool {
    global(pickle, function) == Ok("torch._utils._rebuild_parameter")
}

/// `('storage', torch.FloatStorage, KEY, device, values)`: the key and the kind of number.
fn storage_of(pickle: &Pickle, id: Id) -> Result<(String, Option<DType>), String> {
    let Value::Persistent(name) = pickle.values[id] else {
        return Err("its values lie in no storage".to_owned());
    };
    let [_, class, key, ..] = tuple(pickle, name)? else {
        return Err("its storage is named in an unknown way".to_owned());
    };
    let dtype = match global(pickle, *class)? {
        "torch.FloatStorage" => Some(DType::F32),
        "torch.DoubleStorage" => Some(DType::F64),
        "torch.HalfStorage" => Some(DType::F16),
        "torch.BFloat16Storage" => Some(DType::BF16),
        _ => None,
    };
    match &pickle.values[*key] {
        Value::Text(key) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok((key.clone(), dtype))
        }
        _ => Err("its storage is named in an unknown way".to_owned()),
    }
}

fn global(pickle: &Pickle, id: Id) -> Result<&str, String> {
    match &pickle.values[id] {
        Value::Global(name) => Ok(name),
        _ => Err("it is made by something that is no function".to_owned()),
    }
}

fn tuple(pickle: &Pickle, id: Id) -> Result<&[Id], String> {
    match &pickle.values[id] {
        Value::Tuple(items) => Ok(items),
        _ => Err("a tuple is missing".to_owned()),
    }
}

fn number(pickle: &Pickle, id: Id) -> Result<usize, String> {
    match &pickle.values[id] {
        Value::Int(number) => usize::try_from(*number).map_err(|_| "a size is negative".to_owned()),
        _ => Err("a size is no whole number".to_owned()),
    }
}

fn numbers(pickle: &Pickle, id: Id) -> Result<Vec<usize>, String> {
    tuple(pickle, id)?.iter().map(|item| number(pickle, *item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: usize, size: &[usize], stride: &[usize]) -> Place {
        Place {
            storage: "0".into(),
            dtype: Some(DType::F32),
            offset,
            size: size.to_vec(),
            stride: stride.to_vec(),
        }
    }

    #[test]
    fn values_are_found_by_their_strides() {
        let transposed = place(1, &[3, 2], &[1, 3]);
        assert!(!transposed.is_contiguous());
        assert_eq!(transposed.indices(6).collect::<Vec<_>>(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(transposed.last_index(), Some(6));
        let rows = place(4, &[2, 1, 3], &[3, 99, 1]);
        assert!(rows.is_contiguous());
        assert_eq!(rows.indices(6).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn sizes_beyond_all_bounds_overflow_nothing() {
        assert_eq!(place(0, &[usize::MAX, 2], &[1, 1]).elements(), None);
        assert_eq!(place(1, &[usize::MAX, 2], &[2, 1]).last_index(), None);
        assert_eq!(place(usize::MAX, &[2], &[1]).last_index(), None);
    }
}
