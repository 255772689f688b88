//! Tokens of an application, which the auth server issues to whoever knows its id and its secret.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, StatusCode};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use tokio::time::Instant;

use super::acting_as::ActingAs;
use super::lifetime::lifetime;
use super::{CredentialsError, Generation, Secret, TokenSource, check_token};
use crate::request::UNRESERVED_STAYS;
use crate::{Backoff, HttpTransport, Request, Response};

/// How long a token serves if the server does not say: what the documentation says (API reference, a.3).
const DOCUMENTED_LIFETIME: Duration = Duration::from_secs(604_800);
/// A token is renewed when less than this part of its life is left, so that a renewal may fail a few times.
const RENEWAL_PART: u32 = 10;

const PAUSE: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
};

/// Gets tokens by the client credentials grant, and renews them before they expire.
///
/// - One renewal is under way at a time. While the old token is good, the others go on with it; once it is not, they wait.
/// - A renewal that fails leaves a token that is still good in use, and is not repeated at once: the pauses between
///   attempts grow from a second to a minute.
/// - A token that the API refuses is given up, and another one is asked for.
///
/// Such a token stands for the application: endpoints that are about a user do not answer to it, unless it
/// [acts as](Self::acting_as) one.
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use tallyfy_transport::{Authenticated, BaseUrl, ClientCredentials, ReqwestTransport};
///
/// // The vendor's pages disagree on where the auth server is; this is one of the two places.
/// let auth_server = ReqwestTransport::builder("https://account.tallyfy.com".parse()?).build()?;
/// let tokens = ClientCredentials::new(auth_server, "17", "the client's secret");
/// let wire = ReqwestTransport::builder(BaseUrl::default()).build()?;
/// let transport = Authenticated::new(wire, Arc::new(tokens));
/// # drop(transport);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "reqwest"))]
/// # fn main() {}
/// ```
pub struct ClientCredentials {
    auth_server: Arc<dyn HttpTransport>,
    client_id: String,
    client_secret: Secret,
    scope: String,
    acting_as: Option<ActingAs>,
    /// Held by who renews.
    renewal: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Issued>,
    generation: Generation,
    /// Failed renewals in a row, the last of which said this, and when the next one may begin.
    failures: u32,
    last_failure: String,
    not_before: Option<Instant>,
}

#[derive(Clone)]
struct Issued {
    token: Secret,
    at: Instant,
    renew_at: Instant,
    expires_at: Instant,
}

impl ClientCredentials {
    /// Names the client to an auth server, whose `/oauth/token` is asked for tokens. Nothing is sent yet.
    pub fn new(
        auth_server: impl HttpTransport + 'static,
        client_id: impl Into<String>,
        client_secret: impl Into<Secret>,
    ) -> Self {
        Self {
            auth_server: Arc::new(auth_server),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            scope: "*".to_owned(),
            acting_as: None,
            renewal: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    /// Asks for another scope than `*`.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Exchanges each token for that of a user of an organization, which this API issues. Endpoints that are about a user
    /// answer to it, and it serves for months.
    #[must_use]
    pub fn acting_as(
        mut self,
        api: impl HttpTransport + 'static,
        org: impl Into<String>,
        email: impl Into<String>,
    ) -> Self {
        self.acting_as = Some(ActingAs {
            api: Arc::new(api),
            org: org.into(),
            email: email.into(),
        });
        self
    }

    async fn renew(&self) -> Result<Secret, CredentialsError> {
        let outcome = self.ask().await;
        let now = Instant::now();
        let mut state = self.state();
        match outcome {
            Ok((token, lifetime)) => {
                let margin = lifetime / RENEWAL_PART;
                state.current = Some(Issued {
                    token: token.clone(),
                    at: now,
                    renew_at: now + (lifetime - margin),
                    expires_at: now + lifetime,
                });
                state.generation = state.generation.next();
                state.failures = 0;
                state.not_before = None;
                Ok(token)
            }
            Err(error) => {
                tracing::warn!(%error, "no new token from the auth server");
                state.failed(now, error.to_string());
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<(Secret, Duration), CredentialsError> {
        let failed = |message: String| CredentialsError::new(format!("client credentials: {message}"));
        let request = Request::post(["oauth", "token"])
            .map_err(|error| failed(error.to_string()))?
            .body(
                HeaderValue::from_static("application/x-www-form-urlencoded"),
                self.form(),
            );
        let response = self
            .auth_server
            .send(request)
            .await
            .map_err(|error| failed("the auth server did not answer".to_owned()).with_source(error))?;
        if !response.status.is_success() {
            return Err(failed(refusal(&response)));
        }
        let answer: Value = serde_json::from_slice(&response.body)
            .map_err(|_| failed("the auth server's answer is not JSON".to_owned()))?;
        let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
        check_token(
            token,
            "client credentials: the access_token in the auth server's answer",
        )?;
        let token = Secret::new(token);
        match &self.acting_as {
            Some(acting_as) => acting_as.exchange(&token).await,
            None => Ok((token, lifetime(answer.get("expires_in"), DOCUMENTED_LIFETIME))),
        }
    }

    /// The server reads a form and nothing else (API reference, a.3).
    fn form(&self) -> String {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("scope", &self.scope),
        ];
        let pairs = fields.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED_STAYS)));
        pairs.join("&")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn good_until(&self, now: Instant, until: impl Fn(&Issued) -> Instant) -> Option<Secret> {
        let current = self.current.as_ref().filter(|current| now < until(current))?;
        Some(current.token.clone())
    }

    fn may_ask(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|not_before| now >= not_before)
    }

    fn failed(&mut self, now: Instant, message: String) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + PAUSE.full(self.failures));
        self.last_failure = message;
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
    async fn token(&self) -> Result<Secret, CredentialsError> {
        let now = Instant::now();
        let (fresh, good) = {
            let state = self.state();
            let fresh = state.good_until(now, |issued| issued.renew_at);
            let good = state.good_until(now, |issued| issued.expires_at);
            // While pauses are kept, an old token is as good as it gets.
            (fresh.or_else(|| good.clone().filter(|_| !state.may_ask(now))), good)
        };
        if let Some(token) = fresh {
            return Ok(token);
        }
        if let Some(old) = good {
            // Somebody else is renewing it, or this caller does.
            let Ok(_renewal) = self.renewal.try_lock() else {
                return Ok(old);
            };
            return Ok(self.renew().await.unwrap_or(old));
        }
        let _renewal = self.renewal.lock().await;
        let now = Instant::now();
        let waited_for = {
            let state = self.state();
            match state.good_until(now, |issued| issued.expires_at) {
                Some(token) => Some(Ok(token)),
                None if state.may_ask(now) => None,
                None => Some(Err(CredentialsError::new(state.last_failure.clone()))),
            }
        };
        match waited_for {
            Some(outcome) => outcome,
            None => self.renew().await,
        }
    }

    async fn generation(&self) -> Generation {
        self.state().generation
    }

    async fn refused(&self, token: &Secret) {
        let now = Instant::now();
        let mut state = self.state();
        let Some(current) = state
            .current
            .take_if(|current| current.token.expose() == token.expose())
        else {
            return;
        };
        // One that is refused as soon as it is issued would be asked for in a loop.
        if now < current.at + PAUSE.max {
            state.failed(
                now,
                "client credentials: the token was refused as soon as it was issued".to_owned(),
            );
        }
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientCredentials")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What the server said, as far as it is a word of the protocol (RFC 6749, section 5.2) and not whatever else is in it.
fn refusal(response: &Response) -> String {
    let status = response.status.as_u16();
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let word = body.get("error").and_then(Value::as_str);
    let word =
        word.filter(|word| word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    match (word, response.status) {
        (Some(word), _) => format!("the auth server answered {status} ({word})"),
        (None, StatusCode::UNAUTHORIZED) => format!("the auth server answered {status}: it does not know this client"),
        (None, _) => format!("the auth server answered {status}"),
    }
}
