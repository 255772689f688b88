//! A client whose one request is answered as the test says.

use std::sync::mpsc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tallyfy_model::{Run, RunId};
use tallyfy_runs::{Client, Error, GetRunOptions};
use tallyfy_transport::{MockHttpTransport, Response, TransportError};

/// An answer with this status and body.
pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Response {
    Response::new(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body.into())
}

/// The same with another header.
pub(crate) fn with_header(response: Response, name: &'static str, value: &'static str) -> Response {
    response.with_header(HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// A client of the organization `acme` that may send one request, and what it asked for.
pub(crate) fn client(answer: Result<Response, TransportError>) -> (Client, mpsc::Receiver<String>) {
    let (asked, receiver) = mpsc::channel();
    let mut transport = MockHttpTransport::new();
    transport.expect_send().times(0..=1).return_once(move |request| {
        asked
            .send(format!("{} {}", request.method(), request.path_and_query()))
            .unwrap();
        answer
    });
    (Client::new(transport, "acme"), receiver)
}

/// Gets the run `r1` from a server that answers so.
pub(crate) async fn get_r1(answer: Result<Response, TransportError>) -> Result<Run, Error> {
    let (client, _asked) = client(answer);
    let client = client.with_clock(|| "2026-11-23T12:00:00Z".parse().unwrap());
    client.get_run(&RunId::from("r1"), &GetRunOptions::none()).await
}
