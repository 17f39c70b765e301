//! Columns from plain values, and plain values from columns.

use polars::prelude::{AnyValue, Column, DataFrame, NamedFrom, PolarsResult, Series};
use serde_json::Value;

/// A column of texts, a row an item.
pub fn texts<T>(name: &str, items: &[T], value: impl Fn(&T) -> Option<String>) -> Column {
    let values: Vec<Option<String>> = items.iter().map(value).collect();
    Series::new(name.into(), values).into()
}

/// A column of numbers. What is not finite is absent: files and readers disagree on how to write it.
pub fn numbers<T>(name: &str, items: &[T], value: impl Fn(&T) -> Option<f64>) -> Column {
    let values: Vec<Option<f64>> =
        items.iter().map(|item| value(item).filter(|number| number.is_finite())).collect();
    Series::new(name.into(), values).into()
}

/// A column of counts.
pub fn counts<T>(name: &str, items: &[T], value: impl Fn(&T) -> Option<usize>) -> Column {
    let count = |item: &T| value(item).and_then(|count| i64::try_from(count).ok());
    let values: Vec<Option<i64>> = items.iter().map(count).collect();
    Series::new(name.into(), values).into()
}

/// A column of truth values.
pub fn flags<T>(name: &str, items: &[T], value: impl Fn(&T) -> Option<bool>) -> Column {
    let values: Vec<Option<bool>> = items.iter().map(value).collect();
    Series::new(name.into(), values).into()
}

/// A column of settings, in the narrowest type that holds all of its values.
pub fn settings<T>(name: &str, items: &[T], value: impl Fn(&T) -> Option<Value>) -> Column {
    let values: Vec<Option<Value>> = items.iter().map(value).collect();
    let all = |fits: fn(&Value) -> bool| values.iter().flatten().all(fits);
    if all(Value::is_u64) {
        counts(name, &values, |value| value.as_ref()?.as_u64()?.try_into().ok())
    } else if all(Value::is_number) {
        numbers(name, &values, |value| value.as_ref()?.as_f64())
    } else if all(Value::is_boolean) {
        flags(name, &values, |value| value.as_ref()?.as_bool())
    } else {
        texts(name, &values, |value| {
            value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
    }
}

/// Reads single values of a frame; absent columns are errors, absent values are not.
pub struct Cells<'a> {
    pub frame: &'a DataFrame,
    pub row: usize,
}

impl Cells<'_> {
    pub fn text(&self, column: &str) -> PolarsResult<Option<String>> {
        Ok(self.frame.column(column)?.str()?.get(self.row).map(str::to_owned))
    }

    pub fn number(&self, column: &str) -> PolarsResult<Option<f64>> {
        Ok(self.frame.column(column)?.f64()?.get(self.row))
    }

    pub fn count(&self, column: &str) -> PolarsResult<Option<usize>> {
        let count = self.frame.column(column)?.i64()?.get(self.row);
        Ok(count.and_then(|count| count.try_into().ok()))
    }

    pub fn flag(&self, column: &str) -> PolarsResult<Option<bool>> {
        Ok(self.frame.column(column)?.bool()?.get(self.row))
    }

    /// A value of a column of settings.
    pub fn setting(&self, column: &str) -> PolarsResult<Option<Value>> {
        Ok(match self.frame.column(column)?.get(self.row)? {
            AnyValue::Int64(count) => Some(Value::from(count)),
            AnyValue::Float64(number) => Some(Value::from(number)),
            AnyValue::Boolean(flag) => Some(Value::from(flag)),
            AnyValue::String(text) => Some(Value::from(text)),
            AnyValue::StringOwned(text) => Some(Value::from(text.as_str())),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn column_type(values: &[Option<Value>]) -> String {
        settings("x", values, Clone::clone).dtype().to_string()
    }

    #[test]
    fn settings_take_the_narrowest_type_that_holds_them() {
        assert_eq!(column_type(&[Some(json!(0)), None, Some(json!(6))]), "i64");
        assert_eq!(column_type(&[Some(json!(1)), Some(json!(0.5))]), "f64");
        assert_eq!(column_type(&[Some(json!(true)), None]), "bool");
        assert_eq!(column_type(&[Some(json!("dec")), Some(json!(1))]), "str");
    }

    #[test]
    fn values_come_back_as_they_went_in_and_what_is_not_finite_is_absent() {
        let columns = vec![
            numbers("n", &[Some(0.1), Some(f64::NAN), None], |x| *x),
            settings("s", &[Some(json!(0)), None, Some(json!(6))], Clone::clone),
        ];
        let frame = DataFrame::new(3, columns).unwrap();
        let at = |row| Cells { frame: &frame, row };
        assert_eq!([0, 1, 2].map(|row| at(row).number("n").unwrap()), [Some(0.1), None, None]);
        assert_eq!(
            [0, 1, 2].map(|row| at(row).setting("s").unwrap()),
            [Some(json!(0)), None, Some(json!(6))]
        );
        assert!(at(0).number("missing").is_err());
    }
}
