//! Events as lines on the standard output.

use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use async_trait::async_trait;
use bytes::Bytes;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::makedev;
use tracing::warn;

use super::lines::{self, Lines, Out, Sink, lines_of, whole_lines, write_as_far_as_it_goes};
use super::{Event, Handler, HandlerError, only};

/// Writes each event to the standard output, as one line of JSON, and counts it as delivered once it was written. What
/// waits together is written together.
///
/// While nothing can be written, because the disk behind it is full or nobody reads the pipe any more, events wait. A reader
/// who takes its time is waited for. A line that could only be written in part is ended before the next one, so that the
/// others stay lines.
///
/// What a pipe's reader does with it is out of sight: lines that were in the pipe when the reader died are gone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StdoutHandler {
    lines: Lines<Stdout>,
}

impl Default for StdoutHandler {
    fn default() -> Self {
        Self {
            lines: Lines::to(Stdout::default()),
        }
    }
}

impl StdoutHandler {
    /// The handler.
    pub fn new() -> Self {
        Self::default()
    }

    /// The handler, unless the standard output was closed when this process started. Warns if it is the systemd journal.
    pub(crate) fn at_start() -> io::Result<Self> {
        let out = unbuffered()?;
        if is_closed(&out)? {
            let message = "the standard output is closed; let it go to a pipe or a file, or configure another handler";
            return Err(io::Error::other(message));
        }
        if std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&out, &stream)) {
            warn!(
                "events go to the standard output, which is the systemd journal: it cuts long lines, drops what comes too \
                 fast, and nothing reads it back; configure a handler"
            );
        }
        Ok(Self::new())
    }
}

/// Past the buffer of this process.
fn unbuffered() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Whether nobody gave this process a standard output. What a program does not get is opened as the null device before it
/// begins, to be read and written; whoever wants no output gives one to be written only.
fn is_closed(out: &File) -> io::Result<bool> {
    let flags = OFlag::from_bits_truncate(fcntl(out, FcntlArg::F_GETFL)?);
    let is_null = out.metadata()?.rdev() == makedev(1, 3);
    Ok(is_null && flags & OFlag::O_ACCMODE == OFlag::O_RDWR)
}

/// Whether it is the stream that systemd names, as device and inode.
fn is_stream(out: &File, stream: &str) -> bool {
    let found = out.metadata();
    found.is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
}

#[async_trait]
impl Handler for StdoutHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        only(self.handle_many(std::slice::from_ref(event)).await)
    }

    fn at_once(&self) -> NonZeroUsize {
        lines::AT_ONCE
    }

    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        self.lines.write("standard output", events).await
    }
}

#[derive(Debug, Default)]
struct Stdout {
    /// Whether the last line has no end.
    torn: bool,
}

impl Sink for Stdout {
    fn write(&mut self, bodies: &[Bytes]) -> (usize, io::Result<()>) {
        // Whoever prints meanwhile waits.
        let mut locked = io::stdout().lock();
        match locked.flush().and_then(|()| unbuffered()) {
            Ok(mut out) => write_lines(&mut out, bodies, &mut self.torn),
            Err(error) => (0, Err(error)),
        }
    }
}

fn write_lines(out: &mut impl Out, bodies: &[Bytes], torn: &mut bool) -> (usize, io::Result<()>) {
    let end: &[u8] = if *torn { b"\n" } else { b"" };
    let bytes = [end, &lines_of(bodies)].concat();
    let (written, outcome) = write_as_far_as_it_goes(out, &bytes);
    // A new line is due unless the last byte that went out is one.
    *torn = match written.checked_sub(1) {
        None => *torn,
        Some(last) => bytes[last] != b'\n',
    };
    (whole_lines(bodies, written.saturating_sub(end.len())), outcome)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Takes so many bytes, then fails once.
    struct Disk {
        written: Vec<u8>,
        room: usize,
        error: io::ErrorKind,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                self.room = usize::MAX;
                return Err(self.error.into());
            }
            let taken = bytes.len().min(self.room);
            self.written.extend_from_slice(&bytes[..taken]);
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out for Disk {
        fn wait(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn disk(room: usize, error: io::ErrorKind) -> Disk {
        Disk {
            written: Vec::new(),
            room,
            error,
        }
    }

    const BODIES: [Bytes; 2] = [Bytes::from_static(b"[1,2]"), Bytes::from_static(b"[3,4]")];

    #[test]
    fn a_line_that_was_cut_off_takes_no_other_line_along() {
        for room in 0..12 {
            let mut disk = disk(room, io::ErrorKind::StorageFull);
            let mut torn = false;
            let (kept, outcome) = write_lines(&mut disk, &BODIES, &mut torn);
            assert!(outcome.is_err() && kept == room / 6, "{room}");
            let (rest, outcome) = write_lines(&mut disk, &BODIES[kept..], &mut torn);
            assert!(outcome.is_ok() && kept + rest == 2, "{room}");
            let text = String::from_utf8(disk.written).unwrap();
            let whole: Vec<&str> = text.lines().filter(|line| line.len() == 5).collect();
            assert!(
                whole.ends_with(&["[3,4]"]) && whole.contains(&"[1,2]"),
                "{room}: {text:?}"
            );
        }
    }

    #[test]
    fn a_slow_reader_is_waited_for() {
        for room in 0..12 {
            let mut disk = disk(room, io::ErrorKind::WouldBlock);
            let (kept, outcome) = write_lines(&mut disk, &BODIES, &mut false);
            assert!(outcome.is_ok() && kept == 2, "{room}");
            assert_eq!(disk.written, b"[1,2]\n[3,4]\n");
        }
    }

    #[test]
    fn an_output_that_was_never_there_is_told_from_one_that_nobody_wants() {
        let null = |read| File::options().read(read).write(true).open("/dev/null").unwrap();
        assert!(is_closed(&null(true)).unwrap());
        assert!(!is_closed(&null(false)).unwrap());
        assert!(!is_closed(&tempfile::tempfile().unwrap()).unwrap());
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let found = file.metadata().unwrap();
        assert!(is_stream(&file, &format!("{}:{}", found.dev(), found.ino())));
        assert!(!is_stream(&file, "8:1"));
    }
}
