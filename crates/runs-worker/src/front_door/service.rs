//! What surrounds the answer to each request of a connection.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use serde_json::json;
use tracing::error;

use super::body::Arriving;
use super::connections::Place;
use super::framing::{self, Ambiguous};
use super::pace::Watch;
use super::unreadable::Unreadable;

/// The most requests of one connection. The last one is answered with `connection: close`.
const MAX_REQUESTS: u32 = 1000;
/// How many requests a stranger may send on one connection without waiting for answers. No proxy does, and each costs an
/// answer that perhaps is never read.
const MAX_AT_ONCE: u32 = 16;

/// Put among a response's extensions, this says that the request came from somebody who knows a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownSender;

/// The routes, as one connection sees them.
pub(super) struct OnConnection {
    routes: TowerToHyperService<Router>,
    place: Arc<Place>,
    watch: Arc<Watch>,
    unreadable: Arc<Unreadable>,
    requests: AtomicU32,
    /// How often had been read when the last request came.
    reads: AtomicU32,
    /// How many requests came without anything being read since the one before.
    at_once: AtomicU32,
}

impl OnConnection {
    pub(super) fn new(routes: Router, place: Arc<Place>, watch: Arc<Watch>, unreadable: Arc<Unreadable>) -> Self {
        Self {
            routes: TowerToHyperService::new(routes),
            place,
            watch,
            unreadable,
            requests: AtomicU32::new(0),
            reads: AtomicU32::new(0),
            at_once: AtomicU32::new(0),
        }
    }

    /// Counts a request, and says whether it is the last one of its connection.
    fn is_last(&self) -> bool {
        let reads = self.watch.reads();
        if self.reads.swap(reads, Ordering::Relaxed) == reads {
            self.at_once.fetch_add(1, Ordering::Relaxed);
        }
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        requests >= MAX_REQUESTS || (self.at_once.load(Ordering::Relaxed) >= MAX_AT_ONCE && !self.place.is_known())
    }
}

impl Service<Request<Incoming>> for OnConnection {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_request = self.place.request();
        let place = Arc::clone(&self.place);
        if let Some(ambiguous) = framing::ambiguity(&request) {
            self.unreadable.note_ambiguous(ambiguous.reason());
            return Box::pin(async move {
                drop(in_request);
                Ok(refused(ambiguous))
            });
        }
        let last = self.is_last();
        let request = request.map(|body| Arriving::new(body, Arc::clone(&place)));
        // Whatever a request stumbles over, its connection and the others go on. The panic itself is logged where the
        // logs are started.
        let answer = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
        Box::pin(async move {
            let mut response = match answer.await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => after_panic(),
            };
            if response.extensions().get::<KnownSender>().is_some() {
                place.make_known();
            }
            if last || place.is_closing() {
                end_connection(&mut response);
            }
            drop(in_request);
            Ok(response)
        })
    }
}

fn end_connection(response: &mut Response) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// What follows such a request on its connection cannot be trusted either.
fn refused(ambiguous: Ambiguous) -> Response {
    let body = json!({"error": format!("this request has {}", ambiguous.reason())});
    let mut response = (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    end_connection(&mut response);
    response
}

fn after_panic() -> Response {
    counter!("runs_worker_request_panics_total").increment(1);
    error!("answering a request panicked, which is a defect; it was answered with 503");
    let body = json!({"error": "something went wrong here"});
    (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
}
