//! While nothing can be accepted, because the file descriptors are used up for example.

use std::io;
use std::time::Duration;

use metrics::counter;
use tracing::{info, warn};

/// How long to wait for some connections to be closed, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// One line at the start and one at the end, and pauses that grow.
#[derive(Debug, Default)]
pub(super) struct AcceptTrouble {
    failures: u32,
}

impl AcceptTrouble {
    /// How long to wait.
    pub(super) fn note(&mut self, error: &io::Error) -> Duration {
        counter!("runs_worker_accept_errors_total").increment(1);
        if self.failures == 0 {
            warn!(%error, "cannot accept connections; they wait in the kernel's queue");
        }
        self.failures = self.failures.saturating_add(1);
        let (first, most) = PAUSE;
        first.saturating_mul(1 << self.failures.min(16)).min(most)
    }

    pub(super) fn over(&mut self) {
        if self.failures > 0 {
            info!(failures = self.failures, "connections are accepted again");
            self.failures = 0;
        }
    }
}
