//! Deliver: hands events to one handler, for each run in order, until each is done or given up.
//!
//! One of these runs for each handler; they share nothing but the store. The order is the store's: it hands out the
//! next event of a run only after the one before it was settled for good.

mod health;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use metrics::{counter, histogram};
use runs_store::{Claim, Delivery, HandlerName, Settlement, Store, StoreError, torture};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoff;
use crate::clock::{Clock, later};
use crate::config::DeliverConfig;
use crate::handler::{Event, Handler, HandlerError};
use crate::telemetry;
use crate::wait::{AFTER_STORE_TROUBLE, Wait, insist};

pub(crate) use health::HandlerHealth;

/// How much longer than the handler's time-out a delivery stays leased, for what comes before and after the call.
const LEASE_MARGIN: Duration = Duration::from_secs(60);

/// The delivering stage of one handler.
#[derive(Clone)]
pub(crate) struct Deliverer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) name: HandlerName,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) health: Arc<HandlerHealth>,
    pub(crate) config: DeliverConfig,
}

impl Deliverer {
    /// Runs until `stop`, then finishes the deliveries in hand within `grace`.
    pub(crate) async fn run(self, stop: CancellationToken, grace: Duration) {
        let mut wait = Wait::new(self.store.wakeups().deliverable, self.clock.clone());
        let mut in_hand = JoinSet::new();
        while !stop.is_cancelled() {
            while in_hand.try_join_next().is_some() {}
            if let Some(pause) = self.health.pause() {
                wait.pause(pause, &stop).await;
                continue;
            }
            let most = if self.health.is_doubtful() {
                1
            } else {
                self.config.concurrency.get()
            };
            let free = most.saturating_sub(in_hand.len());
            if free == 0 {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = in_hand.join_next() => {}
                }
                continue;
            }
            wait.mark_seen();
            let claim = Claim {
                now: self.clock.now(),
                lease: self.config.timeout + LEASE_MARGIN,
                limit: free,
            };
            match self.store.claim_deliveries(&self.name, claim).await {
                Ok(claimed) if claimed.work.is_empty() => wait.for_work(claimed.next_due, &stop).await,
                Ok(claimed) => {
                    torture::point("deliver.claimed");
                    for delivery in claimed.work {
                        in_hand.spawn(self.clone().deliver(delivery));
                    }
                }
                Err(error) => {
                    error!(handler = %self.name, error = telemetry::chain(&error), "cannot claim deliveries");
                    wait.pause(AFTER_STORE_TROUBLE, &stop).await;
                }
            }
        }
        if tokio::time::timeout(grace, async { while in_hand.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            warn!(handler = %self.name, unfinished = in_hand.len(), "deliveries did not end in time; they will be tried again");
        }
    }

    async fn deliver(self, delivery: Delivery) {
        let started = self.clock.now();
        let event = Event::new(delivery);
        #[cfg(feature = "torture")]
        if torture::is_sabotaged("settle-before-call") {
            let lease = &event.delivery().lease;
            drop(self.store.settle(lease, Settlement::Delivered, started).await);
        }
        let result = self.call(event.clone()).await;
        torture::point("deliver.called");
        let delivery = event.delivery();
        let now = self.clock.now();
        if let Err(HandlerError::Unavailable { reason } | HandlerError::Stop { reason }) = &result {
            match &result {
                Err(HandlerError::Stop { .. }) => self.health.stopped(reason, self.clock.wall()),
                _ => self.health.unavailable(reason, self.clock.wall()),
            }
            if let Err(error) = self.store.release_delivery(&delivery.lease, now).await {
                let error = telemetry::chain(&error);
                debug!(handler = %self.name, event = %delivery.event_id, error, "a delivery could not be given back");
            }
            return;
        }
        self.health.works();
        let seconds = now.duration_since(started).as_secs_f64();
        let age = self.clock.wall().duration_since(delivery.created_at);
        let settlement = self.decide(result, delivery.attempt, age, rand::random());
        let (outcome, reason) = match &settlement {
            Settlement::Delivered => ("delivered", None),
            Settlement::Retry { reason, .. } => ("failed", Some(reason.as_str())),
            Settlement::DeadLetter { reason, .. } => ("dead letter", Some(reason.as_str())),
        };
        histogram!("runs_worker_delivery_seconds", "handler" => self.name.to_string()).record(seconds);
        counter!("runs_worker_deliveries_total", "handler" => self.name.to_string(), "outcome" => outcome).increment(1);
        let Delivery {
            org,
            run,
            event_id,
            event_type,
            number,
            attempt,
            ..
        } = delivery;
        let handler = &self.name;
        match &settlement {
            Settlement::Delivered => {
                info!(%handler, %org, %run, event = %event_id, event_type, number, attempt, outcome, "delivery");
            }
            Settlement::Retry { at, .. } => {
                warn!(%handler, %org, %run, event = %event_id, event_type, number, attempt, outcome, reason, again_at = %at, "delivery");
            }
            Settlement::DeadLetter { .. } => {
                error!(%handler, %org, %run, event = %event_id, event_type, number, attempt, outcome, reason, "delivery");
            }
        }
        let settle = || self.store.settle(&delivery.lease, settlement.clone(), now);
        match insist(LEASE_MARGIN, settle).await {
            Ok(()) => {}
            Err(StoreError::LeaseLost) => {
                debug!(%handler, %org, %run, event = %event_id, "delivery was handed out again meanwhile");
            }
            Err(error) => {
                let error = telemetry::chain(&error);
                error!(%handler, %org, %run, event = %event_id, error, "cannot note the end of a delivery; it will come again");
            }
        }
        torture::point("deliver.settled");
    }

    /// Calls the handler in a task of its own: a panic ends there.
    async fn call(&self, event: Event) -> Result<(), HandlerError> {
        let handler = Arc::clone(&self.handler);
        let mut task = tokio::spawn(async move { handler.handle(&event).await });
        match tokio::time::timeout(self.config.timeout, &mut task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(HandlerError::retry("the handler panicked")),
            Err(_) => {
                task.abort();
                Err(HandlerError::retry(format!(
                    "the handler took longer than {:?}",
                    self.config.timeout
                )))
            }
        }
    }

    fn decide(&self, result: Result<(), HandlerError>, attempt: u32, age: SignedDuration, random: f64) -> Settlement {
        match result {
            Ok(()) => Settlement::Delivered,
            Err(HandlerError::Reject { reason, answer }) => Settlement::DeadLetter {
                reason: reason.into_owned(),
                answer,
            },
            Err(HandlerError::Retry { reason, answer, .. }) if attempt >= self.config.max_attempts.get() => {
                Settlement::DeadLetter {
                    reason: format!("after {attempt} tries: {reason}"),
                    answer,
                }
            }
            Err(HandlerError::Retry { reason, answer, .. }) if self.config.is_too_old(age) => Settlement::DeadLetter {
                reason: format!("after {:?}, at try {attempt}: {reason}", self.config.max_age),
                answer,
            },
            // Given back before it comes to this.
            Err(HandlerError::Unavailable { reason } | HandlerError::Stop { reason }) => Settlement::Retry {
                at: later(self.clock.now(), self.config.retry_initial),
                reason: reason.into_owned(),
            },
            Err(HandlerError::Retry { reason, after, .. }) => {
                let backoff = Backoff {
                    initial: self.config.retry_initial,
                    max: self.config.retry_max,
                };
                let wait = backoff.wait(attempt, random).max(after.unwrap_or_default());
                Settlement::Retry {
                    at: later(self.clock.now(), wait),
                    reason: reason.into_owned(),
                }
            }
        }
    }
}
