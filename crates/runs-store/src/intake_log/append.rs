//! The thread that writes: it gives each record its number, and waits for the disk once for all that came together.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::folder::Folder;
use super::index::Live;
use super::keep::Chore;
use super::record::Imprint;
use super::segment::{END, FIRST_RECORD, Segment, SegmentHeader, length_for};
use super::{IntakeLogError, Position, Shared};
use crate::thread::ConnectionThread;
use crate::torture;

/// A record that is to be kept.
pub(super) struct Append {
    /// Encoded, but for what the thread fills in.
    pub(super) record: Vec<u8>,
    pub(super) caller: oneshot::Sender<Result<Position, IntakeLogError>>,
}

/// The segment that is written to.
pub(super) struct Current {
    pub(super) segment: Arc<Segment>,
    pub(super) imprint: Imprint,
    /// Where the next record goes.
    pub(super) end: u64,
}

impl Current {
    fn has_room_for(&self, bytes: usize) -> bool {
        self.end + (bytes + END.len()) as u64 <= self.segment.capacity()
    }
}

/// What the thread owns.
pub(super) struct Appender {
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<ConnectionThread<Chore>>,
    pub(super) current: Option<Current>,
    pub(super) next_generation: u64,
    pub(super) next_number: u64,
    pub(super) buffer: Vec<u8>,
}

impl Appender {
    /// Begins a new segment if the newest cannot be gone on with, so that a torn end is found once.
    pub(super) fn leave_what_is_damaged(&mut self) {
        if self.current.is_none() && self.shared.index().segments() > 0 {
            // Whoever appends first is told if no folder takes it.
            drop(self.begin_segment(0, self.shared.folders.len()));
        }
    }

    pub(super) fn serve(&mut self, batch: Vec<Append>) {
        let mut batch = batch.into_iter().peekable();
        while let Some(next) = batch.peek() {
            self.skip_what_was_released();
            let first = self.next_number;
            let group = match self.make_room(next.record.len()) {
                Ok(()) => self.group(&mut batch),
                Err(error) => {
                    for append in batch {
                        // The caller may have gone.
                        drop(append.caller.send(Err(error.clone())));
                    }
                    return;
                }
            };
            #[cfg(feature = "torture")]
            let group = super::sabotage::answer_before_fsync(group, first);
            let outcome = self.write_somewhere(&group, first);
            for (number, append) in (first..).zip(group) {
                drop(append.caller.send(outcome.clone().map(|()| Position(number))));
            }
        }
    }

    /// More may have been released than the log remembers. The numbers in one segment have no gaps.
    fn skip_what_was_released(&mut self) {
        let last = self.shared.index().last;
        if last >= self.next_number {
            self.next_number = last + 1;
            self.current = None;
        }
    }

    /// As many as the current segment has room for.
    fn group(&self, batch: &mut std::iter::Peekable<impl Iterator<Item = Append>>) -> Vec<Append> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        let has_room = |bytes| self.current.as_ref().is_some_and(|current| current.has_room_for(bytes));
        while let Some(append) = batch.next_if(|append| has_room(bytes + append.record.len())) {
            bytes += append.record.len();
            group.push(append);
        }
        group
    }

    /// Writes them to the current segment, or, where that one fails, to another.
    fn write_somewhere(&mut self, group: &[Append], first: u64) -> Result<(), IntakeLogError> {
        let bytes: usize = group.iter().map(|append| append.record.len()).sum();
        let mut tries = 1 + self.shared.folders.len();
        loop {
            let Some(current) = &mut self.current else {
                self.begin_segment(bytes, self.shared.folders.len())?;
                continue;
            };
            stamp(group, current.imprint, first, &mut self.buffer);
            match write(&current.segment, &self.buffer, current.end) {
                Ok(()) => {
                    current.end += bytes as u64;
                    self.next_number = first + group.len() as u64;
                    let last = self.next_number - 1;
                    self.shared.index().extend(current.end, last);
                    self.shared.appended.send_replace(last);
                    return Ok(());
                }
                Err(error) => {
                    let failure = IntakeLogError::unavailable(&current.segment.path, &error);
                    self.give_up_on_current(&error);
                    tries -= 1;
                    if tries == 0 {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// After a failed write or `fsync` nobody knows what of it is on the disk, and to ask once more proves nothing.
    fn give_up_on_current(&mut self, error: &io::Error) {
        if let Some(Current { segment, .. }) = self.current.take() {
            tracing::error!(path = %segment.path.display(), %error, "a segment of the intake log cannot be written any more");
            segment.distrust();
            self.shared.folders[segment.folder].failed();
        }
    }

    /// Sees to it that the current segment has room for this, and is in the best folder that takes it.
    fn make_room(&mut self, bytes: usize) -> Result<(), IntakeLogError> {
        let all = self.shared.folders.len();
        let Some(current) = &self.current else {
            return self.begin_segment(bytes, all);
        };
        if !current.has_room_for(bytes) {
            return self.begin_segment(bytes, all);
        }
        let better = current.segment.folder;
        let rest = self.shared.settings.retry_folder_after;
        if self.shared.folders[..better]
            .iter()
            .any(|folder| !folder.is_resting(rest))
        {
            // The current one is good enough if no better one takes it.
            drop(self.begin_segment(bytes, better));
        }
        Ok(())
    }

    /// Goes on in another segment, in the best of the first so many folders that takes it.
    fn begin_segment(&mut self, bytes: usize, among: usize) -> Result<(), IntakeLogError> {
        let length = length_for(bytes as u64).max(self.shared.segment_length);
        self.check_bound(length)?;
        let shared = Arc::clone(&self.shared);
        let rest = shared.settings.retry_folder_after;
        let folders = shared.folders.iter().take(among);
        let (resting, mut order): (Vec<_>, Vec<_>) = folders.partition(|folder| folder.is_resting(rest));
        order.extend(resting);
        let mut failure = None;
        for folder in order {
            match self.begin_in(folder, length) {
                Ok(()) => {
                    folder.works();
                    return Ok(());
                }
                Err(error) => {
                    folder.failed();
                    tracing::warn!(folder = %folder.path.display(), %error, "a folder of the intake log takes no bytes");
                    failure.get_or_insert(IntakeLogError::unavailable(&folder.path, &error));
                }
            }
        }
        Err(failure.unwrap_or(IntakeLogError::Closed))
    }

    fn check_bound(&self, length: u64) -> Result<(), IntakeLogError> {
        let max_bytes = self.shared.settings.max_bytes;
        let needed = self.shared.index().needed_bytes();
        if needed > 0 && needed + length > max_bytes {
            return Err(IntakeLogError::Full { max_bytes });
        }
        Ok(())
    }

    fn begin_in(&mut self, folder: &Folder, length: u64) -> io::Result<()> {
        let segment = folder.segment(self.shared.id, length)?;
        let header = SegmentHeader::new(self.shared.id, self.next_generation, self.next_number, self.shared.era);
        // A generation that failed may be on the disk all the same, so it is not given to another file.
        self.next_generation += 1;
        if let Err(error) = segment.begin(header) {
            drop(fs::remove_file(&segment.path));
            return Err(error);
        }
        self.shared.index().begin(Live {
            segment: Arc::clone(&segment),
            header,
            end: FIRST_RECORD,
        });
        self.current = Some(Current {
            segment,
            imprint: header.imprint(),
            end: FIRST_RECORD,
        });
        self.keeper.try_request(Chore::Tidy);
        Ok(())
    }
}

/// Puts the records one behind another, with all that they lack, and the end behind them.
fn stamp(group: &[Append], imprint: Imprint, first: u64, buffer: &mut Vec<u8>) {
    buffer.clear();
    for (number, append) in (first..).zip(group) {
        let start = buffer.len();
        buffer.extend_from_slice(&append.record);
        imprint.stamp(&mut buffer[start..], number);
    }
    buffer.extend_from_slice(&END);
}

fn write(segment: &Segment, bytes: &[u8], at: u64) -> io::Result<()> {
    segment.file.write_all_at(bytes, at)?;
    torture::point("log.appended");
    segment.file.sync_data()?;
    torture::point("log.synced");
    Ok(())
}
