//! The tables as files: CSV for people and spreadsheets, Parquet for programs.

use anyhow::Context;
use polars::prelude::{CsvWriter, DataFrame, ParquetCompression, ParquetWriter, SerWriter};

use super::Tables;
use crate::record::ReportDir;
use crate::record::store::{remove_file, write_atomic};

/// Writes all tables in both forms.
pub fn save(tables: &Tables, dir: &ReportDir) -> anyhow::Result<()> {
    tables.frames().into_iter().try_for_each(|(name, frame)| save_frame(name, frame, dir))
}

/// Writes one table in both forms.
pub fn save_frame(name: &str, frame: &DataFrame, dir: &ReportDir) -> anyhow::Result<()> {
    let (csv_path, parquet_path) = (dir.csv(name), dir.parquet(name));
    write_atomic(&csv_path, &csv(frame).with_context(|| csv_path.display().to_string())?)?;
    write_atomic(&parquet_path, &parquet(frame).with_context(|| parquet_path.display().to_string())?)?;
    Ok(())
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
