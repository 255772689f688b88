//! Which segments hold what, shared by the log's threads.

use std::collections::VecDeque;
use std::sync::Arc;

use super::record::Imprint;
use super::segment::{FIRST_RECORD, Segment, SegmentHeader};
use super::walk::Stretch;

/// A segment that records are in.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) segment: Arc<Segment>,
    pub(super) header: SegmentHeader,
    /// Where its records end, as far as they are on the disk; at the latest, if it was written before the log was opened.
    pub(super) end: u64,
}

/// All of them, in the order of their generations, which is the order of their records.
#[derive(Debug, Default)]
pub(super) struct Index {
    live: VecDeque<Live>,
    /// The highest number that was given out, or that is never to be.
    pub(super) last: u64,
    /// Everything up to here may go.
    released: u64,
}

/// A part of the log that can be read without a lock.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) segment: Arc<Segment>,
    pub(super) stretch: Stretch,
    /// The last number that this segment can have.
    pub(super) last: u64,
    /// Whether another one follows.
    pub(super) has_next: bool,
}

impl Index {
    pub(super) fn new(live: Vec<Live>, last: u64) -> Self {
        Self {
            live: live.into(),
            last,
            released: 0,
        }
    }

    pub(super) fn begin(&mut self, live: Live) {
        self.live.push_back(live);
    }

    /// The newest segment holds more.
    pub(super) fn extend(&mut self, end: u64, last: u64) {
        if let Some(newest) = self.live.back_mut() {
            newest.end = end;
        }
        self.last = last;
    }

    /// The first segment that can have a number above this.
    pub(super) fn view_after(&self, number: u64) -> Option<View> {
        let following = self
            .live
            .partition_point(|live| live.header.first <= number.saturating_add(1));
        self.view(following.saturating_sub(1))
    }

    fn view(&self, place: usize) -> Option<View> {
        let live = self.live.get(place)?;
        let next = self.live.get(place + 1).map(|next| next.header.first);
        Some(View {
            segment: Arc::clone(&live.segment),
            stretch: Stretch {
                next_segment: next.unwrap_or(u64::MAX),
                ..Stretch::whole(live.header, live.end)
            },
            last: next.map_or(self.last, |next| next - 1),
            has_next: next.is_some(),
        })
    }

    pub(super) fn has(&self, imprint: Imprint) -> bool {
        self.live.iter().any(|live| live.header.imprint() == imprint)
    }

    pub(super) fn release(&mut self, through: u64) {
        // There is always a next number.
        let through = through.min(u64::MAX >> 1);
        self.released = self.released.max(through);
        self.last = self.last.max(through);
    }

    /// Takes out the oldest segment, if it is not needed any more. The newest one stays, because it knows the number to
    /// go on with.
    pub(super) fn take_released(&mut self) -> Option<Live> {
        let next = self.live.get(1)?;
        if next.header.first - 1 > self.released {
            return None;
        }
        self.live.pop_front()
    }

    /// How long the files are that hold something which is not released.
    pub(super) fn needed_bytes(&self) -> u64 {
        let following = self.live.partition_point(|live| live.header.first <= self.released + 1);
        let is_last_released = following == self.live.len() && self.last <= self.released;
        let from = if is_last_released {
            following
        } else {
            following.saturating_sub(1)
        };
        self.live.iter().skip(from).map(|live| live.segment.length).sum()
    }

    /// How many bytes of records are not released, counted by whole segments.
    pub(super) fn waiting_bytes(&self) -> u64 {
        if self.last <= self.released {
            return 0;
        }
        let following = self.live.partition_point(|live| live.header.first <= self.released + 1);
        let waiting = self.live.iter().skip(following.saturating_sub(1));
        waiting.map(|live| live.end.saturating_sub(FIRST_RECORD)).sum()
    }

    pub(super) fn segments(&self) -> usize {
        self.live.len()
    }
}
