//! The public listener: every answer, and what is stored for it.

use std::fmt::Write;

use runs_worker::Worker;
use tallyfy_transport::HttpTransport;

use crate::world::{Api, OLD_SECRET, ORG, SECRET, SilentApi, builder, exchange, parts, post, task_completed};

const HEADER: (&str, &str) = ("X-Tallyfy-orgID", ORG);

async fn start(folder: &tempfile::TempDir, api: std::sync::Arc<dyn HttpTransport>) -> Worker {
    let settings = [
        ("RUNS_WORKER__RECEIVE__BODY_TIMEOUT", "200ms"),
        ("RUNS_WORKER__RECEIVE__MAX_BODY_BYTES", "2000"),
    ];
    builder(folder, &settings).transport(api).start().await.unwrap()
}

/// Ids are new each time.
fn without_ids(text: &str) -> String {
    text.split('"')
        .map(|part| {
            if part.len() == 36 && part.matches('-').count() == 4 {
                "[id]"
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("\"")
}

#[tokio::test]
async fn each_webhook_gets_the_answer_that_the_documentation_says() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing of the API answers: receiving does not need it.
    let worker = start(&folder, std::sync::Arc::new(SilentApi)).await;
    let address = worker.receive_address();
    let right = format!("/webhooks/{SECRET}");
    let old = format!("/webhooks/{OLD_SECRET}");
    let body = task_completed("r1", "t1", "2026-01-31T09:00:00Z");
    let body = body.as_bytes();
    let large = vec![b' '; 2001];

    let mut table = String::new();
    let mut row = |what: &str, (status, body): (u16, String)| {
        writeln!(table, "{status} {what}: {}", without_ids(&body)).unwrap();
    };
    row("stored", post(address, &right, &[HEADER], body).await);
    row("the same again", post(address, &right, &[HEADER], body).await);
    row(
        "the same again, by the other secret",
        post(address, &old, &[("x-tallyfy-ORGID", ORG)], body).await,
    );
    row(
        "another content type",
        post(
            address,
            &right,
            &[HEADER, ("content-type", "text/plain")],
            br#"{"this_task":{"id":"t2"},"process":{"id":"r1"}}"#,
        )
        .await,
    );
    row("not JSON", post(address, &right, &[HEADER], b"this_task=1").await);
    row(
        "JSON that names nothing",
        post(address, &right, &[HEADER], b"{\"event\":\"task.assigned\"}").await,
    );
    row("not text", post(address, &right, &[HEADER], &[0xff, 0xfe, 0x00]).await);
    row("empty", post(address, &right, &[HEADER], b"").await);
    row(
        "another organization",
        post(address, &right, &[("X-Tallyfy-orgID", "globex")], body).await,
    );
    row("no organization", post(address, &right, &[], body).await);
    row("wrong secret", post(address, "/webhooks/wrong", &[HEADER], body).await);
    row("no secret", post(address, "/webhooks/", &[HEADER], body).await);
    row(
        "more after the secret",
        post(address, &format!("{right}/x"), &[HEADER], body).await,
    );
    row("another path", post(address, "/", &[HEADER], body).await);
    row("too large", post(address, &right, &[HEADER], &large).await);
    let chunked = format!(
        "POST {right} HTTP/1.1\r\nhost: t\r\nX-Tallyfy-orgID: {ORG}\r\ntransfer-encoding: chunked\r\n\r\n7d1\r\n{}\r\n0\r\n\r\n",
        " ".repeat(2001)
    );
    row(
        "too large in chunks",
        parts(&exchange(address, chunked.as_bytes()).await),
    );
    let declared =
        format!("POST {right} HTTP/1.1\r\nhost: t\r\nX-Tallyfy-orgID: {ORG}\r\ncontent-length: 99999999999\r\n\r\n");
    row(
        "declared far too large",
        parts(&exchange(address, declared.as_bytes()).await),
    );
    let slow = format!("POST {right} HTTP/1.1\r\nhost: t\r\nX-Tallyfy-orgID: {ORG}\r\ncontent-length: 10\r\n\r\n{{");
    row("too slow", parts(&exchange(address, slow.as_bytes()).await));
    let get = format!("GET {right} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    row(
        "GET with the right secret",
        parts(&exchange(address, get.as_bytes()).await),
    );
    row(
        "GET with a wrong one",
        parts(&exchange(address, get.replace(SECRET, "x").as_bytes()).await),
    );

    insta::assert_snapshot!("answers", table);
}

#[tokio::test]
async fn the_data_folder_is_private_to_its_owner() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, Api::new(|_, _| (503, String::new()))).await;
    let data = worker.data_dir().unwrap().to_owned();
    assert_eq!(data.metadata().unwrap().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{:?}", entry.file_name());
    }
    worker.stop().await;
}
