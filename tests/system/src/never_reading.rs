//! Connections that send many requests at once and never read an answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// How many requests each connection sends: as many as a door answers on one connection, nearly.
const REQUESTS: usize = 990;

/// Attackers, each with a connection that is opened again as often as it is closed. They end when this is dropped.
#[derive(Debug)]
pub struct NeverReading {
    _attackers: JoinSet<()>,
}

impl NeverReading {
    /// So many at this door.
    pub fn begin(door: SocketAddr, attackers: usize) -> Self {
        let mut tasks = JoinSet::new();
        for _ in 0..attackers {
            tasks.spawn(attack(door));
        }
        Self { _attackers: tasks }
    }
}

async fn attack(door: SocketAddr) {
    let requests = "GET /nothing HTTP/1.1\r\nhost: worker\r\n\r\n".repeat(REQUESTS);
    loop {
        // The connection is held until writing fails, which is how closing shows to somebody who does not read.
        let _: std::io::Result<()> = flood(door, requests.as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(200..2000))).await;
    }
}

async fn flood(door: SocketAddr, requests: &[u8]) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // A small window: what is not read soon fills it.
    socket.set_recv_buffer_size(2048)?;
    let mut stream = socket.connect(door).await?;
    stream.write_all(requests).await?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(b"G").await?;
    }
}
