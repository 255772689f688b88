//! An event of a run that does not exist, to try a handler with.

use jiff::Timestamp;
use runs_store::{Delivery, HandlerName, Lease, Recipients};
use tallyfy_model::{OrgId, Run, RunId};
use tallyfy_runs::changes;

use super::Event;
use crate::event::{EventType, Occurrence};

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
        let (run_id, event_type) = (RunId::new("sample"), EventType::Changed);
        let (before, after) = (Run::from_json(BEFORE).ok(), Run::from_json(AFTER).ok());
        let changes = match (&before, &after) {
            (Some(before), Some(after)) => changes(before, after),
            _ => Vec::new(),
        };
        let occurrence = Occurrence {
            event_type,
            org,
            run_id: &run_id,
            run: after.as_ref(),
            changes: &changes,
            notifications: &[],
            stale: false,
            number: 1,
            at,
            guest_links: false,
        };
        let event = occurrence.write(Recipients::All)?;
        Ok(Self::new(Delivery {
            lease: Lease::of_nothing(),
            handler: HandlerName::new("sample"),
            event_id: event.id,
            event_type: event.event_type,
            org: org.clone(),
            run: run_id,
            number: 1,
            attempt: 1,
            created_at: at,
            body: event.body,
        }))
    }
}
