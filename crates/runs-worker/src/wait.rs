//! Waiting for work: a wake-up is a hint, the store is the truth.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use runs_store::SchedulingTime;

/// The longest that a stage goes without a look at the store, whatever it was told: a person may have changed something
/// there, beside the worker. A look that finds nothing writes nothing.
const LONGEST: Duration = Duration::from_secs(2);
/// The shortest, so that a stage whose work is held by somebody else does not spin.
const SHORTEST: Duration = Duration::from_millis(1);
/// After the store could not be used: how long before it is tried again.
pub(crate) const AFTER_STORE_TROUBLE: Duration = Duration::from_secs(1);

/// The longest that what has ended waits for something else to end.
const GATHER: Duration = Duration::from_millis(20);

/// Waits for a stage.
pub(crate) struct Wait {
    wakeup: watch::Receiver<u64>,
    clock: Clock,
}

impl Wait {
    pub(crate) fn new(wakeup: watch::Receiver<u64>, clock: Clock) -> Self {
        Self { wakeup, clock }
    }

    /// Before a claim: from here on, a wake-up is about something that the claim may not have seen.
    pub(crate) fn mark_seen(&mut self) {
        self.wakeup.mark_unchanged();
    }

    /// After a claim that brought nothing: until something may be due.
    pub(crate) async fn for_work(&mut self, next_due: Option<SchedulingTime>, stop: &CancellationToken) {
        let until_due = next_due.map_or(LONGEST, |due| {
            // What has become due since the claim is negative here, and due at once.
            let wait = due.since(self.clock.now());
            wait.clamp(SHORTEST, LONGEST)
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(until_due) => {}
            changed = self.wakeup.changed() => {
                if changed.is_err() {
                    // The store is closing: nothing will ever wake this up again.
                    tokio::time::sleep(AFTER_STORE_TROUBLE).await;
                }
            }
        }
    }

    /// For this long, whatever happens.
    pub(crate) async fn pause(&mut self, length: Duration, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(length) => {}
        }
    }
}

/// Gathers what ends at about the same time, so that the store is told once of all of it.
///
/// It waits no longer than the store took last time: then what waits costs at most as much time as it saves.
#[derive(Default)]
pub(crate) struct Gather {
    store_took: Duration,
}

impl Gather {
    /// Notes how long the store took.
    pub(crate) fn note(&mut self, begun: Instant) {
        self.store_took = begun.elapsed();
    }

    /// What else ends soon of what is in hand, after something did.
    pub(crate) async fn more<T: 'static>(&self, in_hand: &mut JoinSet<T>) -> Vec<Result<T, JoinError>> {
        let mut ended = Vec::new();
        let all = async {
            while let Some(one) = in_hand.join_next().await {
                ended.push(one);
            }
        };
        // The others are collected when they end.
        let _late = tokio::time::timeout(self.store_took.min(GATHER), all).await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long it waits for something that is due this many seconds from the claim, when the claim took one second.
    async fn waits(due_in: i64) -> Duration {
        let start = Timestamp::UNIX_EPOCH;
        let (_wakeups, wakeup) = watch::channel(0);
        let mut wait = Wait::new(wakeup, Clock::starting_at(start));
        tokio::time::advance(SECOND).await;
        let before = tokio::time::Instant::now();
        let due = Timestamp::from_second(due_in).ok().map(SchedulingTime::new);
        wait.for_work(due, &CancellationToken::new()).await;
        before.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_until_something_is_due_and_never_longer_than_a_person_does() {
        assert_eq!(waits(2).await, SECOND);
        assert_eq!(waits(3600).await, LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_become_due_since_the_claim_is_not_waited_for() {
        assert_eq!(waits(0).await, SHORTEST);
        assert_eq!(waits(1).await, SHORTEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wakeup_between_the_look_and_the_wait_is_not_missed() {
        let (wakeups, wakeup) = watch::channel(0);
        let mut wait = Wait::new(wakeup, Clock::starting_at(Timestamp::UNIX_EPOCH));
        wakeups.send_replace(1);
        wait.mark_seen();
        wakeups.send_replace(2);
        let before = tokio::time::Instant::now();
        wait.for_work(None, &CancellationToken::new()).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
