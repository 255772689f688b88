//! What a handler's filter, as it is configured now, says of an event that was made before.

use runs_store::{EventSummary, Whole};
use serde::Deserialize;
use serde_json::value::RawValue;
use tallyfy_model::Run;

use crate::filter::{EventFilter, StoredFacts};

/// The parts of a stored event that filters ask for.
#[derive(Deserialize)]
struct Stored {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    run: Option<Box<RawValue>>,
    #[serde(default)]
    changes: Vec<StoredChange>,
    #[serde(default)]
    notifications: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct StoredChange {
    kind: String,
    field: Option<String>,
    pointer: Option<String>,
}

/// Whether the handler would get the event if it were made now. What cannot be read, or is of a type that this version
/// does not know, keeps nothing back.
pub(super) fn lets_pass(filter: &EventFilter, event: &Whole<EventSummary>) -> bool {
    let (Ok(stored), Ok(event_type)) = (
        serde_json::from_slice::<Stored>(&event.body),
        event.summary.event_type.parse(),
    ) else {
        return true;
    };
    let Data {
        run,
        changes,
        notifications,
    } = stored.data;
    let run = run.and_then(|run| Run::from_raw(run).ok());
    let changes: Vec<(&str, Option<&str>)> = changes
        .iter()
        .map(|change| {
            let about = change.field.as_deref().or(change.pointer.as_deref());
            (change.kind.as_str(), about)
        })
        .collect();
    filter.lets_stored_pass(&StoredFacts {
        org: &event.summary.org,
        event_type,
        run: run.as_ref(),
        changes: &changes,
        notified: !notifications.is_empty(),
    })
}
