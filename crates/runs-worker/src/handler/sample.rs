//! An event of a run that does not exist, to try a handler with.

use jiff::Timestamp;
use tallyfy_model::{OrgId, Run};

use super::{Event, EventDraft};
use crate::event::EventType;

/// The run before and after what happened to it. Whoever gets it sees that it is a sample.
const BEFORE: &str = r#"{"id":"sample","name":"Sample run","status":"active","checklist_title":"Sample template",
    "tasks":{"data":[{"id":"sample-task","title":"Sample task","status":"active","completed_at":null}]}}"#;
const AFTER: &str = r#"{"id":"sample","name":"Sample run","status":"active","checklist_title":"Sample template",
    "tasks":{"data":[{"id":"sample-task","title":"Sample task","status":"completed","completed_at":"2026-01-31T09:00:00Z"}]}}"#;

impl Event {
    /// An event to try a handler with: of the run `sample`, a task of which was completed. Each has an id of its own.
    ///
    /// # Errors
    /// None in practice: the sample is JSON.
    pub fn sample(org: &OrgId, at: Timestamp) -> Result<Self, serde_json::Error> {
        let draft = EventDraft::new(EventType::Changed, "sample").with_org(org).at(at);
        match (Run::from_json(BEFORE), Run::from_json(AFTER)) {
            (Ok(before), Ok(after)) => draft.with_runs(&before, &after).build(),
            _ => draft.build(),
        }
    }
}
