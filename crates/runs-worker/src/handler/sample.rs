//! An event of a run that does not exist, to try a handler with.

use jiff::Timestamp;
use tallyfy_model::{OrgId, Run};

use super::{Event, EventDraft};
use crate::event::EventType;

impl Event {
    /// An event to try a handler with: of the run `sample`, a task of which was completed. Each has an id of its own.
    ///
    /// # Errors
    /// None in practice: the sample is JSON.
    pub fn sample(org: &OrgId, at: Timestamp) -> Result<Self, serde_json::Error> {
        Self::sample_of(EventType::Changed, org, at)
    }

    /// The same of another type.
    ///
    /// # Errors
    /// None in practice: the sample is JSON.
    pub fn sample_of(event_type: EventType, org: &OrgId, at: Timestamp) -> Result<Self, serde_json::Error> {
        let draft = EventDraft::new(event_type, "sample").with_org(org).at(at);
        let (before, after) = states(event_type);
        let draft = match event_type {
            EventType::Notified => draft.with_webhook(r#"{"event":"process.commented","process":{"id":"sample"}}"#),
            _ => draft,
        };
        match (before.and_then(run), after.and_then(run)) {
            (Some(before), Some(after)) => draft.with_runs(&before, &after).build(),
            (None, Some(after)) => draft.with_run(&after).build(),
            (_, None) => draft.build(),
        }
    }
}

/// How a run stands: its fields, and those of its task.
type State = (&'static str, &'static str);

/// How the sample stood before, and how it stands.
fn states(event_type: EventType) -> (Option<State>, Option<State>) {
    const ACTIVE: State = (r#""status":"active""#, r#""status":"active","completed_at":null"#);
    const TASK_DONE: State = (
        r#""status":"active""#,
        r#""status":"completed","completed_at":"2026-01-31T09:00:00Z""#,
    );
    const COMPLETE: State = (
        r#""status":"complete","completed_at":"2026-01-31T09:00:00Z""#,
        TASK_DONE.1,
    );
    const ARCHIVED: State = (
        r#""status":"archived","completed_at":"2026-01-31T09:00:00Z","archived_at":"2026-02-01T09:00:00Z""#,
        TASK_DONE.1,
    );
    match event_type {
        EventType::Seen => (None, Some(ACTIVE)),
        EventType::Changed => (Some(ACTIVE), Some(TASK_DONE)),
        EventType::Completed => (Some(ACTIVE), Some(COMPLETE)),
        EventType::Archived => (Some(COMPLETE), Some(ARCHIVED)),
        EventType::Reactivated => (Some(ARCHIVED), Some(COMPLETE)),
        EventType::Notified => (Some(ACTIVE), Some(ACTIVE)),
        EventType::Gone | EventType::Inaccessible | EventType::Unknown => (None, None),
    }
}

/// The run in this state. Whoever gets it sees that it is a sample.
fn run((run, task): State) -> Option<Run> {
    let json = format!(
        r#"{{"id":"sample","name":"Sample run",{run},"checklist_id":"sample-template","checklist_title":"Sample template",
        "tasks":{{"data":[{{"id":"sample-task","title":"Sample task",{task}}}]}}}}"#
    );
    Run::from_json(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_each_type_shows_what_the_type_says() {
        let mut shown = Vec::new();
        for event_type in EventType::ALL {
            let event = Event::sample_of(event_type, &OrgId::new("acme"), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(event.kind(), event_type.word());
            let changes: serde_json::Value = serde_json::from_slice(event.json()).unwrap();
            let kinds: Vec<&str> = changes["data"]["changes"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|change| change["kind"].as_str())
                .collect();
            let run = event.run().unwrap().map_or("no run", |_| "a run");
            shown.push(format!("{}: {run} {kinds:?}", event_type.word()));
        }
        insta::assert_snapshot!(shown.join("\n"), @r#"
        seen: a run []
        changed: a run ["task.completed"]
        completed: a run ["status", "completed", "task.completed"]
        archived: a run ["status", "archived"]
        reactivated: a run ["status", "reactivated"]
        notified: a run []
        gone: no run []
        inaccessible: no run []
        "#);
    }
}
