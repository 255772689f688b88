//! `[api]`: how the API is called.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;
use tallyfy_transport::{BaseUrl, RateLimits};

use super::text;

/// `[api]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiConfig {
    /// Where the API is.
    #[serde(deserialize_with = "text::url")]
    pub base_url: BaseUrl,
    /// The most requests for one organization in any stretch of five seconds; 0 is no limit.
    pub requests_per_five_seconds: u32,
    /// The most requests for one organization in any stretch of a minute; 0 is no limit.
    pub requests_per_minute: u32,
    /// The most requests for one organization in any stretch of an hour; 0 is no limit.
    pub requests_per_hour: u32,
    /// How long connecting may take.
    #[serde(deserialize_with = "text::duration")]
    pub connect_timeout: Duration,
    /// How long a request may take in all.
    #[serde(deserialize_with = "text::duration")]
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub max_response_bytes: NonZeroUsize,
    /// After a refused token: how long until one request tries whether it works again. A changed token file is noticed
    /// within a second.
    #[serde(deserialize_with = "text::duration")]
    pub token_retry: Duration,
}

impl Default for ApiConfig {
    fn default() -> Self {
        let limits = RateLimits::default();
        Self {
            base_url: BaseUrl::default(),
            requests_per_five_seconds: limits.per_five_seconds.map_or(0, NonZeroU32::get),
            requests_per_minute: limits.per_minute.map_or(0, NonZeroU32::get),
            requests_per_hour: limits.per_hour.map_or(0, NonZeroU32::get),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            max_response_bytes: const { NonZeroUsize::new(64 * 1024 * 1024).unwrap() },
            token_retry: Duration::from_secs(60),
        }
    }
}

impl ApiConfig {
    /// The limits as the transport takes them.
    pub fn rate_limits(&self) -> RateLimits {
        RateLimits {
            per_five_seconds: NonZeroU32::new(self.requests_per_five_seconds),
            per_minute: NonZeroU32::new(self.requests_per_minute),
            per_hour: NonZeroU32::new(self.requests_per_hour),
        }
    }
}
