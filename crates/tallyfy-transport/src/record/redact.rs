//! Finding secrets in what is recorded.

use serde_json::value::RawValue;

use crate::Request;

const REDACTED: &str = "[redacted]";

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

fn is_secret(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    EXACT.contains(&name.as_str()) || TELLING.iter().any(|part| name.contains(part))
}

/// The path and the query of a request, in which the values of secrets are replaced.
pub(super) fn path_and_query(request: &Request) -> String {
    let mut shown = request.path().to_owned();
    for (index, (name, value)) in request.query_pairs().enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        let value = if is_secret(name) { REDACTED } else { value };
        shown.extend([name, "=", value]);
    }
    shown
}

/// An object or an array that is being read.
struct Level {
    is_object: bool,
    /// Whether the next string is the name of a member.
    name_is_next: bool,
    /// Whether all that is in it is secret.
    secret: bool,
    /// Whether the member that is being read is.
    secret_member: bool,
}

/// JSON text in which the values of secrets are replaced, and everything else is as it was; `None` if it is not JSON.
pub(super) fn json(text: &str) -> Option<String> {
    // Checks the syntax, on which the rest relies.
    serde_json::from_str::<&RawValue>(text).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut levels: Vec<Level> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_len(rest, first));
        rest = after;
        let secret = levels.last().is_some_and(|level| level.secret || level.secret_member);
        match first {
            '{' | '[' => levels.push(Level {
                is_object: first == '{',
                name_is_next: first == '{',
                secret,
                secret_member: false,
            }),
            '}' | ']' => {
                levels.pop();
            }
            ',' => {
                if let Some(level) = levels.last_mut().filter(|level| level.is_object) {
                    level.name_is_next = true;
                    level.secret_member = false;
                }
            }
            '"' => match levels.last_mut().filter(|level| level.name_is_next) {
                Some(level) => {
                    level.name_is_next = false;
                    level.secret_member = is_secret(&unescaped(token));
                }
                None if secret => {
                    out.extend(["\"", REDACTED, "\""]);
                    continue;
                }
                None => {
                    out.push_str(&without_queries(token));
                    continue;
                }
            },
            '-' | '0'..='9' if secret => {
                out.extend(["\"", REDACTED, "\""]);
                continue;
            }
            _ => {}
        }
        out.push_str(token);
    }
    Some(out)
}

fn token_len(text: &str, first: char) -> usize {
    match first {
        '"' => string_len(text),
        '-' | '0'..='9' => text
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(text.len()),
        _ => first.len_utf8(),
    }
}

/// The length of the string that a text begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        if byte == b'"' && !escaped {
            return at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    text.len()
}

fn unescaped(token: &str) -> String {
    serde_json::from_str(token).unwrap_or_else(|_| token.to_owned())
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
