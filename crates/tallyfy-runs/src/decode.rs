//! From the bytes of an answer to what they hold.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tallyfy_model::{NotARun, Run, RunId};

use crate::error::Mismatch;

/// The run in the body of a 2xx answer, its JSON byte for byte as it came.
pub(crate) fn run(body: &[u8], asked: &RunId) -> Result<Run, Mismatch> {
    let (data, pointer) = data(body)?;
    let unexpected = |expected, found| Mismatch::Unexpected {
        pointer: pointer.to_owned(),
        expected,
        found,
    };
    let run = Run::from_raw(data.to_owned()).map_err(|error| match error {
        NotARun::NotAnObject => unexpected("a run", kind(data)),
        NotARun::NoId => unexpected("a run", "an object without an id"),
        _ => unexpected("a run", "an object that cannot be read"),
    })?;
    // Ids are hexadecimal, whichever case somebody typed them in.
    if !run.id().as_str().eq_ignore_ascii_case(asked.as_str()) {
        return Err(Mismatch::AnotherRun {
            asked: asked.clone(),
            found: run.id().clone(),
        });
    }
    Ok(run)
}

/// What an answer wraps in `data`, and where that is. A bare object, which no documentation shows, is taken for it.
pub(crate) fn data(body: &[u8]) -> Result<(&RawValue, &'static str), Mismatch> {
    let text = std::str::from_utf8(body).map_err(|error| Mismatch::NotText {
        at: error.valid_up_to(),
    })?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(Mismatch::Empty);
    }
    if text.starts_with('<') {
        return Err(Mismatch::Html);
    }
    let top: &RawValue = serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            Mismatch::EndsEarly { at: body.len() }
        } else {
            Mismatch::NotJson {
                line: error.line(),
                column: error.column(),
            }
        }
    })?;
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(top.get()).map_err(|_| Mismatch::Unexpected {
        pointer: String::new(),
        expected: "an object",
        found: kind(top),
    })?;
    match members.get("data") {
        Some(data) => Ok((data, "/data")),
        None if members.contains_key("id") => Ok((top, "")),
        None => Err(Mismatch::Unexpected {
            pointer: String::new(),
            expected: "an object with a member `data`",
            found: "an object without it",
        }),
    }
}

/// What some JSON is, for a person.
pub(crate) fn kind(json: &RawValue) -> &'static str {
    match json.get().as_bytes() {
        [b'{', ..] => "an object",
        [b'[', .., b']'] if json.get()[1..json.get().len() - 1].trim().is_empty() => "an empty array",
        [b'[', ..] => "an array",
        [b'"', ..] => "a string",
        [b't' | b'f', ..] => "true or false",
        [b'n', ..] => "null",
        _ => "a number",
    }
}
