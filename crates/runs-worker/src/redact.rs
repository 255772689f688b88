//! Takes the path secrets out of what the API sends.
//!
//! With its template and its tasks, a run shows the URLs that its webhooks go to (API reference, sections c.1 and c.4),
//! and with them the secret of our own. It would be in every snapshot and every event: whoever gets one could post
//! webhooks. This is the only thing that is not handed on as the API sent it.

use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tallyfy_model::REDACTED;
use tallyfy_model::json_text::tokens;
use tallyfy_transport::{HttpTransport, Request, Response, TransportError};

/// A shorter secret could be a word; it is a secret only where a path of ours leads to it.
const UNMISTAKABLE: usize = 16;
/// The path before the secret, as JSON may have it.
const PATHS: [&str; 2] = ["webhooks/", "webhooks\\/"];

/// A transport whose responses do not hold these secrets.
pub(crate) struct WithoutSecrets<T> {
    inner: T,
    secrets: Vec<SecretString>,
}

impl<T> WithoutSecrets<T> {
    pub(crate) fn new(inner: T, secrets: &[SecretString]) -> Self {
        let secrets = secrets.iter().flat_map(|secret| spellings(secret.expose_secret()));
        Self {
            inner,
            secrets: secrets.collect(),
        }
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for WithoutSecrets<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut response = self.inner.send(request).await?;
        if let Ok(text) = std::str::from_utf8(&response.body)
            && let Some(redacted) = redact(text, &self.secrets)
        {
            response.body = redacted.into();
        }
        Ok(response)
    }
}

/// How a secret may be written in a URL in JSON.
fn spellings(secret: &str) -> Vec<SecretString> {
    let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let mut spellings = vec![secret.to_owned()];
    if encoded != secret {
        spellings.push(encoded);
    }
    let all = spellings.into_iter().flat_map(|spelling| {
        let anywhere = spelling.len() >= UNMISTAKABLE;
        let behind_a_path = PATHS.map(|path| format!("{path}{spelling}"));
        // Where it is taken out anywhere, the longer forms would find nothing.
        anywhere
            .then_some(spelling)
            .map_or(behind_a_path.to_vec(), |secret| vec![secret])
    });
    all.filter(|spelling| !spelling.is_empty())
        .map(SecretString::from)
        .collect()
}

/// The text without the secrets; `None` if there are none.
fn redact(text: &str, secrets: &[SecretString]) -> Option<String> {
    let plain = replace(text, secrets);
    let text = plain.as_deref().unwrap_or(text);
    let escaped = text.contains('\\').then(|| replace_escaped(text, secrets)).flatten();
    escaped.or(plain)
}

/// Replaces the secrets as they are written.
fn replace(text: &str, secrets: &[SecretString]) -> Option<String> {
    let mut redacted: Option<String> = None;
    for secret in secrets.iter().map(SecretString::expose_secret) {
        let text = redacted.as_deref().unwrap_or(text);
        if text.contains(secret) {
            let path = PATHS.iter().find(|path| secret.starts_with(**path)).unwrap_or(&"");
            redacted = Some(text.replace(secret, &format!("{path}{REDACTED}")));
        }
    }
    redacted
}

/// Replaces the secrets that JSON strings hold in escapes: PHP writes a slash with a backslash, and may write any letter by
/// its number.
fn replace_escaped(text: &str, secrets: &[SecretString]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut is_changed = false;
    for token in tokens(text) {
        let says = token.to_text().filter(|_| token.text.contains('\\'));
        match says.and_then(|text| replace(&text, secrets)) {
            Some(redacted) => {
                is_changed = true;
                out.push_str(&Value::String(redacted).to_string());
            }
            None => out.push_str(token.text),
        }
    }
    is_changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, secret: &str) -> Option<String> {
        redact(text, &spellings(secret))
    }

    #[test]
    fn a_secret_is_taken_out_wherever_it_is() {
        let long = "3b1f0c8e5a7d4962";
        let text = r#"{"webhook":"https:\/\/t.example\/webhooks\/3b1f0c8e5a7d4962","title":"3b1f0c8e5a7d4962"}"#;
        let expected = r#"{"webhook":"https:\/\/t.example\/webhooks\/[redacted]","title":"[redacted]"}"#;
        assert_eq!(without(text, long).as_deref(), Some(expected));
        assert_eq!(without(r#"{"id":"3b1f0c8e"}"#, long), None);
    }

    #[test]
    fn a_short_one_is_a_secret_only_behind_its_path() {
        let text = r#"{"task":"task","webhook":"https://t.example/webhooks/task"}"#;
        let expected = r#"{"task":"task","webhook":"https://t.example/webhooks/[redacted]"}"#;
        assert_eq!(without(text, "task").as_deref(), Some(expected));
    }

    #[test]
    fn a_secret_is_found_as_a_url_has_it() {
        let text = r#"{"webhook":"https://t.example/webhooks/correct%20horse%20battery%21"}"#;
        let expected = r#"{"webhook":"https://t.example/webhooks/[redacted]"}"#;
        assert_eq!(without(text, "correct horse battery!").as_deref(), Some(expected));
    }

    #[test]
    fn escapes_hide_no_secret() {
        let text =
            r#"{"n":1.50,"webhook":"https:\/\/t.example\/webhooks\/\u0063orrect\/horse+battery","other":"a\/b"}"#;
        let expected = r#"{"n":1.50,"webhook":"https://t.example/webhooks/[redacted]","other":"a\/b"}"#;
        assert_eq!(without(text, "correct/horse+battery").as_deref(), Some(expected));
    }
}
