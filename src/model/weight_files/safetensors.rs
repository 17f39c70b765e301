//! One safetensors file, tensor by tensor, so that only one of them is in memory twice.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use candle_core::DType;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{Take, WantedOf, WeightsError, tensor, unreadable};

/// Longest header that is read, in bytes; that of BLIP-large has 0.1 MB. In memory it takes ten times its length.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Values that are written at once.
const CHUNK: usize = 1 << 16;

/// Reads the floating-point tensors of a file.
pub fn read(path: &Path, wanted: &WantedOf, take: &mut Take) -> Result<(), WeightsError> {
    let wrong = |reason: String| WeightsError::Read { path: path.to_owned(), reason };
    let mut file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let (start, metadata) = header(&mut file).map_err(wrong)?;
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        if !wanted(&name, &info.shape)? {
            continue;
        }
        let wrong = |reason: String| unreadable(path, &name, &reason);
        let dtype = floating_point(info.dtype).ok_or_else(|| {
            wrong(format!("its type is {:?}; weights are F32, F64, F16 or BF16", info.dtype))
        })?;
        let (begin, end) = info.data_offsets;
        // The header's offsets lie within the file, so this is no more than the file has.
        let mut bytes = vec![0; end - begin];
        file.seek(SeekFrom::Start(start + begin as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| wrong(error.to_string()))?;
        let tensor = tensor(&bytes, dtype, &info.shape).map_err(|error| wrong(error.to_string()))?;
        take(name.clone(), tensor)?;
    }
    Ok(())
}

/// Where the data begin, and what they are. The crate checks that the tensors lie one behind the other; here
/// it is checked that they end where the file ends.
fn header(file: &mut File) -> Result<(u64, Metadata), String> {
    let in_words = |error: io::Error| error.to_string();
    let file_length = file.metadata().map_err(in_words)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| "it is too short to be a safetensors file".to_owned())?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES || length + 8 > file_length {
        return Err("it is not a safetensors file, or was cut off".to_owned());
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(in_words)?;
    let metadata: Metadata =
        serde_json::from_slice(&text).map_err(|error| format!("its header is wrong: {error}"))?;
    let start = length + 8;
    let expected = start.saturating_add(metadata.data_len() as u64);
    if expected != file_length {
        return Err(format!("it has {file_length} bytes, but its header speaks of {expected}"));
    }
    Ok((start, metadata))
}

/// Writes f32 tensors in the order given, which is that of their names, with the bytes of [`safetensors::serialize`] but
/// one tensor at a time: as bytes all together they take as much memory again as the model.
pub fn write(
    out: &mut dyn Write,
    about: Option<HashMap<String, String>>,
    shapes: &[(String, Vec<usize>)],
    values: &mut dyn FnMut(&str) -> io::Result<Vec<f32>>,
) -> io::Result<()> {
    let mut end = 0;
    let info = |(name, shape): &(String, Vec<usize>)| {
        let begin = end;
        end += shape.iter().product::<usize>() * size_of::<f32>();
        (name.clone(), TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (begin, end) })
    };
    let metadata = Metadata::new(about, shapes.iter().map(info).collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (name, shape) in shapes {
        let values = values(name)?;
        if values.len() != shape.iter().product::<usize>() {
            return Err(io::Error::other(format!("`{name}` has not the shape {shape:?}")));
        }
        for chunk in values.chunks(CHUNK) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
            out.write_all(&bytes)?;
        }
    }
    Ok(())
}

fn floating_point(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F64 => Some(DType::F64),
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
