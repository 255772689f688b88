//! From the bytes of an answer to what they hold.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tallyfy_model::json_text::depth;
use tallyfy_model::{
    Checklist, ChecklistId, Field, Json, List, Member, Meta, NotARun, Pagination, Record, Run, RunId, Shape, Task,
    TaskId, WithJson,
};

use crate::error::Mismatch;

/// The deepest nesting of a run that is handed on. The server's own writer of JSON goes no deeper by default, and many of
/// the readers that events go to would fail, or crash, far above what could be sent otherwise.
const MAX_DEPTH: usize = 512;

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
    if depth(run.raw()) > MAX_DEPTH {
        return Err(unexpected("a run", "one that is nested more than 512 levels deep"));
    }
    // Ids are hexadecimal, whichever case somebody typed them in.
    if !run.id().as_str().eq_ignore_ascii_case(asked.as_str()) {
        return Err(Mismatch::AnotherRun {
            asked: asked.clone(),
            found: run.id().clone(),
        });
    }
    Ok(run)
}

/// The run in the body of the answer to a launch.
pub(crate) fn launched(body: &[u8]) -> Result<Run, Mismatch> {
    let (data, pointer) = data(body)?;
    Run::from_raw(data.to_owned()).map_err(|_| Mismatch::Unexpected {
        pointer: pointer.to_owned(),
        expected: "a run",
        found: kind(data),
    })
}

/// The task in the body of a 2xx answer: an object, or, as some endpoints wrap it, a list of one.
pub(crate) fn task(body: &[u8], asked: &TaskId) -> Result<WithJson<Task>, Mismatch> {
    let task: WithJson<Task> = thing(body, "a task")?;
    match task.id.get() {
        Some(id) if !id.as_str().eq_ignore_ascii_case(asked.as_str()) => Err(Mismatch::AnotherTask {
            asked: asked.clone(),
            found: id.clone(),
        }),
        _ => Ok(task),
    }
}

/// The template in the body of a 2xx answer.
pub(crate) fn template(body: &[u8], asked: &ChecklistId) -> Result<WithJson<Checklist>, Mismatch> {
    let template: WithJson<Checklist> = thing(body, "a template")?;
    match template.id.get() {
        Some(id) if !id.as_str().eq_ignore_ascii_case(asked.as_str()) => Err(Mismatch::AnotherTemplate {
            asked: asked.clone(),
            found: id.clone(),
        }),
        _ => Ok(template),
    }
}

/// The member in the body of a 2xx answer.
pub(crate) fn member(body: &[u8]) -> Result<WithJson<Member>, Mismatch> {
    let member: WithJson<Member> = thing(body, "a member")?;
    if member.any_id().is_none() {
        return Err(Mismatch::Unexpected {
            pointer: "/data".to_owned(),
            expected: "a member",
            found: "an object without an id",
        });
    }
    Ok(member)
}

/// A thing in the body of a 2xx answer.
pub(crate) fn thing<T: Record>(body: &[u8], expected: &'static str) -> Result<WithJson<T>, Mismatch> {
    let (data, pointer) = data(body)?;
    let unexpected = || Mismatch::Unexpected {
        pointer: pointer.to_owned(),
        expected,
        found: kind(data),
    };
    if !data.get().starts_with(['{', '[']) {
        return Err(unexpected());
    }
    WithJson::from_raw(data.to_owned()).map_err(|_| unexpected())
}

/// An element of a list, with its id.
pub(crate) fn element<T: Record, I: AsRef<str>>(
    json: Json,
    id: impl FnOnce(&T) -> Option<&I>,
) -> Result<(String, WithJson<T>), Json> {
    let thing = WithJson::<T>::from_raw(json.clone().into()).ok();
    let id = thing.as_ref().and_then(|thing| id(thing));
    let id = id.map(|id| id.as_ref().to_owned());
    id.zip(thing).ok_or(json)
}

/// Reads JSON as leniently as everything in a run is read.
fn read<T: Shape>(json: &RawValue) -> Field<T> {
    Json::from(json.to_owned()).read()
}

/// What an answer wraps in `data`, and where that is. A bare object, which no documentation shows, is taken for it.
pub(crate) fn data(body: &[u8]) -> Result<(&RawValue, &'static str), Mismatch> {
    let top = top(body)?;
    let mut members = members(top)?;
    match members.remove("data") {
        Some(data) => Ok((data, "/data")),
        None if members.contains_key("id") => Ok((top, "")),
        None => Err(without_data()),
    }
}

fn without_data() -> Mismatch {
    Mismatch::Unexpected {
        pointer: String::new(),
        expected: "an object with a member `data`",
        found: "an object without it",
    }
}

/// The elements of a list, and what it says of its pages. A bare array, which no documentation shows, is taken for one.
pub(crate) fn list(body: &[u8]) -> Result<(Vec<Json>, Pagination), Mismatch> {
    let top = top(body)?;
    let (data, pointer, meta) = if top.get().starts_with('[') {
        (top, "", None)
    } else {
        let mut members = members(top)?;
        let data = members.remove("data").ok_or_else(without_data)?;
        (data, "/data", members.remove("meta"))
    };
    let elements = match read::<List<Json>>(data) {
        Field::Value(list) => list.into_iter().collect(),
        Field::Absent | Field::Empty => Vec::new(),
        Field::Unexpected(_) => {
            return Err(Mismatch::Unexpected {
                pointer: pointer.to_owned(),
                expected: "a list",
                found: kind(data),
            });
        }
    };
    let meta = meta.map(read::<Meta>).unwrap_or_default();
    Ok((elements, meta.pagination()))
}

/// The JSON of a body.
fn top(body: &[u8]) -> Result<&RawValue, Mismatch> {
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
    serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            Mismatch::EndsEarly { at: body.len() }
        } else {
            Mismatch::NotJson {
                line: error.line(),
                column: error.column(),
            }
        }
    })
}

fn members(top: &RawValue) -> Result<BTreeMap<String, &RawValue>, Mismatch> {
    let unexpected = |found| Mismatch::Unexpected {
        pointer: String::new(),
        expected: "an object",
        found,
    };
    if !top.get().starts_with('{') {
        return Err(unexpected(kind(top)));
    }
    serde_json::from_str(top.get()).map_err(|_| unexpected("one whose keys cannot be read"))
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
