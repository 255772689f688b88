//! Attempts that have ended, until the store has noted it.
//!
//! The end of an attempt is noted again and again while the store cannot be written, as long as its lease is good. Otherwise
//! what was done would wait for the end of the lease, and be done once more.

use std::sync::Arc;
use std::time::Duration;

use runs_store::{AttemptReport, EndedDelivery, HandlerName, LeaseLost, StoreError, torture};
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{debug, error};

use super::decide::Decided;
use crate::telemetry;
use crate::vitals::Vitals;

/// How much longer than the handler's time-out a delivery stays leased, for what comes before and after the call.
pub(super) const LEASE_MARGIN: Duration = Duration::from_secs(60);

/// What has ended and is not settled yet. While the store cannot be written it is kept, because it would otherwise be
/// delivered once more when its lease has run out; after that, somebody else may have the lease.
pub(super) struct Unsettled {
    handler: HandlerName,
    vitals: Arc<Vitals>,
    attempts: Vec<(Decided, Instant)>,
}

impl Unsettled {
    pub(super) fn new(handler: HandlerName, vitals: Arc<Vitals>) -> Self {
        Self {
            handler,
            vitals,
            attempts: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Adds the attempts of a call.
    pub(super) fn add(&mut self, ended: Result<Vec<Decided>, JoinError>) {
        match ended {
            Ok(ended) => {
                let until = Instant::now() + LEASE_MARGIN;
                self.attempts.extend(ended.into_iter().map(|decided| (decided, until)));
            }
            Err(error) => {
                error!(handler = %self.handler, %error, "an attempt ended by a panic; its deliveries come again");
            }
        }
    }

    /// As the store is to be told.
    pub(super) fn ended(&self) -> Vec<EndedDelivery> {
        let of = |(decided, _): &(Decided, Instant)| EndedDelivery {
            lease: decided.called.event.delivery().lease.clone(),
            settlement: decided.settlement.clone(),
            report: Some(AttemptReport {
                at: decided.called.at,
                took: decided.called.took,
                worker: self.vitals.name().to_owned(),
            }),
        };
        self.attempts.iter().map(of).collect()
    }

    /// Takes note of what the store said of all of them.
    pub(super) fn note(&mut self, settled: Result<Vec<Result<(), LeaseLost>>, StoreError>) -> Result<(), StoreError> {
        match settled {
            Ok(settled) => {
                for ((decided, _), outcome) in self.attempts.drain(..).zip(settled) {
                    if outcome.is_err() {
                        let event_id = decided.called.event.id();
                        debug!(handler = %self.handler, %event_id, "delivery was handed out again meanwhile");
                    }
                }
                torture::point("deliver.settled");
                Ok(())
            }
            Err(error) => {
                self.drop_hopeless(&error);
                Err(error)
            }
        }
    }

    fn drop_hopeless(&mut self, error: &StoreError) {
        let may_end = matches!(error, StoreError::Full(_) | StoreError::Unavailable { .. });
        let now = Instant::now();
        let is_kept = |attempt: &(Decided, Instant)| may_end && now < attempt.1;
        let dropped = self.attempts.extract_if(.., |attempt| !is_kept(attempt)).count();
        if dropped > 0 {
            error!(
                handler = %self.handler, deliveries = dropped, error = telemetry::chain(error),
                "cannot note the end of deliveries; they will come again"
            );
        }
    }
}
