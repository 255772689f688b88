//! What happened in a round, as the judge sees it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

/// The versions of a run's state that the API held. The oracle numbers them from 1.
pub type Version = u64;

/// What happened in a round.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Each run, with what the oracle issued.
    pub runs: BTreeMap<String, Issued>,
    /// The webhooks, in the order in which they were sent.
    pub announcements: Vec<Announcement>,
    /// What each handler was given, in the order in which it came.
    pub arrivals: BTreeMap<String, Vec<Arrival>>,
    /// Whether no sweep looked at the runs: every webhook has to lead to the last state by itself.
    pub without_sweeps: bool,
}

/// What the API held of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// The newest version.
    pub last: Version,
    /// Whether the run was deleted after that.
    pub is_deleted: bool,
    /// What was taken back, and by which version.
    pub undone: Vec<(Version, Undone)>,
}

/// Something that a person took back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The completion of the run.
    Completion,
    /// Its archiving.
    Archiving,
    /// The completion of this task.
    Task(String),
}

/// A webhook that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The run that it is about.
    pub run: String,
    /// What it says.
    pub told: Told,
    /// The version that the API held when it was sent.
    pub version: Version,
    /// Whether it was answered with 2xx. Only then anything is owed.
    pub is_acknowledged: bool,
    /// Whether an event with an older state is no fulfilment: not so where the API lagged, and the webhook said nothing
    /// that a fetched run can be held against.
    pub is_binding: bool,
}

/// What a webhook says, as events repeat it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// `process`, `task` or `organization`.
    pub kind: String,
    /// `task.completed`, for example.
    pub event: String,
    /// The task.
    pub task: Option<String>,
}

/// What an event says of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This version of its state.
    State(Version),
    /// That it cannot be had.
    Nothing,
}

/// An event that came to a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The run.
    pub run: String,
    /// The number within the run.
    pub sequence: u64,
    /// The event's id.
    pub id: String,
    /// The event as it came.
    pub body: Bytes,
    /// The state.
    pub shown: Shown,
    /// What can be undone of that state.
    pub done: Option<Done>,
    /// Whether it tells that the run was taken back.
    pub is_reactivation: bool,
    /// Whether it says of itself that the state is older than announced.
    pub is_stale: bool,
    /// The webhooks that led to it.
    pub told: BTreeSet<Told>,
    /// Whether the handler took it.
    pub is_accepted: bool,
}

/// What of a run's state is as people made it, and cannot go back by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// When it was updated last.
    pub updated: Option<Timestamp>,
    /// Whether it is complete.
    pub is_complete: bool,
    /// Whether it is archived.
    pub is_archived: bool,
    /// The tasks, and whether each is complete; `None` where the event says that they are from an earlier answer.
    pub tasks: Option<BTreeMap<String, bool>>,
}

impl Done {
    fn read(data: &Value) -> Option<Self> {
        let run = data["run"].as_object()?;
        let has = |name: &str| run.get(name).is_some_and(Value::is_string);
        let is_kept = data["kept"]
            .as_array()
            .is_some_and(|kept| kept.contains(&"tasks".into()));
        let tasks = run.get("tasks").map(|tasks| tasks.get("data").unwrap_or(tasks));
        let task = |task: &Value| Some((task["id"].as_str()?.to_owned(), task["completed_at"].is_string()));
        Some(Self {
            updated: run.get("last_updated").and_then(|at| at.as_str()?.parse().ok()),
            is_complete: has("completed_at"),
            is_archived: has("archived_at"),
            tasks: tasks
                .and_then(Value::as_array)
                .filter(|_| !is_kept)
                .map(|tasks| tasks.iter().filter_map(task).collect()),
        })
    }
}

impl Arrival {
    /// Reads an event. `None` if it is none, as a line that a crash cut off.
    pub fn read(body: Bytes, is_accepted: bool) -> Option<Self> {
        let event: Value = serde_json::from_slice(&body).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let data = &event["data"];
        let told = data["notifications"].as_array()?.iter().filter_map(|notification| {
            Some(Told {
                kind: text(&notification["kind"])?,
                event: text(&notification["event"])?,
                task: text(&notification["task_id"]),
            })
        });
        Some(Self {
            run: text(&event["subject"])?,
            sequence: event["sequence"].as_str()?.parse().ok()?,
            id: text(&event["id"])?,
            shown: match &data["run"] {
                Value::Null => Shown::Nothing,
                run => Shown::State(version_of(run)),
            },
            done: Done::read(data),
            is_reactivation: event["type"].as_str().is_some_and(|it| it.contains(".reactivated.")),
            is_stale: data["stale"] == true,
            told: told.collect(),
            is_accepted,
            body,
        })
    }
}

/// How the oracle writes a version into a run's summary.
pub(crate) fn stamp(version: Version) -> String {
    format!("version {version}")
}

/// The version in a run as the API renders it; 0 before the first.
fn version_of(run: &Value) -> Version {
    let summary = run["summary"].as_str().unwrap_or_default();
    summary
        .strip_prefix("version ")
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_and_a_line_that_was_cut_off_is_none() {
        let event = r#"{"id":"e1","subject":"r1","sequence":"2","data":{"run":{"summary":"version 7"},"changes":[],
            "notifications":[{"kind":"task","event":"task.completed","task_id":"t1"}]}}"#;
        let arrival = Arrival::read(Bytes::from_static(event.as_bytes()), true).unwrap();
        assert_eq!(
            (arrival.run.as_str(), arrival.sequence, arrival.id.as_str()),
            ("r1", 2, "e1")
        );
        assert_eq!(arrival.shown, Shown::State(7));
        assert_eq!(arrival.told.len(), 1);
        assert_eq!(Arrival::read(Bytes::from_static(&event.as_bytes()[..90]), true), None);
    }

    #[test]
    fn a_stamp_is_read_back() {
        assert_eq!(version_of(&serde_json::json!({"summary": stamp(12)})), 12);
        assert_eq!(version_of(&serde_json::json!({"summary": null})), 0);
    }
}
