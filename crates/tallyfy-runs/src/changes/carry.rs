//! What stands because a newer answer does not tell it.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tallyfy_model::Run;

use super::INCLUDES;
use super::doubt::Doubt;
use super::json::Json;
use super::scan::{RawMembers, raw_members};
use crate::Include;

/// A fetched run, with what it does not tell as it was last told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Carried {
    /// The run, to be compared, shown and kept as the last known one.
    pub run: Run,
    /// Those of its members that are from an earlier answer. Whoever shows the run says so.
    pub members: Vec<&'static str>,
}

/// Puts into a fetched run what was asked for and is not told: an include that is missing, `null`, `{"data":null}` or
/// `false`, and what is in doubt. Of each, what was known last stands, so that it is compared when it comes back: a task
/// that was completed meanwhile is told then. Everything else stays as the API sent it.
///
/// What was not asked for is not carried on, or it would stand for ever. Neither is `next_task`, for which `null` is an
/// answer: nothing comes next.
///
/// ```
/// use tallyfy_model::Run;
/// use tallyfy_runs::{Change, Include, carry_forward, changes};
///
/// let known = Run::from_json(r#"{"id":"r1","tasks":[{"id":"t1","status":"active"}]}"#)?;
/// let fetched = Run::from_json(r#"{"id":"r1","name":"x","tasks":null}"#)?;
/// let half = carry_forward(&known, fetched, &[Include::Tasks], &[]);
/// assert_eq!(half.run.raw(), r#"{"id":"r1","name":"x","tasks":[{"id":"t1","status":"active"}]}"#);
/// assert_eq!(half.members, ["tasks"]);
///
/// let whole = Run::from_json(r#"{"id":"r1","name":"x","tasks":[{"id":"t1","status":"completed"}]}"#)?;
/// assert!(matches!(changes(&half.run, &whole).as_slice(), [Change::TaskCompleted { .. }]));
/// # Ok::<(), tallyfy_model::NotARun>(())
/// ```
pub fn carry_forward(known: &Run, fetched: Run, asked: &[Include], doubts: &[Doubt]) -> Carried {
    let (old, new) = (raw_members(known.raw()), raw_members(fetched.raw()));
    let carried: Vec<(&'static str, &RawValue)> = INCLUDES
        .into_iter()
        .chain(["prerun"])
        .filter(|member| {
            let is_asked = asked.iter().any(|include| include.as_str() == *member);
            let is_untold = is_asked && *member != "next_task" && !is_told(&new, member);
            is_untold || doubts.iter().any(|doubt| doubt.member == *member)
        })
        .filter_map(|member| Some((member, last(&old, member)?)))
        .filter(|(_, json)| !Json::new(json.get()).is_untold())
        .collect();
    let run = match carried.as_slice() {
        [] => None,
        carried => Run::from_json(&with(&new, carried)).ok(),
    };
    match run {
        Some(run) => Carried {
            run,
            members: carried.into_iter().map(|(member, _)| member).collect(),
        },
        None => Carried {
            run: fetched,
            members: Vec::new(),
        },
    }
}

fn is_told(members: &RawMembers<'_>, member: &str) -> bool {
    last(members, member).is_some_and(|json| !Json::new(json.get()).is_untold())
}

/// Of several members with one name, the last counts.
fn last<'a>(members: &RawMembers<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().rfind(|(key, _)| key == name).map(|(_, json)| *json)
}

/// The JSON of an object with these members in the place of its own, or at its end.
fn with(members: &RawMembers<'_>, others: &[(&str, &RawValue)]) -> String {
    let kept = members
        .iter()
        .filter(|(key, _)| !others.iter().any(|(other, _)| key == other))
        .map(|(key, json)| (key.clone(), *json));
    let others = others.iter().map(|(key, json)| (Cow::Borrowed(*key), *json));
    let written: Vec<String> = kept
        .chain(others)
        .map(|(key, json)| format!("{}:{}", serde_json::Value::from(key), json.get()))
        .collect();
    format!("{{{}}}", written.join(","))
}
