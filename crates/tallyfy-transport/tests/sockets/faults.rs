//! What `ReqwestTransport` says when there is no complete answer.

use std::error::Error;
use std::time::{Duration, Instant};

use tallyfy_transport::{
    BaseUrl, ErrorKind, HttpTransport, Request, ReqwestTransport, ReqwestTransportBuilder, TransportError,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::server;

const SMALL_RUN: &[u8] = include_bytes!("../fixtures/small-run.json.gz");

async fn fails(builder: ReqwestTransportBuilder) -> TransportError {
    let request = Request::get(["organizations", "acme", "runs", "r1"])
        .unwrap()
        .query("code", "hidden");
    builder.build().unwrap().send(request).await.unwrap_err()
}

/// The message with its causes, without what differs from run to run.
fn told(error: &TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  because: {error}"));
        cause = error.source();
    }
    assert!(!text.contains("hidden"), "{text}");
    text
}

macro_rules! assert_told {
    ($name:literal, $error:expr) => {
        insta::with_settings!({filters => vec![(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]")]}, {
            insta::assert_snapshot!($name, told(&$error));
        });
    };
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_interrupted() {
    let builder = server::raw("http", |stream| {
        server::answer_and_close(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":")
    })
    .await;
    let error = fails(builder).await;
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_told!("truncated_body", error);
}

#[tokio::test]
async fn a_chunked_body_without_its_end_is_interrupted() {
    let builder = server::raw("http", |stream| {
        server::answer_and_close(
            stream,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        )
    })
    .await;
    assert_eq!(fails(builder).await.kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn a_compressed_body_that_ends_too_early_or_is_damaged_is_interrupted() {
    let mut damaged = SMALL_RUN.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for body in [SMALL_RUN[..SMALL_RUN.len() - 6].to_vec(), damaged, b"{}".to_vec()] {
        let builder = server::raw("http", move |stream| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let answer = [head.as_bytes(), &body].concat();
            async move { server::answer_and_close(stream, &answer).await }
        })
        .await;
        assert_eq!(fails(builder).await.kind(), ErrorKind::Interrupted);
    }
}

#[tokio::test]
async fn a_connection_dropped_before_the_answer_is_interrupted() {
    let builder = server::raw("http", |stream| server::answer_and_close(stream, b"")).await;
    let error = fails(builder).await;
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_told!("dropped_connection", error);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_interrupted() {
    let builder = server::raw("http", |stream| {
        server::answer_and_close(stream, b"220 mail ready\r\n\r\n")
    })
    .await;
    let error = fails(builder).await;
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_told!("not_http", error);
}

#[tokio::test]
async fn a_refused_connection_is_connect_and_names_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: BaseUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);

    let error = fails(ReqwestTransport::builder(base)).await;

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_told!("refused_connection", error);
}

#[tokio::test]
async fn a_server_without_tls_behind_https_is_a_tls_error() {
    let builder = server::raw("https", |mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let error = fails(builder).await;
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_told!("no_tls_behind_https", error);
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout() {
    // The clock is real here: with a paused one, the time-out could pass before the sockets get their turn.
    let short = Duration::from_millis(100);
    let silent = || {
        server::raw("http", |stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
    };
    let before = Instant::now();
    for builder in [silent().await.timeout(short), silent().await.read_timeout(short)] {
        let error = fails(builder).await;
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_told!("silent_server", error);
    }
    assert!(before.elapsed() < Duration::from_secs(10), "the defaults are longer");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_timeout() {
    let short = Duration::from_millis(100);
    let stalled = || {
        server::raw("http", |mut stream| async move {
            server::answer(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await;
            std::future::pending::<()>().await;
        })
    };
    for builder in [stalled().await.timeout(short), stalled().await.read_timeout(short)] {
        assert_eq!(fails(builder).await.kind(), ErrorKind::Timeout);
    }
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_a_failure_to_connect() {
    let builder = server::raw("https", |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = fails(builder.connect_timeout(Duration::from_millis(100))).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_told!("endless_handshake", error);
}

#[test]
fn a_setting_that_no_header_can_carry_is_refused() {
    let builder = || ReqwestTransport::builder(BaseUrl::default());
    let errors = [
        builder().user_agent("two\nlines").build(),
        builder().client_header("\0").build(),
        builder().proxy("http://user:hidden@[nowhere").build(),
        builder().trusting_only("no certificate").build(),
        builder()
            .trusting_only("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
            .build(),
    ]
    .map(|built| built.unwrap_err().to_string());
    insta::assert_snapshot!("refused_settings", errors.join("\n"));
}

#[test]
fn several_transports_can_be_built_whoever_installed_the_crypto_provider() {
    for _ in 0..3 {
        ReqwestTransport::builder(BaseUrl::default()).build().unwrap();
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    ReqwestTransport::builder(BaseUrl::default()).build().unwrap();
}
