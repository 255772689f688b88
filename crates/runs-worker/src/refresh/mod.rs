//! Refresh: fetches the runs that are due, compares them, and commits what handlers are to get.
//!
//! It is a reconciler: a notification says that a run is worth a look, never what it looks like. One of these runs for
//! each organization, since budget and token are the organization's.

mod attempt;
mod decide;
mod gate;

use std::sync::Arc;
use std::time::Duration;

use runs_store::{Claim, HandlerName, Lane, Lanes, Store, torture};
use tallyfy_runs::Client;
use tallyfy_transport::{CircuitBreaker, CircuitState, RateLimiter};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::config::RefreshConfig;
use crate::filter::EventFilter;
use crate::telemetry;
use crate::wait::{AFTER_STORE_TROUBLE, Wait};

use attempt::TokenVerdict;
use gate::Passage;
pub(crate) use gate::TokenGate;

/// How long what a sweep found may wait behind everything else.
const SWEEPS_WAIT: Duration = Duration::from_secs(60);
/// How soon it is seen, when the worker stops, that what is left waits for the budget.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The refreshing stage of one organization.
#[derive(Clone)]
pub(crate) struct Refresher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) client: Client,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) limiter: RateLimiter,
    /// What sweeps may use of that, and the fetches that they lead to.
    pub(crate) share: RateLimiter,
    pub(crate) gate: Arc<TokenGate>,
    pub(crate) config: RefreshConfig,
    pub(crate) guest_links: bool,
    /// Who wants which events.
    pub(crate) handlers: Arc<[(HandlerName, EventFilter)]>,
    /// Cancelled when what is not fetched yet is to be given back.
    pub(crate) give_back: CancellationToken,
}

impl Refresher {
    /// Runs until `stop`, then finishes the refreshes in hand within `grace`.
    pub(crate) async fn run(self, stop: CancellationToken, grace: Duration) {
        let mut wait = Wait::new(self.store.wakeups().due, self.clock.clone());
        let mut in_hand = JoinSet::new();
        let mut last_swept = Instant::now();
        while !stop.is_cancelled() {
            while in_hand.try_join_next().is_some() {}
            if in_hand.len() >= self.config.concurrency.get() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = in_hand.join_next() => {}
                }
                continue;
            }
            // While the API as a whole is down, nothing is tried, and nothing counts as failed.
            if let CircuitState::Open(until) = self.breaker.state() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
                continue;
            }
            let Some(passage) = self.gate.passage(&stop).await else {
                break;
            };
            // What goes next is chosen only when it can go: a live run that arrives while the budget is used up is
            // then ahead of the retries.
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.limiter.ready() => {}
            }
            wait.mark_seen();
            let claim = Claim {
                now: self.clock.now(),
                lease: self.config.lease,
                limit: 1,
            };
            // What sweeps found goes last, but not never: a flood of notifications may not keep their share from them.
            let lanes = match self.share.is_ready() {
                false => Lanes::WithoutSweeps,
                true if last_swept.elapsed() >= SWEEPS_WAIT => Lanes::SweepsFirst,
                true => Lanes::All,
            };
            match self.store.claim_due(self.client.org(), lanes, claim).await {
                Ok(claimed) if claimed.work.is_empty() => wait.for_work(claimed.next_due, &stop).await,
                Ok(claimed) => {
                    torture::point("refresh.claimed");
                    for due in claimed.work {
                        if due.lane == Lane::Sweep {
                            last_swept = Instant::now();
                            let _taken = self.share.try_acquire();
                        }
                        in_hand.spawn(self.clone().refresh(due));
                    }
                    if passage == Passage::Trial {
                        // Alone: while the token is doubtful, one request shows as much as many.
                        stop.run_until_cancelled(async { while in_hand.join_next().await.is_some() {} })
                            .await;
                    }
                }
                Err(error) => {
                    error!(org = %self.client.org(), error = telemetry::chain(&error), "cannot claim what is due");
                    wait.pause(AFTER_STORE_TROUBLE, &stop).await;
                }
            }
        }
        if tokio::time::timeout(grace, self.finish(&mut in_hand)).await.is_err() {
            warn!(org = %self.client.org(), unfinished = in_hand.len(), "refreshes did not end in time; they stay due");
        }
    }

    /// Lets what is in hand come to its end. What waits for a request of the budget is given back instead: that may take
    /// an hour.
    async fn finish(&self, in_hand: &mut JoinSet<()>) {
        while !in_hand.is_empty() {
            if in_hand.len() <= self.limiter.waiting() {
                self.give_back.cancel();
            }
            let look_again = tokio::time::sleep(LOOK_AGAIN);
            tokio::select! {
                _ = in_hand.join_next() => {}
                () = look_again => {}
            }
        }
    }

    async fn refresh(self, due: runs_store::DueRefresh) {
        let generation = self.gate.generation().await;
        match self.attempt(due).await {
            TokenVerdict::Accepted => self.gate.accepted(),
            TokenVerdict::Refused(reason) => self.gate.refused(generation, &reason, self.clock.wall()),
            TokenVerdict::Unknown => {}
        }
    }
}
