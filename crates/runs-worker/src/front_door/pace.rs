//! How a connection's bytes come and go, seen from below the HTTP library: a peer that does not read what it is sent, one
//! that sends many requests at once, and what the first bytes were.
//!
//! hyper waits for ever until it can write. Answers are short, so that this takes a peer that asks and asks and never
//! reads; but then it would hold its place.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How many of a connection's first bytes are remembered.
const OPENING: usize = 16;

/// What is seen of a connection from outside the HTTP library.
#[derive(Debug, Default)]
pub(super) struct Watch {
    stuck: AtomicBool,
    reads: AtomicU32,
    opening: OnceLock<([u8; OPENING], usize)>,
}

impl Watch {
    /// Whether something waits to be written that the peer has no room for: it does not read.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// How often something was read. Two requests between which this stays the same were sent at once.
    pub(super) fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The first bytes.
    pub(super) fn opening(&self) -> &[u8] {
        let opening = self.opening.get();
        opening
            .and_then(|(bytes, length)| bytes.get(..*length))
            .unwrap_or_default()
    }

    fn note_read(&self, arrived: &[u8]) {
        if arrived.is_empty() {
            return;
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.opening.get_or_init(|| {
            let mut first = [0; OPENING];
            let length = arrived.len().min(OPENING);
            first.iter_mut().zip(arrived).for_each(|(to, from)| *to = *from);
            (first, length)
        });
    }
}

/// A connection on which nothing may wait to be written for longer than a limit.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    limit: Duration,
    watch: Arc<Watch>,
    /// While something cannot be written.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, limit: Duration, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            limit,
            watch,
            stuck: None,
        }
    }
}

impl<S: Unpin> Paced<S> {
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            self.stuck = None;
            self.watch.stuck.store(false, Ordering::Relaxed);
            return Poll::Ready(written);
        }
        self.watch.stuck.store(true, Ordering::Relaxed);
        let limit = self.limit;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stuck.as_mut().poll(context));
        // Should it be tried again all the same, it has no more time than before.
        stuck.as_mut().reset(Instant::now());
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch.note_read(buffer.filled().get(before..).unwrap_or_default());
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.watch(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(context, S::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(context, S::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch(context, |stream, context| stream.poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_given_up_after_the_limit() {
        let (ours, theirs) = duplex(8);
        let mut stream = Paced::new(ours, LIMIT, Arc::default());
        let start = Instant::now();
        let written = stream.write_all(b"longer than eight bytes").await;
        assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert_eq!(start.elapsed().as_secs(), LIMIT.as_secs());
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_not() {
        let (ours, mut theirs) = duplex(1);
        let mut stream = Paced::new(ours, LIMIT, Arc::default());
        let reader = tokio::spawn(async move {
            let mut read = Vec::new();
            while let Ok(byte) = theirs.read_u8().await {
                read.push(byte);
                sleep(LIMIT - Duration::from_secs(1)).await;
            }
            read
        });
        assert!(stream.write_all(b"slow and steady").await.is_ok());
        drop(stream);
        assert_eq!(reader.await.ok().as_deref(), Some(b"slow and steady".as_slice()));
    }
}
