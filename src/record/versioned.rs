//! Lines that are only ever added to a file of a sweep, each with the version of its format as `v`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::files::read_rows_with;

/// What every line has.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// The lines in their order, and what was wrong with those left out, among them lines of another version. No file means
/// none; a longer one than `most_bytes` is not one that this program wrote.
pub fn read<T: DeserializeOwned>(path: &Path, version: u64, most_bytes: u64) -> (Vec<T>, Vec<String>) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > most_bytes) {
        return (Vec::new(), vec![format!("longer than {most_bytes} bytes")]);
    }
    let decode = |text: &str| decode(text, version);
    read_rows_with(path, decode).unwrap_or_else(|error| (Vec::new(), vec![error.to_string()]))
}

fn decode<T: DeserializeOwned>(text: &str, version: u64) -> Result<T, String> {
    let row = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Versioned { v } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if v == version {
        Ok(row)
    } else {
        Err(format!("has version {v} of the format; this program reads version {version}"))
    }
}
