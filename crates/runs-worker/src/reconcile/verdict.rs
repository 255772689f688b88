//! Whether what was read of the run list may be believed. Nothing here does I/O or reads a clock.

use std::time::Duration;

use jiff::Timestamp;
use runs_store::{Sweep, SweepKind, SweepPhase};

/// How often the list is read again because fewer runs were seen than there are.
const MAX_PASSES: u32 = 3;

/// How long to wait before a list that contradicts itself is read again: a replica that is being filled, or that lags
/// behind, needs seconds. It doubles each time.
const AGAIN: Duration = Duration::from_secs(5);
const AGAIN_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// The same before an organization is believed to have no runs.
const EMPTY: Duration = Duration::from_secs(1);

/// What comes after the last page, and how long to wait before.
///
/// Where more than a quarter is missing, nothing follows from the list until it was read again: neither are all known runs taken
/// for gone, nor is a first sweep the baseline. A list that says itself that most of it is missing is not believed at all.
pub(super) fn after_list(sweep: &Sweep, pass: u32, now: Timestamp) -> (SweepPhase, Duration) {
    let listed = sweep.found.listed;
    let total = sweep.total.unwrap_or(listed);
    let is_short = listed < total;
    let is_by_half = |count: u64| listed.saturating_mul(2) < count;
    let is_by_a_quarter = |count: u64| listed.saturating_mul(4) < count.saturating_mul(3);
    let is_doubtful = is_by_a_quarter(total) || is_by_a_quarter(sweep.expected);
    let is_empty = sweep.baseline && pass == 1 && listed == 0;
    let again = SweepPhase::Listing {
        pass: pass.saturating_add(1),
        page: 1,
    };
    let wait = AGAIN
        .saturating_mul(1 << pass.saturating_sub(1).min(16))
        .min(AGAIN_AT_MOST);
    if sweep.order.kind == SweepKind::Audit || !(is_short || is_doubtful || is_empty) {
        (SweepPhase::Closing, Duration::ZERO)
    } else if pass < MAX_PASSES {
        let wait = match (is_doubtful, is_empty) {
            (true, _) => wait,
            (false, true) => EMPTY,
            (false, false) => Duration::ZERO,
        };
        (again, wait)
    } else if !is_by_half(total) {
        (SweepPhase::Closing, Duration::ZERO)
    } else if sweep.baseline {
        (again, wait)
    } else {
        (SweepPhase::Finished(now), Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use runs_store::{SweepFound, SweepOrder, SweepScope};

    use super::*;

    fn after(listed: u64, total: Option<u64>, expected: u64, baseline: bool, pass: u32) -> String {
        let sweep = Sweep {
            number: 2,
            order: SweepOrder {
                kind: SweepKind::Sync,
                scope: SweepScope::All,
                backfill: false,
            },
            baseline,
            started_at: Timestamp::UNIX_EPOCH,
            phase: SweepPhase::Closing,
            expected,
            total,
            found: SweepFound {
                listed,
                ..SweepFound::default()
            },
        };
        let (phase, wait) = after_list(&sweep, pass, Timestamp::UNIX_EPOCH);
        let what = match phase {
            SweepPhase::Listing { pass, .. } => format!("pass {pass}"),
            SweepPhase::Closing => "close".to_owned(),
            SweepPhase::Finished(_) => "finish".to_owned(),
        };
        format!("{what} after {} s", wait.as_secs())
    }

    #[test]
    fn a_list_that_is_whole_is_closed() {
        assert_eq!(after(120, Some(120), 100, false, 1), "close after 0 s");
        assert_eq!(after(120, None, 120, false, 1), "close after 0 s");
        assert_eq!(after(0, Some(0), 0, false, 1), "close after 0 s");
    }

    #[test]
    fn a_few_that_are_missing_are_looked_for_at_once() {
        assert_eq!(after(118, Some(120), 120, false, 1), "pass 2 after 0 s");
        assert_eq!(after(118, Some(120), 120, false, 3), "close after 0 s");
    }

    #[test]
    fn a_list_that_says_that_most_of_it_is_missing_is_read_again_and_never_believed() {
        assert_eq!(after(0, Some(120), 120, false, 1), "pass 2 after 5 s");
        assert_eq!(after(0, Some(120), 120, false, 2), "pass 3 after 10 s");
        assert_eq!(after(0, Some(120), 120, false, 3), "finish after 0 s");
        assert_eq!(after(0, Some(120), 0, true, 3), "pass 4 after 20 s", "no baseline");
    }

    #[test]
    fn a_list_that_has_shrunk_is_believed_when_it_was_read_again() {
        assert_eq!(after(10, Some(10), 120, false, 1), "pass 2 after 5 s");
        assert_eq!(after(60, Some(60), 120, false, 1), "pass 2 after 5 s");
        assert_eq!(after(90, Some(90), 120, false, 1), "close after 0 s");
        assert_eq!(after(10, Some(10), 120, false, 3), "close after 0 s");
        assert_eq!(
            after(0, Some(0), 0, true, 1),
            "pass 2 after 1 s",
            "an empty organization"
        );
        assert_eq!(after(0, Some(0), 0, true, 2), "close after 0 s");
    }
}
