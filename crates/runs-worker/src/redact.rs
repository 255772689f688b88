//! Takes the path secrets out of what the API and the webhooks send.
//!
//! With its template and its tasks, a run shows the URLs that its webhooks go to (API reference, sections c.1 and c.4),
//! and with them secrets of ours. They would be in every snapshot and every event: whoever gets one could post
//! webhooks. This is the only thing that is not handed on as it was sent.
//!
//! The secrets of all organizations are taken out everywhere, however they are spelled: with percent signs, with JSON's
//! escapes, or with both, any number of times over.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use tallyfy_model::REDACTED;
use tallyfy_transport::{HttpTransport, Request, Response, TransportError};

use crate::config::Organization;
use crate::shared::spelled::Secrets;

/// A shorter secret could be a word; it is a secret only where a path of ours leads to it.
const UNMISTAKABLE: usize = 16;
/// The path before the secret.
const PATH: &str = "webhooks/";

/// The path secrets of every organization, as they are now.
#[derive(Clone, Default)]
pub(crate) struct PathSecrets(Arc<RwLock<Arc<[SecretString]>>>);

impl PathSecrets {
    pub(crate) fn new(organizations: &[Organization]) -> Self {
        let secrets = Self::default();
        secrets.replace(organizations);
        secrets
    }

    /// Takes these for those that were. What was a secret before is one still: events of then may come late.
    pub(crate) fn replace(&self, organizations: &[Organization]) {
        let new = organizations
            .iter()
            .flat_map(|organization| &organization.webhook_secrets);
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = secrets.to_vec();
        for secret in new {
            if !secret.expose_secret().is_empty()
                && all.iter().all(|known| known.expose_secret() != secret.expose_secret())
            {
                all.push(secret.clone());
            }
        }
        *secrets = all.into();
    }

    /// The bytes without the secrets. A text in UTF-16 that has some becomes one in UTF-8.
    pub(crate) fn without(&self, bytes: Bytes) -> Bytes {
        let secrets = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let redacted = match from_utf16(&bytes) {
            Some(text) => redact(text.as_bytes(), &secrets),
            None => redact(&bytes, &secrets),
        };
        redacted.map_or(bytes, Bytes::from)
    }
}

/// A transport whose responses do not hold these secrets.
pub(crate) struct WithoutSecrets<T> {
    inner: T,
    secrets: PathSecrets,
    /// Whether they are taken out of what is no refusal, too.
    of_answers: bool,
}

impl<T> WithoutSecrets<T> {
    pub(crate) fn new(inner: T, secrets: PathSecrets) -> Self {
        Self {
            inner,
            secrets,
            of_answers: true,
        }
    }

    /// For one who compares the URLs that the API shows: only refusals, which are shown to people, are without secrets.
    pub(crate) fn in_refusals_alone(inner: T, secrets: PathSecrets) -> Self {
        Self {
            of_answers: false,
            ..Self::new(inner, secrets)
        }
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for WithoutSecrets<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let token = token_of(&request);
        let mut response = self.inner.send(request).await?;
        if self.of_answers || !response.status.is_success() {
            response.body = self.secrets.without(response.body);
        }
        if !response.status.is_success() {
            let said = String::from_utf8_lossy(&response.body);
            response.body = token.taken_out_of(&said).into();
        }
        Ok(response)
    }
}

/// The token that a request is sent with. An answer that is an error may repeat it, and is shown.
fn token_of(request: &Request) -> Secrets {
    let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let header = String::from_utf8_lossy(header.unwrap_or_default());
    Secrets::new([header.strip_prefix("Bearer ").unwrap_or(&header)])
}

/// What is written in UTF-16: it says so, or every other of its first bytes is zero.
fn from_utf16(bytes: &[u8]) -> Option<String> {
    let (text, unit): (_, fn([u8; 2]) -> u16) = match bytes {
        [0xff, 0xfe, text @ ..] => (text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => (text, u16::from_be_bytes),
        [1..=255, 0, 1..=255, 0, ..] | [1..=255, 0] => (bytes, u16::from_le_bytes),
        [0, 1..=255, 0, 1..=255, ..] | [0, 1..=255] => (bytes, u16::from_be_bytes),
        _ => return None,
    };
    let units = text.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    let characters = char::decode_utf16(units);
    Some(
        characters
            .map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

/// The text without the secrets; `None` if there are none. What is no text around them stays as it is.
fn redact(bytes: &[u8], secrets: &[SecretString]) -> Option<Vec<u8>> {
    let begins = beginnings(secrets);
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    let next = |at: usize| {
        let mut rest = bytes.get(at..)?.iter();
        Some(at + rest.position(|byte| begins[usize::from(*byte)])?)
    };
    while let Some(place) = next(at) {
        at = place;
        let found = secrets
            .iter()
            .find_map(|secret| secret_at(bytes, at, secret.expose_secret()));
        let Some((from, to)) = found else {
            at = escaped(bytes, at).1;
            continue;
        };
        out.extend_from_slice(bytes.get(copied..from)?);
        out.extend_from_slice(REDACTED.as_bytes());
        (copied, at) = (to, to);
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(bytes.get(copied..)?);
    Some(out)
}

/// With which bytes a secret or the path to it may begin, however it is written. Everything that comes in is searched for
/// them, so that most bytes are looked at no more than once.
fn beginnings(secrets: &[SecretString]) -> [bool; 256] {
    let mut begins = [false; 256];
    let letters = secrets
        .iter()
        .filter_map(|secret| secret.expose_secret().bytes().next());
    for byte in letters.chain([PATH.as_bytes()[0], b'%', b'\\']) {
        begins[usize::from(byte)] = true;
    }
    begins
}

/// From where to where a secret is written, if it begins here, or the path that leads to it does.
fn secret_at(bytes: &[u8], at: usize, secret: &str) -> Option<(usize, usize)> {
    if secret.len() >= UNMISTAKABLE {
        return Some((at, spelled(bytes, at, secret.as_bytes())?));
    }
    let from = spelled(bytes, at, PATH.as_bytes())?;
    Some((from, spelled(bytes, from, secret.as_bytes())?))
}

/// Where this text ends, if it is written here.
fn spelled(bytes: &[u8], mut at: usize, text: &[u8]) -> Option<usize> {
    for wanted in text {
        let (letter, after) = percent_encoded(bytes, at);
        if letter != *wanted {
            return None;
        }
        at = after;
    }
    Some(at)
}

/// The letter that is written here as a URL has it, and where the next one is. `%2541` is `A`, encoded twice.
fn percent_encoded(bytes: &[u8], at: usize) -> (u8, usize) {
    let (letter, mut after) = escaped(bytes, at);
    if letter != b'%' {
        return (letter, after);
    }
    loop {
        let (high, next) = escaped(bytes, after);
        let (low, end) = escaped(bytes, next);
        match (hex(high), hex(low)) {
            (Some(2), Some(5)) => after = end,
            (Some(high), Some(low)) => return (high * 16 + low, end),
            _ => return (b'%', after),
        }
    }
}

/// The letter that is written here as JSON has it, and where the next one is; 0 for what is no letter of a secret. Any
/// number of backslashes may stand before it, where JSON is a text within JSON.
fn escaped(bytes: &[u8], at: usize) -> (u8, usize) {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let slashes = bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| **byte == b'\\')
        .count();
    if slashes == 0 {
        return (byte(at), at + 1);
    }
    let after = at + slashes;
    match byte(after) {
        b'/' => (b'/', after + 1),
        b'u' if let Some(letter) = four_digits(bytes, after + 1) => (letter, after + 5),
        // The letter is part of an escape.
        _ if slashes % 2 == 1 => (0, after + 1),
        _ => (0, after),
    }
}

/// The ASCII letter of this number.
fn four_digits(bytes: &[u8], at: usize) -> Option<u8> {
    let digits = bytes.get(at..at + 4)?;
    let value = digits
        .iter()
        .try_fold(0_u16, |value, digit| Some(value * 16 + u16::from(hex(*digit)?)))?;
    u8::try_from(value).ok().filter(u8::is_ascii)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn without(text: &str, secret: &str) -> Option<String> {
        redact(text.as_bytes(), &[secret.into()]).map(|redacted| String::from_utf8(redacted).unwrap())
    }

    #[test]
    fn a_secret_is_taken_out_of_utf_16_and_of_what_is_no_text() {
        let secrets = PathSecrets(Arc::new(RwLock::new(Arc::new(["3b1f0c8e5a7d4962".into()]))));
        let text = r#"{"a":"3b1f0c8e5a7d4962","b":"%33b1f0c8e5a7d4962ü"}"#;
        let expected = r#"{"a":"[redacted]","b":"[redacted]ü"}"#;
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let with_mark = |mark: &[u8], text: &[u8]| [mark, text].concat();
        for body in [
            little.clone(),
            big.clone(),
            with_mark(b"\xff\xfe", &little),
            with_mark(b"\xfe\xff", &big),
        ] {
            assert_eq!(secrets.without(body.into()), expected);
        }
        let broken = with_mark(b"\xff3b1f0c8e5a7d4962", b"\xfe\xff");
        assert_eq!(secrets.without(broken.into()), b"\xff[redacted]\xfe\xff".as_slice());
        let other: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(secrets.without(other.clone().into()), other, "nothing to take out");
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
        let text = r#"{"task":"task","webhook":"https://t.example/webhooks/task","other":"webhooks%2Ftas%6b"}"#;
        let expected =
            r#"{"task":"task","webhook":"https://t.example/webhooks/[redacted]","other":"webhooks%2F[redacted]"}"#;
        assert_eq!(without(text, "task").as_deref(), Some(expected));
    }

    #[test]
    fn what_is_left_is_json_still() {
        let secret = "nb1f0c8e5a7d4962";
        for (text, expected) in [
            (r#"{"a":"\nb1f0c8e5a7d4962"}"#, None),
            (r#"{"a":"\\nb1f0c8e5a7d4962"}"#, Some(r#"{"a":"\\[redacted]"}"#)),
            (r#"{"a":"é%6eb1f0c8e5a7d4962é"}"#, Some(r#"{"a":"é[redacted]é"}"#)),
            (r#"{"a":"\u006Eb1f0c8e5a7d4962\n"}"#, Some(r#"{"a":"[redacted]\n"}"#)),
        ] {
            assert_eq!(without(text, secret).as_deref(), expected, "{text}");
        }
    }

    /// One letter, in one of the ways in which it may be written.
    fn letter(letter: u8, spelling: u8) -> String {
        let plain = char::from(letter);
        let by_number = |text: &str| text.bytes().map(|byte| format!("\\u{byte:04X}")).collect::<String>();
        match spelling {
            0 => format!("%{letter:02x}"),
            1 => format!("%{letter:02X}"),
            2 => format!("%25{letter:02x}"),
            3 => format!("%2525{letter:02X}"),
            4 => by_number(&plain.to_string()),
            5 => format!("\\\\u{letter:04x}"),
            6 => by_number(&format!("%{letter:02x}")),
            7 => by_number(&format!("%25{letter:02X}")),
            _ => plain.to_string(),
        }
    }

    proptest! {
        #[test]
        fn no_spelling_hides_a_secret(
            secret in "[A-Za-z0-9._~-]{16,40}",
            spellings in prop::collection::vec(0..12_u8, 40),
            before in "[ -!#-+.-\\[\\]-~]{0,20}",
            after in "[ -!#-+.-\\[\\]-~]{0,20}",
        ) {
            let spelled: String = secret.bytes().zip(&spellings).map(|(byte, how)| letter(byte, *how)).collect();
            let text = serde_json::json!([before, after]).to_string();
            let text = text.replace("\",\"", &format!("\",\"{spelled}\",\""));
            let redacted = without(&text, &secret).unwrap();
            prop_assert!(redacted.contains("\"[redacted]\""), "{}", redacted);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&redacted).is_ok(), "{}", redacted);
        }
    }
}
