//! Handlers: where events go.

mod command;
mod confidence;
mod draft;
mod file;
mod http;
mod limited;
mod lines;
#[cfg(feature = "nats")]
mod nats;
mod sample;
mod set_up;
mod signature;
mod stdout;
mod typed;

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use runs_store::Delivery;
use serde::Deserialize;
use serde_json::value::RawValue;
use tallyfy_model::{NotARun, OrgId, Run, RunId};
use uuid::Uuid;

pub(crate) use command::{CommandHandler, CommandLine, reap_orphans};
pub use draft::EventDraft;
pub(crate) use file::FileHandler;
pub(crate) use http::{HttpHandler, HttpMode, HttpTarget, is_this_machine};
pub(crate) use limited::Limited;
#[cfg(feature = "nats")]
pub(crate) use nats::{NatsHandler, NatsLogin, NatsTarget, Subject};
pub(crate) use set_up::set_up;
pub(crate) use signature::SigningKey;
pub use stdout::StdoutHandler;
pub use typed::Notification;

use crate::event::{EventType, Most, with_fewer_bodies, word_in};
use crate::shared::visible::{visible_line, visible_text};

/// How much of what the other side said is kept with a dead letter.
const MAX_ANSWER_BYTES: usize = 4096;

/// Something that reacts to events.
///
/// For each handler, the events of one run come one at a time and in order, each at least once: an event comes again,
/// with the same [id](Event::id), if the handler failed, took too long, or the worker ended before it could note the
/// success. Events of different runs come side by side. A panic is a failure.
///
/// ```
/// use runs_worker::{Event, EventType, Handler, HandlerError};
///
/// struct Invoices;
///
/// #[async_trait::async_trait]
/// impl Handler for Invoices {
///     async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
///         if event.event_type() == EventType::Completed {
///             let run = event.run().map_err(HandlerError::reject)?;
///             println!("{} is done", run.map_or("?".into(), |run| run.id().to_string()));
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one event. When this returns `Ok`, the event is done.
    async fn handle(&self, event: &Event) -> Result<(), HandlerError>;

    /// The most events to get in one call of [`handle_many`](Self::handle_many), where that costs less than a call for
    /// each. With more than one, `deliver.concurrency` does not matter much: what waits comes in few calls.
    fn at_once(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    /// Handles several events, each of another run, and says of each, in their order, what became of it. Called only if
    /// [`at_once`](Self::at_once) is more than one. One that nothing is said of is tried again.
    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        let mut results = Vec::with_capacity(events.len());
        for event in events {
            results.push(self.handle(event).await);
        }
        results
    }
}

/// The outcome of a call with one event.
fn only(results: Vec<Result<(), HandlerError>>) -> Result<(), HandlerError> {
    results.into_iter().next().unwrap_or(Ok(()))
}

/// Why a handler did not handle an event, by what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerError {
    /// Try again, after this long at least or as the worker sees fit. The reason is logged and must hold no secret.
    Retry {
        /// What happened.
        reason: Cow<'static, str>,
        /// The shortest wait.
        after: Option<Duration>,
        /// After how long since the first try this makes a dead letter, if that is sooner than `deliver.max_age`.
        give_up_after: Option<Duration>,
        /// See [`with_answer`](HandlerError::with_answer).
        answer: Option<String>,
    },
    /// Nothing is wrong with the event: the handler cannot work at all, its disk is full for example. Every event waits,
    /// without an attempt being counted, and readiness says so. The reason is logged and must hold no secret.
    Unavailable {
        /// What is wrong.
        reason: Cow<'static, str>,
    },
    /// Whoever gets the events wants no more of them. They wait, until the worker is started again. The reason is logged
    /// and must hold no secret.
    Stop {
        /// What was said.
        reason: Cow<'static, str>,
    },
    /// Trying again would not help: make it a dead letter. The reason is logged and must hold no secret.
    Reject {
        /// What is wrong.
        reason: Cow<'static, str>,
        /// See [`with_answer`](HandlerError::with_answer).
        answer: Option<String>,
    },
}

impl HandlerError {
    /// Asks for another try.
    pub fn retry(reason: impl std::fmt::Display) -> Self {
        Self::Retry {
            reason: shown(reason),
            after: None,
            give_up_after: None,
            answer: None,
        }
    }

    /// Asks for another try, not before `after` has passed.
    pub fn retry_after(reason: impl std::fmt::Display, after: Duration) -> Self {
        Self::Retry {
            reason: shown(reason),
            after: Some(after),
            give_up_after: None,
            answer: None,
        }
    }

    /// Asks for another try, but for no longer than this since the first one: what looks like a rejection may be the other
    /// side's own trouble.
    pub fn retry_within(reason: impl std::fmt::Display, longest: Duration) -> Self {
        Self::Retry {
            reason: shown(reason),
            after: None,
            give_up_after: Some(longest),
            answer: None,
        }
    }

    /// Says that no event can be handled now.
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable { reason: shown(reason) }
    }

    /// Says that no more events are wanted.
    pub fn stop(reason: impl std::fmt::Display) -> Self {
        Self::Stop { reason: shown(reason) }
    }

    /// Gives the event up.
    pub fn reject(reason: impl std::fmt::Display) -> Self {
        Self::Reject {
            reason: shown(reason),
            answer: None,
        }
    }

    /// Adds what the other side said, in more words than the reason. It is kept with a dead letter, up to 4 KiB, and must
    /// hold no secret.
    #[must_use]
    pub fn with_answer(mut self, said: impl Into<String>) -> Self {
        if let Self::Retry { answer, .. } | Self::Reject { answer, .. } = &mut self {
            let mut said = visible_text(&said.into());
            said.truncate(said.floor_char_boundary(MAX_ANSWER_BYTES));
            *answer = Some(said).filter(|said| !said.trim().is_empty());
        }
        self
    }
}

/// A reason as it may be logged and shown.
fn shown(reason: impl std::fmt::Display) -> Cow<'static, str> {
    visible_line(&reason.to_string()).into()
}

/// An event, as a handler gets it: a CloudEvents JSON object, and the essentials of it.
#[derive(Clone, Debug)]
pub struct Event {
    delivery: Delivery,
}

impl Event {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self { delivery }
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The same event, with fewer of the bodies of its webhooks if it has more than this.
    pub(crate) fn with_fewer_bodies(&self, most: Most) -> Self {
        let mut delivery = self.delivery.clone();
        delivery.body = with_fewer_bodies(&delivery.body, most);
        Self { delivery }
    }

    /// The event's id: the same at every attempt.
    pub fn id(&self) -> Uuid {
        self.delivery.event_id
    }

    /// What happened. Its [`Display`](std::fmt::Display) is the CloudEvents type, such as `com.tallyfy.run.changed.v1`.
    pub fn event_type(&self) -> EventType {
        self.delivery.event_type.parse().unwrap_or(EventType::Unknown)
    }

    /// The same in a word, such as `changed`. A type that this version of the worker does not know has its own.
    pub fn kind(&self) -> &str {
        word_in(&self.delivery.event_type)
    }

    /// The organization of the run.
    pub fn org(&self) -> &OrgId {
        &self.delivery.org
    }

    /// The run.
    pub fn run_id(&self) -> &RunId {
        &self.delivery.run
    }

    /// The number of the event within its run, from 1. Handlers that are added later start with a higher one.
    pub fn number(&self) -> u64 {
        self.delivery.number
    }

    /// Which try this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt
    }

    /// The whole event as JSON text, on one line.
    pub fn json(&self) -> &Bytes {
        &self.delivery.body
    }

    /// When the first of the notifications came that led to it; `None` if none did.
    pub(crate) fn oldest_notification(&self) -> Option<Timestamp> {
        #[derive(Deserialize)]
        struct Envelope {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            notifications: Vec<Came>,
        }
        #[derive(Deserialize)]
        struct Came {
            received_at: Timestamp,
        }
        let envelope: Envelope = serde_json::from_slice(&self.delivery.body).ok()?;
        envelope.data.notifications.first().map(|first| first.received_at)
    }

    /// The run as it was fetched; `None` if there was none to be had.
    ///
    /// # Errors
    /// [`NotARun`] if the stored event cannot be read.
    pub fn run(&self) -> Result<Option<Run>, NotARun> {
        #[derive(Deserialize)]
        struct Envelope {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            run: Option<Box<RawValue>>,
        }
        let envelope: Envelope = serde_json::from_slice(&self.delivery.body).map_err(NotARun::Json)?;
        envelope.data.run.map(Run::from_raw).transpose()
    }
}
