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

use super::connections::Place;

/// The most requests of one connection. The last one is answered with `connection: close`.
const MAX_REQUESTS: u32 = 1000;

/// Put among a response's extensions, this says that the request came from somebody who knows a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownSender;

/// The routes, as one connection sees them.
pub(super) struct OnConnection {
    routes: TowerToHyperService<Router>,
    place: Arc<Place>,
    requests: AtomicU32,
}

impl OnConnection {
    pub(super) fn new(routes: Router, place: Arc<Place>) -> Self {
        Self {
            routes: TowerToHyperService::new(routes),
            place,
            requests: AtomicU32::new(0),
        }
    }
}

impl Service<Request<Incoming>> for OnConnection {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_request = self.place.request();
        let place = Arc::clone(&self.place);
        let last = self.requests.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_REQUESTS;
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
                place.is_known();
            }
            if last || place.is_closing() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(in_request);
            Ok(response)
        })
    }
}

fn after_panic() -> Response {
    counter!("runs_worker_request_panics_total").increment(1);
    error!("answering a request panicked, which is a defect; it was answered with 503");
    let body = json!({"error": "something went wrong here"});
    (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
}
