//! What can go wrong, for whom, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What `Retry-After` of a 429 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u32),
    /// The date that many seconds from now.
    Date(u32),
    /// Nothing.
    Absent,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The API answers late. It goes together with any other fault.
    Latency {
        /// How late.
        #[serde(rename = "millis", with = "crate::millis")]
        by: Duration,
    },
    /// The API does not answer until the fault is released. It goes together with any other fault.
    Hold,
    /// 429.
    TooManyRequests {
        /// What the header says.
        retry_after: RetryAfter,
    },
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404 for the object.
    NotFound,
    /// A page of HTML with this status that leaks a query, as 5xx pages do.
    Html {
        /// 500, 502, 503, or even 200.
        status: u16,
    },
    /// A JSON error with this status.
    Status {
        /// Any status.
        status: u16,
    },
    /// `Content-Length` promises more than is sent before the connection closes.
    Truncated,
    /// The connection closes before the answer.
    Dropped,
    /// The connection closes in the middle of a chunked answer.
    DroppedMidway,
    /// 200 with an empty body.
    EmptyBody,
    /// 200 with `{"data":{}}`.
    EmptyData,
    /// The body of another run, where one is asked for.
    OtherRun,
    /// The webhook is never sent.
    WebhookLost,
    /// The webhook is sent twice.
    WebhookDuplicated,
    /// The webhook is sent after the one that comes next.
    WebhookReordered,
    /// The webhook is sent late.
    WebhookDelayed {
        /// How late.
        #[serde(rename = "millis", with = "crate::millis")]
        by: Duration,
    },
}

impl Fault {
    /// 503 as HTML.
    pub const UNAVAILABLE: Self = Self::Html { status: 503 };

    /// Whether it concerns webhooks and not the API.
    #[must_use]
    pub fn is_of_webhooks(&self) -> bool {
        matches!(
            self,
            Self::WebhookLost | Self::WebhookDuplicated | Self::WebhookReordered | Self::WebhookDelayed { .. }
        )
    }
}

/// A fault, for whom and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// Only for this run.
    #[serde(default)]
    pub run: Option<String>,
    /// Only for this route, as the request log spells it: `GET /organizations/{org}/runs/{run}`.
    #[serde(default)]
    pub route: Option<String>,
    /// Only for the next so many; without it until cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

impl FaultRule {
    /// A fault for everybody until cleared.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            run: None,
            route: None,
            times: None,
        }
    }

    /// A fault for the next so many.
    #[must_use]
    pub fn times(times: u32, fault: Fault) -> Self {
        Self {
            times: Some(times),
            ..Self::always(fault)
        }
    }

    /// A fault for the next one.
    #[must_use]
    pub fn once(fault: Fault) -> Self {
        Self::times(1, fault)
    }

    /// Only for this run.
    #[must_use]
    pub fn on_run(mut self, run: &str) -> Self {
        self.run = Some(run.to_owned());
        self
    }

    /// Only for this route.
    #[must_use]
    pub fn on_route(mut self, route: &str) -> Self {
        self.route = Some(route.to_owned());
        self
    }

    pub(super) fn applies(&self, run: Option<&str>, route: Option<&str>) -> bool {
        let matches = |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == is);
        self.times != Some(0) && matches(&self.run, run) && matches(&self.route, route)
    }
}
