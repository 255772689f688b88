//! What the store counts, as metrics.

use metrics::gauge;

use super::Admin;
use crate::shared::disk::{self, Room};
use crate::telemetry::process;
use crate::tell::Budget;
use runs_store::SchedulingTime;

impl Admin {
    /// Brings what the store counts into the metrics.
    pub(super) async fn record_stats(&self) {
        let now = self.clock.now();
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
        let count = |number: u64| number as f64;
        // Before the store, which is where all of it goes: what moves meanwhile is counted twice, and not left out.
        if let Some(progress) = &self.progress {
            gauge!("runs_worker_intake_waiting").set(count(progress.waiting()));
            gauge!("runs_worker_intake_bytes").set(count(progress.waiting_bytes()));
        }
        process::record();
        for folder in &self.folders {
            if let Some(Room { free, size }) = disk::room(folder) {
                let name = folder.display().to_string();
                gauge!("runs_worker_disk_free_bytes", "folder" => name.clone()).set(count(free));
                gauge!("runs_worker_disk_size_bytes", "folder" => name).set(count(size));
            }
        }
        for (org, _) in &self.limiters {
            for Budget { seconds, left, .. } in self.budget(org) {
                gauge!("runs_worker_api_budget_left", "org" => org.clone(), "seconds" => seconds.to_string())
                    .set(count(left));
            }
        }
        let Ok(store) = self.store.get() else { return };
        if let Ok(oldest) = store.oldest_transaction().await {
            gauge!("runs_worker_store_oldest_transaction_seconds").set(oldest.unwrap_or_default());
        }
        let Ok(stats) = store.stats(now).await else { return };
        let age = |since: Option<SchedulingTime>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
        gauge!("runs_worker_due").set(count(stats.due));
        gauge!("runs_worker_oldest_due_seconds").set(age(stats.oldest_due));
        gauge!("runs_worker_unrecognized").set(count(stats.unrecognized));
        gauge!("runs_worker_store_log_bytes").set(count(stats.log_bytes));
        for handler in stats.handlers {
            let name = handler.handler.to_string();
            gauge!("runs_worker_undelivered", "handler" => name.clone()).set(count(handler.waiting));
            gauge!("runs_worker_oldest_undelivered_seconds", "handler" => name.clone()).set(age(handler.oldest));
            gauge!("runs_worker_dead_letters", "handler" => name).set(count(handler.dead_letters));
        }
    }
}
