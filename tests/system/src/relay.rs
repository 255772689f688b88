//! Passes connections on: a link that can be cut or slowed, and a balancer that retries nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How a relay passes on what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// At once.
    Through,
    /// Each piece so much later.
    Slowly(Duration),
    /// Not at all, and nobody is told: connections stay open.
    Held,
    /// Connections are closed, and new ones are not taken.
    Cut,
}

/// Passes each connection on to the next of some addresses, in turn. Where one refuses, the client is told nothing but that
/// its connection ends. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    passing: watch::Sender<Passing>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// To one address, or to several in turn.
    ///
    /// # Errors
    /// If no port is to be had.
    pub async fn to(targets: impl Into<Vec<SocketAddr>>) -> anyhow::Result<Self> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen")?;
        let address = door.local_addr()?;
        let passing = watch::Sender::new(Passing::Through);
        let (targets, turn) = (targets.into(), Arc::new(AtomicUsize::new(0)));
        let seen = passing.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = door.accept().await {
                let next = turn.fetch_add(1, Ordering::Relaxed) % targets.len().max(1);
                if let Some(target) = targets.get(next).copied() {
                    tokio::spawn(carry(client, target, seen.clone()));
                }
            }
        });
        Ok(Self {
            address,
            passing,
            accepting,
        })
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it passes on like this.
    pub fn set(&self, passing: Passing) {
        self.passing.send_replace(passing);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Passing::Cut);
    }
}

async fn carry(client: TcpStream, target: SocketAddr, mut seen: watch::Receiver<Passing>) {
    if *seen.borrow_and_update() == Passing::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // What is small is not kept back to be sent with what follows.
    let _: [std::io::Result<()>; 2] = [client.set_nodelay(true), server.set_nodelay(true)];
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (there, back) = (seen.clone(), seen.clone());
    tokio::select! {
        () = async { tokio::join!(pass(from_client, to_server, there), pass(from_server, to_client, back)); } => {}
        _ = seen.wait_for(|passing| *passing == Passing::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut passing: watch::Receiver<Passing>,
) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let Ok(how) = passing
            .wait_for(|passing| *passing != Passing::Held)
            .await
            .map(|how| *how)
        else {
            return;
        };
        if let Passing::Slowly(delay) = how {
            sleep(delay).await;
        }
        if to.write_all(piece.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
    // The other side may have something left to say.
    let _: std::io::Result<()> = to.shutdown().await;
}
