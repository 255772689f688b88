//! Times on the wire.

use jiff::Timestamp;
use serde_json::Value;

use super::Render;
use crate::quirks::DateForm;

impl Render<'_> {
    /// A time.
    pub(super) fn date(&self, at: Timestamp) -> Value {
        Value::String(date_text(at, self.quirks.dates))
    }

    /// A time, or null.
    pub(super) fn date_or_null(&self, at: Option<Timestamp>) -> Value {
        at.map(|at| self.date(at)).unwrap_or_default()
    }
}

/// A time in one of the API's forms, always UTC.
pub(super) fn date_text(at: Timestamp, form: DateForm) -> String {
    let pattern = match form {
        DateForm::Millis => "%Y-%m-%dT%H:%M:%S.%3fZ",
        DateForm::Seconds => "%Y-%m-%dT%H:%M:%SZ",
        DateForm::Spaced => "%Y-%m-%d %H:%M:%S",
        DateForm::DateOnly => "%Y-%m-%d",
    };
    at.strftime(pattern).to_string()
}

/// A time in the localized form of webhooks, `d/m/Y h:i A T`.
pub(super) fn localized(at: Timestamp) -> String {
    at.strftime("%d/%m/%Y %I:%M %p UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_has_many_forms() {
        let at: Timestamp = "2025-10-15T21:05:09.12Z".parse().unwrap();
        let forms: Vec<String> = DateForm::ALL.iter().map(|form| date_text(at, *form)).collect();
        assert_eq!(
            forms,
            [
                "2025-10-15T21:05:09.120Z",
                "2025-10-15T21:05:09Z",
                "2025-10-15 21:05:09",
                "2025-10-15"
            ]
        );
        assert_eq!(localized(at), "15/10/2025 09:05 PM UTC");
    }
}
