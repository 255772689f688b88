//! What came back.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::de::DeserializeOwned;

/// No limit of the API that is documented has a window of more than an hour (API reference, f.2). To ask again after
/// an hour costs one request; to believe a broken header could cost days.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// HTTP dates are a subset of RFC 2822 dates. Their weekday is redundant and not worth an error.
static HTTP_DATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// One complete HTTP response, its body decompressed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status, whatever it is.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    attempts: u32,
}

impl Response {
    /// A response as a transport received it, or as a test wants it.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers,
            body: body.into(),
            attempts: 1,
        }
    }

    /// Says how many attempts were made.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How many attempts were made; more than one only behind [`Retrying`](crate::Retrying).
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Sets a header, in place of any value it had.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// What `serde_json` says of it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// How long the server asks to wait: `Retry-After`, as seconds or as an HTTP date, which is compared with `now`.
    ///
    /// A date in the past is a wait of zero. A wait of more than an hour is cut to an hour. A header that cannot be
    /// read is as good as none.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = seconds(text).or_else(|| http_date(text).map(|date| time_until(date, now)))?;
        Some(wait.min(LONGEST_RETRY_AFTER))
    }

    /// The server's own clock, from the `Date` header: the right one to compare a date in `Retry-After` with.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.headers.get(DATE)?.to_str().ok()?.trim())
    }

    /// `X-Request-Id`: what the vendor's support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.headers
            .get("x-request-id")?
            .to_str()
            .ok()
            .map(str::trim)
            .filter(|id| !id.is_empty())
    }
}

fn seconds(text: &str) -> Option<Duration> {
    // `f64` would also read `inf`, `nan`, `-1` and `1e9`, none of which is a number of seconds.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    HTTP_DATE.parse_timestamp(text).ok()
}

fn time_until(date: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// Shows neither cookies nor the content of the body, which may contain guest links.
impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut headers = self.headers.clone();
        for (_, value) in headers.iter_mut().filter(|(name, _)| *name == SET_COOKIE) {
            value.set_sensitive(true);
        }
        formatter
            .debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &headers)
            .field("body_len", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &'static str, value: &'static str) -> Response {
        Response::new(StatusCode::TOO_MANY_REQUESTS, HeaderMap::new(), "")
            .with_header(HeaderName::from_static(name), HeaderValue::from_static(value))
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let table: &[(&str, Option<Duration>)] = &[
            ("30", Some(Duration::from_secs(30))),
            ("  7 ", Some(Duration::from_secs(7))),
            ("0", Some(Duration::ZERO)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("3600", Some(LONGEST_RETRY_AFTER)),
            ("3601", Some(LONGEST_RETRY_AFTER)),
            ("99999999999999999999999999999999999999999", Some(LONGEST_RETRY_AFTER)),
            ("Mon, 23 Nov 2026 12:01:30 GMT", Some(Duration::from_secs(90))),
            ("Sun, 23 Nov 2026 12:01:30 GMT", Some(Duration::from_secs(90))),
            ("Mon, 23 Nov 2026 11:59:59 GMT", Some(Duration::ZERO)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO)),
            ("Tue, 23 Nov 2027 12:00:00 GMT", Some(LONGEST_RETRY_AFTER)),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("+5", None),
            ("1e9", None),
            ("inf", None),
            ("1.2.3", None),
            (".", None),
            ("2026-11-23T12:01:30Z", None),
        ];
        for (text, wait) in table {
            assert_eq!(answer("retry-after", text).retry_after(now), *wait, "{text:?}");
        }
        assert_eq!(answer("x-other", "1").retry_after(now), None);
    }

    #[test]
    fn the_date_header_is_the_servers_clock() {
        let date = answer("date", "Mon, 23 Nov 2026 12:00:00 GMT").date();
        assert_eq!(date, Some("2026-11-23T12:00:00Z".parse().unwrap()));
        assert_eq!(answer("date", "noon").date(), None);
    }

    #[test]
    fn the_request_id_is_found_when_there_is_one() {
        assert_eq!(answer("x-request-id", " abc-1 ").request_id(), Some("abc-1"));
        assert_eq!(answer("x-request-id", "").request_id(), None);
        assert_eq!(answer("x-other", "abc").request_id(), None);
    }

    #[test]
    fn debug_shows_no_cookies_and_no_body() {
        let mut response = answer("set-cookie", "session=hidden");
        response.body = Bytes::from_static(b"hidden");
        insta::assert_snapshot!("debug_of_a_response", format!("{response:#?}"));
    }
}
