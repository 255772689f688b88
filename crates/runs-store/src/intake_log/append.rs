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

/// Where an appender begins.
pub(super) struct Start {
    pub(super) current: Option<Current>,
    pub(super) next_generation: u64,
    pub(super) next_number: u64,
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
    shared: Arc<Shared>,
    keeper: Arc<ConnectionThread<Chore>>,
    current: Option<Current>,
    next_generation: u64,
    next_number: u64,
    buffer: Vec<u8>,
}

impl Appender {
    pub(super) fn new(shared: Arc<Shared>, keeper: Arc<ConnectionThread<Chore>>, start: Start) -> Self {
        let Start {
            current,
            next_generation,
            next_number,
        } = start;
        Self {
            shared,
            keeper,
            current,
            next_generation,
            next_number,
            buffer: Vec::new(),
        }
    }

    pub(super) fn start(self) -> io::Result<ConnectionThread<Append>> {
        ConnectionThread::start("intake-log", self, Self::serve, drop)
    }

    /// Begins a new segment if the newest cannot be gone on with, so that a torn end is found once.
    pub(super) fn leave_what_is_damaged(&mut self) {
        if self.current.is_none() && self.shared.index().segments() > 0 {
            // Whoever appends first is told if no folder takes it.
            drop(self.begin_segment(0, self.shared.folders.len()));
        }
    }

    fn serve(&mut self, batch: Vec<Append>) {
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
    torture::point("log.writing");
    segment.file.write_all_at(bytes, at)?;
    torture::point("log.appended");
    segment.file.sync_data()?;
    torture::point("log.synced");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::super::keep::Keeper;
    use super::super::record::encode;
    use super::super::{IntakeLogSettings, inspect, open};
    use super::*;
    use crate::desks::{NewNotification, NotificationHead};

    const LENGTH: u64 = 16 * 1024;

    fn appender(folders: &[&Path]) -> Appender {
        let folders = folders.iter().map(|folder| folder.to_path_buf()).collect();
        let mut settings = IntakeLogSettings::new(folders);
        (settings.segment_bytes, settings.reserve_bytes) = (LENGTH, 0);
        let (shared, start) = open::find(settings).unwrap();
        let shared = Arc::new(shared);
        let keeper = Keeper::new(Arc::clone(&shared)).start().unwrap();
        Appender::new(shared, Arc::new(keeper), start)
    }

    fn record() -> Vec<u8> {
        let notification = NewNotification {
            id: uuid::Uuid::nil(),
            org: "acme".into(),
            subject: None,
            head: NotificationHead::default(),
            dedupe_key: None,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            body: bytes::Bytes::new(),
        };
        encode(&notification).unwrap()
    }

    /// Appends that many records at once, and gives the positions that their callers were told.
    fn append(appender: &mut Appender, number: usize) -> Vec<u64> {
        let (mut batch, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..number {
            let (caller, answer) = oneshot::channel();
            let record = record();
            batch.push(Append { record, caller });
            answers.push(answer);
        }
        appender.serve(batch);
        let answers = answers
            .into_iter()
            .map(|mut answer| answer.try_recv().unwrap().unwrap().0);
        answers.collect()
    }

    /// What is written to the current segment fails from now on.
    fn break_segment(appender: &mut Appender) -> Arc<Segment> {
        let current = appender.current.as_mut().unwrap();
        let Segment { path, folder, .. } = &*current.segment;
        let unwritable = Segment::new(File::open(path).unwrap(), path.clone(), *folder).unwrap();
        current.segment = Arc::new(unwritable);
        Arc::clone(&current.segment)
    }

    #[test]
    fn after_a_failed_write_what_was_not_answered_goes_to_another_segment() {
        let folder = tempfile::tempdir().unwrap();
        let mut appender = appender(&[folder.path()]);
        assert_eq!(append(&mut appender, 2), [1, 2]);
        let broken = break_segment(&mut appender);
        assert_eq!(append(&mut appender, 3), [3, 4, 5]);
        assert!(broken.is_distrusted());
        let index = appender.shared.index();
        let views = [index.view_after(0).unwrap(), index.view_after(2).unwrap()];
        assert_eq!(
            views[0].stretch.to,
            FIRST_RECORD + 2 * record().len() as u64,
            "it ends with what is on the disk"
        );
        assert_eq!((views[0].last, views[1].stretch.first), (2, 3));
    }

    #[test]
    fn what_a_failed_write_left_is_not_taken_for_what_came_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut appender = appender(&[folder.path()]);
        assert_eq!(append(&mut appender, 1), [1]);
        // All of it is on the disk, although nobody was told so.
        let current = appender.current.as_ref().unwrap();
        let (caller, _) = oneshot::channel();
        let record = record();
        stamp(&[Append { record, caller }], current.imprint, 2, &mut appender.buffer);
        write(&current.segment, &appender.buffer, current.end).unwrap();
        break_segment(&mut appender);
        assert_eq!(append(&mut appender, 2), [2, 3]);
        let found = inspect(&[folder.path().to_owned()]).unwrap().unwrap();
        let numbers: Vec<u64> = found.records(Position::START).map(|(position, _)| position.0).collect();
        assert_eq!((numbers, found.records), (vec![1, 2, 3], 3));
    }

    #[test]
    fn after_a_failed_write_the_next_folder_is_tried_first() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut appender = appender(&[first.path(), second.path()]);
        for (number, folder) in [(1, 0), (2, 1), (3, 1)] {
            assert_eq!(append(&mut appender, 1), [number]);
            assert_eq!(appender.current.as_ref().unwrap().segment.folder, folder);
            if number == 1 {
                break_segment(&mut appender);
            }
        }
    }

    #[tokio::test]
    async fn where_no_segment_can_be_written_the_callers_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut appender = appender(&[&path]);
        append(&mut appender, 1);
        break_segment(&mut appender);
        // Nobody makes another one meanwhile.
        appender.keeper.close().await;
        std::fs::remove_dir_all(&path).unwrap();
        while appender.shared.folders[0].spares() > 0 {
            drop(appender.shared.folders[0].segment(appender.shared.id, LENGTH));
        }
        let (caller, mut answer) = oneshot::channel();
        let record = record();
        appender.serve(vec![Append { record, caller }]);
        let refused = answer.try_recv().unwrap();
        assert!(
            matches!(refused, Err(IntakeLogError::Unavailable { .. })),
            "{refused:?}"
        );
    }
}
