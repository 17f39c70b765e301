//! A table's rows as JSON, for programs: an object a row, a key a column, `null` where there is no value.

use polars::prelude::{AnyValue, DataFrame, PolarsResult};
use serde_json::{Map, Value};

pub fn rows_as_json(frame: &DataFrame) -> PolarsResult<Vec<Value>> {
    (0..frame.height()).map(|row| row_as_json(frame, row)).collect()
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
