//! Events as lines of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use runs_store::torture;

use super::{Event, Handler, HandlerError, LINES_AT_ONCE, lines_of, only};

/// Appends each event to a file, as one line of JSON, and counts it as delivered once it is on the disk. What waits
/// together is written together, with one sync.
///
/// - The file is made, for its owner alone, if it is not there.
/// - When the path names another file than before, because it was rotated, that one is opened.
/// - A line that was cut off, by a full disk or by a crash, is ended before the next one, so that the others stay lines.
/// - While nothing can be written, events wait.
pub(crate) struct FileHandler {
    path: PathBuf,
    open: Arc<Mutex<Option<Open>>>,
}

struct Open {
    file: File,
    /// Which file it is, whatever its path is now.
    identity: (u64, u64),
}

impl FileHandler {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: Arc::default(),
        }
    }
}

#[async_trait]
impl Handler for FileHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        only(self.handle_many(std::slice::from_ref(event)).await)
    }

    fn at_once(&self) -> NonZeroUsize {
        LINES_AT_ONCE
    }

    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        let (open, path) = (Arc::clone(&self.open), self.path.clone());
        let bodies: Vec<Bytes> = events.iter().map(|event| event.json().clone()).collect();
        let appended = tokio::task::spawn_blocking(move || {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            append(&mut open, &path, &bodies)
        });
        let (kept, error) = match appended.await {
            Ok((kept, Ok(()))) => (kept, None),
            Ok((kept, Err(error))) => {
                let error = HandlerError::unavailable(format!("{}: {error}", self.path.display()));
                (kept, Some(error))
            }
            Err(error) => (0, Some(HandlerError::retry(error))),
        };
        let outcome = |place: usize| match &error {
            Some(error) if place >= kept => Err(error.clone()),
            _ => Ok(()),
        };
        (0..events.len()).map(outcome).collect()
    }
}

/// Appends lines; how many of them are on the disk, and what went wrong after those.
fn append(open: &mut Option<Open>, path: &Path, bodies: &[Bytes]) -> (usize, io::Result<()>) {
    let named = std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    // What failed is opened again, which ends a line that was cut off.
    let current = match open.take() {
        Some(current) if named == Some(current.identity) => current,
        _ => match Open::at(path) {
            Ok(opened) => opened,
            Err(error) => return (0, Err(error)),
        },
    };
    let lines = lines_of(bodies);
    let (written, outcome) = write_as_far_as_it_goes(&current.file, &lines);
    torture::point("file.written");
    if written == 0 && outcome.is_err() {
        return (0, outcome);
    }
    if let Err(error) = current.file.sync_data() {
        return (0, Err(error));
    }
    torture::point("file.synced");
    if outcome.is_ok() {
        *open = Some(current);
    }
    (whole_lines(bodies, written), outcome)
}

/// Writes; how many bytes went out, and what stopped the rest.
fn write_as_far_as_it_goes(mut file: &File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// How many lines end within the first so many bytes.
fn whole_lines(bodies: &[Bytes], written: usize) -> usize {
    let mut end = 0;
    let is_whole = |body: &&Bytes| {
        end += body.len() + 1;
        end <= written
    };
    bodies.iter().take_while(is_whole).count()
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let found = file.metadata()?;
        if found.is_file() && found.len() > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        if found.is_file()
            && let Some(folder) = path.parent()
        {
            // So that a new file is still there after a power cut.
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            File::open(folder)?.sync_all()?;
        }
        Ok(Self {
            identity: (found.dev(), found.ino()),
            file,
        })
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_full_disk_takes_the_lines_that_fit() {
        let bodies = [Bytes::from_static(b"1")];
        let (kept, outcome) = append(&mut None, Path::new("/dev/full"), &bodies);
        assert_eq!((kept, outcome.is_err()), (0, true));
    }
}
