//! Work on JSON text that changes nothing but what it is for: numbers, escapes and the order of keys stay as they came.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::salvage;

/// What stands in the place of a guest link.
pub const REDACTED: &str = "[redacted]";

/// Members whose text lets whoever has it in without a login (API reference, section g.3).
const GUEST_LINK_MEMBERS: [&str; 4] = ["guest-links", "guest_links", "link_for_guest", "guest_link"];

/// The deepest nesting that is looked into, or set out over lines.
const MAX_DEPTH: usize = 128;

/// Takes the white space between the tokens out of JSON text, so that it fits on one line.
///
/// ```
/// assert_eq!(tallyfy_model::minified("{ \"a\" :\n 1.50, \"b\": \" \\\" x\" }"), r#"{"a":1.50,"b":" \" x"}"#);
/// ```
pub fn minified(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if !matches!(character, ' ' | '\t' | '\n' | '\r') {
            out.push(character);
            in_string = character == '"';
        }
    }
    out
}

/// Sets JSON text out over indented lines, for a person to read.
///
/// ```
/// assert_eq!(tallyfy_model::indented(r#"{"a":[1.50,{}],"b":"x, y"}"#), "{\n  \"a\": [\n    1.50,\n    {}\n  ],\n  \"b\": \"x, y\"\n}");
/// ```
pub fn indented(json: &str) -> String {
    let json = minified(json);
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let new_line = |out: &mut String, depth: usize| {
        // Deeper down, the indentation would outgrow the text without bound.
        if depth <= MAX_DEPTH {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                out.push(character);
                if !matches!(characters.peek(), Some('}' | ']')) {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    new_line(&mut out, depth);
                }
                out.push(character);
            }
            ',' => {
                out.push(character);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                out.push(character);
                in_string = character == '"';
            }
        }
    }
    out
}

/// Writes JSON text again, minified, with every text inside a guest link member replaced by [`REDACTED`].
///
/// # Errors
/// If the text is not JSON, or nested more than 128 levels deep: nothing is let through unseen.
pub fn without_guest_links(json: &str) -> Result<String, serde_json::Error> {
    let raw: &RawValue = serde_json::from_str(json)?;
    let mut out = String::with_capacity(json.len());
    write_redacted(raw, false, 0, &mut out)?;
    Ok(out)
}

fn write_redacted(raw: &RawValue, secret: bool, depth: usize, out: &mut String) -> Result<(), serde_json::Error> {
    if depth > MAX_DEPTH {
        return Err(serde::de::Error::custom("nested too deeply"));
    }
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            out.push('{');
            for (position, (key, value)) in members.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                let key_text: String = salvage::from_str(key.get())?;
                out.push_str(key.get());
                out.push(':');
                let secret = secret || GUEST_LINK_MEMBERS.contains(&key_text.as_str());
                write_redacted(value, secret, depth + 1, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let Elements(elements) = serde_json::from_str(text)?;
            out.push('[');
            for (position, value) in elements.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_redacted(value, secret, depth + 1, out)?;
            }
            out.push(']');
        }
        Some(b'"') if secret => {
            out.push('"');
            out.push_str(REDACTED);
            out.push('"');
        }
        _ => out.push_str(text),
    }
    Ok(())
}

/// The members of an object, keys as raw text.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;

        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Elements<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }

        deserializer.deserialize_seq(ElementsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        assert_eq!(
            minified(" [ 1 , \"a \\\\\" , \"b\\\"  c\" ,\t1.50e3 ]\r\n"),
            r#"[1,"a \\","b\"  c",1.50e3]"#
        );
    }

    #[test]
    fn guest_links_go_and_everything_else_stays_as_it_came() {
        let body = r#"{"n": 1.50, "big": 12345678901234567890123, "ä\u00e4": [],
            "guest-links": {"a@b.example": {"link_for_guest": "https://go.tallyfy.com/guest/s3cret", "n": 7}},
            "deep": [{"link_for_guest": "https://x/s3cret"}]}"#;
        assert_eq!(
            without_guest_links(body).unwrap(),
            concat!(
                r#"{"n":1.50,"big":12345678901234567890123,"ä\u00e4":[],"#,
                r#""guest-links":{"a@b.example":{"link_for_guest":"[redacted]","n":7}},"#,
                r#""deep":[{"link_for_guest":"[redacted]"}]}"#
            )
        );
    }

    #[test]
    fn an_escaped_key_hides_nothing() {
        let redacted = without_guest_links(r#"{"\u0067uest-links":"s3cret"}"#).unwrap();
        assert!(!redacted.contains("s3cret"), "{redacted}");
    }

    #[test]
    fn a_key_that_is_no_text_is_passed_on() {
        let body = r#"{"\ud800":{"guest-links":"s3cret"}}"#;
        assert_eq!(
            without_guest_links(body).unwrap(),
            r#"{"\ud800":{"guest-links":"[redacted]"}}"#
        );
    }

    #[test]
    fn indentation_does_not_outgrow_the_text() {
        let deep = format!("{}1{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
        let shown = indented(&deep);
        assert!(shown.len() < 200_000, "{}", shown.len());
        assert_eq!(minified(&shown), deep);
    }

    #[test]
    fn what_cannot_be_looked_through_is_not_let_through() {
        let deep = format!("{}\"s3cret\"{}", "[".repeat(500), "]".repeat(500));
        assert!(without_guest_links(&deep).is_err());
        assert!(without_guest_links("{\"guest-links\":").is_err());
    }
}
