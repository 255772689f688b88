//! Events as lines on the standard output.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Event, Handler, HandlerError, LINES_AT_ONCE, lines_of, only};

/// Writes each event to the standard output, as one line of JSON, and counts it as delivered once it was written. What
/// waits together is written together.
///
/// While nothing can be written, because the disk behind it is full or nobody reads the pipe any more, events wait. A line
/// that could only be written in part is ended before the next one, so that the others stay lines.
///
/// What a pipe's reader does with it is out of sight: lines that were in the pipe when the reader died are gone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StdoutHandler {
    /// Whether the last line has no end.
    torn: Arc<Mutex<bool>>,
}

impl StdoutHandler {
    /// The handler.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Handler for StdoutHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        only(self.handle_many(std::slice::from_ref(event)).await)
    }

    fn at_once(&self) -> NonZeroUsize {
        LINES_AT_ONCE
    }

    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        let torn = Arc::clone(&self.torn);
        let bodies: Vec<Bytes> = events.iter().map(|event| event.json().clone()).collect();
        // A pipe may block for as long as its reader likes.
        let written = tokio::task::spawn_blocking(move || {
            // One after another, because of what is done about a torn line.
            let mut torn = torn.lock().unwrap_or_else(PoisonError::into_inner);
            write_lines(&mut std::io::stdout().lock(), &bodies, &mut torn)
        });
        let outcome = match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(HandlerError::unavailable(format!("standard output: {error}"))),
            Err(error) => Err(HandlerError::retry(format!("standard output: {error}"))),
        };
        vec![outcome; events.len()]
    }
}

fn write_lines(out: &mut impl Write, bodies: &[Bytes], torn: &mut bool) -> std::io::Result<()> {
    let lines = lines_of(bodies);
    // Whatever is written before it fails, a new line is due.
    if std::mem::replace(torn, true) {
        out.write_all(b"\n")?;
    }
    out.write_all(&lines)?;
    out.flush()?;
    *torn = false;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails once.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.room == 0 {
                self.room = usize::MAX;
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.room);
            self.written.extend_from_slice(&bytes[..taken]);
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_off_takes_no_other_line_along() {
        for room in 0..6 {
            let mut disk = Disk {
                written: Vec::new(),
                room,
            };
            let mut torn = false;
            let [first, second] = [&b"[1,2]"[..], b"[3,4]"].map(Bytes::from_static);
            assert!(write_lines(&mut disk, std::slice::from_ref(&first), &mut torn).is_err());
            write_lines(&mut disk, &[first, second], &mut torn).unwrap();
            let text = String::from_utf8(disk.written).unwrap();
            let whole: Vec<&str> = text.lines().filter(|line| line.len() == 5).collect();
            assert!(text.ends_with("\n[1,2]\n[3,4]\n"), "{room}: {text:?}");
            assert!(whole.len() >= 2, "{room}: {text:?}");
        }
    }
}
