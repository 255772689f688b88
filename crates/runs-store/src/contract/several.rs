//! What holds when several workers have one store.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tallyfy_model::OrgId;
use tokio::task::yield_now;

use super::arrange::{Desk, at, changed, claim, handler, keyed, of_run, org, postponed, text, unchanged, with_events};
use super::sweeps::{SYNC, listed};
use super::under_test::StoreUnderTest;
use crate::desks::{
    Appended, Claim, Lanes, LeaseLost, ListedPage, PostponeCause, RefreshEnd, Settlement, Store, SweepPhase,
};
use crate::error::StoreError;
use crate::intake_log::{LogId, Position};
use crate::time::SchedulingTime;

/// A store that may have several workers.
#[async_trait]
pub trait SeveralUnderTest: StoreUnderTest {
    /// Another worker of the same store.
    async fn another(&self, now: SchedulingTime) -> Arc<dyn Store>;
}

/// Defines the tests of this suite for one implementation.
#[macro_export]
macro_rules! several_workers_contract {
    ($store:ty) => {
        $crate::store_contract! { @in $store;
            several: [
                runs_are_handed_out_to_one_worker_each
                deliveries_are_handed_out_to_one_worker_each_and_in_order
                no_more_are_in_flight_than_may_be_with_all_workers_together
                what_one_has_leased_stays_its_own_when_another_starts_or_ends
                who_comes_back_late_changes_nothing
                appends_in_both_directions_do_not_get_stuck
                a_notification_that_reaches_two_workers_is_stored_once
                a_commit_and_a_notification_at_the_same_time_lose_nothing
                what_one_makes_due_wakes_the_others
                a_seat_has_one_holder
                a_seat_that_is_not_renewed_goes_to_another_worker
                what_was_claimed_before_a_seat_is_due_with_it
                who_lost_a_seat_claims_nothing_with_what_it_ends
                seats_are_shared_out
                a_budget_and_a_sweep_are_handed_on_with_the_seat
                who_lost_a_seat_changes_neither_budget_nor_sweep
                workers_are_listed_with_their_seats
            ]
        }
    };
}

const LONG: Duration = Duration::from_secs(3600);
const NONE: [OrgId; 0] = [];
const SHORT: Duration = Duration::from_millis(1);

async fn two<S: SeveralUnderTest>(handlers: &[&str]) -> (Desk<S>, Arc<dyn Store>) {
    let desk = Desk::<S>::with_handlers(handlers).await;
    let other = desk.0.another(at(0)).await;
    (desk, other)
}

/// Claims until there is nothing left, and commits one event for each.
async fn refresh_all(store: &dyn Store) -> Vec<String> {
    let mut done = Vec::new();
    loop {
        let some = Claim { limit: 5, ..claim(1) };
        let claimed = store.claim_due(&org(), Lanes::All, some).await.unwrap();
        if claimed.work.is_empty() && claimed.next_due.is_none_or(|due| due > at(1)) {
            return done;
        }
        let ended = claimed
            .work
            .iter()
            .map(|due| (due.lease.clone(), RefreshEnd::Commit(changed("1"))).into());
        let outcomes = store.end_refreshes(ended.collect(), at(1)).await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        done.extend(claimed.work.iter().map(|due| due.subject.to_string()));
    }
}

pub async fn runs_are_handed_out_to_one_worker_each<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&["h"]).await;
    for number in 0..60 {
        desk.append(of_run(&number.to_string()), 0).await;
    }
    let (mut one, two) = tokio::join!(refresh_all(desk.0.store()), refresh_all(other.as_ref()));
    one.extend(two);
    assert_eq!(one.len(), 60);
    assert_eq!(one.into_iter().collect::<BTreeSet<_>>().len(), 60);
    assert_eq!(desk.stats(2).await.handlers[0].waiting, 60);
}

/// Claims and settles until there is nothing left: which events of which run.
async fn deliver_all(store: &dyn Store) -> Vec<(String, u64)> {
    let mut delivered = Vec::new();
    let mut ended = Vec::new();
    loop {
        let some = Claim { limit: 3, ..claim(2) };
        let turn = store
            .settle_and_claim(std::mem::take(&mut ended), &handler("h"), some)
            .await
            .unwrap();
        assert!(turn.settled.iter().all(Result::is_ok));
        if turn.claimed.work.is_empty() && turn.claimed.next_due.is_none() {
            return delivered;
        }
        for delivery in turn.claimed.work {
            delivered.push((delivery.run.to_string(), delivery.number));
            ended.push((delivery.lease, Settlement::Delivered).into());
        }
        yield_now().await;
    }
}

pub async fn deliveries_are_handed_out_to_one_worker_each_and_in_order<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&["h"]).await;
    for run in 0..8 {
        desk.append(of_run(&run.to_string()), 0).await;
    }
    let ended = desk.claim(claim(0)).await.work.into_iter();
    let ended = ended.map(|due| (due.lease, RefreshEnd::Commit(with_events(&["1", "2", "3", "4", "5"]))).into());
    desk.0.store().end_refreshes(ended.collect(), at(1)).await.unwrap();
    let (one, two) = tokio::join!(deliver_all(desk.0.store()), deliver_all(other.as_ref()));
    assert_eq!(one.len() + two.len(), 40);
    let mut numbers: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for of_one in [&one, &two] {
        let mut last = BTreeMap::new();
        for (run, number) in of_one {
            assert!(
                last.insert(run, number).is_none_or(|before| before < number),
                "{of_one:?}"
            );
            assert!(
                numbers.entry(run.clone()).or_default().insert(*number),
                "twice: {run} {number}"
            );
        }
    }
    assert!(numbers.values().all(|numbers| numbers.len() == 5));
}

pub async fn no_more_are_in_flight_than_may_be_with_all_workers_together<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&["h"]).await;
    for number in 0..20 {
        desk.change(&number.to_string(), "1", 0).await;
    }
    let three = Claim {
        limit: 2,
        in_flight: NonZeroUsize::new(3),
        ..claim(1)
    };
    let (name, here) = (handler("h"), desk.0.store());
    for _ in 0..10 {
        let claimed = tokio::join!(
            here.claim_deliveries(&name, three),
            other.claim_deliveries(&name, three),
            here.claim_deliveries(&name, three),
            other.claim_deliveries(&name, three)
        );
        let claimed = [claimed.0, claimed.1, claimed.2, claimed.3];
        let work: Vec<_> = claimed.into_iter().flat_map(|claimed| claimed.unwrap().work).collect();
        assert!(work.len() <= 3, "{} at a time", work.len());
        let ended = work
            .into_iter()
            .map(|delivery| (delivery.lease, Settlement::Delivered).into());
        other.settle(ended.collect(), at(1)).await.unwrap();
    }
    assert_eq!(
        desk.stats(2).await.handlers[0].waiting,
        0,
        "as many as may be, each time"
    );
}

pub async fn what_one_has_leased_stays_its_own_when_another_starts_or_ends<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(1).await;
    let delivery = desk.one_delivery("h", 1).await;
    other.close().await;
    let another = desk.0.another(at(2)).await;
    let claimed = another.claim_due(&org(), Lanes::All, claim(2)).await.unwrap();
    assert_eq!((claimed.work.len(), claimed.next_due), (0, Some(at(61))));
    assert!(
        another
            .claim_deliveries(&handler("h"), claim(2))
            .await
            .unwrap()
            .work
            .is_empty()
    );
    desk.commit(&due.lease, unchanged(), 3).await;
    desk.settle(&delivery.lease, Settlement::Delivered, 3).await;
}

pub async fn who_comes_back_late_changes_nothing<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&["h"]).await;
    desk.change("b", "0", 0).await;
    desk.append(of_run("a"), 0).await;
    let late = desk.claim_one(0).await.lease;
    let late_delivery = desk.one_delivery("h", 0).await.lease;

    let claimed = other.claim_due(&org(), Lanes::All, claim(61)).await.unwrap();
    let ended_late = async || {
        let postponed = RefreshEnd::Postpone(postponed(99, PostponeCause::Failed));
        for end in [RefreshEnd::Commit(changed("old")), postponed] {
            let ended = vec![(late.clone(), end).into()];
            let outcome = desk.0.store().end_refreshes(ended, at(63)).await.unwrap();
            assert_eq!(outcome, [Err(LeaseLost)]);
        }
    };
    ended_late().await;
    let ended = vec![(claimed.work[0].lease.clone(), RefreshEnd::Commit(changed("new"))).into()];
    assert_eq!(other.end_refreshes(ended, at(62)).await.unwrap(), [Ok(())]);
    ended_late().await;
    let taken = other.claim_deliveries(&handler("h"), claim(62)).await.unwrap().work;

    for settlement in [Settlement::Delivered, Settlement::Released] {
        assert_eq!(desk.try_settle(&late_delivery, settlement, 63).await, Err(LeaseLost));
    }
    let got: BTreeSet<String> = taken.iter().map(|delivery| text(&delivery.body)).collect();
    assert_eq!(got, BTreeSet::from(["0".to_owned(), "new".to_owned()]));
    let ended = taken
        .into_iter()
        .map(|delivery| (delivery.lease, Settlement::Delivered).into())
        .collect();
    assert_eq!(other.settle(ended, at(64)).await.unwrap(), [Ok(()), Ok(())]);
}

pub async fn appends_in_both_directions_do_not_get_stuck<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let import = async |store: &dyn Store, log: u128, names: [&str; 4]| {
        let log = LogId::from(uuid::Uuid::from_u128(log));
        for round in 0..15 {
            let batch = names.map(of_run).to_vec();
            let (after, through) = (Position::new(round * 4), Position::new(round * 4 + 4));
            store.import(log, after, batch, through, at(0)).await.unwrap();
        }
    };
    tokio::join!(
        import(desk.0.store(), 1, ["a", "b", "c", "d"]),
        import(other.as_ref(), 2, ["d", "c", "b", "a"]),
    );
    let claimed = desk.claim(claim(1)).await.work;
    let counts: Vec<usize> = claimed.iter().map(|due| due.notifications.len()).collect();
    assert_eq!(counts, [30; 4]);
}

pub async fn a_notification_that_reaches_two_workers_is_stored_once<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    for round in 0..10 {
        let (one, two) = (
            keyed(of_run("a"), &round.to_string()),
            keyed(of_run("a"), &round.to_string()),
        );
        let (one, two) = tokio::join!(desk.0.store().append(one, at(0)), other.append(two, at(0)));
        let stored = [one.unwrap(), two.unwrap()]
            .iter()
            .filter(|appended| **appended == Appended::Stored)
            .count();
        assert_eq!(stored, 1, "round {round}");
    }
    assert_eq!(desk.claim_one(1).await.notifications.len(), 10);
}

pub async fn a_commit_and_a_notification_at_the_same_time_lose_nothing<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let mut covered = 0;
    for _ in 0..10 {
        desk.append(of_run("a"), 0).await;
        let due = desk.claim_one(0).await;
        covered += due.notifications.len();
        let (_, appended) = tokio::join!(
            desk.commit(&due.lease, unchanged(), 0),
            other.append(of_run("a"), at(0))
        );
        appended.unwrap();
    }
    let left = desk.claim_one(1).await.notifications.len();
    assert_eq!(covered + left, 20);
}

pub async fn what_one_makes_due_wakes_the_others<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&["h"]).await;
    let mut wakeups = other.wakeups();
    // What it looks for by itself at the start is no wake-up of another worker.
    let mut woken = 0;
    while woken < 3 {
        wakeups.due.mark_unchanged();
        desk.append(of_run("a"), 0).await;
        wakeups.due.changed().await.unwrap();
        woken += 1;
    }
    wakeups.deliverable.mark_unchanged();
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, changed("1"), 0).await;
    wakeups.deliverable.changed().await.unwrap();
}

async fn hold(store: &dyn Store, orgs: &[OrgId], term: Duration) -> Vec<OrgId> {
    store.hold_seats(orgs, term, at(0)).await.unwrap().held
}

/// Holds this seat as soon as it can be held.
async fn hold_at_last(store: &dyn Store, orgs: &[OrgId], term: Duration) {
    while hold(store, orgs, term).await.is_empty() {
        yield_now().await;
    }
}

pub async fn a_seat_has_one_holder<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let orgs = [org()];
    let (one, two) = tokio::join!(hold(desk.0.store(), &orgs, LONG), hold(other.as_ref(), &orgs, LONG));
    assert_eq!(one.len() + two.len(), 1);
    let (holder, waiting) = match one.len() {
        1 => (desk.0.store(), other.as_ref()),
        _ => (other.as_ref(), desk.0.store()),
    };
    for _ in 0..2 {
        assert_eq!(hold(holder, &[org()], LONG).await, [org()], "it is renewed");
        assert_eq!(hold(waiting, &[org()], LONG).await, NONE);
    }
    holder.give_up_seats(&[org()]).await.unwrap();
    assert_eq!(hold(waiting, &[org()], LONG).await, [org()]);
    waiting.close().await;
    assert_eq!(hold(holder, &[org()], LONG).await, [org()], "who closes gives up");
}

pub async fn a_seat_that_is_not_renewed_goes_to_another_worker<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    assert_eq!(hold(desk.0.store(), &[org()], SHORT).await, [org()]);
    desk.append(of_run("a"), 0).await;
    let lease = desk.claim_one(0).await.lease;
    hold_at_last(other.as_ref(), &[org()], LONG).await;
    assert_eq!(hold(desk.0.store(), &[org()], SHORT).await, NONE);
    // What the one before had claimed is due at once.
    let claimed = other.claim_due(&org(), Lanes::All, claim(1)).await.unwrap();
    assert_eq!(claimed.work.iter().map(|due| due.failures).collect::<Vec<_>>(), [1]);
    let ended = vec![(lease, RefreshEnd::Commit(changed("late"))).into()];
    assert_eq!(
        desk.0.store().end_refreshes(ended, at(1)).await.unwrap(),
        [Err(LeaseLost)]
    );
}

pub async fn what_was_claimed_before_a_seat_is_due_with_it<S: SeveralUnderTest>() {
    let (desk, _other) = two::<S>(&[]).await;
    let store = desk.0.store();
    hold_at_last(store, &[org()], LONG).await;
    desk.append(of_run("a"), 0).await;
    let lease = desk.claim_one(0).await.lease;
    store.give_up_seats(&[org()]).await.unwrap();
    hold_at_last(store, &[org()], LONG).await;
    assert_eq!(desk.claim_one(1).await.failures, 1, "before the end of the lease");
    let ended = vec![(lease, RefreshEnd::Commit(changed("late"))).into()];
    assert_eq!(store.end_refreshes(ended, at(1)).await.unwrap(), [Err(LeaseLost)]);
}

pub async fn who_lost_a_seat_claims_nothing_with_what_it_ends<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let org = org();
    hold_at_last(desk.0.store(), std::slice::from_ref(&org), SHORT).await;
    desk.append(of_run("a"), 0).await;
    hold_at_last(other.as_ref(), std::slice::from_ref(&org), LONG).await;
    let turn = desk
        .0
        .store()
        .end_and_claim(Vec::new(), &org, Lanes::All, claim(1))
        .await;
    assert!(turn.unwrap().claimed.work.is_empty());
    let claimed = other.claim_due(&org, Lanes::All, claim(1)).await.unwrap();
    assert_eq!(claimed.work.len(), 1);
}

pub async fn seats_are_shared_out<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let orgs: Vec<OrgId> = (0..5).map(|number| OrgId::new(format!("org-{number}"))).collect();
    let alone = desk.0.store();
    // The other one has only opened the store, which counts.
    other.close().await;
    assert_eq!(hold(alone, &orgs, LONG).await.len(), 5);

    let other = desk.0.another(at(1)).await;
    assert_eq!(hold(other.as_ref(), &orgs, LONG).await, NONE);
    let seats = alone.hold_seats(&orgs, LONG, at(1)).await.unwrap();
    assert_eq!((seats.held.len(), seats.surplus.len()), (5, 2), "three and two");
    alone.give_up_seats(&seats.surplus).await.unwrap();
    assert_eq!(hold(other.as_ref(), &orgs, LONG).await.len(), 2);
    let seats = alone.hold_seats(&orgs, LONG, at(2)).await.unwrap();
    assert_eq!((seats.held.len(), seats.surplus.len()), (3, 0));

    other.close().await;
    assert_eq!(hold(alone, &orgs, LONG).await.len(), 5, "they come back");
}

pub async fn a_budget_and_a_sweep_are_handed_on_with_the_seat<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let one = desk.0.store();
    hold_at_last(one, &[org()], LONG).await;
    one.keep_budget(&org(), "used".to_owned()).await.unwrap();
    let sweep = desk.start(SYNC, 0).await;
    desk.record(&sweep, vec![listed("a", "1")], 1).await;
    one.give_up_seats(&[org()]).await.unwrap();

    hold_at_last(other.as_ref(), &[org()], LONG).await;
    assert_eq!(other.budget(&org()).await.unwrap().as_deref(), Some("used"));
    let resumed = other.start_sweep(&org(), SYNC, at(2).shown()).await.unwrap();
    assert_eq!((resumed.number, resumed.found.listed), (sweep.number, 1));
    assert_eq!(resumed.phase, SweepPhase::Listing { pass: 1, page: 2 });
}

pub async fn who_lost_a_seat_changes_neither_budget_nor_sweep<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    let one = desk.0.store();
    hold_at_last(one, &[org()], SHORT).await;
    let sweep = desk.start(SYNC, 0).await;
    hold_at_last(other.as_ref(), &[org()], LONG).await;
    other.keep_budget(&org(), "new".to_owned()).await.unwrap();

    let lost = |outcome: Result<(), StoreError>| assert!(matches!(outcome, Err(StoreError::LeaseLost)), "{outcome:?}");
    lost(one.keep_budget(&org(), "old".to_owned()).await);
    lost(
        one.claim_due(&org(), Lanes::All, claim_with_work(&desk).await)
            .await
            .map(drop),
    );
    lost(one.start_sweep(&org(), SYNC, at(2).shown()).await.map(drop));
    let page = ListedPage {
        sweep: sweep.number,
        pass: 1,
        page: 1,
        runs: vec![listed("a", "1")],
        total: None,
    };
    lost(one.record_page(&org(), page.clone(), at(2)).await.map(drop));
    lost(one.move_sweep(&org(), &sweep, SweepPhase::Closing).await.map(drop));
    assert_eq!(other.budget(&org()).await.unwrap().as_deref(), Some("new"));
    other.record_page(&org(), page, at(2)).await.unwrap();
}

async fn claim_with_work<S: SeveralUnderTest>(desk: &Desk<S>) -> Claim {
    desk.append(of_run("a"), 1).await;
    claim(2)
}

pub async fn workers_are_listed_with_their_seats<S: SeveralUnderTest>() {
    let (desk, other) = two::<S>(&[]).await;
    hold_at_last(other.as_ref(), &[org()], LONG).await;
    let workers = desk.0.store().workers().await.unwrap();
    let seats: Vec<_> = workers.iter().map(|worker| worker.seats.clone()).collect();
    assert_eq!(seats, [vec![], vec![org()]]);
    assert!(
        workers
            .iter()
            .all(|worker| worker.ended_at.is_none() && !worker.version.is_empty())
    );
    assert_ne!(workers[0].id, workers[1].id);
    other.close().await;
    let workers = desk.0.beside().await.workers().await.unwrap();
    assert_eq!(workers[1].seats, NONE);
    assert!(workers[1].ended_at.is_some());
}
