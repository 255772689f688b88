//! Events as lines of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use runs_store::torture;

use super::{Event, Handler, HandlerError};

/// Appends each event to a file, as one line of JSON, and counts it as delivered once it is on the disk.
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
        let (open, path, json) = (Arc::clone(&self.open), self.path.clone(), event.json().clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            append(&mut open, &path, &json)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(HandlerError::unavailable(format!("{}: {error}", self.path.display()))),
            Err(error) => Err(HandlerError::retry(error)),
        }
    }
}

fn append(open: &mut Option<Open>, path: &Path, json: &[u8]) -> io::Result<()> {
    let named = std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    // What failed is opened again, which ends a line that was cut off.
    let current = match open.take() {
        Some(current) if named == Some(current.identity) => current,
        _ => Open::at(path)?,
    };
    let mut line = Vec::with_capacity(json.len() + 1);
    line.extend_from_slice(json);
    line.push(b'\n');
    (&current.file).write_all(&line)?;
    torture::point("file.written");
    current.file.sync_data()?;
    torture::point("file.synced");
    *open = Some(current);
    Ok(())
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
