//! Which organizations this worker fetches for: those whose seats it holds.
//!
//! Where several workers have one store, only the holder of an organization's seat fetches and sweeps for it, so that the
//! request budget stays in one hand. The seats are held again and again, at a third of their term. The worker trusts a seat
//! for less than the whole of its term, counted from before it asked: when it cannot reach the store, it stops before another
//! worker may begin. Where one worker has the store to itself, it holds every seat for as long as it runs.

mod bench;

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use runs_store::{Seats, Store};
use tallyfy_model::OrgId;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) use bench::{Bench, FetchingParts};

use crate::clock::Clock;
use crate::telemetry;

/// Holds seats, and fetches for the organizations whose seats it holds.
pub(crate) struct Seating {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    /// How long a seat is held without being renewed.
    pub(crate) term: Duration,
    pub(crate) benches: Vec<Bench>,
    /// Whether it has stopped to fetch because it could not renew its seats.
    pub(crate) has_lost_trust: bool,
}

/// An organization whose stages have ended, and which of them first.
type Ended = (OrgId, &'static str);

impl Seating {
    /// Runs until `stop`, or until a stage ends that nobody stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut at_work = JoinSet::new();
        let mut trusted_until = Instant::now();
        loop {
            let asked_at = Instant::now();
            match self.hold(&mut at_work, &stop).await {
                Some(seats) if !seats.is_shared => break,
                Some(_) => trusted_until = asked_at + self.term.mul_f64(5.0 / 6.0),
                None => {}
            }
            let next = asked_at + self.term / 3;
            if !self.wait(next, trusted_until, &mut at_work, &stop).await {
                break;
            }
        }
        while let Some(ended) = at_work.join_next().await {
            if self.has_failed(ended, &stop) {
                stop.cancel();
            }
        }
    }

    /// Renews and takes seats, and begins and ends work as they come and go. `None` if the store could not be asked.
    async fn hold(&mut self, at_work: &mut JoinSet<Ended>, stop: &CancellationToken) -> Option<Seats> {
        let orgs: Vec<OrgId> = self.benches.iter().map(|bench| bench.org().clone()).collect();
        let held = timeout(self.term / 3, async {
            if self.has_lost_trust {
                // What was being fetched then is due again with the next term.
                self.store.give_up_seats(&orgs).await?;
            }
            let held = self.store.hold_seats(&orgs, self.term, self.clock.now()).await?;
            if let Some(now) = self.store.time().await? {
                self.clock.hold_to(now);
            }
            Ok::<_, runs_store::StoreError>(held)
        });
        let seats = match held.await {
            Ok(Ok(seats)) => seats,
            Ok(Err(error)) => {
                warn!(reason = telemetry::chain(&error), "cannot renew the seats");
                return None;
            }
            Err(_) => {
                warn!(reason = "the store did not answer in time", "cannot renew the seats");
                return None;
            }
        };
        self.has_lost_trust = false;
        gauge!("runs_worker_seats_renewed_timestamp_seconds").set(self.clock.wall().as_millisecond() as f64 / 1000.0);
        gauge!("runs_worker_seats").set(seats.held.len() as f64);
        for bench in &mut self.benches {
            let is_held = seats.held.contains(bench.org());
            if is_held && !bench.is_at_work() {
                if seats.is_shared {
                    info!(org = %bench.org(), "fetches for this organization now");
                }
                bench.begin(&self.store, &self.clock, at_work, stop.child_token());
            } else if !is_held && bench.is_at_work() {
                warn!(org = %bench.org(), "another worker fetches for this organization now");
                bench.abort();
            } else if seats.surplus.contains(bench.org()) {
                bench.end();
            }
        }
        Some(seats)
    }

    /// Waits until it is time to renew. Whether to go on.
    async fn wait(
        &mut self,
        next: Instant,
        trusted_until: Instant,
        at_work: &mut JoinSet<Ended>,
        stop: &CancellationToken,
    ) -> bool {
        // While the store cannot be asked, the trust ends between two renewals.
        let trust_ends = if trusted_until < next { trusted_until } else { next };
        loop {
            tokio::select! {
                () = stop.cancelled() => return false,
                Some(ended) = at_work.join_next() => {
                    if self.has_failed(ended, stop) {
                        stop.cancel();
                        return false;
                    }
                    self.give_up_what_has_ended().await;
                }
                () = sleep_until(trust_ends), if trust_ends < next && self.benches.iter().any(Bench::is_at_work) => {
                    self.lose_trust();
                }
                () = sleep_until(next) => return true,
            }
        }
    }

    /// Stops to fetch: another worker may begin to.
    fn lose_trust(&mut self) {
        for bench in &mut self.benches {
            if bench.is_at_work() {
                error!(org = %bench.org(), "the seat could not be renewed in time: stops fetching for this organization");
                bench.abort();
                self.has_lost_trust = true;
            }
        }
        gauge!("runs_worker_seats").set(0.0);
    }

    /// Whether a stage ended that nobody stopped.
    fn has_failed(&mut self, ended: Result<Ended, JoinError>, stop: &CancellationToken) -> bool {
        let (org, stage) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => return false,
            Err(error) => {
                error!(%error, "a stage ended by a panic");
                return true;
            }
        };
        let bench = self.benches.iter_mut().find(|bench| *bench.org() == org);
        let was_told = bench.is_some_and(Bench::has_ended) || stop.is_cancelled();
        if !was_told {
            error!(%org, stage, "a stage ended although nobody stopped it");
        }
        !was_told
    }

    async fn give_up_what_has_ended(&mut self) {
        let ended: Vec<OrgId> = self.benches.iter_mut().filter_map(Bench::take_ended).collect();
        if ended.is_empty() {
            return;
        }
        match self.store.give_up_seats(&ended).await {
            Ok(()) => ended
                .iter()
                .for_each(|org| info!(%org, "has left this organization to another worker")),
            Err(error) => warn!(reason = telemetry::chain(&error), "cannot give up seats; they run out"),
        }
    }
}
