//! Webhooks over connections that stay open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How many connections send at a time.
pub(crate) const CONNECTIONS: usize = 64;
/// The size of a webhook's body.
const BODY_BYTES: usize = 2048;

/// Sends webhooks, each of another task.
#[derive(Clone)]
pub(crate) struct Load {
    /// Of one worker or several, to which the connections are shared out.
    pub(crate) doors: Arc<[SocketAddr]>,
    pub(crate) org: String,
    pub(crate) secret: &'static str,
    pub(crate) runs: Arc<[String]>,
    pub(crate) next: Arc<AtomicU64>,
}

impl Load {
    /// The connection of this number.
    pub(crate) async fn connect(&self, number: usize) -> anyhow::Result<Connection> {
        Connection::to(self.doors[number % self.doors.len()]).await
    }

    fn request(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let run = usize::try_from(number).map_or("", |number| self.runs[number % self.runs.len()].as_str());
        let mut body = format!(
            r#"{{"this_task":{{"id":"task{number}","completed_at":"2020-01-31T09:00:00Z"}},"process":{{"id":"{run}"}},"padding":""#
        );
        body.push_str(&"x".repeat(BODY_BYTES.saturating_sub(body.len() + 2)));
        body.push_str("\"}");
        format!(
            "POST /webhooks/{} HTTP/1.1\r\nhost: worker\r\nx-tallyfy-orgid: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.secret,
            self.org,
            body.len()
        )
        .into_bytes()
    }

    /// As many as it takes, for so long. How many were answered with 202, for each second.
    pub(crate) async fn as_fast_as_possible(&self, lasts: Duration) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut senders = JoinSet::new();
        for number in 0..CONNECTIONS {
            let load = self.clone();
            senders.spawn(async move {
                let mut connection = load.connect(number).await?;
                let mut answered = 0_u32;
                while began.elapsed() < lasts {
                    connection.post(&load.request()).await?;
                    answered += 1;
                }
                anyhow::Ok(answered)
            });
        }
        let mut answered = 0;
        while let Some(sent) = senders.join_next().await {
            answered += sent??;
        }
        Ok(f64::from(answered) / began.elapsed().as_secs_f64())
    }

    /// So many for each second, whether the answers come in time or not. How long after its time each was answered.
    pub(crate) async fn at_a_rate(&self, each_second: f64, lasts: Duration) -> anyhow::Result<Vec<Duration>> {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let pause = Duration::from_secs_f64(CONNECTIONS as f64 / each_second);
        let began = Instant::now() + Duration::from_millis(50);
        let mut senders = JoinSet::new();
        for number in 0..CONNECTIONS {
            let load = self.clone();
            senders.spawn(async move {
                let mut connection = load.connect(number).await?;
                let mut times = Vec::new();
                #[expect(clippy::cast_possible_truncation, reason = "64 connections")]
                let mut due = began + pause * number as u32 / CONNECTIONS as u32;
                while due < began + lasts {
                    // Whoever has to wait for the answer before is late by that; a timer that rings late is nobody's fault.
                    let mut asked = due;
                    if Instant::now() < due {
                        tokio::time::sleep_until(due.into()).await;
                        asked = Instant::now();
                    }
                    connection.post(&load.request()).await?;
                    times.push(asked.elapsed());
                    due += pause;
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(sent) = senders.join_next().await {
            times.extend(sent??);
        }
        Ok(times)
    }

    /// About so many, as fast as possible. How many it were.
    pub(crate) async fn burst(&self, webhooks: usize) -> anyhow::Result<usize> {
        let of_each = webhooks.div_ceil(CONNECTIONS);
        let mut senders = JoinSet::new();
        for number in 0..CONNECTIONS {
            let load = self.clone();
            senders.spawn(async move {
                let mut connection = load.connect(number).await?;
                for _ in 0..of_each {
                    connection.post(&load.request()).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = senders.join_next().await {
            sent??;
        }
        Ok(of_each * CONNECTIONS)
    }

    /// One.
    pub(crate) async fn one(&self, connection: &mut Connection) -> anyhow::Result<()> {
        connection.post(&self.request()).await
    }
}

/// A connection that stays open, and is opened again when the server has had enough of it.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            stream: connect(address).await?,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    async fn post(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let status = self.ask(request).await?;
        ensure!(status == *b"202", "answered with {}", String::from_utf8_lossy(&status));
        Ok(())
    }

    /// Sends a request and reads the answer to its end. The status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<[u8; 3]> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection was closed");
            if let Some(whole) = whole(&self.buffer)
                && self.buffer.len() >= whole
            {
                let status = self.buffer.get(9..12).context("read the status")?.try_into()?;
                if self.buffer.windows(17).any(|window| window == b"connection: close") {
                    self.stream = connect(self.address).await?;
                }
                return Ok(status);
            }
        }
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How long the answer is that begins here, once its head is there.
pub(crate) fn whole(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(answer.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some(head + length)
}
