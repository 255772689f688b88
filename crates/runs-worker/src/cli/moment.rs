//! Times, as a person writes them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Reads a time: how long ago (`90m`, `2d`), a date, a date with a time, or a whole timestamp. Without a zone it is UTC,
/// as in the lists.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return TimeZone::UTC.to_timestamp(at).map_err(|error| error.to_string());
    }
    let long_ago = || {
        let ago = text.parse::<Span>().ok().filter(Span::is_positive)?;
        let then = TimeZone::UTC.to_datetime(now).checked_sub(ago).ok()?;
        TimeZone::UTC.to_timestamp(then).ok()
    };
    long_ago().ok_or_else(|| "write it as 1h, 2d, 2026-01-31, 2026-01-31T09:00 or 2026-01-31T09:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_write_it() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90m", "2026-03-10T10:30:00Z"),
            ("1h", "2026-03-10T11:00:00Z"),
            ("2d", "2026-03-08T12:00:00Z"),
            ("1w", "2026-03-03T12:00:00Z"),
            ("1d 12h", "2026-03-09T00:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T09:00", "2026-01-31T09:00:00Z"),
            ("2026-01-31 09:00:30", "2026-01-31T09:00:30Z"),
            ("2026-01-31T09:00:00+02:00", "2026-01-31T07:00:00Z"),
            ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        ] {
            assert_eq!(moment(text, now).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "1", "-1h", "2026-13-01", "0h"] {
            assert!(moment(text, now).is_err(), "{text}");
        }
    }
}
