//! `[deliver]` and `[events]`: how handlers are called, and what they get.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

use super::text;

/// `[deliver]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeliverConfig {
    /// The most calls of one handler at a time; for one run there is never more than one delivery.
    pub concurrency: NonZeroUsize,
    /// The most deliveries of one handler at a time, of all workers together; 0 is without limit.
    pub max_in_flight: usize,
    /// How long a handler may take.
    #[serde(deserialize_with = "text::duration")]
    pub timeout: Duration,
    /// The wait after a first failure; it doubles with each further one and is jittered.
    #[serde(deserialize_with = "text::duration")]
    pub retry_initial: Duration,
    /// The longest wait after a failure.
    #[serde(deserialize_with = "text::duration")]
    pub retry_max: Duration,
    /// After how many failed tries a delivery becomes a dead letter; 0 is never.
    pub max_attempts: u32,
    /// How long a failing delivery is tried before it becomes a dead letter; 0 is without end.
    #[serde(deserialize_with = "text::duration")]
    pub max_age: Duration,
}

impl DeliverConfig {
    /// How long a failing delivery is tried; `None` is without end.
    pub(crate) fn longest(&self) -> Option<Duration> {
        Some(self.max_age).filter(|age| !age.is_zero())
    }
}

impl Default for DeliverConfig {
    fn default() -> Self {
        Self {
            concurrency: const { NonZeroUsize::new(8).unwrap() },
            max_in_flight: 0,
            timeout: Duration::from_secs(30),
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_secs(10 * 60),
            max_attempts: 0,
            // From Friday evening to Monday morning.
            max_age: Duration::from_secs(72 * 60 * 60),
        }
    }
}

/// `[events]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EventsConfig {
    /// Whether events keep links for guests, which let whoever has them in without a login: in the run, in what changed and
    /// in notifications.
    pub guest_links: bool,
    /// How many bytes of webhook bodies an event carries at most. The newest are kept; of the others there is what was read off
    /// them.
    pub max_notifications_bytes: usize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            guest_links: false,
            max_notifications_bytes: 256 * 1024,
        }
    }
}
