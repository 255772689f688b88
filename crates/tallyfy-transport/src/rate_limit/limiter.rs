//! The budget that all callers share.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::bucket::Bucket;
use crate::backoff::Backoff;

const FIVE_SECONDS: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long a 429 without a `Retry-After` stops everybody, by how many there were in a row.
const GUESSED_PAUSE: Backoff = Backoff {
    initial: Duration::from_secs(10),
    max: Duration::from_secs(5 * 60),
};
/// `Retry-After: 0` would make a loop of requests and 429s.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Keeps arithmetic on instants from overflowing.
const LONGEST_PAUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How many requests may be sent; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// In any stretch of five seconds.
    pub per_five_seconds: Option<NonZeroU32>,
    /// In any stretch of a minute.
    pub per_minute: Option<NonZeroU32>,
    /// In any stretch of an hour.
    pub per_hour: Option<NonZeroU32>,
}

/// 10 in five seconds, 100 in a minute and 1000 in an hour, for the whole organization: the strictest of the limits that
/// the vendor's sources claim (API reference, f.2 and k.1, which has about 12 in five seconds).
impl Default for RateLimits {
    fn default() -> Self {
        Self {
            per_five_seconds: NonZeroU32::new(10),
            per_minute: NonZeroU32::new(100),
            per_hour: NonZeroU32::new(1000),
        }
    }
}

/// Hands out permits to send a request. Clones share one budget.
///
/// - In any stretch of five seconds, a minute or an hour, there are never more permits than the limit. This holds for the life of the
///   limiter: it starts with a full burst, a fifth of the lowest limit, and knows nothing of an earlier process.
/// - Who asked first is served first. Who stops waiting takes nothing with it.
/// - After a 429 nobody gets a permit until the pause is over, and from there on they come one by one, without a burst.
///
/// Its time is tokio's, so that a test with a paused clock moves it.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Held by the one who is next; tokio's mutex is fair, which makes the queue.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

/// Somebody who wants a permit. Counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct State {
    /// The shortest window first.
    buckets: Vec<Bucket>,
    /// How many of them are emptied by a 429.
    short: usize,
    paused_until: Option<Instant>,
    /// 429s since the last other answer, counting those once that came from requests under way together.
    in_a_row: u32,
    /// Grows with each pause after a 429, so that an answer can be told from one to a request sent before the pause.
    pauses: u64,
}

/// The right to send one request, to be shown again when the answer is there.
#[derive(Debug)]
pub struct Permit {
    pauses: u64,
}

/// What of a budget is used, so that another process can go on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedBudget {
    /// For each window, the shortest first, how long until nothing of it is used any more.
    pub until_full: Vec<Duration>,
    /// How much longer everybody pauses.
    pub pause: Duration,
}

impl RateLimiter {
    /// A limiter that has sent nothing yet.
    #[must_use]
    pub fn new(limits: RateLimits) -> Self {
        let now = Instant::now();
        let windows = [
            (limits.per_five_seconds, FIVE_SECONDS),
            (limits.per_minute, MINUTE),
            (limits.per_hour, HOUR),
        ];
        let buckets: Vec<_> = windows
            .into_iter()
            .filter_map(|(limit, window)| Some(Bucket::new(limit?, window, now)))
            .collect();
        // To empty the hour's would slow everybody down for most of an hour.
        let short = buckets.len() - usize::from(limits.per_hour.is_some());
        let state = State {
            short: short.max(1),
            buckets,
            paused_until: None,
            in_a_row: 0,
            pauses: 0,
        };
        Self {
            shared: Arc::new(Shared {
                turn: tokio::sync::Mutex::new(()),
                waiting: AtomicUsize::new(0),
                state: Mutex::new(state),
            }),
        }
    }

    /// Waits for a permit and takes it.
    ///
    /// Dropping the future gives up the place in the queue and nothing else.
    pub async fn acquire(&self) -> Permit {
        let _waiting = Waiting::count(&self.shared.waiting);
        let _turn = self.shared.turn.lock().await;
        loop {
            // Between taking the permit and the return there is no await, so it cannot get lost on the way.
            let taken = self.state().take(Instant::now());
            match taken {
                Ok(permit) => return permit,
                Err(ready_at) => sleep_until(ready_at).await,
            }
        }
    }

    /// Waits for a permit no longer than this, and takes it.
    ///
    /// # Errors
    /// After how long there is a permit, if that is not within this time, or if those who asked before take all that come
    /// within it. Where that is certain from the start, nothing is waited for.
    pub async fn acquire_within(&self, longest: Duration) -> Result<Permit, Duration> {
        let now = Instant::now();
        let until_ready = |now: Instant| self.state().ready_at(now).saturating_duration_since(now);
        let wait = until_ready(now);
        if wait > longest {
            return Err(wait);
        }
        // A length that no clock can hold is no limit.
        let Some(deadline) = now.checked_add(longest) else {
            return Ok(self.acquire().await);
        };
        match timeout_at(deadline, self.acquire()).await {
            Ok(permit) => Ok(permit),
            Err(_) => Err(until_ready(Instant::now())),
        }
    }

    /// Takes a permit if there is one now.
    ///
    /// It does not wait in the queue, and may be ahead of those who do.
    pub fn try_acquire(&self) -> Option<Permit> {
        self.state().take(Instant::now()).ok()
    }

    /// What is used now.
    #[must_use]
    pub fn used(&self) -> UsedBudget {
        let now = Instant::now();
        let state = self.state();
        let pause = state.paused_until.map(|until| until.saturating_duration_since(now));
        UsedBudget {
            until_full: state.buckets.iter().map(|bucket| bucket.until_full(now)).collect(),
            pause: pause.unwrap_or_default(),
        }
    }

    /// Goes on with a budget that was used before. One of other windows is left out, but for its pause.
    pub fn resume(&self, used: &UsedBudget) {
        let now = Instant::now();
        let mut state = self.state();
        if state.buckets.len() == used.until_full.len() {
            for (bucket, until_full) in state.buckets.iter_mut().zip(&used.until_full) {
                bucket.use_up(*until_full, now);
            }
        }
        if !used.pause.is_zero() {
            state.pause(now, used.pause);
        }
    }

    /// Counts, besides what is used, as much as may be sent in so long: what another process may have sent before it ended,
    /// and could not write down any more.
    pub fn assume_used_within(&self, stretch: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        let most = state.buckets.iter().map(|bucket| bucket.most_within(stretch)).min();
        for bucket in &mut state.buckets {
            bucket.assume(most.unwrap_or_default(), now);
        }
    }

    /// How many requests could be sent now, up to so many.
    #[must_use]
    pub fn available(&self, most: usize) -> usize {
        let now = Instant::now();
        let state = self.state();
        if state.paused_until.is_some_and(|until| until > now) {
            return 0;
        }
        let buckets = state.buckets.iter().map(|bucket| bucket.available(now));
        buckets.min().unwrap_or(most).min(most)
    }

    /// Whether there is a permit now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let now = Instant::now();
        self.state().ready_at(now) <= now
    }

    /// How many callers wait for a permit now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Waits in the same queue until a permit is there, and leaves it there.
    ///
    /// It is for a caller that wants to choose what to send only when something can be sent. Somebody else may take the
    /// permit before that caller does.
    pub async fn ready(&self) {
        let _turn = self.shared.turn.lock().await;
        loop {
            let now = Instant::now();
            let ready_at = self.state().ready_at(now);
            if ready_at <= now {
                return;
            }
            sleep_until(ready_at).await;
        }
    }

    /// Gives nobody a permit for this long. A pause that ends later stays as it is.
    pub fn pause(&self, length: Duration) {
        self.state().pause(Instant::now(), length);
    }

    /// When the pause ends, if there is one.
    #[must_use]
    pub fn paused_until(&self) -> Option<Instant> {
        self.state().paused_until.filter(|&until| until > Instant::now())
    }

    /// Says that the request for which `permit` was taken was answered with 429.
    ///
    /// Everybody pauses for `retry_after`. Without it, they pause for ten seconds, and twice as long for each further
    /// 429 in a row, up to five minutes.
    pub fn throttled(&self, permit: &Permit, retry_after: Option<Duration>) {
        let now = Instant::now();
        let length = self.state().throttled(now, permit, retry_after);
        if let Some(length) = length {
            tracing::warn!(pause = ?length, server_said = retry_after.is_some(), "rate limited, all requests pause");
        }
    }

    /// Says that the request for which `permit` was taken was answered with anything but 429.
    pub fn answered(&self, permit: &Permit) {
        let mut state = self.state();
        if permit.pauses == state.pauses {
            state.in_a_row = 0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ready_at(&self, now: Instant) -> Instant {
        let buckets = self.buckets.iter().map(|bucket| bucket.ready_at(now));
        buckets.chain(self.paused_until).max().unwrap_or(now)
    }

    fn take(&mut self, now: Instant) -> Result<Permit, Instant> {
        let ready_at = self.ready_at(now);
        if ready_at > now {
            return Err(ready_at);
        }
        for bucket in &mut self.buckets {
            bucket.take(now);
        }
        Ok(Permit { pauses: self.pauses })
    }

    fn pause(&mut self, now: Instant, length: Duration) -> Instant {
        let until = self.paused_until.unwrap_or(now).max(now + length.min(LONGEST_PAUSE));
        self.paused_until = Some(until);
        until
    }

    /// The length of the pause, if this answer is the reason for one.
    fn throttled(&mut self, now: Instant, permit: &Permit, retry_after: Option<Duration>) -> Option<Duration> {
        // Ten requests under way together are answered with ten 429s. They are one event: only the first is counted,
        // and the others can merely make the pause longer.
        let is_first = permit.pauses == self.pauses;
        if is_first {
            self.pauses += 1;
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        let length = match retry_after {
            Some(length) => length.max(SHORTEST_PAUSE),
            None if is_first => GUESSED_PAUSE.full(self.in_a_row),
            None => return None,
        };
        let until = self.pause(now, length);
        for bucket in self.buckets.iter_mut().take(self.short) {
            bucket.drain(until);
        }
        is_first.then_some(length)
    }
}
