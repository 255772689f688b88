//! A folder of the log: whose it is, which files are in it, and which of them wait to be used.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::segment::{SPARE, Segment, SegmentHeader};
use super::{IntakeLogError, LogId};
use crate::guard;
use crate::torture;

const LOCK: &str = "intake.lock";
const PREFIX: &str = "intake-";
const SUFFIX: &str = ".log";
const UNFINISHED: &str = ".new";
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    number: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Held as long as the log is open; `None` while the folder cannot be used.
    lock: Option<File>,
    spares: Vec<Arc<Segment>>,
    failed_at: Option<Instant>,
}

impl Folder {
    /// Takes the folder, which is made if it is not there. One that cannot be used now may be used later.
    pub(super) fn open(path: &Path, number: usize) -> Result<(Self, Option<io::Error>), IntakeLogError> {
        let folder = Self {
            path: path.to_owned(),
            number,
            state: Mutex::default(),
        };
        let trouble = folder.take_lock()?.err();
        if trouble.is_some() {
            folder.state().failed_at = Some(Instant::now());
        }
        Ok((folder, trouble))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_lock(&self) -> Result<io::Result<()>, IntakeLogError> {
        let mut state = self.state();
        if state.lock.is_some() {
            return Ok(Ok(()));
        }
        let lock = match self.lock_file() {
            Ok(lock) => lock,
            Err(error) => return Ok(Err(error)),
        };
        match lock.try_lock() {
            Ok(()) => {
                state.lock = Some(lock);
                Ok(Ok(()))
            }
            Err(TryLockError::WouldBlock) => Err(IntakeLogError::Held {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(error)) => Ok(Err(error)),
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        guard::folder(&self.path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        guard::open(&mut options, &self.path.join(LOCK))
    }

    pub(super) fn is_usable(&self) -> bool {
        self.state().lock.is_some()
    }

    /// Lets another worker have it.
    pub(super) fn unlock(&self) {
        let mut state = self.state();
        state.lock = None;
        state.spares.clear();
    }

    /// It did not take what was to be written.
    pub(super) fn failed(&self) {
        self.state().failed_at = Some(Instant::now());
    }

    /// It took what was to be written.
    pub(super) fn works(&self) {
        self.state().failed_at = None;
    }

    /// Whether it failed so lately that it is not worth trying.
    pub(super) fn is_resting(&self, rest: Duration) -> bool {
        self.state().failed_at.is_some_and(|failed| failed.elapsed() < rest)
    }

    /// The segments in it, and whatever is called like one. What was left unfinished is removed.
    pub(super) fn segments(&self) -> io::Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for path in segment_files(&self.path)? {
            let file = guard::open(OpenOptions::new().read(true).write(true), &path)?;
            segments.push(Segment::new(file, path, self.number)?);
        }
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if name_of(&path).is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(UNFINISHED)) {
                fs::remove_file(&path)?;
            }
        }
        Ok(segments)
    }

    pub(super) fn spares(&self) -> usize {
        self.state().spares.len()
    }

    /// Keeps a file to be used later.
    pub(super) fn keep(&self, segment: Arc<Segment>) {
        self.state().spares.push(segment);
    }

    /// A file with so much room: one that waits, or a new one.
    pub(super) fn segment(&self, log: LogId, length: u64) -> io::Result<Arc<Segment>> {
        self.take_again()?;
        let waiting = {
            let mut state = self.state();
            let fitting = state.spares.iter().position(|spare| spare.length >= length);
            fitting.map(|place| state.spares.swap_remove(place))
        };
        match waiting {
            Some(segment) => Ok(segment),
            None => self.create(log, length).map(Arc::new),
        }
    }

    /// Makes a file, and its name as durable as what is in it. Zeros are written to all of it: a later write changes no
    /// more than these, where a write to room that was only asked for makes the file system write metadata, too, each
    /// time. Batches of such writes take ten times as long.
    pub(super) fn create(&self, log: LogId, length: u64) -> io::Result<Segment> {
        let name = format!("{PREFIX}{}{SUFFIX}", Uuid::now_v7().simple());
        let path = self.path.join(&name);
        let unfinished = self.path.join(format!("{name}{UNFINISHED}"));
        let made = self.make(&unfinished, log, length).and_then(|file| {
            fs::rename(&unfinished, &path)?;
            self.sync()?;
            Segment::new(file, path, self.number)
        });
        match made {
            Ok(segment) => {
                torture::point("log.segment-created");
                Ok(segment)
            }
            Err(error) => {
                // It would take up room of a disk that is full.
                drop(fs::remove_file(&unfinished));
                Err(error)
            }
        }
    }

    fn make(&self, path: &Path, log: LogId, length: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length) {
            // Then there is no promise of room, but the file has its length.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(length)?,
            done => done?,
        }
        let mut left = length;
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(ZEROS.len()).min(ZEROS.len());
            file.write_all(&ZEROS[..some])?;
            left -= some as u64;
        }
        let segment = Segment::new(file, path.to_owned(), self.number)?;
        segment.write_headers(SegmentHeader::new(log, SPARE, 0, 0))?;
        segment.file.sync_all()?;
        Ok(segment.file)
    }

    /// A folder that was away at the start can be used when it is back. If it has segments, it must wait for the next
    /// start, which finds out where they belong.
    fn take_again(&self) -> io::Result<()> {
        if self.is_usable() {
            return Ok(());
        }
        self.take_lock().map_err(io::Error::other)??;
        if segment_files(&self.path)?.is_empty() {
            return Ok(());
        }
        self.unlock();
        Err(io::Error::other(
            "the folder is back with segments of its own, which are read at the next start",
        ))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// What is called like a segment in a folder.
pub(super) fn segment_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if name_of(&path).is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
