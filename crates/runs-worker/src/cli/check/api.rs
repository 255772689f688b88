//! The API: whether it answers, whether the clocks agree, and whether the budget is one that the vendor grants.

use std::num::NonZeroU32;
use std::time::Duration;

use http::header::DATE;
use jiff::{SignedDuration, Timestamp};
use tallyfy_runs::Client;
use tallyfy_transport::Request;

use super::finding::Finding;
use crate::cli::get;
use crate::config::{ApiConfig, Loaded};
use crate::telemetry;

/// The strictest limits that the vendor's sources name (API reference, sections f.2 and k.1).
const GRANTED: [(&str, u32); 3] = [("five_seconds", 12), ("minute", 100), ("hour", 1000)];
/// A clock that differs by more is wrong; `Date` is exact to a second.
const OFF: SignedDuration = SignedDuration::from_secs(5);
const FAR_OFF: SignedDuration = SignedDuration::from_mins(5);

/// What is found, and whether the API answers.
pub(super) async fn look(loaded: &Loaded, client: &Client, timeout: Duration) -> (Vec<Finding>, bool) {
    let base_url = &loaded.config.api.base_url;
    let path = ["organizations", client.org().as_str(), "runs"];
    let asked = async { client.send(Request::get(path)?.query("per_page", "1")).await };
    let before = Timestamp::now();
    let answer = match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let failure = Finding::failure("api", telemetry::chain(&error)).of(client.org());
            let failure = match get::advice(&error) {
                Some(advice) => failure.hint(advice),
                None => failure,
            };
            return (vec![failure], false);
        }
        Err(_) => {
            let failure = Finding::failure("api", format!("{base_url} does not answer within {timeout:?}"));
            let hint = "check the base URL and the network, or give it longer with --timeout";
            return (vec![failure.of(client.org()).hint(hint)], false);
        }
    };
    let api = Finding::ok("api", format!("{base_url} answers, the token is accepted")).of(client.org());
    let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
    let findings = vec![api, clock(date, before, Timestamp::now()).of(client.org())];
    (findings, true)
}

/// Holds the `Date` of an answer against the time between which it was made.
fn clock(date: Option<&str>, before: Timestamp, after: Timestamp) -> Finding {
    let date = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let Some(date) = date else {
        return Finding::warning("clock", "the API does not say what time it is");
    };
    // `Date` has no fraction of a second.
    let ahead = before.duration_since(date) - SignedDuration::from_secs(1);
    let behind = date.duration_since(after);
    let (off, way) = if ahead > behind {
        (ahead, "ahead of")
    } else {
        (behind, "behind")
    };
    let text = format!("this machine's clock is {} s {way} the API's", off.as_secs());
    match off {
        off if off > FAR_OFF => {
            Finding::failure("clock", text).hint("set it, and let NTP keep it: tokens and times of events are wrong")
        }
        off if off > OFF => Finding::warning("clock", text).hint("let NTP keep it"),
        _ => Finding::ok("clock", "this machine's clock agrees with the API's"),
    }
}

/// Whether the budget is within what the vendor grants.
pub(super) fn budget(config: &ApiConfig) -> Finding {
    let limits = config.rate_limits();
    let configured = [limits.per_five_seconds, limits.per_minute, limits.per_hour];
    let above: Vec<String> = GRANTED
        .iter()
        .zip(configured)
        .filter_map(|((unit, granted), limit)| match limit.map(NonZeroU32::get) {
            Some(limit) if limit <= *granted => None,
            Some(limit) => Some(format!("api.requests_per_{unit} is {limit}, {granted} are granted")),
            None => Some(format!("api.requests_per_{unit} has no limit, {granted} are granted")),
        })
        .collect();
    if above.is_empty() {
        let shown = configured.map(|limit| limit.map_or(0, NonZeroU32::get));
        let [five, minute, hour] = shown;
        return Finding::ok(
            "budget",
            format!("{five} requests in five seconds, {minute} a minute, {hour} an hour"),
        );
    }
    Finding::warning("budget", above.join("; "))
        .hint("the vendor's sources differ; above the lowest of them the API may answer 429, and fetching pauses then")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_more_than_a_second_and_the_time_of_the_answer() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let date = Some("Fri, 27 Nov 2026 12:00:00 GMT");
        let shown = [
            ("12:00:00", "12:00:01"),
            ("12:00:05", "12:00:06"),
            ("12:00:20", "12:00:20"),
            ("11:59:30", "11:59:31"),
            ("11:00:00", "11:00:00"),
        ]
        .map(|(before, after)| {
            let time = |text| at(&format!("2026-11-27T{text}Z"));
            let finding = clock(date, time(before), time(after));
            serde_json::to_string(&finding).unwrap()
        });
        insta::assert_snapshot!(shown.join("\n"));
        assert_eq!(
            clock(None, at("2026-11-27T12:00:00Z"), at("2026-11-27T12:00:00Z")).id,
            "clock"
        );
    }
}
