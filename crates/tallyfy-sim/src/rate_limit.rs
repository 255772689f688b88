//! A rolling limit on calls for each minute.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);

/// Counts calls within the last minute, on tokio's clock, which tests can pause.
#[derive(Debug, Default)]
pub(crate) struct RateLimit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    limit: Option<NonZeroU32>,
    calls: VecDeque<Instant>,
}

/// What the limit says to a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no limit.
    Unlimited,
    /// Go ahead.
    Allowed { limit: u32, remaining: u32 },
    /// Too many. The oldest call leaves the window after so many seconds.
    Refused { limit: u32, seconds: u32 },
}

impl RateLimit {
    pub(crate) fn set(&self, limit: Option<NonZeroU32>) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *window = Window {
            limit,
            calls: VecDeque::new(),
        };
    }

    /// Asks for a call now. A refused call does not count.
    pub(crate) fn ask(&self) -> Verdict {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = window.limit else {
            return Verdict::Unlimited;
        };
        let now = Instant::now();
        while window
            .calls
            .front()
            .is_some_and(|oldest| now.duration_since(*oldest) >= WINDOW)
        {
            window.calls.pop_front();
        }
        let limit = limit.get();
        let used = u32::try_from(window.calls.len()).unwrap_or(u32::MAX);
        if used >= limit {
            let oldest = window.calls.front().copied().unwrap_or(now);
            let left = WINDOW.saturating_sub(now.duration_since(oldest));
            let seconds = u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(60);
            return Verdict::Refused {
                limit,
                seconds: seconds.max(1),
            };
        }
        window.calls.push_back(now);
        Verdict::Allowed {
            limit,
            remaining: limit - used - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_leave_the_window_after_a_minute() {
        let limit = RateLimit::default();
        assert_eq!(limit.ask(), Verdict::Unlimited);
        limit.set(NonZeroU32::new(2));
        assert_eq!(limit.ask(), Verdict::Allowed { limit: 2, remaining: 1 });
        tokio::time::advance(Duration::from_millis(20_500)).await;
        assert_eq!(limit.ask(), Verdict::Allowed { limit: 2, remaining: 0 });
        assert_eq!(limit.ask(), Verdict::Refused { limit: 2, seconds: 40 });
        tokio::time::advance(Duration::from_millis(39_500)).await;
        assert_eq!(limit.ask(), Verdict::Allowed { limit: 2, remaining: 0 });
    }
}
