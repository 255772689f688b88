//! The thread that reads, so that reading never keeps the log from taking more.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::damage::Gap;
use super::index::View;
use super::record::{Imprint, decode};
use super::segment::unreadable_name;
use super::walk::{Step, Walk};
use super::{IntakeLogError, Position, Shared};
use crate::desks::NewNotification;
use crate::thread::ConnectionThread;

/// Notifications in the order of their positions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogBatch {
    /// The notifications, possibly none.
    pub records: Vec<(Position, NewNotification)>,
    /// What to go on after. It may lie beyond the last of the records: past what cannot be read.
    pub through: Position,
}

/// Which records are wanted.
pub(super) struct Read {
    pub(super) after: u64,
    pub(super) limit: usize,
    pub(super) max_bytes: usize,
    pub(super) caller: oneshot::Sender<Result<LogBatch, IntakeLogError>>,
}

/// Where the last read ended, so that the next one need not look for it.
#[derive(Clone, Copy)]
struct Cursor {
    imprint: Imprint,
    number: u64,
    at: u64,
}

/// What the thread owns.
pub(super) struct Reader {
    shared: Arc<Shared>,
    cursor: Option<Cursor>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, cursor: None }
    }

    pub(super) fn start(self) -> io::Result<ConnectionThread<Read>> {
        ConnectionThread::start("intake-log-reader", self, Self::serve, drop)
    }

    fn serve(&mut self, reads: Vec<Read>) {
        for read in reads {
            let batch = self.read(&read);
            // The caller may have gone.
            drop(read.caller.send(batch));
        }
    }

    fn read(&mut self, read: &Read) -> Result<LogBatch, IntakeLogError> {
        let mut gathering = Gathering {
            limit: read.limit.max(1),
            bytes_left: read.max_bytes,
            records: Vec::new(),
            through: read.after,
        };
        loop {
            let view = self.shared.index().view_after(gathering.through);
            let Some(view) = view else { break };
            let read = self.read_segment(&view, &mut gathering);
            view.segment.was_read(read.is_ok());
            match read {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) if view.segment.is_unreadable() && view.has_next => self.give_up_on(&view, &error),
                Err(error) if gathering.records.is_empty() => {
                    return Err(IntakeLogError::unavailable(&view.segment.path, &error));
                }
                // The next call says so.
                Err(_) => break,
            }
            gathering.through = gathering.through.max(view.last);
            if !view.has_next {
                break;
            }
        }
        Ok(LogBatch {
            records: gathering.records,
            through: Position(gathering.through),
        })
    }

    /// Takes records out of one segment; `true` if there are no more in it.
    fn read_segment(&mut self, view: &View, gathering: &mut Gathering) -> io::Result<bool> {
        let mut stretch = view.stretch;
        if let Some(cursor) = self.cursor
            && cursor.imprint == stretch.imprint
            && cursor.number <= gathering.through
        {
            stretch.from = cursor.at;
            stretch.first = cursor.number + 1;
        }
        let mut walk = Walk::new(&view.segment, stretch);
        loop {
            let at = walk.at();
            match walk.step()? {
                Step::Record { number, payload } => {
                    if number > gathering.through && !gathering.take(number, &payload) {
                        return Ok(false);
                    }
                    self.cursor = Some(Cursor {
                        imprint: stretch.imprint,
                        number,
                        at: walk.at(),
                    });
                }
                Step::Damage { bytes } => self.report(view, at, bytes),
                Step::End { torn_bytes } => {
                    self.report(view, at, torn_bytes);
                    return Ok(true);
                }
            }
        }
    }

    /// What follows must not wait for ever for what the disk does not give back.
    fn give_up_on(&self, view: &View, error: &io::Error) {
        let path = unreadable_name(&view.segment.path);
        tracing::error!(kept_at = %path.display(), %error, "a segment of the intake log cannot be read, and is left out");
        self.shared
            .damage()
            .left_out(view.stretch.imprint.generation, view.segment.length, path);
    }

    fn report(&self, view: &View, at: u64, bytes: u64) {
        let imprint = view.stretch.imprint;
        // A segment that was released meanwhile may be in use for something else.
        if bytes > 0 && self.shared.index().has(imprint) {
            tracing::error!(path = %view.segment.path.display(), at, bytes, "a part of the intake log cannot be read");
            let mut damage = self.shared.damage();
            let generation = imprint.generation;
            damage.found(Gap { generation, at, bytes });
            damage.put_aside(&view.segment, generation);
        }
    }
}

/// What was found so far.
struct Gathering {
    limit: usize,
    bytes_left: usize,
    records: Vec<(Position, NewNotification)>,
    through: u64,
}

impl Gathering {
    /// Takes a record, unless there is enough. One is always taken, however large it is.
    fn take(&mut self, number: u64, payload: &Bytes) -> bool {
        let has_room = self.records.len() < self.limit && payload.len() <= self.bytes_left;
        if !self.records.is_empty() && !has_room {
            return false;
        }
        match decode(payload) {
            Some(notification) => {
                self.records.push((Position(number), notification));
                self.bytes_left = self.bytes_left.saturating_sub(payload.len());
            }
            None => tracing::error!(number, "a record of the intake log is of an unknown kind"),
        }
        self.through = number;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::super::index::{Index, Live};
    use super::super::segment::{FIRST_RECORD, Segment, SegmentHeader};
    use super::super::{IntakeLogSettings, open};
    use super::*;

    #[test]
    fn a_segment_that_the_disk_does_not_give_back_is_left_out_after_a_few_tries() {
        let folder = tempfile::tempdir().unwrap();
        let settings = IntakeLogSettings::new(vec![folder.path().to_owned()]);
        let (shared, _) = open::find(settings).unwrap();
        let mut live = Vec::new();
        for (generation, first) in [(1, 1), (2, 10)] {
            let path = folder.path().join(format!("intake-{generation}.log"));
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .unwrap();
            file.set_len(FIRST_RECORD + 1000).unwrap();
            live.push(Live {
                segment: Arc::new(Segment::new(file, path, 0).unwrap()),
                header: SegmentHeader::new(shared.id, generation, first, 0),
                // The second one is empty, so that nothing of it has to be read.
                end: FIRST_RECORD + if generation == 1 { 1000 } else { 0 },
            });
        }
        *shared.index() = Index::new(live, 12);
        let mut reader = Reader::new(Arc::new(shared));
        let mut read = || {
            let (caller, _) = oneshot::channel();
            let (limit, max_bytes) = (10, 1000);
            reader.read(&Read {
                after: 0,
                limit,
                max_bytes,
                caller,
            })
        };
        for _ in 0..4 {
            assert!(matches!(read(), Err(IntakeLogError::Unavailable { .. })));
        }
        assert_eq!(read().unwrap().through, Position(12));
        let damage = reader.shared.damage().clone();
        assert_eq!((damage.places, damage.kept_at.len()), (1, 1));
    }
}
