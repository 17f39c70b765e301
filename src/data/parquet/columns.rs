//! Which columns of a Parquet file hold images and captions, and what a row has in them.

use polars_arrow::array::{Array, BinaryViewArray, ListArray, StructArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, Field};

use crate::data::caption_forms::Columns;

/// Names that a column of images usually has.
const IMAGE: [&str; 3] = ["image", "img", "jpg"];

/// The columns to read.
pub struct Chosen<'a> {
    pub image: &'a Field,
    pub caption: &'a Field,
    /// The image's file name, where a column of its own has it.
    pub name: Option<&'a Field>,
}

impl<'a> Chosen<'a> {
    /// By the names that are given or usual; of images also the only column that can be one.
    pub fn among(fields: &'a [Field], names: &Columns) -> Result<Self, String> {
        let named = |names: &[&str], fits: fn(&ArrowDataType) -> bool| {
            let of_name =
                |name: &&str| fields.iter().find(|field| field.name == **name && fits(&field.dtype));
            names.iter().find_map(of_name)
        };
        let image = match &names.image {
            Some(name) => named(&[name], holds_bytes),
            None => named(&IMAGE, holds_bytes).or_else(|| only(fields)),
        };
        let image = image.ok_or_else(|| lacks("image", "a struct of `bytes` and `path` or bytes", fields))?;
        let caption = named(&names.captions(), holds_text);
        let caption = caption.ok_or_else(|| lacks("caption", "a text or a list of texts", fields))?;
        Ok(Self { image, caption, name: named(&Columns::IMAGE, is_text) })
    }
}

/// The only column that holds bytes.
fn only(fields: &[Field]) -> Option<&Field> {
    let mut such = fields.iter().filter(|field| holds_bytes(&field.dtype));
    such.next().filter(|_| such.next().is_none())
}

fn lacks(what: &str, form: &str, fields: &[Field]) -> String {
    let column = |field: &Field| format!("`{}` ({})", field.name, described(&field.dtype));
    let columns: Vec<String> = fields.iter().take(20).map(column).collect();
    format!(
        "no column is known to hold the {what}, {form}; there are {}\nhint: name it with --{what}-column",
        columns.join(", ")
    )
}

fn described(dtype: &ArrowDataType) -> String {
    match dtype {
        ArrowDataType::Utf8View => "text".to_owned(),
        ArrowDataType::BinaryView => "bytes".to_owned(),
        ArrowDataType::Struct(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            format!("struct of {}", names.join(", "))
        }
        ArrowDataType::LargeList(item) | ArrowDataType::List(item) => {
            format!("list of {}", described(&item.dtype))
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

fn is_text(dtype: &ArrowDataType) -> bool {
    *dtype == ArrowDataType::Utf8View
}

fn holds_text(dtype: &ArrowDataType) -> bool {
    match dtype {
        ArrowDataType::LargeList(item) | ArrowDataType::List(item) => is_text(&item.dtype),
        other => is_text(other),
    }
}

fn holds_bytes(dtype: &ArrowDataType) -> bool {
    match dtype {
        ArrowDataType::Struct(fields) => {
            fields.iter().any(|field| field.name == "bytes" && field.dtype == ArrowDataType::BinaryView)
        }
        other => *other == ArrowDataType::BinaryView,
    }
}

/// The chunk that a row is in, and its place there.
fn located(chunks: &[Box<dyn Array>], mut row: usize) -> Option<(&dyn Array, usize)> {
    for chunk in chunks {
        match row.checked_sub(chunk.len()) {
            None => return Some((chunk.as_ref(), row)),
            Some(rest) => row = rest,
        }
    }
    None
}

fn as_array<T: 'static>(array: &dyn Array) -> Option<&T> {
    array.as_any().downcast_ref()
}

/// A column of images.
pub struct Images(Vec<Box<dyn Array>>);

impl Images {
    pub fn of(chunks: Vec<Box<dyn Array>>) -> Result<Self, String> {
        match chunks.iter().find(|chunk| !holds_bytes(chunk.dtype())) {
            Some(other) => Err(format!("its images are {}", described(other.dtype()))),
            None => Ok(Self(chunks)),
        }
    }

    /// The bytes of a row's image and its name, where it has one; nothing where the row has no image.
    pub fn get(&self, row: usize) -> Option<(Vec<u8>, Option<String>)> {
        let (chunk, row) = located(&self.0, row)?;
        if let Some(bytes) = as_array::<BinaryViewArray>(chunk) {
            return Some((bytes.get(row)?.to_vec(), None));
        }
        let parts = as_array::<StructArray>(chunk)?;
        if parts.is_null(row) {
            return None;
        }
        let part = |name: &str| {
            let place = parts.fields().iter().position(|field| field.name == name)?;
            parts.values().get(place).map(AsRef::as_ref)
        };
        let bytes = as_array::<BinaryViewArray>(part("bytes")?)?.get(row)?.to_vec();
        let name = part("path").and_then(as_array::<Utf8ViewArray>).and_then(|path| path.get(row));
        Some((bytes, name.map(str::to_owned)))
    }
}

/// A column of texts or of lists of texts.
pub struct Captions(Vec<Box<dyn Array>>);

impl Captions {
    pub fn of(chunks: Vec<Box<dyn Array>>) -> Result<Self, String> {
        match chunks.iter().find(|chunk| !holds_text(chunk.dtype())) {
            Some(other) => Err(format!("its captions are {}", described(other.dtype()))),
            None => Ok(Self(chunks)),
        }
    }

    /// The captions of a row; none where there is nothing.
    pub fn get(&self, row: usize) -> Vec<String> {
        let Some((chunk, row)) = located(&self.0, row) else { return Vec::new() };
        if let Some(texts) = as_array::<Utf8ViewArray>(chunk) {
            return texts.get(row).map(str::to_owned).into_iter().collect();
        }
        if chunk.is_null(row) {
            return Vec::new();
        }
        let list = as_array::<ListArray<i64>>(chunk).map(|list| list.value(row));
        let list = list.or_else(|| as_array::<ListArray<i32>>(chunk).map(|list| list.value(row)));
        let texts = list.as_deref().and_then(as_array::<Utf8ViewArray>);
        texts.map_or_else(Vec::new, |texts| texts.iter().flatten().map(str::to_owned).collect())
    }
}
