//! Counts the requests that are sent, by how they ended.

use std::sync::Arc;

use async_trait::async_trait;
use metrics::{Counter, Histogram, counter, histogram};
use tallyfy_model::OrgId;
use tallyfy_transport::{ErrorKind, HttpTransport, Request, Response, TransportError};
use tokio::time::Instant;

use crate::vitals::{API_REQUESTS, Vitals};

/// How a request may end. Statuses that mean something of their own are told apart from others of their class.
const OUTCOMES: [&str; 10] = [
    "2xx",
    "3xx",
    "401",
    "403",
    "404",
    "429",
    "4xx",
    "5xx",
    "timeout",
    "no answer",
];

/// A transport that is measured for an organization.
pub(crate) struct Measured {
    transport: Arc<dyn HttpTransport>,
    outcomes: [Counter; OUTCOMES.len()],
    seconds: Histogram,
    vitals: Arc<Vitals>,
}

impl Measured {
    pub(crate) fn new(transport: Arc<dyn HttpTransport>, org: &OrgId, vitals: Arc<Vitals>) -> Self {
        let of = |outcome| counter!("runs_worker_api_requests_total", "org" => org.to_string(), "outcome" => outcome);
        Self {
            transport,
            outcomes: OUTCOMES.map(of),
            seconds: histogram!("runs_worker_api_request_seconds", "org" => org.to_string()),
            vitals,
        }
    }
}

#[async_trait]
impl HttpTransport for Measured {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let began = Instant::now();
        let answer = self.transport.send(request).await;
        self.seconds.record(began.elapsed().as_secs_f64());
        self.vitals.done(API_REQUESTS, 1);
        let outcome = outcome(&answer);
        if let Some(place) = OUTCOMES.iter().position(|one| *one == outcome) {
            self.outcomes[place].increment(1);
        }
        answer
    }
}

fn outcome(answer: &Result<Response, TransportError>) -> &'static str {
    match answer {
        Ok(response) => match response.status.as_u16() {
            401 => "401",
            403 => "403",
            404 => "404",
            429 => "429",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        },
        Err(error) if error.kind() == ErrorKind::Timeout => "timeout",
        Err(_) => "no answer",
    }
}
