//! Sweeps find what nobody told of.

use super::arrange::{Desk, assert_lease_lost, at, claim, of_run, org, run, unchanged, version, wall};
use super::under_test::StoreUnderTest;
use crate::desks::{
    Finding, Listed, ListedPage, Sweep, SweepFound, SweepKind, SweepOrder, SweepPhase, SweepScope, Version,
};
use crate::desks::{Lane, Lanes, Recorded, Refreshed, Standing};

pub(super) const SYNC: SweepOrder = SweepOrder {
    kind: SweepKind::Sync,
    scope: SweepScope::All,
    backfill: false,
};
const AUDIT: SweepOrder = SweepOrder {
    kind: SweepKind::Audit,
    ..SYNC
};

pub(super) fn listed(name: &str, text: &str) -> Listed {
    Listed {
        run: run(name),
        version: version(text),
        shows: Recorded::default(),
        created_at: None,
    }
}

fn page(sweep: &Sweep, runs: Vec<Listed>) -> ListedPage {
    let (pass, page) = match sweep.phase {
        SweepPhase::Listing { pass, page } => (pass, page),
        SweepPhase::Closing | SweepPhase::Finished(_) => (0, 0),
    };
    ListedPage {
        sweep: sweep.number,
        pass,
        page,
        total: None,
        runs,
    }
}

impl<S: StoreUnderTest> Desk<S> {
    pub(super) async fn start(&self, order: SweepOrder, seconds: i64) -> Sweep {
        let store = self.0.store();
        store.start_sweep(&org(), order, wall(seconds)).await.unwrap()
    }

    pub(super) async fn record(&self, sweep: &Sweep, runs: Vec<Listed>, seconds: i64) -> Sweep {
        let page = page(sweep, runs);
        self.0.store().record_page(&org(), page, at(seconds)).await.unwrap()
    }

    pub(super) async fn go_to(&self, sweep: &Sweep, phase: SweepPhase) -> Sweep {
        self.0.store().move_sweep(&org(), sweep, phase).await.unwrap()
    }

    pub(super) async fn finish(&self, sweep: &Sweep, seconds: i64) -> SweepFound {
        let mut closing = self.go_to(sweep, SweepPhase::Closing).await;
        let mut more = true;
        while more {
            let closed = self.0.store().close_sweep(&org(), closing.number, 2, at(seconds)).await;
            (closing, more) = closed.unwrap();
        }
        self.go_to(&closing, SweepPhase::Finished(wall(seconds))).await.found
    }

    /// A whole sweep that sees these runs.
    async fn sweep(&self, order: SweepOrder, runs: &[(&str, &str)], seconds: i64) -> SweepFound {
        let sweep = self.start(order, seconds).await;
        let runs = runs.iter().map(|(name, text)| listed(name, text)).collect();
        let sweep = self.record(&sweep, runs, seconds).await;
        self.finish(&sweep, seconds).await
    }

    /// Fetches everything that is due, and finds it in this state.
    async fn fetch_all(&self, text: &str, seconds: i64) {
        for due in self.claim(claim(seconds)).await.work {
            self.commit(&due.lease, seen(version(text)), seconds).await;
        }
    }

    async fn fetch_of_notification(&self, name: &str, text: &str, seconds: i64) {
        self.append(of_run(name), seconds).await;
        self.fetch_all(text, seconds).await;
    }

    async fn findings(&self) -> Vec<(String, Finding)> {
        let findings = self.0.store().findings(&org(), 10).await.unwrap();
        findings
            .into_iter()
            .map(|(run, what)| (run.to_string(), what))
            .collect()
    }
}

fn seen(version: Version) -> Refreshed {
    Refreshed {
        version: Some(version),
        ..unchanged()
    }
}

pub async fn the_first_sweep_takes_down_what_is_there<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let found = desk.sweep(SYNC, &[("a", "1"), ("b", "1")], 0).await;
    assert_eq!((found.listed, found.missing()), (2, 0));
    desk.assert_nothing_due(1).await;
    // From then on, what is different is noticed without anything having been fetched.
    let found = desk.sweep(SYNC, &[("a", "1"), ("b", "2")], 10).await;
    assert_eq!((found.changed, found.missing()), (1, 1));
    assert_eq!(desk.claim_names(11).await, ["run b"]);
}

pub async fn a_backfill_makes_all_of_it_due<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.sweep(SYNC, &[("a", "1")], 0).await;
    let backfill = SweepOrder { backfill: true, ..SYNC };
    assert_eq!(desk.sweep(backfill, &[("a", "1"), ("b", "1")], 10).await.new, 2);
    desk.fetch_all("1", 11).await;
    assert_eq!(desk.sweep(backfill, &[("a", "1"), ("b", "1")], 20).await.missing(), 0);
}

pub async fn a_later_sweep_finds_what_nobody_told_of<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.sweep(SYNC, &[], 0).await;
    desk.fetch_of_notification("known", "1", 1).await;
    let found = desk.sweep(SYNC, &[("known", "2"), ("new", "1")], 10).await;
    assert_eq!((found.new, found.changed, found.vanished), (1, 1, 0));
    let expected = [("known", Finding::Changed), ("new", Finding::New)];
    assert_eq!(
        desk.findings().await,
        expected.map(|(name, what)| (name.to_owned(), what))
    );
    let due = desk.claim(claim(11)).await.work;
    assert!(due.iter().all(|due| due.lane == Lane::Sweep), "{due:?}");
    assert_eq!(due.len(), 2);
}

pub async fn what_the_list_shows_as_it_was_fetched_costs_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.fetch_of_notification("a", "1", 0).await;
    assert_eq!(desk.sweep(SYNC, &[("a", "1")], 10).await.missing(), 0);
    desk.assert_nothing_due(11).await;
}

pub async fn a_difference_that_stays_is_looked_at_once<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.fetch_of_notification("a", "as fetched", 0).await;
    assert_eq!(desk.sweep(SYNC, &[("a", "as listed")], 10).await.changed, 1);
    desk.fetch_all("as fetched", 11).await;
    assert_eq!(desk.sweep(SYNC, &[("a", "as listed")], 20).await.changed, 0);
    assert_eq!(desk.sweep(SYNC, &[("a", "as listed later")], 30).await.changed, 1);
}

pub async fn a_run_that_left_the_list_is_looked_at_once<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.fetch_of_notification("a", "1", 0).await;
    desk.fetch_of_notification("b", "1", 1).await;
    desk.fetch_of_notification("c", "1", 2).await;
    assert_eq!(desk.sweep(SYNC, &[("c", "1")], 10).await.vanished, 2);
    for due in desk.claim(claim(11)).await.work {
        let gone = Refreshed {
            standing: Standing::Gone,
            ..unchanged()
        };
        let still_there = due.subject.to_string() == "run b";
        let refreshed = if still_there { seen(version("1")) } else { gone };
        desk.commit(&due.lease, refreshed, 12).await;
    }
    assert_eq!(desk.sweep(SYNC, &[("c", "1")], 20).await.missing(), 0);
    // One that is back is looked at again.
    assert_eq!(desk.sweep(SYNC, &[("c", "1"), ("a", "1")], 30).await.changed, 1);
}

pub async fn a_run_that_was_fetched_meanwhile_has_not_vanished<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let sweep = desk.start(SYNC, 0).await;
    let sweep = desk.record(&sweep, Vec::new(), 1).await;
    desk.fetch_of_notification("launched since", "1", 2).await;
    assert_eq!(desk.finish(&sweep, 3).await.vanished, 0);
}

pub async fn what_waits_already_is_only_counted<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.fetch_of_notification("a", "1", 0).await;
    desk.append(of_run("a"), 1).await;
    let found = desk.sweep(SYNC, &[("a", "2")], 2).await;
    assert_eq!((found.pending, found.missing()), (1, 0));
    let due = desk.claim_one(3).await;
    assert_eq!(due.lane, Lane::Live);
}

pub async fn runs_are_counted_once_in_all_passes<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let sweep = desk.start(SYNC, 0).await;
    let sweep = desk.record(&sweep, vec![listed("a", "1"), listed("b", "1")], 1).await;
    let second = desk.go_to(&sweep, SweepPhase::Listing { pass: 2, page: 1 }).await;
    let second = desk.record(&second, vec![listed("b", "1"), listed("c", "1")], 2).await;
    assert_eq!(second.found.listed, 3);
    assert_eq!(second.phase, SweepPhase::Listing { pass: 2, page: 2 });
}

pub async fn an_audit_changes_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.sweep(SYNC, &[], 0).await;
    desk.fetch_of_notification("changed", "1", 1).await;
    desk.fetch_of_notification("gone", "1", 2).await;
    let audited = desk.sweep(AUDIT, &[("changed", "2"), ("new", "1")], 10).await;
    assert_eq!((audited.new, audited.changed, audited.vanished), (1, 1, 1));
    desk.assert_nothing_due(11).await;
    let synced = desk.sweep(SYNC, &[("changed", "2"), ("new", "1")], 20).await;
    assert_eq!((synced.new, synced.changed, synced.vanished), (1, 1, 1));
}

pub async fn a_sweep_goes_on_where_it_was_after_a_crash<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let sweep = desk.start(SYNC, 0).await;
    desk.record(&sweep, vec![listed("a", "1")], 1).await;
    let desk = desk.crash(2).await;
    let resumed = desk.start(AUDIT, 3).await;
    assert_eq!((resumed.number, resumed.order, resumed.found.listed), (1, SYNC, 1));
    assert_eq!(resumed.phase, SweepPhase::Listing { pass: 1, page: 2 });
}

pub async fn a_page_that_somebody_else_recorded_is_refused<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let sweep = desk.start(SYNC, 0).await;
    desk.record(&sweep, vec![listed("a", "1")], 1).await;
    let store = desk.0.store();
    let late = store
        .record_page(&org(), page(&sweep, vec![listed("a", "2")]), at(2))
        .await;
    assert_lease_lost(late.map(drop));
    let late = store.move_sweep(&org(), &sweep, SweepPhase::Closing).await;
    assert_lease_lost(late.map(drop));
}

pub async fn what_a_person_asked_for_comes_next<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let store = desk.0.store();
    assert_eq!(store.ask_for_sweep(&org(), AUDIT).await.unwrap(), 1);
    let sweeps = store.sweeps(&org()).await.unwrap();
    assert_eq!((sweeps.latest, sweeps.asked), (None, Some(AUDIT)));
    desk.start(AUDIT, 1).await;
    let sweeps = store.sweeps(&org()).await.unwrap();
    assert_eq!(sweeps.asked, None);
    assert_eq!(sweeps.latest.map(|sweep| sweep.number), Some(1));
    assert_eq!(store.ask_for_sweep(&org(), SYNC).await.unwrap(), 2);
}

pub async fn a_claim_looks_into_the_lanes_that_it_is_told<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.request("swept", Lane::Sweep, 0).await;
    let store = desk.0.store();
    let urgent = store.claim_due(&org(), Lanes::WithoutSweeps, claim(1)).await.unwrap();
    assert!(urgent.work.is_empty() && urgent.next_due.is_none(), "{urgent:?}");
    desk.append(of_run("live"), 1).await;
    let mut one = claim(2);
    one.limit = 1;
    let first = store.claim_due(&org(), Lanes::SweepsFirst, one).await.unwrap();
    assert_eq!(first.work[0].subject.to_string(), "run swept");
    assert_eq!(desk.claim_names(3).await, ["run live"]);
}

pub async fn an_audit_before_any_sweep_says_that_all_is_missing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    assert_eq!(desk.sweep(AUDIT, &[("a", "1"), ("b", "1")], 0).await.missing(), 2);
    // And is none: what was there before is taken down by the first one.
    assert_eq!(desk.sweep(SYNC, &[("a", "1"), ("b", "1")], 10).await.missing(), 0);
}
