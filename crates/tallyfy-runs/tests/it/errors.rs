//! What a person reads when there is no run.

use std::error::Error as _;

use http::Method;
use tallyfy_runs::Error;
use tallyfy_transport::{ErrorKind, Response, TransportError};

use crate::answering::{answer, get_r1, with_header};

/// The variant, the message with those of its sources, and whether trying again can help.
fn shown(error: &Error) -> String {
    let variant = format!("{error:?}");
    let variant = variant.split([' ', '(']).next().unwrap();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("\n      because: {cause}"));
        source = cause.source();
    }
    let again = if error.is_retryable() { ", retryable" } else { "" };
    format!("  {variant}{again}\n    {text}")
}

async fn table(rows: impl IntoIterator<Item = (&str, Result<Response, TransportError>)>) -> String {
    let mut lines = Vec::new();
    for (name, answer) in rows {
        let outcome = match get_r1(answer).await {
            Ok(run) => format!("  a run: {}", run.id()),
            Err(error) => shown(&error),
        };
        lines.push(format!("{name}\n{outcome}"));
    }
    lines.join("\n")
}

#[tokio::test]
async fn every_status_has_a_message_that_says_what_to_do() {
    let not_found = r#"{"error":true,"message":"Resource not found","code":"RESOURCE_NOT_FOUND"}"#;
    let no_endpoint = r#"{"error":true,"message":"API endpoint not found","code":"ENDPOINT_NOT_FOUND"}"#;
    let seat = r#"{"error":{"code":"SEAT_POOL_EXHAUSTED","message":"No seat left","details":{"pool_type":"full"}}}"#;
    let traced = "SQLSTATE[42S02]: no table runs in /var/www/app.php";
    let rows = [
        ("301", answer(301, "")),
        (
            "302 to a login page",
            with_header(answer(302, "<html>"), "location", "/login"),
        ),
        ("400", answer(400, r#"{"message":"bad request"}"#)),
        ("401", answer(401, r#"{"error":true,"message":"unauthenticated"}"#)),
        ("401 with a word", answer(401, r#"{"error":"invalid_client"}"#)),
        ("401 empty", answer(401, "")),
        (
            "403",
            answer(403, r#"{"error":"Forbidden","message":"not a member of the process"}"#),
        ),
        ("403 HTML", answer(403, "<html>blocked</html>")),
        ("404 of the thing", answer(404, not_found)),
        ("404 of the path", answer(404, no_endpoint)),
        (
            "404 of the path, message only",
            answer(404, r#"{"message":"Endpoint not found"}"#),
        ),
        ("404 HTML", answer(404, "\n<!doctype html><title>Not Found</title>")),
        ("404 empty", answer(404, "")),
        (
            "404 with a request id",
            with_header(answer(404, not_found), "x-request-id", "abc-1"),
        ),
        ("408", answer(408, "")),
        ("409", answer(409, seat)),
        ("410", answer(410, "")),
        (
            "422 with errors",
            answer(422, r#"{"error":true,"errors":{"with":["is invalid"]}}"#),
        ),
        ("422 with a message", answer(422, r#"{"error":true,"message":"no"}"#)),
        ("422 with errors and nothing in them", answer(422, r#"{"errors":{}}"#)),
        (
            "429",
            answer(429, r#"{"message":"hourly limit","code":"RATE_LIMIT_EXCEEDED"}"#),
        ),
        ("429 in seconds", with_header(answer(429, ""), "retry-after", "30")),
        ("429 now", with_header(answer(429, ""), "retry-after", "0")),
        (
            "429 at a time",
            with_header(answer(429, ""), "retry-after", "Mon, 23 Nov 2026 12:01:30 GMT"),
        ),
        (
            "429 at a time, by the server's own clock",
            with_header(
                with_header(answer(429, ""), "retry-after", "Mon, 23 Nov 2026 12:01:30 GMT"),
                "date",
                "Mon, 23 Nov 2026 12:01:20 GMT",
            ),
        ),
        ("429 at no time", with_header(answer(429, ""), "retry-after", "soon")),
        (
            "500 with SQL in it",
            answer(500, format!(r#"{{"message":"{traced}","code":"{traced}"}}"#)),
        ),
        ("500 as a page", answer(500, format!("<html>{traced}"))),
        ("502", answer(502, "<html>Bad Gateway</html>")),
        (
            "503 with a request id",
            with_header(answer(503, ""), "x-request-id", "a\tb"),
        ),
        ("504", answer(504, "")),
        ("599", answer(599, "")),
    ];
    let table = table(rows.map(|(name, answer)| (name, Ok(answer)))).await;
    assert!(!table.contains("SQLSTATE") && !table.contains("/var/www"));
    insta::assert_snapshot!("every_status", table);
}

#[tokio::test]
async fn nothing_of_a_5xx_body_is_kept() {
    let body = r#"{"message":"SQLSTATE[42S02]","errors":{"a":"/var/www/app.php"}}"#;
    let error = get_r1(Ok(answer(500, body))).await.unwrap_err();
    let debug = format!("{error:?}");
    assert!(!debug.contains("SQLSTATE") && !debug.contains("/var/www"), "{debug}");
}

#[tokio::test]
async fn every_odd_body_of_a_success_is_named() {
    let rows: [(&str, &[u8]); 26] = [
        ("empty", b""),
        ("white space", b" \r\n\t"),
        ("a byte order mark alone", b"\xEF\xBB\xBF"),
        ("a page", b"\n <!doctype html><html>login</html>"),
        ("text", b"ok"),
        ("not UTF-8", b"{\"data\":{\"id\":\"r1\",\"name\":\"\xff\"}}"),
        ("UTF-16", b"\xff\xfe{\0"),
        ("cut off in a value", b"{\"data\":{\"id\":\"r1\",\"name\":\"On"),
        ("cut off after a value", b"{\"data\":{\"id\":\"r1\"}"),
        ("cut off in a character", b"{\"data\":{\"id\":\"r1\",\"name\":\"\xc3"),
        ("a comma too many", b"{\n  \"data\": {\"id\":\"r1\",}\n}"),
        ("two of them", b"{\"data\":{\"id\":\"r1\"}}{}"),
        ("null", b"null"),
        ("a list", b"[{\"id\":\"r1\"}]"),
        ("an empty list", b"[]"),
        ("a string", b"\"r1\""),
        ("a number", b"12"),
        ("true", b"true"),
        ("an empty object", b"{}"),
        ("an error in a success", b"{\"error\":true,\"message\":\"no\"}"),
        ("data is null", b"{\"data\":null}"),
        ("data is an empty list", b"{\"data\":[]}"),
        ("data is a list", b"{\"data\":[{\"id\":\"r1\"}]}"),
        ("data is an empty object", b"{\"data\":{}}"),
        ("data is another run", b"{\"data\":{\"id\":\"r2\\nforged\"}}"),
        ("another run, bare", b"{\"id\":\"r2\"}"),
    ];
    let table = table(rows.map(|(name, body)| (name, Ok(answer(200, body))))).await;
    insta::assert_snapshot!("odd_bodies", table);
}

#[tokio::test]
async fn a_long_id_of_another_run_does_not_flood_a_log() {
    let body = format!(r#"{{"data":{{"id":"{}"}}}}"#, "x".repeat(5_000));
    let message = get_r1(Ok(answer(200, body))).await.unwrap_err().to_string();
    assert!(message.len() < 200, "{message}");
}

#[tokio::test]
async fn a_run_that_is_nested_without_end_is_an_error_that_says_so() {
    for (open, close, levels) in [("[", "]", 500_000), ("{\"data\":", "}", 5_000)] {
        for member in ["tasks", "x"] {
            let nested = |levels: usize| {
                let deep = format!("{}1{}", open.repeat(levels), close.repeat(levels));
                answer(200, format!(r#"{{"data":{{"id":"r1","{member}":{deep}}}}}"#))
            };
            let error = get_r1(Ok(nested(levels))).await.unwrap_err().to_string();
            assert!(error.contains("nested more than 512 levels deep"), "{error}");
            // With the run itself, that is as deep as it may be.
            assert!(get_r1(Ok(nested(511))).await.is_ok());
            assert!(get_r1(Ok(nested(512))).await.is_err());
        }
    }
}

#[tokio::test]
async fn every_failure_of_the_transport_keeps_its_cause() {
    let kinds = [
        ErrorKind::InvalidRequest,
        ErrorKind::Credentials,
        ErrorKind::Connect,
        ErrorKind::Tls,
        ErrorKind::Timeout,
        ErrorKind::Interrupted,
        ErrorKind::TooLarge,
    ];
    let names = kinds.map(|kind| format!("{kind:?}"));
    let rows = kinds.into_iter().zip(&names).map(|(kind, name)| {
        let error = TransportError::new(kind, Method::GET, "/organizations/acme/runs/r1").with_source("the cause");
        (name.as_str(), Err(error))
    });
    insta::assert_snapshot!("transport_errors", table(rows).await);
}
