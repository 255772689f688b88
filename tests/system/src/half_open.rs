//! Connections that begin a request and never end it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Attackers, each with a connection that is opened again as often as it is closed. They end when this is dropped.
#[derive(Debug)]
pub struct HalfOpen {
    opened: Arc<AtomicUsize>,
    _attackers: JoinSet<()>,
}

impl HalfOpen {
    /// So many. Returns when each could have opened its connection.
    pub async fn hold(door: SocketAddr, attackers: usize) -> Self {
        let opened = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..attackers {
            tasks.spawn(attack(door, Arc::clone(&opened)));
        }
        while opened.load(Ordering::Relaxed) < attackers {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            opened,
            _attackers: tasks,
        }
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

/// Opens a connection, begins a request, and does so again as often as the connection is closed.
async fn attack(door: SocketAddr, opened: Arc<AtomicUsize>) {
    loop {
        let Ok(mut stream) = TcpStream::connect(door).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        opened.fetch_add(1, Ordering::Relaxed);
        let begun = stream
            .write_all(b"POST /webhooks/guess HTTP/1.1\r\nhost: worker\r\n")
            .await;
        if begun.is_ok() {
            let _: Result<usize, _> = stream.read(&mut [0; 64]).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(1_000..10_000))).await;
    }
}
