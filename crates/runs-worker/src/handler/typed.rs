//! What an event holds, typed.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tallyfy_model::{RunId, TaskId};
use tallyfy_runs::Change;
use uuid::Uuid;

use super::Event;

/// A webhook that led to an event.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Notification {
    /// The id under which the worker keeps it.
    pub id: Uuid,
    /// Which of the shapes of webhook bodies it has: `process`, `task` or `organization`.
    pub kind: String,
    /// What happened, such as `task.completed`, as far as the body says or lets infer.
    pub event: Option<String>,
    /// The run that it names.
    pub run_id: Option<RunId>,
    /// The task that it names.
    pub task_id: Option<TaskId>,
    /// When it came.
    pub received_at: Timestamp,
    /// How many more like it came.
    #[serde(default)]
    pub duplicates: u32,
    /// The body, without guest links unless the handler asked for them; `None` where that is not possible, or where it is
    /// too large. `tallyfy_model::WebhookBody` reads it.
    pub body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Envelope<D> {
    data: D,
}

impl Event {
    /// What is different from the last event of this run.
    ///
    /// # Errors
    /// If the stored event cannot be read, because it was written by another version of the worker.
    pub fn changes(&self) -> Result<Vec<Change>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            changes: Vec<Change>,
        }

        self.data::<Data>().map(|data| data.changes)
    }

    /// The webhooks that led to it; none if a sweep did.
    ///
    /// # Errors
    /// If the stored event cannot be read.
    pub fn notifications(&self) -> Result<Vec<Notification>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            notifications: Vec<Notification>,
        }

        self.data::<Data>().map(|data| data.notifications)
    }

    /// Whether the run is older than what was announced, and no newer one could be had yet.
    ///
    /// # Errors
    /// If the stored event cannot be read.
    pub fn is_stale(&self) -> Result<bool, serde_json::Error> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(default)]
            stale: bool,
        }

        self.data::<Data>().map(|data| data.stale)
    }

    fn data<D: DeserializeOwned>(&self) -> Result<D, serde_json::Error> {
        serde_json::from_slice::<Envelope<D>>(self.json()).map(|envelope| envelope.data)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tallyfy_model::Run;

    use crate::event::EventType;
    use crate::handler::{Event, EventDraft};

    #[test]
    fn an_event_of_another_version_has_its_own_word() {
        let event = EventDraft::new(EventType::Changed, "r1").build().unwrap();
        assert_eq!((event.event_type(), event.kind()), (EventType::Changed, "changed"));
        let mut delivery = event.delivery().clone();
        delivery.event_type = "com.tallyfy.run.paused.v2".to_owned();
        let event = Event::new(delivery);
        assert_eq!(event.event_type(), EventType::Unknown);
        assert_eq!(event.kind(), "com.tallyfy.run.paused.v2");
    }

    #[test]
    fn what_a_draft_is_made_of_comes_out_typed() {
        let before = Run::from_json(r#"{"id":"r1","status":"active"}"#).unwrap();
        let after = Run::from_json(r#"{"id":"r1","status":"complete"}"#).unwrap();
        let task = r#"{"this_task":{"id":"t1"},"process":{"id":"r1"},"guest-links":{"g@x":{"link_for_guest":"https://s3cret"}}}"#;
        let event = EventDraft::new(EventType::Completed, "r1")
            .with_runs(&before, &after)
            .with_webhook(Bytes::from(task))
            .with_webhook("not JSON")
            .stale()
            .build()
            .unwrap();
        let came: Vec<_> = event.notifications().unwrap();
        assert_eq!(
            came.iter().map(|n| n.kind.as_str()).collect::<Vec<_>>(),
            ["task", "unrecognized"]
        );
        assert_eq!(came[0].task_id.as_ref().unwrap(), "t1");
        assert!(came[0].body.as_ref().unwrap().get().contains("this_task") && came[1].body.is_none());
        assert!(!String::from_utf8_lossy(event.json()).contains("s3cret"));
        assert!(event.is_stale().unwrap() && !event.changes().unwrap().is_empty());
        assert_eq!(event.run().unwrap().unwrap().id(), "r1");
    }
}
