//! Sends webhooks as the vendor does: a connection for each, one try, and no second one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What became of one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was answered with this status.
    Answered(u16),
    /// Nobody accepted the connection.
    Refused,
    /// The connection ended, or stayed silent, before there was an answer.
    Unanswered,
}

/// A sender that makes up webhooks, each about a task of its own.
#[derive(Debug)]
pub struct HonestSender {
    door: SocketAddr,
    path: String,
    org: String,
}

impl HonestSender {
    /// A sender to this URL. `http://ADDRESS/PATH` is all that it understands.
    ///
    /// # Errors
    /// If the URL is another one.
    pub fn new(url: &str, org: &str) -> anyhow::Result<Self> {
        let (door, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .context("expected http://ADDRESS/PATH")?;
        Ok(Self {
            door: door.parse().context("read the address")?,
            path: format!("/{path}"),
            org: org.to_owned(),
        })
    }

    /// Sends the webhook of this number. Gives what became of it, and how long that took.
    ///
    /// The same number is the same webhook: the second one is a duplicate.
    pub async fn send(&self, number: usize, patience: Duration) -> (Told, Duration) {
        let run = number % 50;
        let task = format!(r#"{{"id":"task{number}","completed_at":"2026-01-31T09:00:00Z"}}"#);
        let body = format!(r#"{{"this_task":{task},"process":{{"id":"run{run}"}}}}"#);
        let began = Instant::now();
        let told = tokio::time::timeout(patience, self.post(&body)).await;
        (told.unwrap_or(Told::Unanswered), began.elapsed())
    }

    async fn post(&self, body: &str) -> Told {
        let Ok(mut stream) = TcpStream::connect(self.door).await else {
            return Told::Refused;
        };
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: worker\r\nx-tallyfy-orgid: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.path,
            self.org,
            body.len()
        );
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).await.is_ok() {
            // What was read before the connection broke may be an answer.
            let _: Result<usize, _> = stream.read_to_end(&mut answer).await;
        }
        let status = answer
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        status.map_or(Told::Unanswered, Told::Answered)
    }
}
