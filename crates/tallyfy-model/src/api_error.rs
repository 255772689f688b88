//! Bodies of error responses.

use serde_json::Value;

use crate::{REDACTED, json_text};

/// The longest message that is repeated.
const MAX_MESSAGE_CHARS: usize = 300;

/// What an error response says (API reference, section f.1).
///
/// `error` may be `true`, a word, an object or absent; `message` and `code` may be beside it or inside it; `errors` may
/// hold strings, lists or objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// What went wrong, for a person; shortened.
    pub message: Option<String>,
    /// What went wrong, for a program.
    pub code: Option<String>,
    /// What is wrong, field by field.
    pub fields: Vec<FieldProblem>,
}

/// What is wrong with a field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldProblem {
    /// The name of the field, of fields within fields with dots between; empty if the answer does not name it.
    pub field: String,
    /// What is wrong with it, for a person; shortened.
    pub message: String,
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.field.is_empty() {
            write!(formatter, "{}: ", self.field)?;
        }
        formatter.write_str(&self.message)
    }
}

impl ApiError {
    /// Reads the body of an error response; an HTML page, or anything else that is no JSON object, says nothing.
    pub fn parse(body: &[u8]) -> Self {
        let Ok(Value::Object(body)) = json_text::from_slice(body) else {
            return Self::default();
        };
        // `true`, a word, or an object with the same members.
        let error = body.get("error");
        let text = |name: &str| {
            let outer = body.get(name).and_then(Value::as_str);
            outer
                .or_else(|| error?.get(name)?.as_str())
                .map(shortened)
                .filter(|text| !text.is_empty())
        };
        let mut fields = Vec::new();
        if let Some(errors) = body.get("errors") {
            collect_fields("", errors, &mut fields);
        }
        Self {
            message: text("message").or_else(|| error?.as_str().map(shortened)),
            code: text("code"),
            fields,
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = self.fields.iter().map(ToString::to_string);
        let parts: Vec<String> = self.message.iter().chain(&self.code).cloned().chain(fields).collect();
        if parts.is_empty() {
            formatter.write_str("no reason given")
        } else {
            formatter.write_str(&parts.join("; "))
        }
    }
}

fn collect_fields(name: &str, value: &Value, fields: &mut Vec<FieldProblem>) {
    // As many as a person reads.
    if fields.len() >= 20 {
        return;
    }
    match value {
        Value::String(text) => fields.push(FieldProblem {
            field: name.to_owned(),
            message: shortened(text),
        }),
        Value::Array(items) => {
            for item in items {
                collect_fields(name, item, fields);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                let key = shortened(key);
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                collect_fields(&name, item, fields);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An answer may repeat what it was asked with. Links may be guest links, and what follows such a word may be a token.
fn without_secrets(text: &str) -> String {
    let mut after_telling_word = false;
    let word = |word: &str| {
        let bare = word
            .trim_matches(|character: char| !character.is_alphanumeric())
            .to_ascii_lowercase();
        let is_telling = ["bearer", "token", "secret", "password"].contains(&bare.as_str());
        let long = word.chars().filter(|character| character.is_alphanumeric()).count() >= 8;
        let secret = after_telling_word && (long || word.chars().any(|character| character.is_ascii_digit()));
        after_telling_word = is_telling;
        if word.contains("://") {
            "[link]".to_owned()
        } else if secret {
            REDACTED.to_owned()
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// One line, without control characters, not longer than a person reads, and without what may be a secret.
fn shortened(text: &str) -> String {
    let text = &without_secrets(text);
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE_CHARS)
        .collect();
    if text.chars().nth(MAX_MESSAGE_CHARS).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> String {
        ApiError::parse(body.as_bytes()).to_string()
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let message = |text: &str| {
            let body = serde_json::json!({ "message": text }).to_string();
            ApiError::parse(body.as_bytes()).message.unwrap()
        };
        assert_eq!(
            message("Unauthenticated. token Bearer abc123def"),
            "Unauthenticated. token Bearer [redacted]"
        );
        assert_eq!(message("see https://go.example/guest?code=x now"), "see [link] now");
        assert_eq!(message("The token is not valid."), "The token is not valid.");
        assert_eq!(message("Bad token: t0ken-t0ken!"), "Bad token: [redacted]");
    }

    #[test]
    fn every_documented_form_is_read() {
        for (body, expected) in [
            (r#"{"message":"bad request"}"#, "bad request"),
            (r#"{"error":true,"message":"unauthenticated"}"#, "unauthenticated"),
            (r#"{"error":"invalid_client"}"#, "invalid_client"),
            (r#"{"error":"Forbidden","message":"not yours"}"#, "not yours"),
            (
                r#"{"error":true,"message":"Resource not found","code":"RESOURCE_NOT_FOUND"}"#,
                "Resource not found; RESOURCE_NOT_FOUND",
            ),
            (
                r#"{"error":{"code":"SEAT_POOL_EXHAUSTED","message":"no seat","details":{"pool_type":"full"}}}"#,
                "no seat; SEAT_POOL_EXHAUSTED",
            ),
            (r#"{"error":true,"errors":{"f":["is required"]}}"#, "f: is required"),
            (
                r#"{"message":"invalid","errors":{"a":{"b":["x","y"]},"c":"z"}}"#,
                "invalid; a.b: x; a.b: y; c: z",
            ),
            (r#"{"error":true,"errors":{}}"#, "no reason given"),
            (r#"{"errors":[]}"#, "no reason given"),
            ("<html>SQLSTATE[42S02]</html>", "no reason given"),
            ("", "no reason given"),
            ("[]", "no reason given"),
        ] {
            assert_eq!(shown(body), expected, "{body}");
        }
    }

    #[test]
    fn each_field_is_told_apart_from_what_is_wrong_with_it() {
        let error = ApiError::parse(br#"{"errors":{"name":["is required"],"prerun":{"f1":"no such option"}}}"#);
        let told: Vec<_> = error
            .fields
            .iter()
            .map(|problem| (problem.field.as_str(), problem.message.as_str()))
            .collect();
        assert_eq!(told, [("name", "is required"), ("prerun.f1", "no such option")]);
    }

    #[test]
    fn a_message_cannot_flood_or_forge_a_log() {
        let body = serde_json::json!({ "message": format!("a\n{}", "b".repeat(1000)) }).to_string();
        let shown = shown(&body);
        assert!(shown.starts_with("a b") && shown.chars().count() == MAX_MESSAGE_CHARS + 1);
    }
}
