//! What `ReqwestTransport` puts on the wire, and what it makes of a complete answer.

use axum::Router;
use axum::extract::Request as Received;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::{any, get};
use tallyfy_transport::{ErrorKind, HttpTransport, Request, ReqwestTransport, ReqwestTransportBuilder};

use crate::server;

const ZEROS: &[u8] = include_bytes!("../fixtures/one-mebibyte-of-zeros.gz");
const SMALL_RUN: &[u8] = include_bytes!("../fixtures/small-run.json.gz");

/// A server that answers with the request line and the headers it received, and the body.
async fn echo() -> ReqwestTransportBuilder {
    let echo = any(|request: Received| async move {
        let (head, body) = request.into_parts();
        let mut lines = vec![format!("{} {}", head.method, head.uri)];
        let headers = head.headers.iter().filter(|(name, _)| *name != header::HOST);
        lines.extend(headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        lines[1..].sort();
        let body = axum::body::to_bytes(body, 1024).await.unwrap();
        lines.push(String::from_utf8(body.to_vec()).unwrap());
        lines.join("\n")
    });
    server::serve(Router::new().fallback(echo)).await
}

/// A server that answers `GET /x` with these bytes, said to be gzip.
async fn gzip(bytes: &'static [u8]) -> ReqwestTransportBuilder {
    let answer = ([(header::CONTENT_ENCODING, "gzip")], bytes);
    server::serve(Router::new().route("/api/x", get(|| async move { answer }))).await
}

fn x() -> Request {
    Request::get(["x"]).unwrap()
}

async fn echoed(builder: ReqwestTransportBuilder, request: Request) -> String {
    let response = builder.build().unwrap().send(request).await.unwrap();
    String::from_utf8(response.body.to_vec()).unwrap()
}

#[tokio::test]
async fn every_request_carries_the_mandatory_headers() {
    insta::assert_snapshot!("get_on_the_wire", echoed(echo().await, x()).await);
}

#[tokio::test]
async fn a_body_goes_out_with_its_content_type() {
    let request = Request::post(["organizations", "acme", "runs"])
        .unwrap()
        .json(r#"{"name":"x"}"#);
    insta::assert_snapshot!("post_on_the_wire", echoed(echo().await, request).await);
}

#[tokio::test]
async fn settings_and_the_request_itself_replace_default_headers() {
    let builder = echo().await.user_agent("runs-worker/9").client_header("TestClient");
    let request = x().header(header::ACCEPT, HeaderValue::from_static("text/csv"));
    let text = echoed(builder, request).await;
    for line in [
        "accept: text/csv",
        "user-agent: runs-worker/9",
        "x-tallyfy-client: TestClient",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn an_id_reaches_the_server_as_one_escaped_segment() {
    for (id, line) in [
        (
            "a/../../b",
            "GET /api/runs/a%2F..%2F..%2Fb?with=checklist,tasks&q=a%20b",
        ),
        ("%2e%2e", "GET /api/runs/%252e%252e?with=checklist,tasks&q=a%20b"),
        (
            "50% é?#",
            "GET /api/runs/50%25%20%C3%A9%3F%23?with=checklist,tasks&q=a%20b",
        ),
    ] {
        let request = Request::get(["runs", id])
            .unwrap()
            .query("with", "checklist,tasks")
            .query("q", "a b");
        let text = echoed(echo().await, request).await;
        assert_eq!(text.lines().next(), Some(line));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let moved = get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/api/elsewhere")]) });
    let router = Router::new()
        .route("/api/x", moved)
        .route("/api/elsewhere", get(|| async { "followed" }));
    let transport = server::serve(router).await.build().unwrap();

    let response = transport.send(x()).await.unwrap();

    assert_eq!(response.status, StatusCode::FOUND);
    assert_eq!(response.headers[header::LOCATION], "/api/elsewhere");
    assert_eq!(response.body, "");
}

#[tokio::test]
async fn every_status_passes_through_with_its_headers_and_body() {
    for status in [204, 401, 404, 422, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        let body = if status == StatusCode::NO_CONTENT {
            ""
        } else {
            "<html>not json</html>"
        };
        let answer = (status, [(HeaderName::from_static("x-request-id"), "req-1")], body);
        let router = Router::new().route("/api/x", get(|| async move { answer }));
        let transport = server::serve(router).await.build().unwrap();

        let response = transport.send(x()).await.unwrap();

        assert_eq!(response.status, status);
        assert_eq!(response.request_id(), Some("req-1"));
        assert_eq!(response.body, body);
    }
}

#[tokio::test]
async fn a_compressed_body_is_decompressed() {
    let response = gzip(SMALL_RUN).await.build().unwrap().send(x()).await.unwrap();
    assert_eq!(response.body, r#"{"data":{"id":"r1"}}"#);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let plain = || server::serve(Router::new().route("/api/x", get(|| async { "0123456789" })));
    let exact = plain().await.max_response_bytes(10).build().unwrap();
    assert_eq!(exact.send(x()).await.unwrap().body, "0123456789");

    let short = plain().await.max_response_bytes(9).build().unwrap();
    let error = short.send(x()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    insta::assert_snapshot!("too_large", error);
}

#[tokio::test]
async fn the_limit_counts_what_a_small_body_decompresses_to() {
    assert!(ZEROS.len() < 2048);
    let transport = gzip(ZEROS).await.max_response_bytes(1_048_575).build().unwrap();
    assert_eq!(transport.send(x()).await.unwrap_err().kind(), ErrorKind::TooLarge);

    let transport = gzip(ZEROS).await.max_response_bytes(1_048_576).build().unwrap();
    assert_eq!(transport.send(x()).await.unwrap().body.len(), 1_048_576);
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used_for_this_machine() {
    // Another test of this process would see the variable, so it is set for a child of this one.
    let program = std::env::current_exe().unwrap();
    let output = tokio::process::Command::new(program)
        .args([
            "wire::settings_and_the_request_itself_replace_default_headers",
            "--exact",
        ])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn somebody_elses_client_sends_the_mandatory_headers_too() {
    let base = echo().await.build().unwrap().base_url().clone();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let transport = ReqwestTransport::from_client(client, base).with_max_response_bytes(10_000);
    let response = transport.send(x()).await.unwrap();
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    for line in ["accept: application/json", "x-tallyfy-client: APIClient"] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let small = transport.with_max_response_bytes(10).send(x()).await.unwrap_err();
    assert_eq!(small.kind(), ErrorKind::TooLarge);
}
