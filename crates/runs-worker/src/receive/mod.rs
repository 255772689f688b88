//! Receive: authenticates a webhook, reads what it is about, stores it, and only then answers.
//!
//! The sender tries once. Whatever is authenticated and can be stored is stored: a body that cannot be read too.

mod address;
mod answer;
mod authenticate;
mod body;
mod compressed;
mod content;
mod in_hand;
mod silence;
mod way_in;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::any;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Uri};
use metrics::{counter, gauge, histogram};
use runs_store::{Appended, NewNotification, NotificationHead, Subject, torture};
use tallyfy_model::{OrgId, Webhook};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{Organization, ReceiveConfig};
use crate::front_door::Seldom;
use crate::redact::PathSecrets;
use crate::shared::notified::Notified;
use crate::vitals::Vitals;

use answer::Answer;
pub(crate) use answer::{REFUSALS, STATUSES};
use authenticate::Refusal;
pub(crate) use authenticate::SharedAuthenticator;
use body::BodyError;
pub(crate) use compressed::opened;
pub(crate) use content::encoding_in;
use in_hand::{Held, InHand};
pub(crate) use silence::Silence;
use way_in::Kept;
pub(crate) use way_in::{First, WayIn};

/// The header that names the organization. HTTP compares names without regard to case; the vendor spells it both
/// `X-Tallyfy-orgID` and `X-Tallyfy-OrgID`.
const ORG_HEADER: &str = "x-tallyfy-orgid";

/// The kind of a body that cannot be read.
const UNRECOGNIZED: &str = "unrecognized";

/// The receiving stage.
pub(crate) struct Receiver {
    way_in: WayIn,
    clock: Clock,
    authenticator: SharedAuthenticator,
    path_secrets: PathSecrets,
    max_body_bytes: usize,
    body_timeout: Duration,
    heard: HashMap<OrgId, watch::Sender<()>>,
    silence_warning: Duration,
    losses: watch::Sender<u64>,
    in_hand: Arc<InHand>,
    not_found: Seldom,
    vitals: Arc<Vitals>,
}

impl Receiver {
    pub(crate) fn new(
        way_in: WayIn,
        clock: Clock,
        organizations: &[Organization],
        path_secrets: PathSecrets,
        config: &ReceiveConfig,
        vitals: Arc<Vitals>,
    ) -> Self {
        Self {
            way_in,
            clock,
            authenticator: SharedAuthenticator::new(organizations),
            path_secrets,
            max_body_bytes: config.max_body_bytes.get(),
            body_timeout: config.body_timeout,
            heard: organizations
                .iter()
                .map(|organization| (organization.id.clone(), watch::Sender::new(())))
                .collect(),
            silence_warning: config.silence_warning,
            losses: watch::Sender::new(0),
            in_hand: InHand::new(config.max_bytes_in_hand.get(), config.max_waiting.get()),
            not_found: Seldom::default(),
            vitals,
        }
    }

    /// Changes when a genuine webhook was turned away, so that something may have changed of which nobody will tell.
    pub(crate) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// Knows who may post webhooks.
    pub(crate) fn authenticator(&self) -> SharedAuthenticator {
        self.authenticator.clone()
    }

    /// What warns when nothing comes in.
    pub(crate) fn silences(&self) -> Vec<Silence> {
        let silence = |(org, heard): (&OrgId, &watch::Sender<()>)| Silence {
            org: org.clone(),
            heard: heard.subscribe(),
            longest: self.silence_warning,
        };
        self.heard.iter().map(silence).collect()
    }

    /// The public routes: one, however its slashes are written.
    pub(crate) fn routes(self: Arc<Self>) -> Router {
        Router::new().fallback(webhook).with_state(self)
    }

    /// The same route among those of another server, to which all other addresses belong.
    pub(crate) fn routes_to_mount(self: Arc<Self>) -> Router {
        let path = format!("/{}/{{*secret}}", address::FOLDER);
        Router::new().route(&path, any(webhook)).with_state(self)
    }

    /// Says now and then that requests come to an address that leads nowhere, without repeating it.
    fn note_not_found(&self, path: &str) {
        if let Some(requests) = self.not_found.cases() {
            let knows = |secret: &str| self.authenticator.authenticate(secret, None) != Err(Refusal::UnknownSecret);
            let hint = address::hint(path, knows);
            warn!(hint, requests, "a request to an unknown address was answered with 404");
        }
    }

    async fn receive(&self, org: &OrgId, content: Option<String>, body: Bytes) -> Answer {
        let received_at = self.clock.wall();
        let body = self.path_secrets.without(body);
        let mut notification = read_notification(org, body, received_at);
        if notification.head.kind == UNRECOGNIZED {
            notification.head.event = content.map(|content| {
                let content = self.path_secrets.without(content.into());
                String::from_utf8_lossy(&content).into_owned()
            });
        }
        let (id, notified) = (notification.id, Notified::of(&notification));
        let is_recognized = notification.subject.is_some();
        torture::point("receive.before-append");
        let kept = match self.way_in.keep(notification).await {
            Ok(kept) => kept,
            Err(reason) => {
                notified.tell_lost(&reason.to_string());
                return Answer::NotStored;
            }
        };
        torture::point("receive.appended");
        gauge!("runs_worker_last_notification_timestamp_seconds", "org" => org.to_string()).set(seconds(received_at));
        self.vitals.webhook(org, received_at);
        if let Some(heard) = self.heard.get(org) {
            heard.send_replace(());
        }
        match kept {
            // Whether it is a duplicate shows when it comes to the store.
            Kept::InLog if is_recognized => Answer::Stored(id),
            Kept::InLog => Answer::Unrecognized(id),
            Kept::InStore(appended) => {
                notified.tell(&appended);
                match appended {
                    Appended::Stored => Answer::Stored(id),
                    Appended::Unrecognized => Answer::Unrecognized(id),
                    Appended::Duplicate { of, .. } => Answer::Duplicate(of),
                }
            }
        }
    }
}

async fn webhook(
    State(receiver): State<Arc<Receiver>>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let began = Instant::now();
    let answer = answer(&receiver, address::secret(uri.path()), &method, &headers, body).await;
    histogram!("runs_worker_webhook_answer_seconds").record(began.elapsed().as_secs_f64());
    counter!("runs_worker_webhook_answers_total", "status" => answer.status().as_str().to_owned()).increment(1);
    if let Some(reason) = answer.refusal() {
        counter!("runs_worker_webhooks_refused_total", "reason" => reason).increment(1);
        receiver.vitals.refused(reason);
        match answer {
            Answer::NotFound => receiver.note_not_found(uri.path()),
            Answer::WrongMethod => debug!(reason, "webhook refused"),
            // A sender that knows the secret sends only once, so this webhook is gone.
            _ => {
                receiver.losses.send_modify(|losses| *losses = losses.wrapping_add(1));
                warn!(reason, "webhook refused");
            }
        }
    }
    answer
}

async fn answer(
    receiver: &Receiver,
    secret: Option<String>,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let Some(secret) = secret else {
        return Answer::NotFound;
    };
    let org_headers = || headers.get_all(ORG_HEADER).iter().map(http::HeaderValue::as_bytes);
    let org = match receiver.authenticator.authenticate(&secret, org_headers()) {
        Err(Refusal::UnknownSecret) => return Answer::NotFound,
        // Only somebody who knows the secret learns that this is the place.
        _ if method != Method::POST => return Answer::WrongMethod,
        Err(Refusal::WrongOrganization) => return Answer::WrongOrganization,
        Ok(org) => org,
    };
    if authenticate::named(org_headers()).next().is_none() {
        counter!("runs_worker_webhooks_without_organization_total").increment(1);
    }
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let (limit, timeout) = (receiver.max_body_bytes, receiver.body_timeout);
    match body::read(body, declared, limit, timeout, &receiver.in_hand).await {
        Ok((body, _)) if body.is_empty() => Answer::Empty,
        Ok((body, held)) => match receiver.in_hand.wait_for_store() {
            Ok(_waiting) => {
                let (body, _held) = decompressed(headers, body, held, limit);
                receiver.receive(&org, content::told(headers), body).await
            }
            Err(in_hand::Busy) => Answer::Busy,
        },
        Err(BodyError::Busy) => Answer::Busy,
        Err(BodyError::TooLarge) => Answer::TooLarge(receiver.max_body_bytes),
        Err(BodyError::TooSlow) => Answer::TooSlow,
        Err(BodyError::Broken) => Answer::Broken,
    }
}

/// What is in a compressed body, if there is memory for it now; else it is kept as it came.
fn decompressed(headers: &HeaderMap, body: Bytes, mut held: Held, limit: usize) -> (Bytes, Held) {
    match opened(&body, content::encoding(headers), limit) {
        Some(opened) if held.replace(body.len(), opened.len()) => (opened, held),
        _ => (body, held),
    }
}

/// What is stored of a body: what it says of itself, as far as it can be read, and itself.
pub(crate) fn read_notification(org: &OrgId, body: Bytes, received_at: jiff::Timestamp) -> NewNotification {
    let id = Uuid::now_v7();
    match Webhook::parse(&body) {
        Ok(webhook) => NewNotification {
            id,
            org: org.clone(),
            subject: match (&webhook.run, &webhook.task) {
                (Some(run), _) => Some(Subject::Run(run.clone())),
                (None, Some(task)) => Some(Subject::Task(task.clone())),
                (None, None) => None,
            },
            head: NotificationHead {
                kind: webhook.kind.as_str().to_owned(),
                event: webhook.event,
                run: webhook.run,
                task: webhook.task,
                announced: webhook.announced,
            },
            // Two assignments of one second have one key, and say different things.
            dedupe_key: webhook.dedupe_key.map(|key| format!("{key} {}", webhook.says)),
            received_at,
            body,
        },
        Err(reason) => {
            warn!(%org, notification = %id, %reason, bytes = body.len(), "unrecognized webhook, kept for a person to look at");
            NewNotification {
                id,
                org: org.clone(),
                subject: None,
                head: NotificationHead {
                    kind: UNRECOGNIZED.to_owned(),
                    ..NotificationHead::default()
                },
                dedupe_key: None,
                received_at,
                body,
            }
        }
    }
}

/// A time as metrics have it.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}
