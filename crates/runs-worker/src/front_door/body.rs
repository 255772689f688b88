//! A request's body, watched while it arrives: it must keep a minimum rate, and it makes room when every place is taken.
//!
//! A body that is there already is passed on as it is; the watch begins when it has to be waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::connections::{ArrivingTurn, Place};

/// How long a body may take whatever its rate.
const AT_LEAST: Duration = Duration::from_secs(5);
/// Each byte buys this much more time: 1 KB a second.
const FOR_EACH_BYTE: Duration = Duration::from_micros(977);

/// Why a body ends before its end.
#[derive(Debug, Error)]
pub(crate) enum BodyEnd {
    /// It kept less than the minimum rate.
    #[error("the body arrives at less than 1 KB a second")]
    TooSlow,
    /// Every place was taken, and it had been arriving for longest.
    #[error("the body had to make room for another request")]
    MadeRoom,
    /// The connection broke, or the framing was wrong.
    #[error("the body did not arrive whole")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A body that is arriving.
pub(super) struct Arriving<B> {
    body: B,
    place: Arc<Place>,
    arrived: u32,
    wait: Option<Wait>,
}

/// What a body that has to be waited for is watched by.
struct Wait {
    began: Instant,
    /// For how many bytes `slow` is set.
    counted: u32,
    slow: Pin<Box<Sleep>>,
    evicted: Pin<Box<WaitForCancellationFutureOwned>>,
    _turn: ArrivingTurn,
}

impl<B> Arriving<B> {
    pub(super) fn new(body: B, place: Arc<Place>) -> Self {
        Self {
            body,
            place,
            arrived: 0,
            wait: None,
        }
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<BodyEnd> {
        let (place, arrived) = (&self.place, self.arrived);
        let wait = self.wait.get_or_insert_with(|| Wait::begin(place, arrived));
        if wait.counted != arrived {
            wait.counted = arrived;
            wait.slow.as_mut().reset(wait.began + patience(arrived));
        }
        if wait.evicted.as_mut().poll(context).is_ready() {
            return Poll::Ready(BodyEnd::MadeRoom);
        }
        wait.slow.as_mut().poll(context).map(|()| BodyEnd::TooSlow)
    }
}

impl Wait {
    fn begin(place: &Arc<Place>, arrived: u32) -> Self {
        let began = Instant::now();
        Self {
            began,
            counted: arrived,
            slow: Box::pin(sleep_until(began + patience(arrived))),
            evicted: Box::pin(place.evicted_owned()),
            _turn: place.arriving(),
        }
    }
}

/// How long after its beginning a body of which this much has arrived is too slow.
fn patience(arrived: u32) -> Duration {
    AT_LEAST.saturating_add(FOR_EACH_BYTE.saturating_mul(arrived))
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = BodyEnd;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyEnd>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let more = frame.data_ref().map_or(0, Bytes::len);
                self.arrived = self.arrived.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
                if self.body.is_end_stream() {
                    self.wait = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(ended) => {
                self.wait = None;
                Poll::Ready(ended.map(|broken| broken.map_err(|error| BodyEnd::Broken(error.into()))))
            }
            Poll::Pending => self.poll_patience(context).map(|end| Some(Err(end))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::sleep;

    use super::super::connections::Connections;
    use super::*;

    type Frames = Result<Frame<Bytes>, std::io::Error>;

    /// Pieces of this size, one a second; their number, or why it ended.
    async fn drip(size: usize, pieces: u32) -> Result<u32, String> {
        let place = Arc::new(Arc::new(Connections::new(1)).enter());
        let frames = stream::unfold(0, |sent| async move {
            sleep(Duration::from_secs(1)).await;
            let frame: Frames = Ok(Frame::data(Bytes::from(vec![b'x'; size])));
            (sent < pieces).then_some((frame, sent + 1))
        });
        let mut body = Arriving::new(StreamBody::new(Box::pin(frames)), place);
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            frame.map_err(|end| end.to_string())?;
            read += 1;
        }
        Ok(read)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_keep_a_minimum_rate() {
        let began = Instant::now();
        let ended = drip(1, 1000).await;
        assert_eq!(ended.unwrap_err(), BodyEnd::TooSlow.to_string());
        assert_eq!(began.elapsed().as_secs(), 5);
        assert_eq!(drip(1100, 1000).await, Ok(1000), "this is fast enough, and takes long");
        assert_eq!(drip(1, 3).await, Ok(3), "it is not measured before it had some time");
    }

    #[tokio::test]
    async fn when_every_place_is_taken_the_body_that_has_been_arriving_for_longest_makes_room() {
        let connections = Arc::new(Connections::new(2));
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let place = Arc::new(connections.enter());
            let request = place.request();
            let frames = StreamBody::new(stream::pending::<Frames>());
            bodies.push((Arriving::new(frames, place), request));
        }
        let ((mut first, _in_request), (mut second, _also)) = {
            let second = bodies.pop().unwrap();
            (bodies.pop().unwrap(), second)
        };
        let (first, second) = (first.frame(), second.frame());
        tokio::pin!(first, second);
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        connections.make_room().await;
        assert!(matches!(first.await, Some(Err(BodyEnd::MadeRoom))));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
    }
}
