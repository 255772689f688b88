//! Accepts connections and speaks HTTP/1.1 on them, for the public and the admin listener alike.
//!
//! Whoever is on the internet can open connections, so each is bounded in every direction: a header that does not come,
//! a connection that stays idle and a peer that does not read its answers end after a time-out. When there are too many
//! connections, the ones that have waited longest without a request make room: see [`Connections`].

mod connections;
mod pace;
mod service;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::counter;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use connections::{Connections, Place};
use pace::WriteTimeout;
pub(crate) use service::KnownSender;
use service::OnConnection;

/// The most headers of a request; more are answered with 431.
const MAX_HEADERS: usize = 64;
/// The most bytes of a request's headers. A connection may hold as much in memory.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// After an accept error such as "too many open files": how long to wait for some to be closed, at first and at most.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// How many connections the kernel may hold for us; it may be set to hold fewer.
const QUEUE: u32 = 4096;
/// Once the worker stops, for how long connections without a request are kept: a request may be on its way on one.
const LINGER: Duration = Duration::from_millis(500);
/// How long a connection that is to end may take to send what was answered already.
const FLUSH: Duration = Duration::from_secs(1);

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) header_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) max_connections: usize,
    /// How long requests in hand may take once the worker stops.
    pub(crate) grace: Duration,
}

/// Serves until `stop`, then finishes the requests that are in hand.
pub(crate) async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let connections = Arc::new(Connections::new(limits.max_connections));
    let mut trouble = AcceptTrouble::default();
    loop {
        let next = async {
            connections.make_room().await;
            listener.accept().await
        };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    let pause = trouble.note(&error);
                    // Perhaps it is these connections that use up the descriptors.
                    connections.evict_one();
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    continue;
                }
            },
        };
        trouble.over();
        let place = Arc::new(connections.enter());
        let routes = routes.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(stream, routes, limits, &place).await {
                debug!(%peer, error = crate::telemetry::chain(&*error), "connection ended early");
            }
        });
    }
    // A socket of our own is closed, and others connect elsewhere. One that somebody else holds too keeps its queue.
    drop(listener);
    connections.close(LINGER).await;
    if tokio::time::timeout(limits.grace, connections.all_ended())
        .await
        .is_err()
    {
        warn!("some requests did not end in time");
    }
}

/// Opens a socket.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Takes over a socket that listens already.
pub(crate) fn adopt(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Waits for the first byte of a connection, and answers its requests.
async fn converse(stream: TcpStream, routes: Router, limits: Limits, place: &Arc<Place>) -> Result<(), Broken> {
    // Until its first byte a connection has neither buffers nor the state of a conversation: silent ones are to be cheap.
    let mut first = [0];
    tokio::select! {
        biased;
        arrived = tokio::time::timeout(limits.header_timeout, stream.peek(&mut first)) => arrived??,
        () = place.evicted() => {
            heard_of_the_network().await;
            match stream.peek(&mut first).now_or_never() {
                Some(arrived) => arrived?,
                None => return Ok(()),
            }
        }
    };
    Box::pin(answer_requests(stream, routes, limits, place)).await
}

async fn answer_requests(stream: TcpStream, routes: Router, limits: Limits, place: &Arc<Place>) -> Result<(), Broken> {
    stream.set_nodelay(true)?;
    let stream = WriteTimeout::new(stream, limits.write_timeout);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), OnConnection::new(routes, Arc::clone(place)));
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = place.evicted() => {}
    }
    heard_of_the_network().await;
    if let Some(ended) = connection.as_mut().now_or_never() {
        return Ok(ended?);
    }
    // What has arrived is answered, and what was answered is sent.
    let time = match (place.is_in_request(), place.has_answered()) {
        (true, _) => limits.grace,
        (false, true) => FLUSH,
        (false, false) => return Ok(()),
    };
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(time, connection).await??;
    Ok(())
}

/// Lets the runtime look what has arrived. Under load a whole request may wait in the kernel while its connection is
/// told to go.
async fn heard_of_the_network() {
    tokio::task::yield_now().await;
}

/// While nothing can be accepted: one line at the start and one at the end, and pauses that grow.
#[derive(Debug, Default)]
struct AcceptTrouble {
    failures: u32,
}

impl AcceptTrouble {
    /// How long to wait.
    fn note(&mut self, error: &io::Error) -> Duration {
        counter!("runs_worker_accept_errors_total").increment(1);
        if self.failures == 0 {
            warn!(%error, "cannot accept connections; they wait in the kernel's queue");
        }
        self.failures = self.failures.saturating_add(1);
        let (first, most) = ACCEPT_PAUSE;
        first.saturating_mul(1 << self.failures.min(16)).min(most)
    }

    fn over(&mut self) {
        if self.failures > 0 {
            info!(failures = self.failures, "connections are accepted again");
            self.failures = 0;
        }
    }
}
