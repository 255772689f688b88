//! Prune: removes from the store what is old and needed by nobody, so that it stays about as large as it is.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use metrics::{counter, gauge};
use runs_store::{Prune, Pruned, Store, torture};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::RetentionConfig;
use crate::telemetry;

/// How long after one pass the next one begins.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// How many rows of each kind one transaction looks at: few enough that nobody notices the wait.
const BATCH: usize = 200;
/// How long the others have the store for themselves in between.
const PAUSE: Duration = Duration::from_millis(20);
/// However full the store is, this much stays: it is the memory for duplicates.
const AT_LEAST: SignedDuration = SignedDuration::from_hours(24);

/// The pruning stage.
pub(crate) struct Pruner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) config: RetentionConfig,
}

impl Pruner {
    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.pass_by_age(&stop).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn pass_by_age(&self, stop: &CancellationToken) {
        let ages = (
            self.config.events(),
            self.config.notifications(),
            self.config.snapshots(),
        );
        let Some(used) = self.pass(ages, stop).await else {
            return;
        };
        let Some(most) = self.config.max_bytes().filter(|most| used > *most) else {
            return;
        };
        warn!(
            used,
            most, "the store is larger than retention.max_megabytes: what was done is removed from a day ago on"
        );
        let day = Some(AT_LEAST);
        self.pass((day, day, self.config.snapshots()), stop).await;
    }

    /// Removes what is older than these ages; how much room the rest takes up.
    async fn pass(
        &self,
        (events, notifications, snapshots): (Option<SignedDuration>, Option<SignedDuration>, Option<SignedDuration>),
        stop: &CancellationToken,
    ) -> Option<u64> {
        let now = self.clock.wall();
        let before = |age: Option<SignedDuration>| age.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN));
        let mut next = Prune {
            events_before: before(events),
            notifications_before: before(notifications),
            snapshots_before: before(snapshots),
            limit: BATCH,
            ..Prune::default()
        };
        let mut removed = [0_u64; 3];
        loop {
            let pruned: Pruned = match self.store.prune(next).await {
                Ok(pruned) => pruned,
                Err(error) => {
                    warn!(error = telemetry::chain(&error), "what is old cannot be removed now");
                    return None;
                }
            };
            let counts = [
                ("event", pruned.events),
                ("notification", pruned.notifications),
                ("snapshot", pruned.snapshots),
            ];
            for ((what, count), sum) in counts.into_iter().zip(&mut removed) {
                counter!("runs_worker_pruned_total", "what" => what).increment(count);
                *sum += count;
            }
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
            gauge!("runs_worker_store_bytes").set(pruned.used_bytes as f64);
            torture::point("prune.batch-removed");
            if pruned.is_done {
                let [events, notifications, snapshots] = removed;
                if removed.iter().sum::<u64>() > 0 {
                    info!(events, notifications, snapshots, "what is old was removed");
                }
                return Some(pruned.used_bytes);
            }
            next = pruned.next;
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}
