//! A table's rows as JSON, for programs: an object a row, a key a column, `null` where there is no value.

use polars::prelude::{AnyValue, DataFrame, PolarsResult};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The rows of a table, which become JSON when they are written: of ten thousand runs that takes half a second, and most
/// reports are only looked at.
#[derive(Debug, Clone)]
pub struct Rows(pub DataFrame);

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals_missing(&other.0)
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = (0..self.0.height()).map(|row| row_as_json(&self.0, row));
        rows.collect::<PolarsResult<Vec<Value>>>().map_err(S::Error::custom)?.serialize(serializer)
    }
}

fn row_as_json(frame: &DataFrame, row: usize) -> PolarsResult<Value> {
    let mut object = Map::new();
    for column in frame.columns() {
        let value = match column.get(row)? {
            AnyValue::Boolean(flag) => Value::from(flag),
            AnyValue::Int64(count) => Value::from(count),
            AnyValue::Float64(number) => Value::from(number),
            AnyValue::String(text) => Value::from(text),
            AnyValue::StringOwned(text) => Value::from(text.as_str()),
            _ => Value::Null,
        };
        object.insert(column.name().to_string(), value);
    }
    Ok(Value::Object(object))
}
