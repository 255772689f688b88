//! What is damaged in the log, and the copy of it that is put aside for a person to look at.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::segment::Segment;

/// What was found besides whole records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDamage {
    /// How many stretches are damaged, a torn end included.
    pub places: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// Where copies of the damaged segments are, as they were.
    pub kept_at: Vec<PathBuf>,
    known: BTreeSet<(u64, u64)>,
}

/// Bytes that are no whole record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) generation: u64,
    pub(super) at: u64,
    pub(super) bytes: u64,
}

impl LogDamage {
    /// Counts a stretch of a segment, unless it was counted before.
    pub(super) fn found(&mut self, gap: Gap) {
        if gap.bytes > 0 && self.known.insert((gap.generation, gap.at)) {
            self.places += 1;
            self.bytes += gap.bytes;
        }
    }

    /// Counts a segment that is left out, and where it will be.
    pub(super) fn left_out(&mut self, generation: u64, bytes: u64, path: PathBuf) {
        if !self.kept_at.contains(&path) {
            self.found(Gap {
                generation,
                at: 0,
                bytes,
            });
            self.kept_at.push(path);
        }
    }

    /// Counts a whole segment.
    pub(super) fn lost(&mut self, bytes: u64) {
        self.places += 1;
        self.bytes += bytes;
    }

    /// Keeps a copy of a damaged segment, once.
    pub(super) fn put_aside(&mut self, segment: &Segment, generation: u64) {
        match copy_once(segment, generation) {
            Ok(copy) if !self.kept_at.contains(&copy) => self.kept_at.push(copy),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(path = %segment.path.display(), %error, "a damaged segment of the intake log cannot be copied");
            }
        }
    }
}

fn copy_once(segment: &Segment, generation: u64) -> io::Result<PathBuf> {
    let copy = segment.path.with_extension(format!("damaged-{generation}"));
    if !copy.exists() {
        let unfinished = segment.path.with_extension("copying");
        drop(fs::remove_file(&unfinished));
        let mut options = OpenOptions::new();
        let mut copied = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        io::copy(&mut File::open(&segment.path)?, &mut copied)?;
        fs::rename(&unfinished, &copy)?;
    }
    Ok(copy)
}
