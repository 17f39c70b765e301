//! The tables as files: CSV for people and spreadsheets, Parquet for programs.

use std::path::Path;

use anyhow::Context;
use polars::prelude::{CsvWriter, DataFrame, ParquetCompression, ParquetWriter, SerWriter};
use rayon::prelude::*;

use super::Tables;
use crate::record::ReportDir;
use crate::record::store::{remove_file, write_atomic};

/// Writes all tables in both forms.
pub fn save(tables: &Tables, dir: &ReportDir) -> anyhow::Result<()> {
    tables.frames().into_par_iter().try_for_each(|(name, frame)| save_frame(name, frame, dir))
}

/// Writes one table in both forms.
pub fn save_frame(name: &str, frame: &DataFrame, dir: &ReportDir) -> anyhow::Result<()> {
    let (csv_path, parquet_path) = (dir.csv(name), dir.parquet(name));
    let write = |path: &Path, to_bytes: fn(&DataFrame) -> anyhow::Result<Vec<u8>>| -> anyhow::Result<()> {
        let bytes = to_bytes(frame).with_context(|| path.display().to_string())?;
        Ok(write_atomic(path, &bytes)?)
    };
    let (csv, parquet) = rayon::join(|| write(&csv_path, csv), || write(&parquet_path, parquet));
    csv.and(parquet)
}

/// Removes what an earlier report wrote of a table that this one does not have.
pub fn remove(name: &str, dir: &ReportDir) -> anyhow::Result<()> {
    for path in [dir.csv(name), dir.parquet(name)] {
        remove_file(&path)?;
    }
    Ok(())
}

fn csv(frame: &DataFrame) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).include_header(true).finish(&mut frame.clone())?;
    Ok(bytes)
}

fn parquet(frame: &DataFrame) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Snappy is the one compression that every reader of Parquet knows.
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Snappy).finish(&mut frame.clone())?;
    Ok(bytes)
}
