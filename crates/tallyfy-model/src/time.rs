//! Points in time as Tallyfy writes them.
//!
//! Responses and webhooks use several forms (API reference, sections a.4 and g.7): ISO 8601 with and without
//! milliseconds, `2026-01-31 09:00:00` without a zone, a date alone, and, if an organization asks for it, localized
//! webhook dates such as `15/10/2025 09:00 AM UTC`. The text is therefore kept, and read as far as it can be.

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
