//! What an event holds, typed.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tallyfy_model::{RunId, TaskId};
use tallyfy_runs::Change;
use uuid::Uuid;

use super::Event;
use crate::event::EventType;

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
    /// What happened to the run; `None` for a type that another version of the worker knows and this one does not.
    pub fn kind(&self) -> Option<EventType> {
        self.event_type().parse().ok()
    }

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
