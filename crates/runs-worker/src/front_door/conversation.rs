//! One connection from its first byte to its last.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::Limits;
use super::connections::Place;
use super::pace::{Paced, Watch};
use super::service::OnConnection;
use super::sockets::{Stream, readable, send_at_once};
use super::unreadable::{Looks, Unreadable};

/// The most headers of a request; more are answered with 431. Balancers, CDN and a mesh add some dozens.
const MAX_HEADERS: usize = 128;
/// The most bytes of a request's head: 32 KB of headers, and an address. A connection may hold as much in memory.
const MAX_HEAD_BYTES: usize = 40 * 1024;
/// How long a connection that is to end may take to send what was answered already, if its peer reads.
const FLUSH: Duration = Duration::from_millis(200);

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Waits for the first byte of a connection, and answers its requests.
pub(super) async fn converse(
    stream: Stream,
    routes: Router,
    limits: Limits,
    place: &Arc<Place>,
    unreadable: &Arc<Unreadable>,
) -> Result<(), Broken> {
    // Until its first byte a connection has neither buffers nor the state of a conversation: silent ones are to be cheap.
    tokio::select! {
        biased;
        arrived = tokio::time::timeout(limits.header_timeout, readable(&stream)) => arrived??,
        () = place.evicted() => {
            heard_of_the_network().await;
            match readable(&stream).now_or_never() {
                Some(arrived) => arrived?,
                None => return Ok(()),
            }
        }
    };
    Box::pin(answer_requests(stream, routes, limits, place, unreadable)).await
}

async fn answer_requests(
    stream: Stream,
    routes: Router,
    limits: Limits,
    place: &Arc<Place>,
    unreadable: &Arc<Unreadable>,
) -> Result<(), Broken> {
    send_at_once(&stream)?;
    let watch = Arc::new(Watch::default());
    let stream = Paced::new(stream, limits.write_timeout, Arc::clone(&watch));
    let service = OnConnection::new(routes, Arc::clone(place), Arc::clone(&watch), Arc::clone(unreadable));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let ended = until_it_ends(pin!(connection), limits.grace, place, &watch).await;
    if let Err(error) = &ended
        && let Some(error) = error.downcast_ref::<hyper::Error>().filter(|error| error.is_parse())
    {
        unreadable.note(Looks::like(watch.opening(), error.is_parse_too_large()));
    }
    ended
}

async fn until_it_ends(
    mut connection: Pin<&mut Connection>,
    grace: Duration,
    place: &Place,
    watch: &Watch,
) -> Result<(), Broken> {
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = place.evicted() => {}
    }
    heard_of_the_network().await;
    if let Some(ended) = connection.as_mut().now_or_never() {
        return Ok(ended?);
    }
    // What has arrived is answered, and what was answered is sent; but nobody waits for a peer that does not read.
    let time = match (place.is_in_request(), place.has_answered()) {
        (true, _) => grace,
        (false, true) => FLUSH,
        (false, false) => return Ok(()),
    };
    connection.as_mut().graceful_shutdown();
    let or_stuck = poll_fn(|context| match connection.as_mut().poll(context) {
        Poll::Pending if watch.is_stuck() => Poll::Ready(Ok(())),
        poll => poll,
    });
    tokio::time::timeout(time, or_stuck).await??;
    Ok(())
}

type Connection = http1::Connection<TokioIo<Paced<Stream>>, OnConnection>;

/// Lets the runtime look what has arrived. Under load a whole request may wait in the kernel while its connection is
/// told to go.
async fn heard_of_the_network() {
    tokio::task::yield_now().await;
}
