//! What is known of a run when the run list shows it, and what follows from the difference.
//!
//! List and run are compared by one text, made of status, archive and `last_updated`, which is only compared. A time to the
//! second cannot tell two changes of that second apart, so a run that was fetched within it is fetched once more. Where list
//! and run never agree, one fetch for each thing that the list says is enough.

use jiff::{SignedDuration, Timestamp};

use super::{Finding, Listed, Standing, Sweep, SweepPhase, SweepScope};

/// How far the API's clock may be behind ours.
const OTHER_CLOCK: SignedDuration = SignedDuration::from_mins(10);

/// What the store has of a run, when a sweep comes by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) standing: Option<Standing>,
    pub(crate) is_due: bool,
    /// The version that was fetched last, if any was.
    pub(crate) fetched: Option<String>,
    pub(crate) settled: bool,
    pub(crate) active: bool,
    /// What the list showed last: a version, or nothing; `None` if no list was looked at yet.
    pub(crate) listed: Option<String>,
    /// Whether it was made due for that, and a fetch since has shown what there was to see.
    pub(crate) was_answered: bool,
    /// Since when the organization is watched.
    pub(crate) watched_since: Option<Timestamp>,
    /// Whether it was fetched while this sweep was under way.
    pub(crate) fetched_meanwhile: bool,
}

/// What the list is remembered to have shown of a run that was not in it.
pub(crate) const ABSENT: &str = "";

impl Known {
    fn was_fetched(&self) -> bool {
        matches!(
            self.standing,
            Some(Standing::Present | Standing::Gone | Standing::NoAccess)
        )
    }

    fn is_there(&self) -> bool {
        !matches!(self.standing, Some(Standing::Gone | Standing::NoAccess))
    }

    /// Whether a run that nobody told of was there before the worker looked at the organization: it is never told of for
    /// turning up, whenever that is. What a first reading of the whole list did not show, and was launched not long before
    /// by a clock that may not be ours, was launched since.
    fn is_older_than_the_watch(&self, listed: &Listed, sweep: &Sweep) -> bool {
        let is_first_look = sweep.baseline && matches!(sweep.phase, SweepPhase::Listing { pass: 1, .. });
        let Some(created) = listed.created_at else {
            return is_first_look;
        };
        let since = self.watched_since.unwrap_or(sweep.started_at).min(sweep.started_at);
        let allowed = if is_first_look {
            SignedDuration::ZERO
        } else {
            OTHER_CLOCK
        };
        created.duration_since(since) < -allowed
    }

    fn differs(&self, finding: Finding) -> Option<Finding> {
        Some(if self.is_due { Finding::Pending } else { finding })
    }

    /// What it means that the list shows this.
    pub(crate) fn in_list(&self, listed: &Listed, sweep: &Sweep) -> Option<Finding> {
        let text = listed.version.text.as_str();
        if !self.was_fetched() {
            let is_old = self.is_older_than_the_watch(listed, sweep);
            let is_known = self.listed.as_deref().is_some_and(|before| before == text);
            return match (&self.listed, sweep.order.backfill) {
                (_, true) => self.differs(Finding::New),
                (None, false) if is_old => None,
                (None, false) => self.differs(Finding::New),
                (Some(_), false) if is_known => self.is_due.then_some(Finding::Pending),
                (Some(_), false) => self.differs(Finding::Changed),
            };
        }
        let is_same = self.fetched.as_deref() == Some(text) && self.settled && self.is_there();
        // Where the list and the run never agree, one fetch for each thing that the list says is enough.
        let was_looked_at = self.listed.as_deref() == Some(text) && self.was_answered && self.settled;
        if is_same || was_looked_at {
            return None;
        }
        self.differs(Finding::Changed)
    }

    /// What it means that the list does not show it.
    pub(crate) fn not_in_list(&self, sweep: &Sweep) -> Option<Finding> {
        let is_expected = match sweep.order.scope {
            SweepScope::All => true,
            SweepScope::Active => self.active,
        };
        // A list of active runs does not show those that are late, and what changes of them.
        let was_looked_at =
            sweep.order.scope == SweepScope::All && self.listed.as_deref() == Some(ABSENT) && self.was_answered;
        if !is_expected || !self.is_there() || self.fetched_meanwhile || was_looked_at {
            return None;
        }
        self.differs(Finding::Vanished)
    }
}

#[cfg(test)]
mod tests {
    use tallyfy_model::RunId;

    use super::*;
    use crate::desks::{Recorded, SweepFound, SweepKind, SweepOrder, Version};

    fn sweep(scope: SweepScope) -> Sweep {
        Sweep {
            number: 2,
            order: SweepOrder {
                kind: SweepKind::Sync,
                scope,
                backfill: false,
            },
            baseline: false,
            started_at: Timestamp::UNIX_EPOCH,
            phase: SweepPhase::Listing { pass: 1, page: 1 },
            expected: 0,
            total: None,
            found: SweepFound::default(),
        }
    }

    fn listed(text: &str) -> Listed {
        Listed {
            run: RunId::new("r1"),
            version: Version {
                text: text.to_owned(),
                settled: true,
                active: true,
            },
            shows: Recorded::default(),
            created_at: None,
        }
    }

    fn fetched(text: &str) -> Known {
        Known {
            standing: Some(Standing::Present),
            fetched: Some(text.to_owned()),
            settled: true,
            active: true,
            ..Known::default()
        }
    }

    #[test]
    fn a_run_that_the_list_shows_as_it_was_fetched_is_the_same() {
        assert_eq!(fetched("a").in_list(&listed("a"), &sweep(SweepScope::All)), None);
        let differs = fetched("a").in_list(&listed("b"), &sweep(SweepScope::All));
        assert_eq!(differs, Some(Finding::Changed));
    }

    #[test]
    fn a_second_change_within_the_same_second_is_looked_for_once() {
        let unsettled = Known {
            settled: false,
            ..fetched("a")
        };
        assert_eq!(
            unsettled.in_list(&listed("a"), &sweep(SweepScope::All)),
            Some(Finding::Changed)
        );
    }

    #[test]
    fn where_list_and_run_never_agree_one_fetch_is_enough() {
        let looked_at = Known {
            listed: Some("b".to_owned()),
            was_answered: true,
            ..fetched("a")
        };
        assert_eq!(looked_at.in_list(&listed("b"), &sweep(SweepScope::All)), None);
        assert_eq!(
            looked_at.in_list(&listed("c"), &sweep(SweepScope::All)),
            Some(Finding::Changed)
        );
    }

    #[test]
    fn what_waits_already_is_on_its_way() {
        let due = Known {
            is_due: true,
            ..fetched("a")
        };
        assert_eq!(
            due.in_list(&listed("b"), &sweep(SweepScope::All)),
            Some(Finding::Pending)
        );
    }

    #[test]
    fn the_first_sweep_takes_old_runs_down_and_tells_of_those_launched_since() {
        let first = Sweep {
            baseline: true,
            started_at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000),
            ..sweep(SweepScope::All)
        };
        let old = Listed {
            created_at: Some(Timestamp::UNIX_EPOCH),
            ..listed("a")
        };
        assert_eq!(Known::default().in_list(&old, &first), None);
        let watched = Known {
            watched_since: Some(first.started_at),
            ..Known::default()
        };
        let later = Sweep {
            started_at: first.started_at + SignedDuration::from_hours(1),
            ..sweep(SweepScope::All)
        };
        assert_eq!(watched.in_list(&old, &later), None, "whenever it turns up");
        let just_before = Listed {
            created_at: Some(first.started_at - SignedDuration::from_secs(3)),
            ..listed("a")
        };
        assert_eq!(watched.in_list(&just_before, &first), None);
        let once_more = Sweep {
            phase: SweepPhase::Listing { pass: 2, page: 1 },
            ..first.clone()
        };
        for sweep in [&once_more, &later] {
            assert_eq!(
                watched.in_list(&just_before, sweep),
                Some(Finding::New),
                "by another clock"
            );
        }
        assert_eq!(Known::default().in_list(&listed("a"), &first), None);
        let launched_since = Listed {
            created_at: Some(Timestamp::MAX),
            ..listed("a")
        };
        assert_eq!(Known::default().in_list(&launched_since, &first), Some(Finding::New));
        assert_eq!(
            Known::default().in_list(&listed("a"), &sweep(SweepScope::All)),
            Some(Finding::New)
        );
    }

    #[test]
    fn a_run_that_was_only_taken_down_is_told_of_when_it_changes_or_when_asked() {
        let taken_down = Known {
            standing: Some(Standing::Unseen),
            listed: Some("a".to_owned()),
            ..Known::default()
        };
        assert_eq!(taken_down.in_list(&listed("a"), &sweep(SweepScope::All)), None);
        assert_eq!(
            taken_down.in_list(&listed("b"), &sweep(SweepScope::All)),
            Some(Finding::Changed)
        );
        let mut backfill = sweep(SweepScope::All);
        backfill.order.backfill = true;
        assert_eq!(taken_down.in_list(&listed("a"), &backfill), Some(Finding::New));
    }

    #[test]
    fn what_is_not_in_the_list_has_vanished_if_it_was_to_be_expected_there() {
        let known = fetched("a");
        assert_eq!(known.not_in_list(&sweep(SweepScope::All)), Some(Finding::Vanished));
        let complete = Known { active: false, ..known };
        assert_eq!(complete.not_in_list(&sweep(SweepScope::Active)), None);
        let late = Known {
            listed: Some(ABSENT.to_owned()),
            was_answered: true,
            ..fetched("a")
        };
        assert_eq!(
            late.not_in_list(&sweep(SweepScope::Active)),
            Some(Finding::Vanished),
            "in every sweep"
        );
        assert_eq!(complete.not_in_list(&sweep(SweepScope::All)), Some(Finding::Vanished));
        for known in [
            Known {
                standing: Some(Standing::Gone),
                ..complete.clone()
            },
            Known {
                fetched_meanwhile: true,
                ..complete.clone()
            },
            Known {
                listed: Some(ABSENT.to_owned()),
                was_answered: true,
                ..complete
            },
        ] {
            assert_eq!(known.not_in_list(&sweep(SweepScope::All)), None, "{known:?}");
        }
    }

    #[test]
    fn a_run_that_is_back_in_the_list_is_looked_at() {
        let gone = Known {
            standing: Some(Standing::Gone),
            listed: Some(ABSENT.to_owned()),
            was_answered: true,
            ..fetched("a")
        };
        assert_eq!(
            gone.in_list(&listed("a"), &sweep(SweepScope::All)),
            Some(Finding::Changed)
        );
    }
}
