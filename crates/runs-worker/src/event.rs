//! The event: what handlers get, as one CloudEvents 1.0 JSON object.

mod attributes;
mod fewer_bodies;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use runs_store::{NewEvent, PendingNotification, Recipients};
use serde::Serialize;
use serde_json::value::RawValue;
use tallyfy_model::json_text::names_guest_links;
use tallyfy_model::{OrgId, REDACTED, Run, RunId, minified, without_guest_links};
use tallyfy_runs::{Change, FieldChange};
use uuid::Uuid;

pub(crate) use self::fewer_bodies::{Most, with_fewer_bodies};
use crate::config::EventsConfig;
use crate::shared::unknown_word::unknown_word;

/// What happened to the run, as the event's `type` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// The worker has seen this run for the first time.
    Seen,
    /// Something of it is different.
    Changed,
    /// It was completed; other things may be different too.
    Completed,
    /// It was archived; other things may be different too.
    Archived,
    /// It was taken back from the archive; other things may be different too.
    Reactivated,
    /// There were notifications, but nothing of it is different: a comment, for example, changes nothing that is
    /// fetched.
    Notified,
    /// The API no longer knows it.
    Gone,
    /// The token may not see it.
    Inaccessible,
    /// A type that this version of the worker does not know: another one made the event. [`Event::kind`](crate::Event::kind)
    /// names it. No filter asks for it.
    Unknown,
}

impl EventType {
    /// All that are known.
    pub const ALL: [Self; 8] = [
        Self::Seen,
        Self::Changed,
        Self::Completed,
        Self::Archived,
        Self::Reactivated,
        Self::Notified,
        Self::Gone,
        Self::Inaccessible,
    ];

    /// The type in a word, such as `changed`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Changed => "changed",
            Self::Completed => "completed",
            Self::Archived => "archived",
            Self::Reactivated => "reactivated",
            Self::Notified => "notified",
            Self::Gone => "gone",
            Self::Inaccessible => "inaccessible",
            Self::Unknown => "unknown",
        }
    }

    /// The `type` of the CloudEvent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "com.tallyfy.run.seen.v1",
            Self::Changed => "com.tallyfy.run.changed.v1",
            Self::Completed => "com.tallyfy.run.completed.v1",
            Self::Archived => "com.tallyfy.run.archived.v1",
            Self::Reactivated => "com.tallyfy.run.reactivated.v1",
            Self::Notified => "com.tallyfy.run.notified.v1",
            Self::Gone => "com.tallyfy.run.gone.v1",
            Self::Inaccessible => "com.tallyfy.run.inaccessible.v1",
            Self::Unknown => "unknown",
        }
    }
}

impl FromStr for EventType {
    type Err = String;

    /// Reads the word in the middle of the type, or the whole type.
    fn from_str(text: &str) -> Result<Self, String> {
        let word = word_in(text);
        let known = Self::ALL.into_iter().find(|event_type| event_type.word() == word);
        known.ok_or_else(|| unknown_word("event type", word, &Self::ALL.map(Self::word)))
    }
}

/// The word in the middle of a type, or all of what is no such type.
pub(crate) fn word_in(event_type: &str) -> &str {
    let rest = event_type.strip_prefix("com.tallyfy.run.");
    rest.and_then(|rest| rest.strip_suffix(".v1")).unwrap_or(event_type)
}

/// Compares with the whole type.
impl PartialEq<str> for EventType {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

/// Compares with the whole type.
impl PartialEq<&str> for EventType {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What an event is made of.
pub(crate) struct Occurrence<'a> {
    pub(crate) event_type: EventType,
    pub(crate) org: &'a OrgId,
    pub(crate) run_id: &'a RunId,
    /// The run as fetched; `None` if there is none to be had.
    pub(crate) run: Option<&'a Run>,
    /// Which members of the run are from an earlier answer, because the last one did not tell them.
    pub(crate) kept: &'a [&'static str],
    pub(crate) changes: &'a [Change],
    pub(crate) notifications: &'a [PendingNotification],
    /// Whether the run is older than what was announced, and no newer one could be had.
    pub(crate) stale: bool,
    /// The number of the event within its run.
    pub(crate) number: u64,
    /// When the fetch began, by the wall clock.
    pub(crate) at: Timestamp,
    /// What events show.
    pub(crate) shown: &'a EventsConfig,
    /// Why there is no run to be had.
    pub(crate) reason: Option<&'a str>,
}

impl Occurrence<'_> {
    /// Writes the event. Its run is the text that the API sent, without the white space between tokens.
    pub(crate) fn write(&self, recipients: Recipients) -> Result<NewEvent, serde_json::Error> {
        let id = Uuid::now_v7();
        let event = CloudEvent {
            specversion: "1.0",
            id,
            source: attributes::source(self.org, self.run_id),
            event_type: self.event_type.as_str(),
            subject: attributes::text(self.run_id.as_str()),
            time: self.at,
            datacontenttype: "application/json",
            sequence: attributes::sequence(self.number),
            partitionkey: attributes::text(self.run_id.as_str()),
            data: Data {
                run: self
                    .run
                    .map(|run| RawValue::from_string(self.shown(run.raw())?))
                    .transpose()?,
                changes: RawValue::from_string(self.shown(&self.told_changes()?)?)?,
                notifications: notifications(self.notifications, self.shown),
                stale: self.stale,
                kept: self.kept,
                reason: self.reason,
            },
        };
        Ok(NewEvent {
            id,
            event_type: self.event_type.as_str().to_owned(),
            created_at: self.at,
            body: serde_json::to_vec(&event)?.into(),
            recipients,
        })
    }
}

impl Occurrence<'_> {
    /// JSON as handlers see it.
    fn shown(&self, json: &str) -> Result<String, serde_json::Error> {
        if self.shown.guest_links {
            Ok(minified(json))
        } else {
            without_guest_links(json)
        }
    }

    /// The changes as JSON. What changed in a member for guest links is not under the member's name any more.
    fn told_changes(&self) -> Result<String, serde_json::Error> {
        if self.shown.guest_links {
            return serde_json::to_string(self.changes);
        }
        let mut changes = self.changes.to_vec();
        for change in &mut changes {
            match change {
                Change::Other(field) => hide_links(field),
                Change::TaskChanged { fields, .. } => fields.iter_mut().for_each(hide_links),
                _ => {}
            }
        }
        serde_json::to_string(&changes)
    }
}

/// Hides the values of a member for guest links, or of something within one.
fn hide_links(field: &mut FieldChange) {
    if field.pointer.split('/').any(names_guest_links) {
        for value in [&mut field.from, &mut field.to].into_iter().flatten() {
            *value = serde_json::value::to_raw_value(REDACTED).unwrap_or_default();
        }
    }
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    subject: String,
    time: Timestamp,
    datacontenttype: &'static str,
    /// Two extensions of the CloudEvents registry. The sequence grows by one with each event of a run.
    sequence: String,
    partitionkey: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    run: Option<Box<RawValue>>,
    changes: Box<RawValue>,
    notifications: Vec<NotificationView<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kept: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// A notification as handlers see it.
#[derive(Serialize)]
struct NotificationView<'a> {
    id: Uuid,
    kind: &'a str,
    event: Option<&'a str>,
    run_id: Option<&'a str>,
    task_id: Option<&'a str>,
    received_at: Timestamp,
    #[serde(skip_serializing_if = "is_zero")]
    duplicates: u32,
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_omitted: Option<&'static str>,
}

/// Why a body is left out.
const TOO_LARGE: &str = "too large to be repeated";

/// The notifications, the oldest first. The newest keep their bodies, as long as there is room for them.
fn notifications<'a>(notifications: &'a [PendingNotification], shown: &EventsConfig) -> Vec<NotificationView<'a>> {
    let mut room = shown.max_notifications_bytes;
    let newest_first = notifications.iter().rev();
    let mut views: Vec<_> = newest_first
        .map(|notification| NotificationView::new(notification, shown.guest_links, &mut room))
        .collect();
    views.reverse();
    views
}

impl<'a> NotificationView<'a> {
    fn new(notification: &'a PendingNotification, guest_links: bool, room: &mut usize) -> Self {
        let (body, body_omitted) = match &notification.body {
            // Once one has no room, older ones have none: what is shown has no gaps.
            Some(body) if *room > 0 => match body_view(body, guest_links) {
                Some(body) => match room.checked_sub(body.get().len()) {
                    Some(rest) => {
                        *room = rest;
                        (Some(body), None)
                    }
                    None => {
                        *room = 0;
                        (None, Some(TOO_LARGE))
                    }
                },
                None => (None, Some("cannot be searched for guest links")),
            },
            _ => (None, Some(TOO_LARGE)),
        };
        let head = &notification.head;
        Self {
            id: notification.id,
            kind: &head.kind,
            event: head.event.as_deref(),
            run_id: head.run.as_ref().map(RunId::as_str),
            task_id: head.task.as_ref().map(AsRef::as_ref),
            received_at: notification.received_at,
            duplicates: notification.duplicates,
            body,
            body_omitted,
        }
    }
}

fn body_view(body: &Bytes, guest_links: bool) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}');
    let shown = if guest_links {
        minified(text)
    } else {
        without_guest_links(text).ok()?
    };
    RawValue::from_string(shown).ok()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use tallyfy_runs::changes;

    use super::*;

    /// An event in which links of every kind are, and are others than before.
    fn with_links(guest_links: bool) -> String {
        let run = |link: &str| {
            let json = format!(
                r#"{{"id":"r1","guest-links":{{"a@b.example":{{"link_for_guest":"{link}"}}}},"public_link":"{link}",
                "tasks":[{{"id":"t1","owners":{{"users":[],"taskUrls":["{link}"]}},"asset":{{"public_link":"{link}"}}}}],
                "note":"https://go.tallyfy.com/acme/guests/{link}","text":"{{\"guest_url\":\"{link}\"}}"}}"#
            );
            Run::from_json(&json).unwrap()
        };
        let (before, after) = (run("s3cret-1"), run("s3cret-2"));
        let occurrence = Occurrence {
            event_type: EventType::Changed,
            org: &OrgId::new("acme"),
            run_id: &RunId::new("r1"),
            run: Some(&after),
            changes: &changes(&before, &after),
            notifications: &[],
            stale: false,
            kept: &[],
            number: 1,
            at: Timestamp::UNIX_EPOCH,
            shown: &EventsConfig {
                guest_links,
                ..EventsConfig::default()
            },
            reason: None,
        };
        String::from_utf8(occurrence.write(Recipients::All).unwrap().body.to_vec()).unwrap()
    }

    #[test]
    fn the_newest_bodies_are_in_an_event_as_far_as_there_is_room() {
        let notification = |body: &'static str| PendingNotification {
            id: Uuid::nil(),
            head: runs_store::NotificationHead::default(),
            received_at: Timestamp::UNIX_EPOCH,
            duplicates: 0,
            body_len: body.len() as u64,
            body: Some(Bytes::from_static(body.as_bytes())),
        };
        let notifications = [r#"{"a":1}"#, r#"{"long":"0123456789"}"#, r#"{"b":2}"#, r#"{"c":3}"#].map(notification);
        let with_room = |max_notifications_bytes| {
            let shown = EventsConfig {
                max_notifications_bytes,
                ..EventsConfig::default()
            };
            let views = super::notifications(&notifications, &shown);
            views
                .iter()
                .map(|view| view.body.as_ref().map_or("-", |body| body.get()).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(with_room(20), ["-", "-", r#"{"b":2}"#, r#"{"c":3}"#], "without gaps");
        assert_eq!(with_room(6), ["-"; 4]);
        assert!(with_room(1000).iter().all(|body| body != "-"));
    }

    #[test]
    fn links_for_guests_are_in_an_event_only_if_they_are_asked_for() {
        let without = with_links(false);
        assert!(!without.contains("s3cret"), "{without}");
        assert!(
            without.contains(r#""pointer":"/public_link""#),
            "that it changed is told: {without}"
        );
        let with = with_links(true);
        assert!(
            with.contains("s3cret-1") && with.matches("s3cret-2").count() > 6,
            "{with}"
        );
        assert!(!with.contains(REDACTED), "{with}");
    }
}
