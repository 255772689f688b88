//! What tells one state of a run from the next, as far as the run list shows it.

use jiff::{SignedDuration, Timestamp};
use runs_store::Version;
use tallyfy_model::{ApiTime, Run, RunStatus};

/// A time that is written to the second is that of any change within it, and our clock is not quite the server's.
const ONE_SECOND_AND_SOME: SignedDuration = SignedDuration::from_secs(2);

/// The state of a run, fetched at this time by the wall clock, or listed.
///
/// The list and the run itself have `last_updated` and `status` in common, and the first changes with any edit (API
/// reference, section e.5).
pub(crate) fn version(run: &Run, fetched_at: Option<Timestamp>) -> Version {
    let status = run.status.get();
    let updated = run.last_updated.get();
    let moment = updated.and_then(ApiTime::timestamp);
    let time = match (moment, updated) {
        (Some(moment), _) => moment.to_string(),
        (None, Some(text)) => text.as_str().to_owned(),
        (None, None) => String::new(),
    };
    let archived = if run.is_archived() { "archived" } else { "" };
    Version {
        text: format!(
            "{time} {archived} {}",
            status.map(RunStatus::as_str).unwrap_or_default()
        ),
        settled: match (moment, fetched_at) {
            (Some(moment), Some(fetched_at)) => {
                moment.subsec_nanosecond() != 0 || fetched_at.duration_since(moment) >= ONE_SECOND_AND_SOME
            }
            _ => true,
        },
        active: !run.is_complete() && !run.is_archived(),
    }
}

/// Whether a version is of an earlier time than another one.
pub(crate) fn is_older(version: &str, than: &str) -> bool {
    let moment = |text: &str| text.split(' ').next()?.parse::<Timestamp>().ok();
    match (moment(version), moment(than)) {
        (Some(version), Some(than)) => version < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn of(json: &str) -> Version {
        version(&Run::from_json(json).unwrap(), Some(at("2026-01-31T09:00:01Z")))
    }

    #[test]
    fn the_form_of_a_time_makes_no_other_version() {
        let texts = [
            "2026-01-31T09:00:00Z",
            "2026-01-31T09:00:00.000Z",
            "2026-01-31 09:00:00",
            "2026-01-31T10:00:00+01:00",
        ]
        .map(|time| of(&format!(r#"{{"id":"r","status":"active","last_updated":"{time}"}}"#)).text);
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    }

    #[test]
    fn status_archive_and_time_make_another_version() {
        let texts = [
            r#"{"id":"r"}"#,
            r#"{"id":"r","status":"active"}"#,
            r#"{"id":"r","status":"complete"}"#,
            r#"{"id":"r","status":"complete","archived_at":"2026-01-31T09:00:00Z"}"#,
            r#"{"id":"r","status":"active","last_updated":"2026-01-31T09:00:00Z"}"#,
            r#"{"id":"r","status":"active","last_updated":"gestern"}"#,
        ]
        .map(|json| of(json).text);
        let different: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(different.len(), texts.len(), "{texts:?}");
    }

    #[test]
    fn a_run_that_was_fetched_in_the_second_of_its_change_may_change_again_in_it() {
        assert!(!of(r#"{"id":"r","last_updated":"2026-01-31T09:00:00Z"}"#).settled);
        assert!(of(r#"{"id":"r","last_updated":"2026-01-31T08:59:59Z"}"#).settled);
        assert!(of(r#"{"id":"r","last_updated":"2026-01-31T09:00:00.123Z"}"#).settled);
    }

    #[test]
    fn older_is_told_by_times_alone() {
        assert!(is_older(
            "2026-01-31T09:00:00Z  active",
            "2026-01-31T09:00:00.5Z  active"
        ));
        assert!(!is_older(
            "2026-01-31T09:00:00Z  active",
            "2026-01-31T09:00:00Z  complete"
        ));
        assert!(!is_older("gestern  active", "heute  active"));
    }
}
