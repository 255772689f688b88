//! What stands around a body that came by a detour: a relay, a form, an encoding.
//!
//! One wrapping is opened, no more. Compressed bodies are not opened here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Members in which relays, topics and event buses pass a body on.
const RELAYED: [&str; 5] = ["body", "payload", "message", "Message", "detail"];

/// A body as text: without a byte order mark, UTF-16 as what it says, and what is no character replaced.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // JSON begins with a character of ASCII, of which one byte is zero.
        [first, 0, ..] if *first != 0 => utf16(body, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(body, u16::from_be_bytes),
        _ => String::from_utf8_lossy(body),
    }
}

fn utf16<'a>(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'a, str> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// What is in the wrapping of a text: in a list of one, in a string that is JSON, in the member in which a relay passes a
/// body on, or in a form. `None` if there is no wrapping.
pub(super) fn opened(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    match text.as_bytes().first()? {
        b'[' => match serde_json::from_str::<Vec<&RawValue>>(text).ok()?.as_slice() {
            [only] => Some(Cow::Borrowed(only.get())),
            _ => None,
        },
        b'"' => serde_json::from_str(text).ok().map(Cow::Owned),
        b'{' => {
            let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
            let relayed = RELAYED.iter().find_map(|name| members.get(*name))?.get();
            if relayed.starts_with('"') {
                return serde_json::from_str(relayed).ok().map(Cow::Owned);
            }
            Some(Cow::Borrowed(relayed))
        }
        _ => text
            .split('&')
            .flat_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                [value, name]
            })
            .filter_map(from_form)
            .find(|value| value.trim_start().starts_with('{'))
            .map(Cow::Owned),
    }
}

/// The text that a name or a value of a form stands for.
fn from_form(written: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                rest = after;
            }
            (b'%', _) => return None,
            (byte, _) => bytes.push(*byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_encoding_of_the_same_text_is_read() {
        let json = r#"{"id":"r1","name":"ä😀"}"#;
        let units = || json.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            json.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", json.as_bytes()].concat(),
            [b"\xff\xfe", little.as_slice()].concat(),
            [b"\xfe\xff", big.as_slice()].concat(),
            little,
            big,
        ] {
            assert_eq!(text(&bytes), json, "{bytes:?}");
        }
    }

    #[test]
    fn one_wrapping_is_opened() {
        let json = r#"{"id":"r+1"}"#;
        for wrapped in [
            r#" [ {"id":"r+1"} ] "#,
            r#""{\"id\":\"r+1\"}""#,
            r#"{"headers":{},"body":{"id":"r+1"}}"#,
            r#"{"body":"{\"id\":\"r+1\"}","path":"/"}"#,
            r#"{"Type":"Notification","Message":"{\"id\":\"r+1\"}"}"#,
            r#"{"detail-type":"run","detail":{"id":"r+1"}}"#,
            "payload=%7B%22id%22%3A%22r%2b1%22%7D&token=x",
            "a=1&json={\"id\":\"r%2B1\"}",
            "%7B%22id%22%3A%22r%2B1%22%7D=",
        ] {
            assert_eq!(opened(wrapped).as_deref(), Some(json), "{wrapped}");
        }
    }

    #[test]
    fn what_is_not_wrapped_is_not_opened() {
        for text in [
            "",
            "[]",
            "[1,2]",
            "[",
            "{}",
            r#"{"id":"r1"}"#,
            "hello",
            "a=%7",
            "a=%zz{",
            "\"\\",
            "1",
        ] {
            assert_eq!(opened(text), None, "{text}");
        }
    }
}
