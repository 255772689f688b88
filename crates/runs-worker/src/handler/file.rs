//! Events as lines of a file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use runs_store::torture;
use tracing::warn;

use super::lines::{self, Lines, Sink, lines_of, whole_lines, write_as_far_as_it_goes};
use super::{Event, Handler, HandlerError, only};

/// Appends each event to a file, as one line of JSON, and counts it as delivered once it is on the disk. What waits
/// together is written together, with one sync.
///
/// - The file is made, for its owner alone, if it is not there.
/// - When the path names another file than before, because it was rotated, that one is opened.
/// - A line that was cut off, by a full disk or by a crash, is ended before the next one, so that the others stay lines.
/// - While nothing can be written, events wait. So they do while no program reads a FIFO; a reader who takes its time is
///   waited for.
/// - What cannot be synced, a device or a share whose server does not do it, counts once it was written.
pub(crate) struct FileHandler {
    name: String,
    lines: Lines<Named>,
}

impl FileHandler {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            name: path.display().to_string(),
            lines: Lines::to(Named { path, open: None }),
        }
    }
}

#[async_trait]
impl Handler for FileHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        only(self.handle_many(std::slice::from_ref(event)).await)
    }

    fn at_once(&self) -> NonZeroUsize {
        lines::AT_ONCE
    }

    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        self.lines.write(&self.name, events).await
    }
}

/// The file that a path names.
struct Named {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    /// Which file it is, whatever its path is now.
    identity: (u64, u64),
    is_synced: bool,
}

impl Sink for Named {
    fn write(&mut self, bodies: &[Bytes]) -> (usize, io::Result<()>) {
        let named = std::fs::metadata(&self.path).ok().map(|found| identity(&found));
        // What failed is opened again, which ends a line that was cut off.
        let mut current = match self.open.take() {
            Some(current) if named == Some(current.identity) => current,
            _ => match Open::at(&self.path) {
                Ok(opened) => opened,
                Err(error) => return (0, Err(error)),
            },
        };
        let lines = lines_of(bodies);
        let (written, outcome) = write_as_far_as_it_goes(&mut current.file, &lines);
        torture::point("file.written");
        if written == 0 && outcome.is_err() {
            return (0, outcome);
        }
        if let Err(error) = current.sync(&self.path) {
            return (0, Err(error));
        }
        torture::point("file.synced");
        if outcome.is_ok() {
            self.open = Some(current);
        }
        (whole_lines(bodies, written), outcome)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => Self::special(path, &found),
            _ => Self::regular(path),
        }
    }

    fn regular(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let found = file.metadata()?;
        if found.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        sync_folder(path)?;
        Ok(Self {
            identity: identity(&found),
            file,
            is_synced: true,
        })
    }

    /// A FIFO, a terminal, the null device.
    fn special(path: &Path, found: &Metadata) -> io::Result<Self> {
        if found.is_dir() || found.file_type().is_block_device() {
            return Err(io::Error::other(
                "it is neither a file nor a FIFO nor a character device",
            ));
        }
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::ENXIO as i32 => io::Error::other("no program reads it"),
            _ => error,
        })?;
        Ok(Self {
            identity: identity(found),
            file,
            is_synced: false,
        })
    }

    /// Syncs what can be synced.
    fn sync(&mut self, path: &Path) -> io::Result<()> {
        if !self.is_synced {
            return Ok(());
        }
        match self.file.sync_data() {
            Err(error) if cannot_be_synced(&error) => {
                let file = path.display();
                warn!(%file, %error, "this file cannot be synced: events count as delivered once they are written");
                self.is_synced = false;
                Ok(())
            }
            outcome => outcome,
        }
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// So that a new file is still there after a power cut, where that can be had.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Who may make files in a folder need not be allowed to list it.
        Err(error) if cannot_be_synced(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
            let folder = folder.display();
            warn!(%folder, %error, "this folder cannot be synced: a new file in it may be gone after a power cut");
            Ok(())
        }
        outcome => outcome,
    }
}

/// Whether the error says that such a thing is never synced, rather than that it failed.
fn cannot_be_synced(error: &io::Error) -> bool {
    let never = [Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP];
    error
        .raw_os_error()
        .is_some_and(|code| never.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;

    use super::*;

    fn append(path: &Path, line: &'static str) -> (usize, Result<(), String>) {
        let mut named = Named {
            path: path.to_owned(),
            open: None,
        };
        let (kept, outcome) = named.write(&[Bytes::from_static(line.as_bytes())]);
        (kept, outcome.map_err(|error| error.to_string()))
    }

    #[test]
    fn a_full_disk_takes_the_lines_that_fit() {
        let (kept, outcome) = append(Path::new("/dev/full"), "1");
        assert_eq!((kept, outcome.is_err()), (0, true));
    }

    #[test]
    fn what_cannot_be_synced_is_written_once() {
        // A file that is none, in a folder that is none: the kernel refuses to sync either.
        for path in ["/dev/null", "/proc/self/comm"] {
            assert_eq!(append(Path::new(path), "1"), (1, Ok(())), "{path}");
        }
    }

    #[test]
    fn events_wait_for_the_reader_of_a_fifo() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert_eq!(append(&fifo, "1"), (0, Err("no program reads it".to_owned())));
        let large = "x".repeat(200_000).leak();
        let reading = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read_to_string(fifo).unwrap()
        });
        // The reader is there once it has opened it.
        let mut outcome = append(&fifo, large);
        while outcome.1.is_err() {
            outcome = append(&fifo, large);
        }
        assert_eq!(outcome, (1, Ok(())));
        assert_eq!(reading.join().unwrap(), format!("{large}\n"));
    }

    #[test]
    fn a_folder_is_refused_with_the_reason() {
        let (kept, outcome) = append(Path::new("/"), "1");
        assert!(kept == 0 && outcome.unwrap_err().contains("neither a file"));
    }
}
