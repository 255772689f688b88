//! What a handler's filter, as it is configured now, says of an event that was made before.

use serde::Deserialize;
use serde_json::value::RawValue;
use tallyfy_model::{OrgId, Run};

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

/// The key of the filter that would keep the event back if it were made now. What cannot be read, or is of a type that this
/// version does not know, keeps nothing back.
pub(super) fn kept_back_by(filter: &EventFilter, org: &OrgId, event_type: &str, body: &[u8]) -> Option<&'static str> {
    let stored: Stored = serde_json::from_slice(body).ok()?;
    let event_type = event_type.parse().ok()?;
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
    filter.stored_kept_back_by(&StoredFacts {
        org,
        event_type,
        run: run.as_ref(),
        changes: &changes,
        notified: !notifications.is_empty(),
    })
}
