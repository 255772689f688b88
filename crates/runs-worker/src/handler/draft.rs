//! An event that no worker made, to test a handler with.

use bytes::Bytes;
use jiff::Timestamp;
use runs_store::{Delivery, EventSummary, HandlerName, Lease, PendingNotification, Recipients, SchedulingTime, Whole};
use tallyfy_model::{OrgId, Run, RunId};
use tallyfy_runs::{Change, changes};

use super::Event;
use crate::config::EventsConfig;
use crate::event::{EventType, Occurrence};
use crate::receive::read_notification;

/// An event that no worker made, to test a handler with.
///
/// ```
/// use runs_worker::{EventDraft, EventType};
/// use tallyfy_model::Run;
///
/// let before = Run::from_json(r#"{"id":"r1","name":"Onboarding","status":"active"}"#)?;
/// let after = Run::from_json(r#"{"id":"r1","name":"Onboarding","status":"complete"}"#)?;
/// let event = EventDraft::new(EventType::Completed, "r1")
///     .with_runs(&before, &after)
///     .with_webhook(r#"{"event":"process.completed","process":{"id":"r1"}}"#)
///     .build()?;
/// assert_eq!((event.event_type(), event.kind()), (EventType::Completed, "completed"));
/// assert!(!event.changes()?.is_empty() && !event.is_stale()?);
/// assert_eq!(event.notifications()?[0].event.as_deref(), Some("process.completed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EventDraft {
    event_type: EventType,
    org: OrgId,
    run_id: RunId,
    run: Option<Run>,
    changes: Vec<Change>,
    webhooks: Vec<Bytes>,
    stale: bool,
    number: u64,
    attempt: u32,
    at: Timestamp,
}

impl EventDraft {
    /// The first event of a run, at the first attempt, without the run itself.
    pub fn new(event_type: EventType, run: impl Into<RunId>) -> Self {
        Self {
            event_type,
            org: OrgId::new("sample"),
            run_id: run.into(),
            run: None,
            changes: Vec::new(),
            webhooks: Vec::new(),
            stale: false,
            number: 1,
            attempt: 1,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    /// Of this organization.
    pub fn with_org(mut self, org: impl Into<OrgId>) -> Self {
        self.org = org.into();
        self
    }

    /// With the run as it is.
    pub fn with_run(mut self, run: &Run) -> Self {
        self.run = Some(run.clone());
        self
    }

    /// With the run as it is, and what is different from how it was.
    pub fn with_runs(mut self, before: &Run, after: &Run) -> Self {
        self.changes = changes(before, after);
        self.with_run(after)
    }

    /// Led to by a webhook with this body, after those that were added before. Guest links are taken out of it, as the worker
    /// does.
    pub fn with_webhook(mut self, body: impl Into<Bytes>) -> Self {
        self.webhooks.push(body.into());
        self
    }

    /// With what is different.
    pub(crate) fn with_changes(mut self, changes: Vec<Change>) -> Self {
        self.changes = changes;
        self
    }

    /// As one whose run is older than what was announced.
    pub fn stale(mut self) -> Self {
        self.stale = true;
        self
    }

    /// As the event with this number among those of its run.
    pub fn with_number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// At this attempt.
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Made at this time.
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    /// The event, with an id of its own.
    ///
    /// # Errors
    /// None in practice: what it is made of is JSON.
    pub fn build(self) -> Result<Event, serde_json::Error> {
        let webhooks = self.webhooks.iter();
        let notifications: Vec<_> = webhooks.map(|body| pending(&self.org, body, self.at)).collect();
        let occurrence = Occurrence {
            event_type: self.event_type,
            org: &self.org,
            kept: &[],
            run_id: &self.run_id,
            run: self.run.as_ref(),
            changes: &self.changes,
            notifications: &notifications,
            stale: self.stale,
            number: self.number,
            at: self.at,
            shown: &EventsConfig::default(),
            reason: None,
        };
        let event = occurrence.write(Recipients::All)?;
        Ok(Event::new(Delivery {
            lease: Lease::of_nothing(),
            handler: HandlerName::new("sample"),
            event_id: event.id,
            event_type: event.event_type,
            org: self.org,
            run: self.run_id,
            number: self.number,
            attempt: self.attempt,
            tried_since: SchedulingTime::new(self.at),
            created_at: self.at,
            body: event.body,
        }))
    }
}

impl Event {
    /// An event of the store, as a handler would get it for the first time.
    pub(crate) fn stored(whole: &Whole<EventSummary>) -> Self {
        let summary = &whole.summary;
        Self::new(Delivery {
            lease: Lease::of_nothing(),
            handler: HandlerName::new("sample"),
            event_id: summary.id,
            event_type: summary.event_type.clone(),
            org: summary.org.clone(),
            run: summary.run.clone(),
            number: summary.number,
            attempt: 1,
            tried_since: SchedulingTime::new(summary.created_at),
            created_at: summary.created_at,
            body: whole.body.clone(),
        })
    }
}

/// A webhook as a fetch finds it.
fn pending(org: &OrgId, body: &Bytes, at: Timestamp) -> PendingNotification {
    let notification = read_notification(org, body.clone(), at);
    PendingNotification {
        id: notification.id,
        head: notification.head,
        received_at: notification.received_at,
        duplicates: 0,
        body_len: body.len() as u64,
        body: Some(notification.body),
    }
}
