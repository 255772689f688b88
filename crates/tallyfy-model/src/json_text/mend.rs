//! A second reading of what is JSON, but not for `serde_json`.
//!
//! JSON puts no bounds on numbers or nesting and lets an escape name half a surrogate pair; `serde_json` refuses all
//! three, and with them the whole text. Where that happens the text is read once more with just those tokens replaced.
//! Only the decoded view comes from that; raw JSON stays what it was.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Error, Number};

use super::token::{Kind, Token, tokens};

/// The deepest nesting that `serde_json` reads.
const MAX_DEPTH: usize = 127;

/// The name that `serde_json` reads as an instruction where it should read a member.
const RESERVED_NAME: &str = "$serde_json::private::RawValue";

/// Reads JSON text, with what `serde_json` refuses replaced if it has to be.
pub(crate) fn from_str<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).or_else(|_| {
        // Checks the syntax and nothing else, and without recursion.
        let raw: &RawValue = serde_json::from_str(json)?;
        serde_json::from_str(&mended(raw.get()))
    })
}

/// The same from bytes; what is not UTF-8 in them is replaced too.
pub(crate) fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).or_else(|_| from_str(&String::from_utf8_lossy(json)))
}

/// Writes JSON text again: a number out of range becomes a string of its digits, half a surrogate pair U+FFFD, and what
/// is nested too deeply `null`.
fn mended(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut depth = 0_usize;
    for Token { kind, text } in tokens(json) {
        let opens = matches!(kind, Kind::ObjectStart | Kind::ArrayStart);
        if opens {
            depth += 1;
        }
        match kind {
            _ if opens && depth == MAX_DEPTH + 1 => out.push_str("null"),
            _ if depth > MAX_DEPTH => {}
            Kind::String => push_string(text, &mut out),
            Kind::Number if serde_json::from_str::<Number>(text).is_err() => out.extend(["\"", text, "\""]),
            _ => out.push_str(text),
        }
        if matches!(kind, Kind::ObjectEnd | Kind::ArrayEnd) {
            depth = depth.saturating_sub(1);
        }
    }
    out
}

fn push_string(token: &str, out: &mut String) {
    match serde_json::from_str::<String>(token) {
        Ok(text) if text == RESERVED_NAME => out.push_str("\"RawValue\""),
        Ok(_) => out.push_str(token),
        Err(_) => push_with_whole_characters(token, out),
    }
}

fn push_with_whole_characters(token: &str, out: &mut String) {
    let mut rest = token;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match (utf16_unit(rest), rest.get(6..).and_then(utf16_unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                out.push(char::REPLACEMENT_CHARACTER);
                rest = rest.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            // The character after the backslash is one of nine, all of one byte.
            (None, _) => 2,
        };
        let (escape, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        out.push_str(escape);
        rest = after;
    }
    out.push_str(rest);
}

/// The code unit that a text begins with, if it begins with `\u` and four hex digits.
fn utf16_unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_number_out_of_range_becomes_its_text() {
        assert_eq!(
            from_str::<Value>("[1e999, -1.5E+400, 1.50]").unwrap(),
            json!(["1e999", "-1.5E+400", 1.5])
        );
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_a_whole_one_is_not() {
        for (json, expected) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\ud800""#, "\u{fffd}"),
            (r#""\udc00\ud800""#, "\u{fffd}\u{fffd}"),
            (r#""\ud800\ud83d\ude00\n\\u""#, "\u{fffd}😀\n\\u"),
            (r#""\ud800\u0041ä\"""#, "\u{fffd}Aä\""),
            (r#""\\ud800\ud800""#, "\\ud800\u{fffd}"),
        ] {
            assert_eq!(from_str::<String>(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_null_and_its_neighbours_stay() {
        let nested = |depth: usize| format!("{}\"[\"{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!(r#"{{"a":1,"deep":{},"b":2}}"#, nested(100_000));
        let value: Value = from_str(&text).unwrap();
        assert_eq!((&value["a"], &value["b"]), (&json!(1), &json!(2)));
        let mut levels = 0;
        let mut inner = &value["deep"];
        while let Some(element) = inner.get(0) {
            inner = element;
            levels += 1;
        }
        assert_eq!((levels, inner), (MAX_DEPTH - 1, &Value::Null));
        assert_eq!(mended(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
    }

    #[test]
    fn a_name_that_serde_json_keeps_for_itself_does_no_harm() {
        let value: Value = from_str(r#"{"$serde_json::private::RawValue":5,"a":1}"#).unwrap();
        assert_eq!(value, json!({"RawValue": 5, "a": 1}));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(from_slice::<String>(b"\"a\xffb\"").unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn what_is_not_json_stays_refused() {
        let open = "[".repeat(4 << 20);
        for json in [
            "",
            "nul",
            "[1e999",
            "\"\\ud800",
            "[1e]",
            "{\"a\":\"\\x\"}",
            open.as_str(),
        ] {
            assert!(from_str::<Value>(json).is_err());
        }
    }

    #[test]
    fn any_text_can_be_mended_without_a_panic() {
        for text in [
            "\"\\",
            "\"\\u",
            "\"\\ud8",
            "\"\\ä",
            "-",
            "}}]",
            "ä\"ä\\ud800ä",
            "\"\\ud800\\uä",
        ] {
            mended(text);
        }
    }
}
