//! Times, lengths and numbers for people.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A length: `240 ms`, `3 s`, `5 min`, `2 h 10 min`, `3 days`.
pub(crate) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..=9 if length.subsec_millis() >= 100 => format!("{}.{} s", seconds, length.subsec_millis() / 100),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => match seconds % 3600 / 60 {
            0 => format!("{} h", seconds / 3600),
            minutes => format!("{} h {minutes} min", seconds / 3600),
        },
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long ago something was.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    match Duration::try_from(now.duration_since(at)) {
        Ok(passed) if passed < Duration::from_secs(1) => "just now".to_owned(),
        Ok(passed) => format!("{} ago", length(passed)),
        Err(_) => "just now".to_owned(),
    }
}

/// When something is to be.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now);
    match Duration::try_from(left) {
        Ok(left) if left >= Duration::from_secs(1) => format!("in {}", length(left)),
        _ => "now".to_owned(),
    }
}

/// The time of the day, to the millisecond, in UTC.
pub(crate) fn clock_time(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).strftime("%H:%M:%S%.3f").to_string()
}

/// The day, in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).strftime("%Y-%m-%d").to_string()
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things.
pub(crate) fn plural(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (count, Some(stem)) if !what.ends_with("ay") => format!("{} {stem}ies", number(count)),
        (count, _) if what.ends_with("ch") => format!("{} {what}es", number(count)),
        (count, _) => format!("{} {what}s", number(count)),
    }
}

/// An event's type without what all types have in common.
pub(crate) fn short_type(event_type: &str) -> &str {
    let short = event_type.strip_prefix("com.tallyfy.run.").unwrap_or(event_type);
    short.strip_suffix(".v1").unwrap_or(short)
}

/// How long there was between two times.
pub(crate) fn gap(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).max(SignedDuration::ZERO).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_are_as_people_say_them() {
        let told = |millis| length(Duration::from_millis(millis));
        assert_eq!(
            [7, 999, 1_000, 2_340, 61_000, 300_000, 7_200_000, 8_000_000, 400_000_000].map(told),
            [
                "7 ms",
                "999 ms",
                "1 s",
                "2.3 s",
                "61 s",
                "5 min",
                "2 h",
                "2 h 13 min",
                "4 days"
            ]
        );
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(plural(1, "delivery"), "1 delivery");
        assert_eq!(plural(2, "delivery"), "2 deliveries");
        assert_eq!(plural(2, "fetch"), "2 fetches");
        assert_eq!(plural(2, "day"), "2 days");
        let (then, now) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(90).unwrap());
        assert_eq!(
            (ago(then, now), until(now, then)),
            ("90 s ago".to_owned(), "in 90 s".to_owned())
        );
        assert_eq!(
            (ago(now, then), until(then, now)),
            ("just now".to_owned(), "now".to_owned())
        );
    }
}
