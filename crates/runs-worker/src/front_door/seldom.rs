//! A log line that strangers can cause must not fill the disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How far two lines are apart at least.
const BETWEEN: Duration = Duration::from_secs(60);

/// Lets one line through in a minute, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Whether to write a line now, and if so, for how many cases: this one and those that were not written.
    pub(crate) fn cases(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        let now = Instant::now();
        if state.last.is_some_and(|last| now.duration_since(last) < BETWEEN) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn at_most_one_line_a_minute_is_written_and_none_is_uncounted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.cases(), Some(1));
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(10)).await;
            assert_eq!(seldom.cases(), None);
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(seldom.cases(), Some(6));
    }
}
