//! Events as HTTP requests.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Url, redirect, retry};
use serde::Deserialize;
use serde_json::value::RawValue;
use tallyfy_transport::Response;
use url::Host;

use super::confidence::told_in_confidence;
use super::signature::{SigningKey, signatures};
use super::{Event, Handler, HandlerError};
use crate::clock::Clock;
use crate::shared::spelled::Secrets;

/// How much of an answer is repeated.
const MAX_REASON_CHARS: usize = 200;

/// An answer of up to so many bytes is read to its end, so that the connection can be used again.
const MAX_READ_BYTES: usize = 64 * 1024;
/// How long the rest of an answer that says that all is well is waited for.
const REST_OF_SUCCESS: Duration = Duration::from_secs(1);

/// How an event is put into a request (CloudEvents HTTP protocol binding, section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum HttpMode {
    /// The body is the event.
    #[default]
    Structured,
    /// The body is the event's `data`; everything else is in headers.
    Binary,
}

/// Where events are posted to, and how.
#[derive(Clone)]
pub(crate) struct HttpTarget {
    pub(crate) url: Url,
    pub(crate) mode: HttpMode,
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) headers: HeaderMap,
    /// The statuses that reject at once.
    pub(crate) reject_on: Vec<StatusCode>,
    /// How long a status that says that the event is wrong is tried again before it rejects.
    pub(crate) reject_after: Duration,
}

/// Whether nothing that is sent there leaves this machine.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Posts each event, and counts it as delivered once it was answered with 2xx.
pub(crate) struct HttpHandler {
    client: Client,
    target: HttpTarget,
    confidence: Secrets,
    clock: Clock,
}

impl HttpHandler {
    /// The error is one of setting up TLS.
    pub(crate) fn new(target: HttpTarget, timeout: Duration, clock: Clock) -> Result<Self, reqwest::Error> {
        // Whoever was first has installed the one that is used; losing the race is as good as winning it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(Duration::from_secs(5).min(timeout))
            .timeout(timeout);
        let client = if is_this_machine(&target.url) {
            client.no_proxy()
        } else {
            client
        };
        Ok(Self {
            client: client.build()?,
            confidence: told_in_confidence(&target.headers, &target.url),
            target,
            clock,
        })
    }

    fn request(&self, event: &Event) -> Result<(HeaderMap, Bytes), HandlerError> {
        let mut headers = self.target.headers.clone();
        let body = match self.target.mode {
            HttpMode::Structured => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
                event.json().clone()
            }
            HttpMode::Binary => binary(event, &mut headers)?,
        };
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("runs-worker/", env!("CARGO_PKG_VERSION"))),
        );
        let (id, timestamp) = (event.id().to_string(), self.clock.wall().as_second());
        let mut insert = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        insert("webhook-id", &id);
        insert("webhook-timestamp", &timestamp.to_string());
        insert("runs-attempt", &event.attempt().to_string());
        if !self.target.keys.is_empty() {
            insert(
                "webhook-signature",
                &signatures(&self.target.keys, &id, timestamp, &body),
            );
        }
        Ok((headers, body))
    }
}

#[async_trait]
impl Handler for HttpHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        let (headers, body) = self.request(event)?;
        let request = self.client.post(self.target.url.clone()).headers(headers).body(body);
        // With its URL, an error would show whatever secret that has.
        let failed = |error: reqwest::Error| HandlerError::retry(crate::telemetry::chain(&error.without_url()));
        let mut answer = request.send().await.map_err(failed)?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        if status.is_success() {
            // Whatever it says, it has the event.
            let _ = tokio::time::timeout(REST_OF_SUCCESS, read(&mut answer)).await;
            return Ok(());
        }
        let said = self.said(&mut answer).await;
        let reason = reason(status, &said);
        let after = Response::new(status, headers, "").retry_after(self.clock.wall());
        Err(self.verdict(status, reason, after).with_answer(said))
    }
}

impl HttpHandler {
    /// What an answer says, without what the receiver was told in confidence.
    async fn said(&self, answer: &mut reqwest::Response) -> String {
        let said = read(answer).await;
        self.confidence.taken_out_of(&String::from_utf8_lossy(&said))
    }

    /// What an answer that is not 2xx means.
    fn verdict(&self, status: StatusCode, reason: String, after: Option<Duration>) -> HandlerError {
        if self.target.reject_on.contains(&status) {
            return HandlerError::reject(reason);
        }
        match status {
            StatusCode::GONE => HandlerError::stop(reason),
            // What is wrong with the event itself stays wrong; but a clock, a key or a deploy may look like it.
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => HandlerError::retry_within(reason, self.target.reject_after),
            // Anything else may be mended on the other side: a token, a route that is being deployed, the server itself.
            _ => match after {
                Some(after) => HandlerError::retry_after(reason, after),
                None => HandlerError::retry(reason),
            },
        }
    }
}

/// The body of an answer, as far as it is read.
async fn read(answer: &mut reqwest::Response) -> BytesMut {
    let mut said = BytesMut::new();
    while said.len() < MAX_READ_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        said.extend_from_slice(&chunk[..chunk.len().min(MAX_READ_BYTES - said.len())]);
    }
    said
}

/// The status and what the receiver says, on one line.
fn reason(status: StatusCode, said: &str) -> String {
    let line: String = said
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_REASON_CHARS)
        .collect();
    if line.is_empty() {
        format!("answered {}", status.as_u16())
    } else {
        format!("answered {}: {line}", status.as_u16())
    }
}

/// Puts the attributes into headers, and returns what is left: the data.
fn binary(event: &Event, headers: &mut HeaderMap) -> Result<Bytes, HandlerError> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let unreadable = |error: serde_json::Error| HandlerError::reject(format!("the event cannot be read: {error}"));
    let Data { data } = serde_json::from_slice(event.json()).map_err(unreadable)?;
    let members: BTreeMap<&str, &RawValue> = serde_json::from_slice(event.json()).map_err(unreadable)?;
    for (name, value) in members.into_iter().filter(|(name, _)| *name != "data") {
        let text: String = serde_json::from_str(value.get()).map_err(unreadable)?;
        if name == "datacontenttype" {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_str(&text).map_err(HandlerError::reject)?,
            );
            continue;
        }
        let name = HeaderName::try_from(format!("ce-{name}")).map_err(HandlerError::reject)?;
        let value = HeaderValue::from_str(&encoded(&text)).map_err(HandlerError::reject)?;
        headers.insert(name, value);
    }
    Ok(event.json().slice_ref(data.get().as_bytes()))
}

/// As header values are written (CloudEvents HTTP protocol binding, section 3.1.3.2).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_graphic() && !matches!(character, '"' | '%') {
            out.push(character);
        } else {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}
