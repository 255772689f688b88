//! What a handler of the type `http` needs.

use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::ExposeSecret as _;

use super::HandlerTable;
use crate::config::told::Told;
use crate::handler::{HttpMode, HttpTarget, SigningKey, is_this_machine};
use crate::shared::unknown_word::unknown_word;

/// Headers that say how a request is framed and where it goes, which is not for a configuration to say, and those that the
/// handler makes itself.
const OWN_HEADERS: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// A deploy on the other side, or a clock that is set, takes less.
const REJECT_AFTER: Duration = Duration::from_secs(60 * 60);

impl HandlerTable {
    pub(super) fn http(&self, told: &mut Told<'_>) -> Option<HttpTarget> {
        let url = self.url(told);
        let mode = self.mode(told);
        let keys = self.keys(told);
        let headers = self.headers(told);
        let reject_on = self.statuses(told);
        Some(HttpTarget {
            url: url?,
            mode,
            keys,
            headers,
            reject_on,
            reject_after: self.reject_after.unwrap_or(REJECT_AFTER),
        })
    }

    fn url(&self, told: &mut Told<'_>) -> Option<reqwest::Url> {
        let Some(url) = &self.url else {
            told.problem("url", "is missing: where events are posted to".to_owned());
            return None;
        };
        target_url(url.expose_secret(), self.allow_plain)
            .map_err(|message| told.problem("url", message))
            .ok()
    }

    fn mode(&self, told: &mut Told<'_>) -> HttpMode {
        match self.mode.as_deref() {
            None | Some("structured") => HttpMode::Structured,
            Some("binary") => HttpMode::Binary,
            Some(other) => {
                told.problem("mode", unknown_word("mode", other, &["structured", "binary"]));
                HttpMode::Structured
            }
        }
    }

    fn keys(&self, told: &mut Told<'_>) -> Vec<SigningKey> {
        let mut keys = Vec::new();
        for (position, key) in self.signing_keys.iter().enumerate() {
            match SigningKey::read(key.expose_secret()) {
                Ok(key) => keys.push(key),
                Err(message) => told.problem(&format!("signing_keys[{position}]"), message),
            }
        }
        match self.signing_keys_file.as_deref().map(keys_of) {
            None => {}
            Some(Ok(from_file)) if keys.is_empty() => keys = from_file,
            Some(Ok(_)) => told.problem(
                "signing_keys_file",
                "give signing_keys or signing_keys_file, not both".to_owned(),
            ),
            Some(Err(message)) => told.problem("signing_keys_file", message),
        }
        keys
    }

    fn statuses(&self, told: &mut Told<'_>) -> Vec<StatusCode> {
        let mut statuses = Vec::new();
        for status in &self.reject_on {
            match StatusCode::from_u16(*status) {
                Ok(status) if status.is_client_error() || status.is_server_error() => statuses.push(status),
                _ => told.problem(
                    "reject_on",
                    format!("{status} is no status of an error, expected 400 to 599"),
                ),
            }
        }
        statuses
    }

    fn headers(&self, told: &mut Told<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            match header(name, value.expose_secret()) {
                Ok((name, value)) => {
                    headers.insert(name, value);
                }
                Err(message) => told.problem(&format!("headers.{name}"), message.to_owned()),
            }
        }
        headers
    }
}

/// The value is not repeated: it may be a secret.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::try_from(name).map_err(|_| "is not the name of a header")?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err("is set by the handler itself; take it out");
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| "its value cannot be sent in a header")?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The URL is not repeated: it may hold a secret.
fn target_url(text: &str, allow_plain: bool) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_plain || is_this_machine(&url) => {}
        "http" => {
            let message =
                "plain http shows runs to everybody on the way, expected https; `allow_plain = true` allows it";
            return Err(message.to_owned());
        }
        _ => return Err("expected https".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user name or a password; give a header instead".to_owned());
    }
    Ok(url)
}

fn keys_of(file: &Path) -> Result<Vec<SigningKey>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys = lines.map(SigningKey::read).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(format!("{} holds no key", file.display()));
    }
    Ok(keys)
}
