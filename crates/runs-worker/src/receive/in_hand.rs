//! How much is taken in at a time: bodies in memory, and webhooks that wait for the store.
//!
//! Only who knows a secret gets this far. When the memory for bodies is used up, the body that has been arriving for
//! longest makes room: whoever sends a byte a second loses before whoever sends a webhook at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The worker is at its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Counts what is in hand.
#[derive(Debug)]
pub(super) struct InHand {
    most_bytes: usize,
    table: Mutex<Table>,
    waiting: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Table {
    bytes: usize,
    next: u64,
    /// The bodies that are arriving, the longest-arriving first, with what they hold.
    arriving: BTreeMap<u64, (usize, CancellationToken)>,
}

impl InHand {
    pub(super) fn new(most_bytes: usize, most_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            most_bytes,
            table: Mutex::default(),
            waiting: Arc::new(Semaphore::new(most_waiting.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// Begins a body.
    pub(super) fn begin(self: &Arc<Self>) -> Arriving {
        let mut table = self.lock();
        let turn = table.next;
        table.next += 1;
        let refused = CancellationToken::new();
        table.arriving.insert(turn, (0, refused.clone()));
        Arriving {
            turn,
            refused,
            held: Held {
                in_hand: Arc::clone(self),
                bytes: 0,
            },
        }
    }

    /// Takes a place among those that wait for the store.
    pub(super) fn wait_for_store(&self) -> Result<OwnedSemaphorePermit, Busy> {
        Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Busy)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is arriving.
#[derive(Debug)]
pub(super) struct Arriving {
    turn: u64,
    refused: CancellationToken,
    held: Held,
}

/// The memory of a body. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Held {
    in_hand: Arc<InHand>,
    bytes: usize,
}

impl Arriving {
    /// Cancelled when this body has to make room for others.
    pub(super) fn refusal(&self) -> CancellationToken {
        self.refused.clone()
    }

    /// Takes memory for more bytes, from the longest-arriving bodies if need be.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Busy> {
        let mut table = self.held.in_hand.lock();
        loop {
            if !table.arriving.contains_key(&self.turn) {
                return Err(Busy);
            }
            if table.bytes.saturating_add(more) <= self.held.in_hand.most_bytes {
                break;
            }
            let Some((_, (bytes, refused))) = table.arriving.pop_first() else {
                return Err(Busy);
            };
            // Counted as free at once; the memory follows as soon as the other task runs.
            table.bytes -= bytes;
            refused.cancel();
        }
        table.bytes += more;
        self.held.bytes += more;
        if let Some((bytes, _)) = table.arriving.get_mut(&self.turn) {
            *bytes += more;
        }
        Ok(())
    }

    /// Gives back what was taken, because the bytes were thrown away.
    pub(super) fn shrink(&mut self) {
        let mut table = self.held.in_hand.lock();
        if let Some((bytes, _)) = table.arriving.get_mut(&self.turn) {
            let held = std::mem::take(bytes);
            table.bytes -= held;
        }
        self.held.bytes = 0;
    }

    /// It has arrived: from now on nobody takes its memory away.
    pub(super) fn arrived(mut self) -> Result<Held, Busy> {
        let arrived = self.held.in_hand.lock().arriving.remove(&self.turn);
        let bytes = std::mem::take(&mut self.held.bytes);
        // If it was just refused, its memory belongs to somebody else.
        arrived.map(|_| ()).ok_or(Busy)?;
        Ok(Held {
            in_hand: Arc::clone(&self.held.in_hand),
            bytes,
        })
    }
}

impl Held {
    /// Holds this many bytes in the place of others, if there is memory for them.
    pub(super) fn replace(&mut self, before: usize, after: usize) -> bool {
        let mut table = self.in_hand.lock();
        let others = table.bytes.saturating_sub(before);
        let fits = others.saturating_add(after) <= self.in_hand.most_bytes;
        if fits {
            table.bytes = others + after;
            self.bytes = self.bytes.saturating_sub(before) + after;
        }
        fits
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // What it holds is given back by `held`, unless somebody has taken it.
        let arriving = self.held.in_hand.lock().arriving.remove(&self.turn);
        if arriving.is_none() {
            self.held.bytes = 0;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.in_hand.lock().bytes -= self.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_arriving_body_makes_room() {
        let in_hand = InHand::new(100, 1);
        let mut slow = in_hand.begin();
        let mut quick = in_hand.begin();
        assert_eq!(slow.grow(60), Ok(()));
        assert_eq!(quick.grow(60), Ok(()));
        assert!(slow.refused.is_cancelled());
        assert_eq!(slow.grow(1), Err(Busy));
        assert!(slow.arrived().is_err());
        drop(quick);
        assert_eq!(in_hand.lock().bytes, 0);
    }

    #[test]
    fn a_body_that_has_arrived_is_not_thrown_away() {
        let in_hand = InHand::new(100, 1);
        let mut first = in_hand.begin();
        assert_eq!(first.grow(60), Ok(()));
        let held = first.arrived();
        let mut second = in_hand.begin();
        assert_eq!(second.grow(60), Err(Busy), "there is nobody else to make room");
        drop(held);
        let mut third = in_hand.begin();
        assert_eq!(third.grow(100), Ok(()));
        third.shrink();
        assert_eq!(in_hand.lock().bytes, 0);
    }

    #[test]
    fn what_is_too_much_for_the_store_is_refused_at_once() {
        let in_hand = InHand::new(100, 1);
        let first = in_hand.wait_for_store();
        assert!(first.is_ok());
        assert_eq!(in_hand.wait_for_store().err(), Some(Busy));
        drop(first);
        assert!(in_hand.wait_for_store().is_ok());
    }
}
