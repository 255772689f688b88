//! `[reconcile]`: how the run list is held against what is known.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tallyfy_transport::RateLimits;

use super::text;

/// `[reconcile]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReconcileConfig {
    /// Which runs are walked.
    #[serde(deserialize_with = "text::parsed")]
    pub scope: ReconcileScope,
    /// How long after the end of a sweep the next one begins.
    #[serde(deserialize_with = "text::duration")]
    pub interval: Duration,
    /// How much of the request budget sweeps may use, with the fetches that they lead to: from 1 to 100 percent.
    pub budget_percent: u32,
    /// How long from one look at the registered webhooks to the next; zero is never.
    #[serde(deserialize_with = "text::duration")]
    pub registrations_interval: Duration,
    /// Whether the sweep at the start makes events for runs that nobody has fetched yet, however old they are.
    pub backfill: bool,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            scope: ReconcileScope::default(),
            interval: Duration::from_secs(60 * 60),
            budget_percent: 20,
            registrations_interval: Duration::from_secs(24 * 60 * 60),
            backfill: false,
        }
    }
}

impl ReconcileConfig {
    /// The share of these limits that sweeps may use.
    pub(crate) fn share(&self, limits: RateLimits) -> RateLimits {
        let share = |limit: NonZeroU32| {
            let share = u64::from(limit.get()) * u64::from(self.budget_percent) / 100;
            NonZeroU32::new(u32::try_from(share).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
        };
        RateLimits {
            per_five_seconds: limits.per_five_seconds.map(share),
            per_minute: limits.per_minute.map(share),
            per_hour: limits.per_hour.map(share),
        }
    }
}

/// Which runs sweeps walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconcileScope {
    /// Every run, archived ones too.
    #[default]
    All,
    /// Those that are active. A run that was launched and completed between two sweeps, without a webhook, is not found.
    Active,
    /// No sweep but those that a person asks for.
    Off,
}

impl FromStr for ReconcileScope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "active" => Ok(Self::Active),
            "off" => Ok(Self::Off),
            _ => Err("expected `all`, `active` or `off`"),
        }
    }
}
