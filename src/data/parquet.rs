//! Images and captions in one Parquet file, as the Hugging Face hub keeps them: read row by row, and written.
//!
//! A row has the bytes of an image file and what is said of it. The image is a struct of `bytes` and `path`, as
//! `datasets.Image` stores it, or a column of bytes; the caption a text or a list of texts. Row groups are read one at a
//! time, and what their pages say of themselves is held against bounds before anything is unpacked.

mod columns;
mod write;

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use polars_arrow::array::Array;
use polars_arrow::datatypes::Field;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{
    BasicDecompressor, ColumnChunkMetadata, FileMetadata, PageReader, RowGroupMetadata,
    column_iter_to_arrays, infer_schema, read_metadata,
};

use self::columns::{Captions, Chosen, Images};
use super::caption_forms::Columns;
use super::captions::{MAX_CAPTIONS, check_length};
use super::contain::contained;
use crate::record::bounded::check_regular;

pub use self::write::{Row as RowToWrite, write};

/// Most bytes of a column in a row group, packed or not. The hub's row groups have a hundred images.
const MAX_CHUNK_BYTES: u64 = 512 << 20;

/// Why a Parquet file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ParquetError {
    pub path: PathBuf,
    pub reason: String,
}

/// An image with its captions.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// From 1.
    pub number: usize,
    /// The name that the file has for it.
    pub name: Option<String>,
    /// The bytes of an image file.
    pub image: Vec<u8>,
    pub captions: Vec<String>,
}

/// Hands over the rows of a file one by one; ends with the first error of its own or of `take`.
pub fn read<E: From<ParquetError>>(
    path: &Path,
    names: &Columns,
    mut take: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let refused = |reason: String| E::from(ParquetError { path: path.to_owned(), reason });
    let (mut file, metadata) = open(path).map_err(refused)?;
    let schema = guarded(|| infer_schema(&metadata).map_err(|error| error.to_string())).map_err(refused)?;
    let fields: Vec<Field> = schema.iter_values().cloned().collect();
    let chosen = Chosen::among(&fields, names).map_err(refused)?;
    let mut number = 0;
    for (index, group) in metadata.row_groups.iter().enumerate() {
        let in_group = |reason: String| refused(format!("row group {}: {reason}", index + 1));
        let (images, captions, file_names) = guarded(|| {
            let mut column = |field: &Field| arrays(&mut file, group, field);
            let images = Images::of(column(chosen.image)?)?;
            let captions = Captions::of(column(chosen.caption)?)?;
            let names = chosen.name.map(|field| Captions::of(column(field)?)).transpose()?;
            Ok((images, captions, names))
        })
        .map_err(in_group)?;
        for row in 0..group.num_rows() {
            number += 1;
            let in_row = |reason: String| refused(format!("row {number}: {reason}"));
            if number > MAX_CAPTIONS {
                return Err(in_row(format!("more than {MAX_CAPTIONS} rows; at most that many are read")));
            }
            let image = guarded(|| Ok(images.get(row))).map_err(in_row)?;
            let (image, inner_name) = image.ok_or_else(|| in_row("it has no image".to_owned()))?;
            let said = guarded(|| Ok(captions.get(row))).map_err(in_row)?;
            said.iter().try_for_each(|caption| check_length(caption)).map_err(in_row)?;
            let outer = file_names.as_ref().and_then(|names| names.get(row).into_iter().next());
            take(Row { number, name: outer.or(inner_name), image, captions: said })?;
        }
    }
    Ok(())
}

/// The file and what its end says of it.
fn open(path: &Path) -> Result<(File, FileMetadata), String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    check_regular(path).map_err(cannot)?;
    let mut file = File::open(path).map_err(cannot)?;
    let metadata = guarded(|| {
        read_metadata(&mut file).map_err(|error| format!("it is no Parquet file that can be read: {error}"))
    })?;
    Ok((file, metadata))
}

/// Runs code of the reader; a panic in it is a fault of the file.
fn guarded<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    contained(run).unwrap_or_else(|| Err("the reader gave up on its content".to_owned()))
}

/// A column of a row group, as one array or several.
fn arrays(file: &mut File, group: &RowGroupMetadata, field: &Field) -> Result<Vec<Box<dyn Array>>, String> {
    let within = |reason: String| format!("column `{}`: {reason}", field.name);
    let chunks =
        group.columns_under_root_iter(&field.name).ok_or_else(|| within("it is missing".to_owned()))?;
    let mut pages = Vec::new();
    let mut types = Vec::new();
    for chunk in chunks {
        let bytes = read_chunk(file, chunk).map_err(within)?;
        pages.push(BasicDecompressor::new(checked_pages(bytes, chunk).map_err(within)?, vec![]));
        types.push(&chunk.descriptor().descriptor.primitive_type);
    }
    let read = column_iter_to_arrays(pages, types, field.clone(), None);
    let (arrays, _) = read.map_err(|error| within(error.to_string()))?;
    let rows: usize = arrays.iter().map(|array| array.len()).sum();
    if rows == group.num_rows() {
        Ok(arrays)
    } else {
        Err(within(format!("it has {rows} rows where there should be {}", group.num_rows())))
    }
}

fn read_chunk(file: &mut File, chunk: &ColumnChunkMetadata) -> Result<Vec<u8>, String> {
    let range = chunk.byte_range();
    let length = range.end.saturating_sub(range.start);
    if length > MAX_CHUNK_BYTES {
        return Err(format!("it has {length} bytes; at most {MAX_CHUNK_BYTES} are read"));
    }
    let mut bytes = Vec::new();
    let read =
        file.seek(SeekFrom::Start(range.start)).and_then(|_| file.take(length).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(read) if (read as u64) < length => Err("the file is cut off".to_owned()),
        Ok(_) => Ok(bytes),
    }
}

/// The pages of a column. What they say of their sizes is held against the bounds first: unpacking believes it.
fn checked_pages(bytes: Vec<u8>, chunk: &ColumnChunkMetadata) -> Result<PageReader, String> {
    let first_page = unpacked_size(&bytes);
    let most_header = bytes.len() + (1 << 10);
    let mut reader = PageReader::new(Cursor::new(bytes.into()), chunk, vec![], most_header);
    let (mut unpacked, mut values) = (0u64, 0usize);
    for page in reader.by_ref() {
        match page.map_err(|error| error.to_string())? {
            CompressedPage::Data(page) => {
                unpacked += page.uncompressed_size() as u64;
                values = values.saturating_add(page.num_values());
            }
            // A dictionary does not tell its size; it is the first page, or the column is of no use.
            CompressedPage::Dict(_) => unpacked += first_page.ok_or("its dictionary says no size")?,
        }
        if unpacked > MAX_CHUNK_BYTES || values > MAX_CAPTIONS {
            return Err(format!(
                "it unpacks to more than {MAX_CHUNK_BYTES} bytes or {MAX_CAPTIONS} values; at most that many are read"
            ));
        }
    }
    let (mut bytes, _) = reader.into_inner();
    bytes.set_position(0);
    Ok(PageReader::new(bytes, chunk, vec![], usize::MAX))
}

/// What the first page says that it unpacks to. Its header begins with two fields of 32 bits, the kind of page and this
/// size, in Thrift's compact protocol: a byte for each field (number and type), then a zigzag number of 7 bits a byte.
fn unpacked_size(bytes: &[u8]) -> Option<u64> {
    const FIELD: u8 = 0x15;
    let mut bytes = bytes.iter().copied();
    let mut field = || {
        bytes.next().filter(|byte| *byte == FIELD)?;
        let mut number = 0u64;
        for place in 0..5 {
            let byte = bytes.next()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                break;
            }
        }
        // Even numbers are the positive ones.
        number.is_multiple_of(2).then_some(number / 2)
    };
    field()?;
    field()
}

#[cfg(test)]
mod tests;
