//! Numbers that must reach the wire digit by digit.
//!
//! `serde_json::Value` keeps neither the zero of `1.50` nor integers beyond 64 bits. Such a number travels as a marked
//! string and loses mark and quotes when the text is written.

use serde_json::Value;

const OPEN: &str = "\"@number:";
const CLOSE: &str = ":number@\"";

/// A number, exactly as written.
pub(crate) fn literal(digits: &str) -> Value {
    Value::String(format!("@number:{digits}:number@"))
}

/// The JSON text of a value, on one line or indented.
pub(crate) fn to_text(value: &Value, pretty: bool) -> String {
    let text = if pretty {
        format!("{value:#}")
    } else {
        value.to_string()
    };
    if text.contains(OPEN) {
        text.replace(OPEN, "").replace(CLOSE, "")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_reach_the_text_digit_by_digit() {
        let value = json!({"a": literal("1.50"), "b": [literal("12345678901234567890")]});
        assert_eq!(to_text(&value, false), r#"{"a":1.50,"b":[12345678901234567890]}"#);
        assert_eq!(to_text(&json!({"a": literal("1.50")}), true), "{\n  \"a\": 1.50\n}");
    }
}
