//! What is used of the request budget outlives the process: a worker that restarts again and again sends no more requests
//! than one that does not, and keeps to a pause that the API asked for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics::gauge;
use runs_store::Store;
use serde::{Deserialize, Serialize};
use tallyfy_model::OrgId;
use tallyfy_transport::{RateLimiter, UsedBudget};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::telemetry;

/// How often it is written down, if something was used since.
const EVERY: Duration = Duration::from_millis(250);

/// Writes down what is used of an organization's budget.
#[derive(Clone)]
pub(crate) struct BudgetKeeper {
    /// How long it may go on to send without being able to write that down.
    pub(crate) unwritten: Duration,
    pub(crate) org: OrgId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) limiter: RateLimiter,
}

/// What is used, at a time that other processes understand: near the wall clock's, or that of the database that they share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    at: Timestamp,
    until_full_millis: Vec<u64>,
    pause_millis: u64,
    /// Whether nothing was sent after it. Who is killed has not said so.
    #[serde(default)]
    is_last: bool,
}

impl Written {
    fn new(used: &UsedBudget, at: Timestamp, is_last: bool) -> Self {
        Self {
            at,
            is_last,
            until_full_millis: used.until_full.iter().map(millis).collect(),
            pause_millis: millis(&used.pause),
        }
    }

    /// What of it is still used.
    fn left(&self, now: Timestamp) -> UsedBudget {
        let elapsed = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        let left = |millis: &u64| Duration::from_millis(*millis).saturating_sub(elapsed);
        UsedBudget {
            until_full: self.until_full_millis.iter().map(left).collect(),
            pause: left(&self.pause_millis),
        }
    }
}

/// Rounded up: to send too late is better than too early.
fn millis(length: &Duration) -> u64 {
    u64::try_from(length.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

impl BudgetKeeper {
    /// Goes on with what an earlier process used, and what it may have used since it wrote that down. Nothing is sent before.
    pub(crate) async fn resume(&self) {
        self.take_over().await;
        self.keep(&self.limiter.used(), false).await;
    }

    async fn take_over(&self) {
        let written = match self.store.budget(&self.org).await {
            Ok(written) => written,
            Err(error) => {
                warn!(org = %self.org, error = telemetry::chain(&error), "cannot see what is used of the budget; it begins anew");
                return;
            }
        };
        let written = written.and_then(|text| serde_json::from_str::<Written>(&text).ok());
        let Some(written) = written else { return };
        let used = written.left(self.clock.now().shown());
        if !used.pause.is_zero() {
            info!(org = %self.org, pause = ?used.pause, "the API asked for a pause, which is not over yet");
        }
        self.limiter.resume(&used);
        if !written.is_last {
            self.limiter.assume_used_within(EVERY + self.unwritten);
        }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut last = UsedBudget::default();
        while !stop.is_cancelled() {
            stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
            let used = self.limiter.used();
            gauge!("runs_worker_api_pause_seconds", "org" => self.org.to_string()).set(used.pause.as_secs_f64());
            if is_more(&used, &last) {
                self.keep(&used, false).await;
            }
            last = used;
        }
    }

    /// Writes down the last of it, when nothing is sent any more.
    pub(crate) async fn end(&self) {
        self.keep(&self.limiter.used(), true).await;
    }

    async fn keep(&self, used: &UsedBudget, is_last: bool) {
        let Ok(text) = serde_json::to_string(&Written::new(used, self.clock.now().shown(), is_last)) else {
            return;
        };
        if let Err(error) = self.store.keep_budget(&self.org, text).await {
            warn!(org = %self.org, error = telemetry::chain(&error), "cannot write down what is used of the budget");
        }
    }
}

/// Whether something was used since, and not only time passed.
fn is_more(used: &UsedBudget, last: &UsedBudget) -> bool {
    let mut windows = used.until_full.iter().enumerate();
    let is_more =
        |(place, until_full): (usize, &Duration)| last.until_full.get(place).is_none_or(|last| until_full > last);
    used.pause > last.pause || windows.any(is_more)
}

#[cfg(test)]
mod tests {
    use runs_store::SqliteStore;
    use tallyfy_transport::RateLimits;

    use super::*;

    #[test]
    fn what_was_used_comes_back_as_time_passes() {
        let at: Timestamp = "2026-01-31T09:00:00Z".parse().unwrap();
        let used = UsedBudget {
            until_full: vec![Duration::from_secs(20), Duration::from_secs(600)],
            pause: Duration::from_secs(3600),
        };
        let written = Written::new(&used, at, true);
        assert_eq!(written.left(at), used);
        let left = written.left("2026-01-31T09:00:30Z".parse().unwrap());
        assert_eq!(left.until_full, [Duration::ZERO, Duration::from_secs(570)]);
        assert_eq!(left.pause, Duration::from_secs(3570));
        let set_back = written.left("2026-01-31T08:00:00Z".parse().unwrap());
        assert_eq!(set_back, used, "a clock that was set back makes it no longer");
    }

    fn keeper(store: &Arc<dyn Store>, clock: &Clock) -> BudgetKeeper {
        BudgetKeeper {
            unwritten: Duration::from_secs(6),
            org: OrgId::new("org"),
            store: Arc::clone(store),
            clock: clock.clone(),
            limiter: RateLimiter::new(RateLimits::default()),
        }
    }

    fn sends(keeper: &BudgetKeeper) -> usize {
        std::iter::from_fn(|| keeper.limiter.try_acquire()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_killed_process_may_have_used_counts_as_used() {
        let clock = Clock::starting_at("2026-01-31T09:00:00Z".parse().unwrap());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory(clock.now()).unwrap());
        let killed = keeper(&store, &clock);
        killed.resume().await;
        assert_eq!(sends(&killed), 2, "the burst");
        let next = keeper(&store, &clock);
        next.resume().await;
        assert_eq!(sends(&next), 0, "of which nothing was written down");
        let mut sent = 2;
        for _ in 0..49 {
            tokio::time::advance(Duration::from_millis(100)).await;
            sent += sends(&next);
        }
        assert!((3..=10).contains(&sent), "{sent} in five seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_wrote_down_at_its_end_is_all_that_counts() {
        let clock = Clock::starting_at("2026-01-31T09:00:00Z".parse().unwrap());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory(clock.now()).unwrap());
        let first = keeper(&store, &clock);
        first.resume().await;
        first.limiter.acquire().await;
        first.end().await;
        let next = keeper(&store, &clock);
        next.resume().await;
        assert_eq!(sends(&next), 1, "the other half of the burst");
    }
}
