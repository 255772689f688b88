//! One limit as a token bucket. Decides only; it neither waits nor looks at a clock.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// Of every five requests in a window, one may come as part of a burst.
const BURST_SHARE: u32 = 5;

/// A token bucket that never lets more than `limit` requests through in any stretch of time as long as `window`.
///
/// A full bucket can be emptied at once and is refilled meanwhile, so what passes in a window is the capacity *plus* the
/// refill. The capacity is a fifth of the limit, and at least one; the refill is the rest.
///
/// It is kept as the one instant at which the bucket would be full again. Each request moves that instant ahead by the
/// time that one token takes.
#[derive(Debug)]
pub(super) struct Bucket {
    per_token: Duration,
    /// How long an empty bucket takes until it is full.
    to_fill: Duration,
    full_at: Instant,
}

impl Bucket {
    pub(super) fn new(limit: NonZeroU32, window: Duration, now: Instant) -> Self {
        let limit = limit.get();
        let capacity = (limit / BURST_SHARE).max(1);
        let per_token = match limit - capacity {
            // With a limit of one, nothing is left for the refill. One token for each window is right all the same,
            // because it can never meet a token from a burst; the millisecond keeps the two ends of a window apart.
            0 => window + Duration::from_millis(1),
            refill => divide_up(window, refill),
        };
        Self {
            per_token,
            to_fill: per_token * capacity,
            full_at: now,
        }
    }

    /// When a token is there, if nobody takes one before.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        let one_missing = self.to_fill - self.per_token;
        self.full_at
            .checked_sub(one_missing)
            .map_or(now, |ready| ready.max(now))
    }

    /// Takes a token, which must be there.
    /// How long until nothing of it is used any more.
    pub(super) fn until_full(&self, now: Instant) -> Duration {
        self.full_at.saturating_duration_since(now)
    }

    /// Uses as much as takes so long to come back, if that is more than is used.
    pub(super) fn use_up(&mut self, until_full: Duration, now: Instant) {
        self.full_at = self.full_at.max(now + until_full.min(self.to_fill));
    }

    /// How many may be sent at most in so long, whatever was sent before.
    pub(super) fn most_within(&self, stretch: Duration) -> u32 {
        let tokens = (self.to_fill + stretch).as_nanos() / self.per_token.as_nanos().max(1);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    /// Counts so many that may have been sent up to now. More than empty it never was.
    pub(super) fn assume(&mut self, sent: u32, now: Instant) {
        let used = self.per_token.checked_mul(sent).unwrap_or(self.to_fill);
        self.full_at = (self.full_at.max(now) + used).min(now + self.to_fill).max(self.full_at);
    }

    /// How many could be sent now.
    pub(super) fn available(&self, now: Instant) -> usize {
        let missing = self.full_at.saturating_duration_since(now);
        let there = self.to_fill.saturating_sub(missing).as_nanos() / self.per_token.as_nanos().max(1);
        usize::try_from(there).unwrap_or(usize::MAX)
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.per_token;
    }

    /// Makes it empty at `instant`, unless it is emptier still.
    pub(super) fn drain(&mut self, instant: Instant) {
        self.full_at = self.full_at.max(instant + self.to_fill);
    }
}

/// Rounds up: with a limit of millions, what is lost by rounding down would add up to requests too many.
fn divide_up(window: Duration, parts: u32) -> Duration {
    let exact = window / parts;
    if exact * parts < window {
        exact + Duration::from_nanos(1)
    } else {
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn bucket(limit: u32, now: Instant) -> Bucket {
        Bucket::new(NonZeroU32::new(limit).unwrap(), MINUTE, now)
    }

    /// Takes as fast as the bucket allows.
    fn greedy(bucket: &mut Bucket, start: Instant, count: usize) -> Vec<Duration> {
        let mut now = start;
        (0..count)
            .map(|_| {
                now = bucket.ready_at(now);
                bucket.take(now);
                now - start
            })
            .collect()
    }

    #[test]
    fn a_burst_is_a_fifth_and_the_rest_comes_evenly() {
        let start = Instant::now();
        let taken = greedy(&mut bucket(100, start), start, 22);
        assert_eq!(taken[19], Duration::ZERO);
        assert_eq!(taken[20], Duration::from_millis(750));
        assert_eq!(taken[21], Duration::from_millis(1500));
    }

    #[test]
    fn what_may_have_been_sent_is_never_less_than_what_was() {
        let start = Instant::now();
        for (limit, millis) in [(1, 10_u64), (10, 250), (100, 6000), (100, 60_000)] {
            let stretch = Duration::from_millis(millis);
            let mut sender = bucket(limit, start);
            let written = sender.until_full(start);
            let sent = greedy(&mut sender, start, 1000).into_iter();
            let sent = sent.take_while(|at| *at <= stretch).count();
            let mut sender = bucket(limit, start);
            greedy(&mut sender, start, sent);
            let end = start + stretch;
            let mut next = bucket(limit, end);
            next.use_up(written.saturating_sub(stretch), end);
            assert!(next.most_within(stretch) as usize >= sent, "limit {limit}: {sent}");
            next.assume(next.most_within(stretch), end);
            assert!(
                next.ready_at(end) >= sender.ready_at(end),
                "limit {limit} in {stretch:?}"
            );
            assert!(
                next.until_full(end) >= sender.until_full(end),
                "limit {limit} in {stretch:?}"
            );
            assert!(next.until_full(end) <= next.to_fill, "it is no more than empty");
        }
    }

    #[test]
    fn small_limits_have_no_burst() {
        let start = Instant::now();
        for (limit, second) in [(1, 60_001), (2, 60_000), (3, 30_000), (4, 20_000), (5, 15_000)] {
            let taken = greedy(&mut bucket(limit, start), start, 2);
            assert_eq!(taken, [Duration::ZERO, Duration::from_millis(second)], "limit {limit}");
        }
    }

    #[test]
    fn limits_beyond_one_in_a_microsecond_are_not_rounded_in_the_wrong_direction() {
        let start = Instant::now();
        for limit in [7_000_000, 250_000_000, u32::MAX] {
            let refill = limit - limit / BURST_SHARE;
            assert!(bucket(limit, start).per_token * refill >= MINUTE, "limit {limit}");
        }
    }

    #[test]
    fn a_drained_bucket_has_its_first_token_after_one_interval() {
        let start = Instant::now();
        let mut bucket = bucket(100, start);
        bucket.drain(start + MINUTE);
        let taken = greedy(&mut bucket, start, 3);
        assert_eq!(taken, [60_750, 61_500, 62_250].map(Duration::from_millis));
    }

    #[test]
    fn no_limit_up_to_300_is_exceeded_in_any_window() {
        let start = Instant::now();
        for limit in 1..=300_u32 {
            // A greedy caller, and one that rests first for as long as fills the bucket to each level.
            for rest_ms in [0, 1, 749, 15_000, 59_999, 60_000, 61_000] {
                let mut bucket = bucket(limit, start);
                let limit = limit as usize;
                let mut taken = greedy(&mut bucket, start, limit);
                let later = start + taken[limit - 1] + Duration::from_millis(rest_ms);
                taken.extend(
                    greedy(&mut bucket, later, 2 * limit)
                        .iter()
                        .map(|&after| later - start + after),
                );
                let closest = taken
                    .windows(limit + 1)
                    .map(|pair| pair[limit] - pair[0])
                    .min()
                    .unwrap();
                assert!(closest >= MINUTE, "limit {limit}, rest {rest_ms} ms: {closest:?}");
            }
        }
    }
}
