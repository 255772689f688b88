//! What the end of a call means for its delivery.
//!
//! A handler that cannot work at all costs no attempts. A full disk or a broken pipe is not the event's fault: its events
//! wait, readiness says so, and it is tried again after pauses that grow to a minute.

use std::time::Duration;

use jiff::Timestamp;
use runs_store::{SchedulingTime, Settlement};
use tallyfy_transport::Backoff;

use crate::config::DeliverConfig;
use crate::handler::{Event, HandlerError};
use crate::shared::visible::{visible_line, visible_text};
use crate::tell::plural;

/// An attempt whose call has ended.
pub(super) struct Called {
    pub(super) event: Event,
    pub(super) result: Result<(), HandlerError>,
    /// How long the call took.
    pub(super) took: Duration,
    /// When it ended, by the scheduling time and by the wall clock.
    pub(super) ended: SchedulingTime,
    pub(super) at: Timestamp,
}

/// An attempt of which is known how it is to be settled.
pub(super) struct Decided {
    pub(super) called: Called,
    pub(super) settlement: Settlement,
}

/// Decides by what the handler said, by the attempts so far, and by how long they have gone on. `random` is between 0 and 1.
pub(super) fn decide(mut called: Called, config: &DeliverConfig, random: f64) -> Decided {
    let settlement = match std::mem::replace(&mut called.result, Ok(())) {
        Ok(()) => Settlement::Delivered,
        Err(HandlerError::Unavailable { .. } | HandlerError::Stop { .. }) => Settlement::Released,
        Err(HandlerError::Reject { reason, answer }) => dead_letter(&reason, answer),
        Err(HandlerError::Retry {
            reason,
            after,
            give_up_after,
            answer,
        }) => match last_try(&called, config, give_up_after) {
            Some(limit) => dead_letter(&format!("{limit}: {reason}"), answer),
            None => Settlement::Retry {
                at: again_at(&called, config, after, random),
                reason: visible_line(&reason),
            },
        },
    };
    Decided { called, settlement }
}

fn dead_letter(reason: &str, answer: Option<String>) -> Settlement {
    Settlement::DeadLetter {
        reason: visible_line(reason),
        answer: answer.map(|answer| visible_text(&answer)),
    }
}

/// Why this try was the last one, if it was.
fn last_try(called: &Called, config: &DeliverConfig, give_up_after: Option<Duration>) -> Option<String> {
    let delivery = called.event.delivery();
    let attempt = delivery.attempt;
    if config.max_attempts > 0 && attempt >= config.max_attempts {
        return Some(format!("after {}", plural(u64::from(attempt), "try")));
    }
    let tried_for = called.ended.since(delivery.tried_since);
    let longest = config.longest().into_iter().chain(give_up_after).min()?;
    (tried_for >= longest).then(|| format!("after {longest:?}, at try {attempt}"))
}

/// When it is tried again: after a wait that doubles, or as long as the other side asks.
fn again_at(called: &Called, config: &DeliverConfig, after: Option<Duration>, random: f64) -> SchedulingTime {
    let backoff = Backoff {
        initial: config.retry_initial,
        max: config.retry_max,
    };
    let attempt = called.event.delivery().attempt;
    let wait = backoff.wait(attempt, random).max(after.unwrap_or_default());
    called.ended.after(wait)
}

#[cfg(test)]
mod tests {
    use tallyfy_model::OrgId;

    use jiff::Timestamp;

    use super::*;
    use crate::handler::Event;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    /// How an attempt is settled that fails after so long.
    fn settled(
        attempt: u32,
        tried_for: Duration,
        give_up_after: Option<Duration>,
        config: &DeliverConfig,
    ) -> Settlement {
        let began = SchedulingTime::new(Timestamp::UNIX_EPOCH);
        let mut delivery = Event::sample(&OrgId::new("acme"), began.shown())
            .unwrap()
            .delivery()
            .clone();
        delivery.attempt = attempt;
        let called = Called {
            event: Event::new(delivery),
            result: Err(HandlerError::Retry {
                reason: "no\u{1b}".into(),
                after: None,
                give_up_after,
                answer: Some("no\u{9b}".to_owned()),
            }),
            took: Duration::ZERO,
            ended: began.after(tried_for),
            at: began.shown(),
        };
        decide(called, config, 1.0).settlement
    }

    fn given_up(reason: &str) -> Settlement {
        Settlement::DeadLetter {
            reason: format!("{reason}: no\\u{{1b}}"),
            answer: Some("no\\u{9b}".to_owned()),
        }
    }

    #[test]
    fn giving_up_goes_by_time() {
        let mut config = DeliverConfig::default();
        let outage = settled(1000, HOUR * 71, None, &config);
        let at = SchedulingTime::new(Timestamp::UNIX_EPOCH).after(HOUR * 71 + Duration::from_secs(600));
        assert_eq!(
            outage,
            Settlement::Retry {
                at,
                reason: "no\\u{1b}".to_owned()
            }
        );
        assert_eq!(
            settled(1000, HOUR * 72, None, &config),
            given_up("after 259200s, at try 1000")
        );
        assert_eq!(settled(9, HOUR, Some(HOUR), &config), given_up("after 3600s, at try 9"));

        config.max_age = Duration::ZERO;
        assert!(matches!(
            settled(1000, HOUR * 9999, None, &config),
            Settlement::Retry { .. }
        ));
        config.max_attempts = 3;
        assert!(matches!(settled(2, HOUR, None, &config), Settlement::Retry { .. }));
        assert_eq!(settled(3, HOUR, None, &config), given_up("after 3 tries"));
    }
}
