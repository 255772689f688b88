//! The front door: accepts connections and speaks HTTP/1.1 on them, for the public and the admin listener alike.
//!
//! It knows no more than HTTP and sockets: what a request means is the routes' matter. `tests/it/rooms.rs` holds
//! that.
//!
//! Strangers can open connections, so each is bounded in every direction: a header that does not come, a connection that
//! stays idle, a body that trickles and a peer that does not read its answers end after a time-out. When there are too
//! many connections, some have to go: see [`connections`].

mod accept;
mod body;
mod connections;
mod conversation;
mod descriptors;
mod framing;
mod handed_over;
#[cfg(feature = "systemd")]
mod inherited;
mod pace;
mod seldom;
mod service;
mod sockets;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use accept::AcceptTrouble;
pub(crate) use body::BodyEnd;
use connections::Connections;
use conversation::converse;
pub(crate) use descriptors::{connections as connections_that_fit, raise as raise_descriptors};
pub(crate) use handed_over::{HandedOver, Socket};
pub(crate) use seldom::Seldom;
pub(crate) use service::KnownSender;
pub(crate) use sockets::Sockets;
pub use sockets::{ListenAddress, NotAnAddress};
pub(crate) use unreadable::UNREADABLE;
use unreadable::Unreadable;

/// Once the worker stops, for how long connections without a request are kept: a request may be on its way on one.
const LINGER: Duration = Duration::from_millis(500);

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
pub(crate) async fn serve(sockets: Sockets, routes: Router, limits: Limits, stop: CancellationToken) {
    let connections = Arc::new(Connections::new(limits.max_connections));
    let unreadable = Arc::new(Unreadable::default());
    let mut trouble = AcceptTrouble::default();
    loop {
        let next = async {
            connections.make_room().await;
            sockets.accept().await
        };
        let stream = tokio::select! {
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
        let unreadable = Arc::clone(&unreadable);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, routes, limits, &place, &unreadable).await {
                debug!(
                    error = &*error as &(dyn std::error::Error + 'static),
                    "connection ended early"
                );
            }
        });
    }
    // A socket of our own is closed, and others connect elsewhere. One that somebody else holds too keeps its queue.
    drop(sockets);
    connections.close(LINGER).await;
    if tokio::time::timeout(limits.grace, connections.all_ended())
        .await
        .is_err()
    {
        warn!("some requests did not end in time");
    }
}
