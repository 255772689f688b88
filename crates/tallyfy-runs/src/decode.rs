//! From the bytes of an answer to what they hold.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tallyfy_model::{Field, Item, NotARun, Run, RunId, Task, TaskId};

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

/// The task in the body of a 2xx answer: an object, or, as some endpoints wrap it, a list of one.
pub(crate) fn task(body: &[u8], asked: &TaskId) -> Result<Task, Mismatch> {
    let (data, pointer) = data(body)?;
    let unexpected = || Mismatch::Unexpected {
        pointer: pointer.to_owned(),
        expected: "a task",
        found: kind(data),
    };
    if !data.get().starts_with(['{', '[']) {
        return Err(unexpected());
    }
    let Ok(Field::Value(task)) = serde_json::from_str::<Field<Item<Task>>>(data.get()) else {
        return Err(unexpected());
    };
    let task = task.into_inner();
    match task.id.get() {
        Some(id) if !id.as_str().eq_ignore_ascii_case(asked.as_str()) => Err(Mismatch::AnotherTask {
            asked: asked.clone(),
            found: id.clone(),
        }),
        _ => Ok(task),
    }
}

/// What an answer wraps in `data`, and where that is. A bare object, which no documentation shows, is taken for it.
pub(crate) fn data(body: &[u8]) -> Result<(&RawValue, &'static str), Mismatch> {
    let text = std::str::from_utf8(body).map_err(|error| match error.error_len() {
        Some(_) => Mismatch::NotText {
            at: error.valid_up_to(),
        },
        // The last character is begun and not finished.
        None => Mismatch::EndsEarly { at: body.len() },
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
    let unexpected = |expected, found| Mismatch::Unexpected {
        pointer: String::new(),
        expected,
        found,
    };
    if !top.get().starts_with('{') {
        return Err(unexpected("an object", kind(top)));
    }
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(top.get()).map_err(|_| unexpected("an object", "one whose keys cannot be read"))?;
    match members.get("data") {
        Some(data) => Ok((data, "/data")),
        None if members.contains_key("id") => Ok((top, "")),
        None => Err(unexpected("an object with a member `data`", "an object without it")),
    }
}

/// What some JSON is, for a person.
pub(crate) fn kind(json: &RawValue) -> &'static str {
    let text = json.get();
    let is_empty = || {
        text.get(1..text.len() - 1)
            .is_some_and(|inside| inside.trim().is_empty())
    };
    match text.as_bytes() {
        [b'{', ..] if is_empty() => "an empty object",
        [b'{', ..] => "an object",
        [b'[', ..] if is_empty() => "an empty array",
        [b'[', ..] => "an array",
        [b'"', ..] => "a string",
        [b't' | b'f', ..] => "true or false",
        [b'n', ..] => "null",
        _ => "a number",
    }
}
