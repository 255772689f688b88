//! Texts, flags and numbers.

use serde_json::Number;

use super::{Field, Shape};

/// A whole number, which PHP writes as `3.0` if it came out of a division.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    // Up to here every whole number is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
    })
}

impl Shape for String {
    fn from_text(text: &str) -> Field<Self> {
        Field::Value(text.to_owned())
    }
}

impl Shape for bool {
    fn from_bool(value: bool) -> Field<Self> {
        Field::Value(value)
    }

    fn from_number(number: Number) -> Field<Self> {
        match whole(&number) {
            Some(0) => Field::Value(false),
            Some(1) => Field::Value(true),
            _ => Field::unexpected(number),
        }
    }

    fn from_text(text: &str) -> Field<Self> {
        match text {
            "" => Field::Empty,
            "0" | "false" => Field::Value(false),
            "1" | "true" => Field::Value(true),
            _ => Field::unexpected(text),
        }
    }
}

impl Shape for i64 {
    fn from_number(number: Number) -> Field<Self> {
        whole(&number).map_or_else(|| Field::unexpected(number), Field::Value)
    }

    fn from_text(text: &str) -> Field<Self> {
        match text.parse() {
            Ok(number) => Field::Value(number),
            Err(_) if text.is_empty() => Field::Empty,
            Err(_) => Field::unexpected(text),
        }
    }
}

impl Shape for f64 {
    fn from_number(number: Number) -> Field<Self> {
        number.as_f64().map_or_else(|| Field::unexpected(number), Field::Value)
    }

    fn from_text(text: &str) -> Field<Self> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Field::Value(number),
            _ if text.is_empty() => Field::Empty,
            _ => Field::unexpected(text),
        }
    }
}
