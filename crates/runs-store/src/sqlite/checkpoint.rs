//! Moves the write-ahead log into the database file, beside the writer.
//!
//! A commit that does so itself keeps everybody waiting for as long as it takes to write all of it. So a thread of its own
//! follows the log while it grows; when it has caught up, the writer moves the little that is left, and the log begins again
//! at its front. SQLite brings the file to the disk only when nothing is left in the log, so the thread does that, too:
//! otherwise the writer would have to, for everything at once.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;

use super::connect::PAGE_BYTES;
use crate::torture;

/// After how many pages in the log the writer moves the rest, if that is little: no more than an eighth of the disk's room.
/// The longer the log, the more of its pages are written over before they are moved.
const LONG_LOG: RangeInclusive<u32> = 1_024..=16_384;
/// At how many times as many it does so, however much that is: the thread cannot keep up.
const LONGEST: u32 = 4;
/// How many pages are little.
const LITTLE: u32 = 256;

/// The thread, and how long the log is.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Pages in the log, as of the last commit.
    pages: Arc<AtomicU32>,
    /// How many of them are in the file, too, as of the last time that the thread has finished.
    moved: Arc<AtomicU32>,
    /// How long the log was when the thread was last woken.
    followed: u32,
    /// At how many pages a reader was last warned of.
    warned: u32,
    long: u32,
}

impl Checkpointer {
    /// Follows the log of this connection's commits, through another one to the same file.
    ///
    /// `file` is that file, too. Whoever closes it takes the locks of all connections of this process away, as POSIX has
    /// it, so the caller keeps it until the last of them is closed.
    pub(super) fn start(writing: &mut Connection, following: Connection, file: Arc<File>) -> io::Result<Self> {
        let usual = long_log(&file)?;
        Self::with_log_of(writing, following, file, torture::checkpoint_pages(usual))
    }

    fn with_log_of(writing: &mut Connection, following: Connection, file: Arc<File>, long: u32) -> io::Result<Self> {
        let (pages, moved) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (seen, done) = (Arc::clone(&pages), Arc::clone(&moved));
        let hook = move |_: &mut _, pages: i32| {
            seen.store(u32::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        };
        writing.wal_hook(Some(hook)).map_err(io::Error::other)?;
        let (wake, woken) = sync_channel::<()>(1);
        let thread = Builder::new().name("store-checkpoint".to_owned()).spawn(move || {
            while woken.recv().is_ok() {
                torture::point("checkpoint.following");
                let moved = checkpoint(&following).map_err(io::Error::other);
                match moved.and_then(|moved| file.sync_data().map(|()| moved)) {
                    Ok(moved) => done.store(moved, Ordering::Relaxed),
                    // The log holds everything, and whoever comes next tries again.
                    Err(error) => tracing::debug!(%error, "the log was not moved into the store's file"),
                }
            }
        })?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
            pages,
            moved,
            followed: 0,
            warned: 0,
            long,
        })
    }

    /// To be called after each commit, once everybody has their answer.
    pub(super) fn after_commit(&mut self, writing: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.followed {
            // The log has begun again.
            self.followed = 0;
            self.warned = 0;
            self.moved.store(0, Ordering::Relaxed);
        }
        let left = pages.saturating_sub(self.moved.load(Ordering::Relaxed));
        if pages >= self.long && (left <= LITTLE || pages / LONGEST >= self.long) {
            torture::point("checkpoint.whole");
            self.move_rest(writing);
        } else if pages - self.followed >= (self.long / 4).max(1)
            && let Some(wake) = &self.wake
        {
            self.followed = pages;
            // It may be at it still; then it comes around again later.
            let _: Result<(), _> = wake.try_send(());
        }
        self.warn_of_reader(pages, left);
    }

    /// A program that reads in a transaction that it does not end keeps the log from beginning again, until the disk is full.
    /// Told when the log is longer than it should ever be, which is while the disk has room, and each time that it has doubled
    /// since.
    fn warn_of_reader(&mut self, pages: u32, left: u32) {
        let longest = self.long.saturating_mul(LONGEST + 1);
        let most = longest.max(self.warned.saturating_mul(2));
        if pages >= most {
            self.warned = pages;
            tracing::warn!(
                log_bytes = u64::from(pages) * PAGE_BYTES,
                not_moved_bytes = u64::from(left) * PAGE_BYTES,
                "the store's write-ahead log cannot begin again: another program keeps a transaction open on the store's file; end it before the disk is full"
            );
        }
    }

    /// Lets the log begin again, if that is possible: so that a log that has filled the disk does not keep it full.
    pub(super) fn move_rest(&self, writing: &Connection) {
        if let Err(error) = checkpoint(writing) {
            tracing::debug!(%error, "the log was not moved into the store's file");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the store panicked");
        }
    }
}

fn long_log(file: &File) -> io::Result<u32> {
    let disk = rustix::fs::fstatvfs(file)?;
    let pages = disk.f_bavail.saturating_mul(disk.f_frsize) / 8 / PAGE_BYTES;
    Ok(u32::try_from(pages)
        .unwrap_or(u32::MAX)
        .clamp(*LONG_LOG.start(), *LONG_LOG.end()))
}

/// Moves what can be moved without keeping anybody waiting. How many pages of the log are in the file now.
fn checkpoint(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_keeps_the_log_is_warned_of_at_each_doubling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut writing = Connection::open(&path).unwrap();
        writing.pragma_update(None, "journal_mode", "WAL").unwrap();
        let batch = "CREATE TABLE t (body BLOB); INSERT INTO t VALUES (1)";
        writing.execute_batch(batch).unwrap();
        let reading = Connection::open(&path).unwrap();
        let view = reading.unchecked_transaction().unwrap();
        let _: u64 = view.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        let following = Connection::open(&path).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let mut checkpointer = Checkpointer::with_log_of(&mut writing, following, file, 4).unwrap();
        let mut warned = Vec::new();
        for _ in 0..100 {
            writing.execute("INSERT INTO t VALUES (zeroblob(4000))", []).unwrap();
            checkpointer.after_commit(&writing);
            if warned.last() != Some(&checkpointer.warned) {
                warned.push(checkpointer.warned);
            }
        }
        assert!((3..=5).contains(&warned.len()), "{warned:?}");
        drop(view);
        for _ in 0..10 {
            writing.execute("INSERT INTO t VALUES (1)", []).unwrap();
            checkpointer.after_commit(&writing);
        }
        assert_eq!(checkpointer.warned, 0);
    }

    #[test]
    fn the_log_stays_short_and_what_was_in_it_is_in_the_file() {
        const LONG: u32 = 64;
        const ROWS: u64 = 3000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut writing = Connection::open(&path).unwrap();
        writing.pragma_update(None, "journal_mode", "WAL").unwrap();
        writing.execute_batch("CREATE TABLE t (body BLOB)").unwrap();
        let following = Connection::open(&path).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let mut checkpointer = Checkpointer::with_log_of(&mut writing, following, Arc::clone(&file), LONG).unwrap();
        for _ in 0..ROWS {
            writing.execute("INSERT INTO t VALUES (zeroblob(4000))", []).unwrap();
            checkpointer.after_commit(&writing);
        }
        let log = std::fs::metadata(folder.path().join("t.db-wal")).unwrap().len();
        // Both may want to move pages at the same time, so that it goes on for a while.
        assert!(log < u64::from(LONG * LONGEST) * 4096 * 2, "{log} bytes");
        let file = std::fs::metadata(&path).unwrap().len();
        assert!(file > (ROWS - 10 * u64::from(LONG)) * 4096, "{file} bytes");
        drop(checkpointer);
        let rows: u64 = writing
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, ROWS);
    }
}
