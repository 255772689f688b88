//! Points in time as Tallyfy writes them.
//!
//! Responses and webhooks use several forms (API reference, sections a.4 and g.7): ISO 8601 with and without
//! milliseconds, `2026-01-31 09:00:00` without a zone, a date alone, and, if an organization asks for it, localized
//! webhook dates such as `15/10/2025 09:00 AM UTC`. The text is therefore kept, and read as far as it can be.
//!
//! Some texts that stand where a time belongs say that there is none: `0000-00-00 00:00:00`, `-0001-11-30 00:00:00`,
//! which is what PHP makes of it, or a word such as `never`. They are kept too, and count as no time.

use std::fmt;

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::lenient::{Field, Shape};

/// A point in time: the text that came, and what can be made of it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiTime(String);

impl ApiTime {
    /// Keeps a text as a point in time, whether or not it can be read as one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instant that the text names, or `None` where it names none for certain.
    ///
    /// A text without a zone is read as UTC, which the vendor's samples suggest and nothing states. A localized
    /// webhook date is read only if its zone is `UTC` or `GMT`: other abbreviations name several zones.
    pub fn timestamp(&self) -> Option<Timestamp> {
        let text = self.0.trim();
        if let Ok(timestamp) = text.parse() {
            return Some(timestamp);
        }
        text.parse::<civil::DateTime>()
            .or_else(|_| text.parse::<civil::Date>().map(|date| date.at(0, 0, 0, 0)))
            .ok()
            .or_else(|| localized_in_utc(text))
            .and_then(|datetime| TimeZone::UTC.to_timestamp(datetime).ok())
    }
}

impl ApiTime {
    /// Whether the text stands for some time, readable or not; `0000-00-00 00:00:00` and `never` do not.
    ///
    /// What databases and programs write for "none" is before any time that Tallyfy could mean: the years 0 and 1, 1899 or
    /// 1970.
    pub fn is_a_time(&self) -> bool {
        let text = self.0.trim();
        let year_of_localized = text.rsplit_once('/').map_or(text, |(_, year)| year);
        let is_dated = |text: &str| text.starts_with(|first: char| first.is_ascii_digit()) && !text.starts_with("0000");
        let has_digits = text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        let is_recent = self.timestamp().is_none_or(|at| at > Timestamp::UNIX_EPOCH);
        is_dated(text) && is_dated(year_of_localized) && has_digits && is_recent
    }

    /// Whether it is before another for certain. Two times are compared as exactly as the coarser of them is written:
    /// some are without milliseconds, or have zeros in their place, and localized ones are without seconds. A date alone,
    /// or a text that cannot be read, is before nothing.
    ///
    /// ```
    /// use tallyfy_model::ApiTime;
    ///
    /// let time = |text: &str| ApiTime::new(format!("2026-01-31T09:00:{text}Z"));
    /// assert!(time("04").is_before(&time("05.123456")));
    /// assert!(!time("05.000000").is_before(&time("05.123456")));
    /// assert!(time("05.100").is_before(&time("05.123456")));
    /// ```
    pub fn is_before(&self, than: &Self) -> bool {
        self.to_the_coarser_unit(than).is_some_and(|(this, that)| this < that)
    }

    /// Whether it is before another for certain, if both were written to the same field by the same end.
    ///
    /// In one form they are compared as they stand: a fraction of zeros is then a moment like others. A webhook may have
    /// taken its time from memory, and an answer from a table that keeps whole seconds: see [`Self::is_before`] for those.
    ///
    /// ```
    /// use tallyfy_model::ApiTime;
    ///
    /// let time = |text: &str| ApiTime::new(format!("2026-01-31T09:00:{text}Z"));
    /// assert!(time("05.000").is_before_in_field(&time("05.123")));
    /// assert!(!time("05").is_before_in_field(&time("05.123")));
    /// ```
    pub fn is_before_in_field(&self, than: &Self) -> bool {
        let form = |time: &Self| (time.fraction().count(), time.is_localized());
        match form(self) == form(than) {
            true => self
                .exact()
                .zip(than.exact())
                .is_some_and(|((this, _), (that, _))| this < that),
            false => self.is_before(than),
        }
    }

    /// Whether it may be the same moment as another, given how exactly either is written.
    pub fn may_equal(&self, other: &Self) -> bool {
        self.to_the_coarser_unit(other).is_some_and(|(this, that)| this == that)
    }

    /// Both in the unit of the coarser one, from the same origin.
    fn to_the_coarser_unit(&self, other: &Self) -> Option<(i128, i128)> {
        let ((this, unit), (that, other_unit)) = (self.exact()?, other.exact()?);
        let unit = unit.max(other_unit);
        Some((this.div_euclid(unit), that.div_euclid(unit)))
    }

    /// In nanoseconds, and the length of the unit that it is written to. A date alone names no moment.
    fn exact(&self) -> Option<(i128, i128)> {
        const MILLISECOND: i128 = 1_000_000;
        const SECOND: i128 = 1000 * MILLISECOND;
        let text = self.0.trim();
        if text.len() <= "2026-01-31".len() {
            return None;
        }
        let has_fraction = self.fraction().any(|digit| digit != b'0');
        let unit = match self.is_localized() {
            true => 60 * SECOND,
            false if has_fraction => MILLISECOND,
            false => SECOND,
        };
        Some((self.timestamp()?.as_nanosecond(), unit))
    }

    /// As in `15/10/2025 09:00 AM UTC`, without seconds.
    fn is_localized(&self) -> bool {
        self.0.contains('/')
    }

    /// The digits of the fraction of a second.
    fn fraction(&self) -> impl Iterator<Item = u8> {
        let fraction = self.0.split_once('.').map_or("", |(_, fraction)| fraction);
        fraction.bytes().take_while(u8::is_ascii_digit)
    }
}

impl Field<ApiTime> {
    /// The time, if there is one that [is a time](ApiTime::is_a_time).
    pub fn as_time(&self) -> Option<&ApiTime> {
        self.get().filter(|time| time.is_a_time())
    }
}

fn localized_in_utc(text: &str) -> Option<civil::DateTime> {
    let local = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT"))?;
    civil::DateTime::strptime("%d/%m/%Y %I:%M %p", local).ok()
}

impl Shape for ApiTime {
    fn from_text(text: &str) -> Field<Self> {
        if text.is_empty() {
            Field::Empty
        } else {
            Field::Value(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for ApiTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ApiTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiTime({:?})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        ApiTime::new(text).timestamp().map(|timestamp| timestamp.to_string())
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("2024-05-20T11:00:00Z", "2024-05-20T11:00:00Z"),
            ("2025-05-15T14:30:00.123Z", "2025-05-15T14:30:00.123Z"),
            ("2025-05-15T14:30:00+02:00", "2025-05-15T12:30:00Z"),
            ("2026-03-01 09:00:00", "2026-03-01T09:00:00Z"),
            ("2026-03-01T09:00:00", "2026-03-01T09:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            (" 2026-01-31 ", "2026-01-31T00:00:00Z"),
            ("15/10/2025 09:00 AM UTC", "2025-10-15T09:00:00Z"),
            ("15/10/2025 12:30 PM GMT", "2025-10-15T12:30:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_stands_for_no_time_is_none() {
        for none in [
            "0000-00-00 00:00:00",
            "0000-00-00",
            "-0001-11-30T00:00:00.000000Z",
            "-0001-11-30 00:00:00",
            "30/11/-0001 12:00 AM UTC",
            "00/00/0000 12:00 AM UTC",
            "0001-01-01T00:00:00Z",
            "1970-01-01 00:00:00",
            "never",
            "n/a",
            "null",
            "-",
            "0",
            " ",
        ] {
            assert!(!ApiTime::new(none).is_a_time(), "{none}");
        }
        for some in [
            "2026-01-31",
            " 2026-01-31 09:00:00",
            "15/10/2025 09:00 AM CST",
            "1716202800",
        ] {
            assert!(ApiTime::new(some).is_a_time(), "{some}");
        }
    }

    #[test]
    fn times_are_compared_as_exactly_as_the_coarser_is_written() {
        for (a, b, same) in [
            ("2026-01-31T09:00:05.123456Z", "2026-01-31T09:00:05.000000Z", true),
            ("2026-01-31T09:00:05.123456Z", "2026-01-31T09:00:05.123Z", true),
            ("2026-01-31T09:00:05.9Z", "2026-01-31 09:00:05", true),
            ("2026-01-31T09:00:05.123Z", "2026-01-31T09:00:05.124Z", false),
            ("2026-01-31T09:00:05Z", "2026-01-31T09:00:06.000Z", false),
            ("31/01/2026 09:00 AM UTC", "2026-01-31T09:00:59Z", true),
            ("31/01/2026 09:00 AM UTC", "2026-01-31T09:01:00Z", false),
        ] {
            let (a, b) = (ApiTime::new(a), ApiTime::new(b));
            assert_eq!((a.may_equal(&b), b.may_equal(&a)), (same, same), "{a} {b}");
            assert_eq!((a.is_before(&b), b.is_before(&a)), (!same, false), "{a} {b}");
        }
        let (day, moment) = (ApiTime::new("2026-01-31"), ApiTime::new("2026-02-01T09:00:00Z"));
        assert!(!day.is_before(&moment) && !day.may_equal(&day));
    }

    #[test]
    fn what_names_no_certain_instant_is_kept_as_text_only() {
        for text in [
            "",
            "soon",
            "15/10/2025 09:00 AM CST",
            "0000-00-00 00:00:00",
            "1716202800",
            "2026-13-01",
        ] {
            assert_eq!(read(text), None, "{text}");
            assert_eq!(ApiTime::new(text).as_str(), text);
        }
    }
}
