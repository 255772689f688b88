//! What the end of a call means for its delivery.

use jiff::Timestamp;
use runs_store::Settlement;
use tallyfy_transport::Backoff;

use super::call::Called;
use crate::clock::later;
use crate::config::DeliverConfig;
use crate::handler::HandlerError;

/// An attempt of which is known how it is to be settled.
pub(super) struct Decided {
    pub(super) called: Called,
    pub(super) settlement: Settlement,
}

/// Decides by what the handler said, by the attempts so far, and by the age of the event at `wall`. `random` is between 0
/// and 1.
pub(super) fn decide(mut called: Called, config: &DeliverConfig, wall: Timestamp, random: f64) -> Decided {
    let result = std::mem::replace(&mut called.result, Ok(()));
    let settlement = match result {
        Ok(()) => Settlement::Delivered,
        Err(HandlerError::Unavailable { .. } | HandlerError::Stop { .. }) => Settlement::Released,
        Err(HandlerError::Reject { reason, answer }) => Settlement::DeadLetter {
            reason: reason.into_owned(),
            answer,
        },
        Err(HandlerError::Retry { reason, after, answer }) => {
            let delivery = called.event.delivery();
            let (attempt, age) = (delivery.attempt, wall.duration_since(delivery.created_at));
            if attempt >= config.max_attempts.get() {
                Settlement::DeadLetter {
                    reason: format!("after {attempt} tries: {reason}"),
                    answer,
                }
            } else if config.is_too_old(age) {
                Settlement::DeadLetter {
                    reason: format!("after {:?}, at try {attempt}: {reason}", config.max_age),
                    answer,
                }
            } else {
                let backoff = Backoff {
                    initial: config.retry_initial,
                    max: config.retry_max,
                };
                let wait = backoff.wait(attempt, random).max(after.unwrap_or_default());
                Settlement::Retry {
                    at: later(called.ended, wait),
                    reason: reason.into_owned(),
                }
            }
        }
    };
    Decided { called, settlement }
}
