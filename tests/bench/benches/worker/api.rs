//! Small servers that answer at once.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::load::whole;

/// A server that answers every request with a body. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    /// One whose bodies are made from the heads of the requests.
    pub(crate) async fn start(body: impl Fn(&str) -> String + Clone + Send + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self {
            address: listener.local_addr()?,
            serving: tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, body.clone()));
                }
            }),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(mut stream: TcpStream, body: impl Fn(&str) -> String) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    while stream.read_buf(&mut received).await? > 0 {
        while let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = std::str::from_utf8(&received[..end])?.to_owned();
            // A request without a body says no length.
            let length = whole(&received).unwrap_or(end + 4);
            while received.len() < length {
                anyhow::ensure!(stream.read_buf(&mut received).await? > 0, "half a request");
            }
            received.drain(..length);
            let body = body(&head);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.context("answer")?;
        }
    }
    Ok(())
}

/// The run that a request asks for, with three tasks, of which the one that its webhook announces is complete.
pub(crate) fn run(head: &str) -> String {
    let path = head.split(['?', ' ']).nth(1).unwrap_or_default();
    let id = path.rsplit('/').next().unwrap_or_default();
    let task = |number: usize, task: &str, completed_at: &str| {
        format!(
            r#"{{"id":"{task}","run_id":"{id}","title":"Task {number}","status":"not-started","owners":{{"users":[1],"guests":[],"groups":[]}},"created_at":"2026-01-31T09:00:00.000Z","last_updated":"2026-01-31T09:00:00.000Z","completed_at":{completed_at},"position":{number}}}"#
        )
    };
    format!(
        r#"{{"data":{{"id":"{id}","name":"Order","status":"active","checklist_id":"c1","progress":{{"complete":0,"total":3,"percent":0}},"created_at":"2026-01-31T09:00:00.000Z","last_updated":"2026-01-31T09:00:00.000Z","completed_at":null,"archived_at":null,"tags":{{"data":[]}},"checklist":{{"data":{{"id":"c1","title":"Order"}}}},"tasks":{{"data":[{},{},{}]}},"form_fields":{{"data":[]}}}}}}"#,
        task(1, &id.replace("run", "task"), "\"2020-01-31T09:00:00Z\""),
        task(2, &format!("{id}b"), "null"),
        task(3, &format!("{id}c"), "null"),
    )
}
