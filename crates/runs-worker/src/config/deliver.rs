//! `[deliver]` and `[events]`: how handlers are called, and what they get.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::text;

/// `[deliver]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeliverConfig {
    /// The most deliveries to one handler at a time; for one run there is never more than one.
    pub concurrency: NonZeroUsize,
    /// How long a handler may take.
    #[serde(deserialize_with = "text::duration")]
    pub timeout: Duration,
    /// The wait after a first failure; it doubles with each further one and is jittered.
    #[serde(deserialize_with = "text::duration")]
    pub retry_initial: Duration,
    /// The longest wait after a failure.
    #[serde(deserialize_with = "text::duration")]
    pub retry_max: Duration,
    /// After how many failed tries a delivery becomes a dead letter.
    pub max_attempts: NonZeroU32,
    /// After how long since the event was made a failed try is the last one; 0 is never.
    #[serde(deserialize_with = "text::duration")]
    pub max_age: Duration,
}

impl DeliverConfig {
    pub(crate) fn is_too_old(&self, age: SignedDuration) -> bool {
        !self.max_age.is_zero() && Duration::try_from(age).is_ok_and(|age| age >= self.max_age)
    }
}

impl Default for DeliverConfig {
    fn default() -> Self {
        Self {
            concurrency: const { NonZeroUsize::new(8).unwrap() },
            timeout: Duration::from_secs(30),
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_secs(10 * 60),
            // Some seven hours with the waits above.
            max_attempts: const { NonZeroU32::new(50).unwrap() },
            max_age: Duration::ZERO,
        }
    }
}

/// `[events]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EventsConfig {
    /// Whether the notifications in events keep their guest links, which let whoever has them in without a login.
    pub guest_links: bool,
}
