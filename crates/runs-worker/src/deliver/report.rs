//! What is measured and logged of attempts.

use metrics::{Counter, Histogram, counter, histogram};
use runs_store::{Delivery, HandlerName, Settlement};
use tracing::{error, info, warn};

use super::decide::Decided;
use crate::vitals::{DELIVERIES, FAILED_DELIVERIES, Vitals};

const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";
const DEAD_LETTER: &str = "dead letter";

/// The metrics of one handler, looked up once.
pub(super) struct Meters {
    seconds: Histogram,
    age: Histogram,
    delivered: Counter,
    failed: Counter,
    dead_letters: Counter,
}

impl Meters {
    pub(super) fn new(handler: &HandlerName) -> Self {
        let of =
            |outcome| counter!("runs_worker_deliveries_total", "handler" => handler.to_string(), "outcome" => outcome);
        Self {
            seconds: histogram!("runs_worker_delivery_seconds", "handler" => handler.to_string()),
            age: histogram!("runs_worker_delivered_age_seconds", "handler" => handler.to_string()),
            delivered: of(DELIVERED),
            failed: of(FAILED),
            dead_letters: of(DEAD_LETTER),
        }
    }

    pub(super) fn measure(&self, decided: &Decided) {
        let outcome = match &decided.settlement {
            Settlement::Delivered => &self.delivered,
            Settlement::Retry { .. } => &self.failed,
            Settlement::DeadLetter { .. } => &self.dead_letters,
            // No attempt.
            Settlement::Released => return,
        };
        outcome.increment(1);
        self.seconds.record(decided.called.took.as_secs_f64());
        if let (Settlement::Delivered, Some(came)) = (&decided.settlement, decided.called.event.oldest_notification()) {
            self.age
                .record(decided.called.at.duration_since(came).as_secs_f64().max(0.0));
        }
    }
}

/// Adds an attempt to what the worker has done.
pub(super) fn count(vitals: &Vitals, decided: &Decided) {
    match &decided.settlement {
        Settlement::Delivered => vitals.done(DELIVERIES, 1),
        Settlement::Retry { .. } | Settlement::DeadLetter { .. } => vitals.done(FAILED_DELIVERIES, 1),
        Settlement::Released => {}
    }
}

/// One line for each attempt. What is given back has its line where the handler's health is noted.
pub(super) fn log(handler: &HandlerName, decided: &Decided) {
    let Delivery {
        org,
        run,
        event_id,
        event_type,
        number,
        attempt,
        ..
    } = decided.called.event.delivery();
    match &decided.settlement {
        Settlement::Delivered => {
            info!(%handler, %org, %run, %event_id, event_type, number, attempt, outcome = DELIVERED, "event delivered");
        }
        Settlement::Retry { at, reason } => {
            warn!(%handler, %org, %run, %event_id, event_type, number, attempt, outcome = FAILED, reason, again_at = %at, "event not delivered, it is tried again");
        }
        Settlement::DeadLetter { reason, .. } => {
            error!(%handler, %org, %run, %event_id, event_type, number, attempt, outcome = DEAD_LETTER, reason, "event given up: it is a dead letter now");
        }
        Settlement::Released => {}
    }
}
