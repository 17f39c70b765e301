//! Images and captions as a Parquet file that `datasets.load_dataset` opens with pictures.

use std::io::{self, Write};
use std::sync::Arc;

use polars_arrow::array::{Array, BinaryViewArray, ListArray, StructArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::offset::Offsets;
use polars_arrow::record_batch::RecordBatchT;
use polars_parquet::write::{
    CompressionOptions, Encoding, FileWriter, KeyValue, StatisticsOptions, Version, WriteOptions,
    row_group_iter,
};
use serde_json::json;

/// Rows of a group; the hub writes images by the hundred.
const GROUP: usize = 100;
/// An image with its captions, to be written.
pub struct Row {
    pub name: String,
    /// The bytes of an image file.
    pub image: Vec<u8>,
    pub captions: Vec<String>,
}

/// Images are packed already, and Snappy is the one compression that every reader knows.
fn options() -> WriteOptions {
    WriteOptions {
        statistics: StatisticsOptions::empty(),
        version: Version::V1,
        compression: CompressionOptions::Snappy,
        data_page_size: None,
    }
}

/// Writes rows as they come, a group at a time. `has_one` says that every image has one caption: they are texts then, and
/// lists of texts otherwise.
pub fn write(out: impl Write, has_one: bool, rows: impl Iterator<Item = io::Result<Row>>) -> io::Result<()> {
    let failed = |error: polars::prelude::PolarsError| io::Error::other(error.to_string());
    let schema: ArrowSchema =
        columns(has_one).into_iter().map(|(field, _)| (field.name.clone(), field)).collect();
    let encodings: Vec<Vec<Encoding>> = columns(has_one).into_iter().map(|(_, plain)| plain).collect();
    let mut writer = FileWriter::try_new(out, schema.clone(), options()).map_err(failed)?;
    let schema = Arc::new(schema);
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let group: Vec<Row> = rows.by_ref().take(GROUP).collect::<io::Result<_>>()?;
        let count = group.len();
        let batch = RecordBatchT::try_new(count, schema.clone(), arrays(&group, has_one)?).map_err(failed)?;
        let fields = writer.parquet_schema().fields().to_vec();
        let columns = row_group_iter(batch, encodings.clone().into(), fields, options());
        writer.write(count as u64, columns).map_err(failed)?;
    }
    // Only this: types of Arrow's own would come before what `datasets` reads of its own.
    writer.end(Some(vec![features(has_one)])).map_err(failed)?;
    Ok(())
}

fn nullable(name: &str, dtype: ArrowDataType) -> Field {
    Field::new(name.into(), dtype, true)
}

fn image_type() -> ArrowDataType {
    let parts = [("bytes", ArrowDataType::BinaryView), ("path", ArrowDataType::Utf8View)];
    ArrowDataType::Struct(parts.map(|(name, dtype)| nullable(name, dtype)).into())
}

fn list_type() -> ArrowDataType {
    ArrowDataType::LargeList(Box::new(nullable("element", ArrowDataType::Utf8View)))
}

/// The columns, and how each of their leaves is encoded.
fn columns(has_one: bool) -> [(Field, Vec<Encoding>); 3] {
    let plain = |leaves: usize| vec![Encoding::Plain; leaves];
    let captions = if has_one {
        nullable("caption", ArrowDataType::Utf8View)
    } else {
        nullable("captions", list_type())
    };
    [
        (nullable("file_name", ArrowDataType::Utf8View), plain(1)),
        (nullable("image", image_type()), plain(2)),
        (captions, plain(1)),
    ]
}

fn arrays(rows: &[Row], has_one: bool) -> io::Result<Vec<Box<dyn Array>>> {
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let bytes: Vec<&[u8]> = rows.iter().map(|row| row.image.as_slice()).collect();
    let texts: Vec<&str> = rows.iter().flat_map(|row| &row.captions).map(String::as_str).collect();
    let names = Utf8ViewArray::from_slice_values(names);
    let parts: Vec<Box<dyn Array>> =
        vec![Box::new(BinaryViewArray::from_slice_values(bytes)), Box::new(names.clone())];
    let images = StructArray::new(image_type(), rows.len(), parts, None);
    let texts = Utf8ViewArray::from_slice_values(texts);
    let captions: Box<dyn Array> = if has_one {
        Box::new(texts)
    } else {
        let ends = Offsets::<i64>::try_from_lengths(rows.iter().map(|row| row.captions.len()));
        let ends = ends.map_err(|error| io::Error::other(error.to_string()))?;
        Box::new(ListArray::new(list_type(), ends.into(), Box::new(texts), None))
    };
    Ok(vec![Box::new(names), Box::new(images), captions])
}

/// What `datasets` reads of its own columns: that the bytes are pictures.
fn features(has_one: bool) -> KeyValue {
    let text = json!({"dtype": "string", "_type": "Value"});
    let caption = if has_one { ("caption", text.clone()) } else { ("captions", json!([text.clone()])) };
    let features = json!({"file_name": text, "image": {"_type": "Image"}, caption.0: caption.1});
    let value = json!({"info": {"features": features}}).to_string();
    KeyValue { key: "huggingface".to_owned(), value: Some(value) }
}
