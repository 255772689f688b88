//! Finding secrets in what is recorded.

use std::borrow::Cow;

use tallyfy_model::REDACTED;
use tallyfy_model::json_text::{Kind, Token, plain_name, redacted};

use crate::Request;

/// What the name of a secret has in it. Names are compared without case, hyphens and underscores.
const TELLING: [&str; 8] = [
    "token",
    "secret",
    "password",
    "authorization",
    "apikey",
    "webhook",
    "guestlink",
    "linkforguest",
];

/// Names that are secret only as a whole.
const EXACT: [&str; 5] = ["link", "publiclink", "taskurls", "code", "signature"];

/// Whether a plain name is that of a secret.
fn is_secret(name: &str) -> bool {
    EXACT.contains(&name) || TELLING.iter().any(|part| name.contains(part))
}

/// The path and the query of a request, in which the values of secrets are replaced.
pub(super) fn path_and_query(request: &Request) -> String {
    let mut shown = request.path().to_owned();
    for (index, (name, value)) in request.query_pairs().enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        let value = if is_secret(&plain_name(name)) { REDACTED } else { value };
        shown.extend([name, "=", value]);
    }
    shown
}

/// JSON text in which the values of secrets are replaced, and everything else is as it was; `None` if it is not JSON.
pub(super) fn json(text: &str) -> Option<String> {
    let replacement = |value: Token<'_>, is_secret| match value.kind {
        Kind::String | Kind::Number if is_secret => Some(Cow::Owned(format!("\"{REDACTED}\""))),
        Kind::String => Some(Cow::Owned(without_queries(value.text))),
        _ => None,
    };
    redacted(text, is_secret, replacement).ok()
}

/// A string in which the queries of URLs are replaced. PHP writes the slashes with backslashes.
fn without_queries(token: &str) -> String {
    let mut out = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(at) = [rest.find("://"), rest.find(":\\/\\/")].into_iter().flatten().min() {
        let (before, url) = rest.split_at(at);
        out.push_str(before);
        let end = url.find([' ', '"', '<', '>', '\'']).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        match url.find(['?', '#']) {
            Some(query) => out.extend([&url[..=query], REDACTED]),
            None => out.push_str(url),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_replaced_and_the_rest_stays_to_the_byte() {
        for (text, expected) in [
            (
                r#"{ "access_token" : "s3cret", "n":1.50 }"#,
                r#"{ "access_token" : "[redacted]", "n":1.50 }"#,
            ),
            (
                r#"{"guest-links":{"a@b.example":{"link_for_guest":"https://x/y"}},"b":"c"}"#,
                r#"{"guest-links":{"a@b.example":{"link_for_guest":"[redacted]"}},"b":"c"}"#,
            ),
            (
                r#"{"guestLinks":["s",7,null,true]}"#,
                r#"{"guestLinks":["[redacted]","[redacted]",null,true]}"#,
            ),
            (
                r#"{"client\u005fsecret":12e3,"b":12e3}"#,
                r#"{"client\u005fsecret":"[redacted]","b":12e3}"#,
            ),
            (
                r#"[{"webhook":"https://h/1"},{"webhooks":0}]"#,
                r#"[{"webhook":"[redacted]"},{"webhooks":"[redacted]"}]"#,
            ),
            (
                r#"{"summary":"see <a href='https://go.example/g?code=s3cret'>it</a>, http:\/\/x\/?a=b"}"#,
                r#"{"summary":"see <a href='https://go.example/g?[redacted]'>it</a>, http:\/\/x\/?[redacted]"}"#,
            ),
            (
                r#"{"a":"token","b":"\"token\":\"x\""}"#,
                r#"{"a":"token","b":"\"token\":\"x\""}"#,
            ),
            (r#""https://x/y""#, r#""https://x/y""#),
        ] {
            assert_eq!(json(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "{", "<html>", "{}{}"] {
            assert_eq!(json(text), None, "{text}");
        }
    }

    #[test]
    fn a_query_is_shown_without_its_secrets() {
        let request = Request::get(["runs", "r 1"])
            .unwrap()
            .query("with", "tasks,tags")
            .query("api_key", "s3cret");
        assert_eq!(
            path_and_query(&request),
            "/runs/r%201?with=tasks,tags&api_key=[redacted]"
        );
    }
}
