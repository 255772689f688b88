//! `[refresh]`: how runs are fetched.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;
use tallyfy_runs::{GetRunOptions, Include};

use super::text;

/// `[refresh]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RefreshConfig {
    /// What is fetched together with a run.
    #[serde(deserialize_with = "text::list")]
    pub includes: Vec<Include>,
    /// Whether the values of form fields are fetched.
    pub form_fields_values: bool,
    /// Two fetches of one run start at least this far apart: notifications that arrive in between share one.
    #[serde(deserialize_with = "text::duration")]
    pub window: Duration,
    /// The most fetches for one organization at a time.
    pub concurrency: NonZeroUsize,
    /// How long a claimed run is out of reach of other workers.
    #[serde(deserialize_with = "text::duration")]
    pub lease: Duration,
    /// The wait after a first failure; it doubles with each further one and is jittered.
    #[serde(deserialize_with = "text::duration")]
    pub retry_initial: Duration,
    /// The longest wait after a failure.
    #[serde(deserialize_with = "text::duration")]
    pub retry_max: Duration,
    /// How long a run for which alone the API fails is tried before it is given up.
    #[serde(deserialize_with = "text::duration")]
    pub give_up_after: Duration,
    /// How often a run that is not found, or not to be seen, is asked for before that is believed.
    pub missing_tries: NonZeroU32,
    /// How often a run that is older than its notification is fetched again before it is delivered, marked as stale.
    pub stale_retries: u32,
    /// How long after a fetch of which nobody can say that it was new enough the run is looked at once more: reads lag
    /// behind for seconds.
    #[serde(deserialize_with = "text::duration")]
    pub second_look: Duration,
}

impl Default for RefreshConfig {
    fn default() -> Self {
        let GetRunOptions {
            includes,
            form_fields_values,
            ..
        } = GetRunOptions::default();
        Self {
            includes,
            form_fields_values,
            window: Duration::from_secs(1),
            concurrency: const { NonZeroUsize::new(4).unwrap() },
            lease: Duration::from_secs(120),
            retry_initial: Duration::from_secs(1),
            retry_max: Duration::from_secs(15 * 60),
            give_up_after: Duration::from_secs(24 * 60 * 60),
            // Some ten seconds with the waits above: a replica lags behind for less.
            missing_tries: const { NonZeroU32::new(5).unwrap() },
            stale_retries: 3,
            second_look: Duration::from_secs(5),
        }
    }
}

impl RefreshConfig {
    /// What is asked for with every run.
    pub fn get_run_options(&self) -> GetRunOptions {
        GetRunOptions::none()
            .with_includes(self.includes.iter().cloned())
            .with_form_fields_values(self.form_fields_values)
    }
}
