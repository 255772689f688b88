//! The thread that keeps room ready: it makes files ahead, and those that are not needed any more ready to be used again.

use std::fs;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::folder::Folder;
use super::index::Live;
use super::segment::{SPARE, Segment, SegmentHeader, unreadable_name};
use super::{IntakeLogError, Shared};
use crate::thread::ConnectionThread;
use crate::torture;

/// What is asked of it.
pub(super) enum Chore {
    /// Looks what is to be done.
    Tidy,
    /// Everything up to this number may go.
    Release(u64, oneshot::Sender<Result<(), IntakeLogError>>),
}

/// What the thread owns.
pub(super) struct Keeper {
    shared: Arc<Shared>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn start(self) -> io::Result<ConnectionThread<Chore>> {
        ConnectionThread::start("intake-log-keeper", self, Self::serve, drop)
    }

    fn serve(&mut self, chores: Vec<Chore>) {
        let mut callers = Vec::new();
        for chore in chores {
            if let Chore::Release(through, caller) = chore {
                self.shared.index().release(through);
                callers.push(caller);
            }
        }
        self.recycle();
        for caller in callers {
            // The caller may have gone.
            drop(caller.send(Ok(())));
        }
        for folder in &self.shared.folders {
            self.refill(folder);
        }
    }

    /// How many files are to wait in each folder. One does so always: to make a file takes longer than a batch may.
    fn wanted(&self) -> usize {
        let settings = &self.shared.settings;
        let files = settings.reserve_bytes.div_ceil(self.shared.segment_length);
        usize::try_from(files.max(1)).unwrap_or(usize::MAX)
    }

    fn recycle(&self) {
        loop {
            let (released, last) = {
                let mut index = self.shared.index();
                (index.take_released(), index.last)
            };
            let Some(Live { segment, .. }) = released else { break };
            let folder = &self.shared.folders[segment.folder];
            let is_useful = segment.length == self.shared.segment_length
                && !segment.is_distrusted()
                && !segment.is_unreadable()
                && folder.is_usable()
                && folder.spares() < self.wanted();
            let header = SegmentHeader::new(self.shared.id, SPARE, last + 1, self.shared.era);
            // Not waited for: should the header before come back, then so does what was released.
            if is_useful && segment.write_headers(header).is_ok() {
                folder.keep(segment);
                torture::point("log.segment-recycled");
            } else if let Err(error) = put_away(&segment) {
                tracing::warn!(path = %segment.path.display(), %error, "a segment of the intake log cannot be removed");
            }
        }
    }

    fn refill(&self, folder: &Folder) {
        while folder.is_usable()
            && folder.spares() < self.wanted()
            && !folder.is_resting(self.shared.settings.retry_folder_after)
        {
            match folder.create(self.shared.id, self.shared.segment_length) {
                Ok(segment) => folder.keep(Arc::new(segment)),
                Err(error) => {
                    tracing::warn!(folder = %folder.path.display(), %error, "no room can be reserved for the intake log");
                    return;
                }
            }
        }
    }
}

/// A segment that could not be read may be readable elsewhere, or for a person with other means.
fn put_away(segment: &Segment) -> io::Result<()> {
    if segment.is_unreadable() {
        fs::rename(&segment.path, unreadable_name(&segment.path))
    } else {
        fs::remove_file(&segment.path)
    }
}
