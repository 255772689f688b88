//! The accept loop.
//!
//! It is not axum's, because a fault must be able to close a connection without an answer: an endpoint that returns
//! [`Dropped`] makes hyper do that.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Api, Dropped};
use crate::control;
use crate::shared::Shared;

/// How long connections may take to end on shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until the shutdown token is cancelled, then lets open connections end.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let shutdown = shared.shutdown.clone();
    let service = Entrance {
        control: TowerToHyperService::new(control::router(Arc::clone(&shared))),
        api: Api::new(shared),
    };
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, service.clone(), graceful.watcher(), abort.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    abort.cancel();
    connections.wait().await;
}

fn connection(
    stream: TcpStream,
    entrance: Entrance,
    watcher: hyper_util::server::graceful::Watcher,
    abort: CancellationToken,
) -> impl Future<Output = ()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let entrance = entrance.clone();
        async move { entrance.answer(request.map(Body::new)).await }
    });
    let connection = watcher.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    async move {
        tokio::select! {
            () = abort.cancelled() => {}
            ended = connection => if let Err(error) = ended {
                tracing::trace!(%error, "connection ended");
            },
        }
    }
}

/// Where a request goes: to the control endpoints or to the API.
#[derive(Debug, Clone)]
struct Entrance {
    control: TowerToHyperService<axum::Router>,
    api: Api,
}

impl Entrance {
    async fn answer(&self, request: Request<Body>) -> Result<Response, Dropped> {
        if request.uri().path().starts_with("/_sim") {
            let answer: Result<Response, Infallible> = self.control.call(request).await;
            return answer.map_err(|never| match never {});
        }
        self.api.answer(request).await
    }
}
