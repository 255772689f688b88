//! Events as lines, one call after another.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::{Mutex, oneshot};
use uuid::Uuid;

use super::{Event, HandlerError};

/// How many lines are written together.
pub(super) const AT_ONCE: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// What takes lines.
pub(super) trait Sink: Send + 'static {
    /// Writes lines; how many of them are there for good, and what went wrong after those. May block for as long as a
    /// reader likes.
    fn write(&mut self, bodies: &[Bytes]) -> (usize, io::Result<()>);
}

/// Writes events to a sink, one call after another.
#[derive(Debug, Default)]
pub(super) struct Lines<S>(Arc<Mutex<Place<S>>>);

#[derive(Debug, Default)]
struct Place<S> {
    sink: S,
    /// Events that were written by a call that nobody waited for any more: when they come again, they are there.
    there: HashSet<Uuid>,
}

impl<S> Clone for Lines<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Sink> Lines<S> {
    pub(super) fn to(sink: S) -> Self {
        Self(Arc::new(Mutex::new(Place {
            sink,
            there: HashSet::new(),
        })))
    }

    /// Writes events, and says of each, in their order, what became of it. `name` is that of the sink.
    pub(super) async fn write(&self, name: &str, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        // While a reader keeps a call waiting, the next one waits here, where it costs no thread.
        let mut place = Arc::clone(&self.0).lock_owned().await;
        let all: Vec<(Uuid, Bytes)> = events.iter().map(|event| (event.id(), event.json().clone())).collect();
        let (ended, end) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let (kept, error) = place.write(&all);
            let kept_ids = all.iter().map(|(id, _)| *id).filter(|id| kept.contains(id));
            let kept_ids: Vec<Uuid> = kept_ids.collect();
            match ended.send((kept, error)) {
                Ok(()) => place.there.retain(|id| !kept_ids.contains(id)),
                Err(_) => place.there.extend(kept_ids),
            }
        });
        let Ok((kept, error)) = end.await else {
            return vec![Err(HandlerError::retry(format!("{name}: the write panicked"))); events.len()];
        };
        let failed = || match &error {
            Some(error) => HandlerError::unavailable(format!("{name}: {error}")),
            None => HandlerError::retry(format!("{name}: written in part")),
        };
        let outcome = |event: &Event| kept.contains(&event.id()).then_some(()).ok_or_else(failed);
        events.iter().map(outcome).collect()
    }
}

impl<S: Sink> Place<S> {
    /// Writes those that are not there; which are there then, and what went wrong with the others.
    fn write(&mut self, all: &[(Uuid, Bytes)]) -> (HashSet<Uuid>, Option<io::Error>) {
        let (there, new): (Vec<_>, Vec<_>) = all.iter().partition(|(id, _)| self.there.contains(id));
        let bodies: Vec<Bytes> = new.iter().map(|(_, body)| body.clone()).collect();
        let (written, outcome) = match bodies.as_slice() {
            [] => (0, Ok(())),
            bodies => self.sink.write(bodies),
        };
        let kept = there.into_iter().chain(new.into_iter().take(written));
        (kept.map(|(id, _)| *id).collect(), outcome.err())
    }
}

/// Events as lines.
pub(super) fn lines_of(bodies: &[Bytes]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bodies.iter().map(|body| body.len() + 1).sum());
    for body in bodies {
        lines.extend_from_slice(body);
        lines.push(b'\n');
    }
    lines
}

/// How many lines end within the first so many bytes.
pub(super) fn whole_lines(bodies: &[Bytes], written: usize) -> usize {
    let mut end = 0;
    let is_whole = |body: &&Bytes| {
        end += body.len() + 1;
        end <= written
    };
    bodies.iter().take_while(is_whole).count()
}

/// Where bytes go, perhaps to somebody who takes their time.
pub(super) trait Out: Write {
    /// Waits until it takes more.
    fn wait(&self) -> io::Result<()>;
}

impl Out for File {
    fn wait(&self) -> io::Result<()> {
        let mut asked = [PollFd::new(self.as_fd(), PollFlags::POLLOUT)];
        poll(&mut asked, PollTimeout::NONE)?;
        Ok(())
    }
}

/// Writes; how many bytes went out, and what stopped the rest. What does not block by itself, because another program has
/// set it so, is waited for.
pub(super) fn write_as_far_as_it_goes(out: &mut impl Out, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        let failed = match out.write(&bytes[written..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(taken) => {
                written += taken;
                continue;
            }
            Err(error) => error,
        };
        let goes_on = match failed.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => out.wait().or_else(|error| match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            }),
            _ => Err(failed),
        };
        if let Err(error) = goes_on {
            return (written, Err(error));
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tallyfy_model::OrgId;

    use super::*;

    #[test]
    fn lines_count_as_far_as_they_are_whole() {
        let bodies = [
            Bytes::from_static(b"12"),
            Bytes::from_static(b""),
            Bytes::from_static(b"3"),
        ];
        assert_eq!(lines_of(&bodies), b"12\n\n3\n");
        let counts: Vec<usize> = (0..=6).map(|written| whole_lines(&bodies, written)).collect();
        assert_eq!(counts, [0, 0, 0, 1, 2, 2, 3]);
    }

    /// Takes lines only once it is told to.
    struct Reader {
        go_on: mpsc::Receiver<()>,
        taken: mpsc::Sender<usize>,
    }

    impl Sink for Reader {
        fn write(&mut self, bodies: &[Bytes]) -> (usize, io::Result<()>) {
            self.go_on.recv().unwrap();
            self.taken.send(bodies.len()).unwrap();
            (bodies.len(), Ok(()))
        }
    }

    #[tokio::test]
    async fn what_was_written_after_its_caller_had_gone_is_not_written_again() {
        let (go, go_on) = mpsc::channel();
        let (taken, took) = mpsc::channel();
        let lines = Lines::to(Reader { go_on, taken });
        let sample = || Event::sample(&OrgId::new("acme"), Timestamp::UNIX_EPOCH).unwrap();
        let (slow, next) = (sample(), sample());
        let impatient = lines.write("reader", std::slice::from_ref(&slow));
        assert!(tokio::time::timeout(Duration::from_millis(1), impatient).await.is_err());
        go.send(()).unwrap();
        go.send(()).unwrap();
        let both = lines.write("reader", &[slow, next]).await;
        assert_eq!(both, [Ok(()), Ok(())]);
        assert_eq!(took.try_iter().collect::<Vec<_>>(), [1, 1]);
    }
}
