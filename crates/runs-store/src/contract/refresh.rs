//! Claims, leases, commits and postponements of refreshes.

use std::time::Duration;

use bytes::Bytes;

use super::arrange::{
    Desk, LEASE, assert_lease_lost, at, changed, claim, of_run, org, postponed, run, text, then_pause_until, unchanged,
    wall, with_events,
};
use super::under_test::StoreUnderTest;
use crate::desks::{
    Claim, DueRefresh, Lane, Lanes, LeaseLost, PostponeCause, Postponement, RefreshEnd, Refreshed, Settlement, Standing,
};

const FAILED: PostponeCause = PostponeCause::Failed;

pub async fn live_goes_before_retry_before_sweep_then_the_longest_due<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("retried"), 0).await;
    let due = desk.claim_one(0).await;
    desk.postpone(&due.lease, postponed(1, FAILED), 0).await;
    desk.request("swept first", Lane::Sweep, 1).await;
    desk.request("swept second", Lane::Sweep, 2).await;
    desk.append(of_run("announced first"), 3).await;
    desk.append(of_run("announced second"), 4).await;
    let expected = [
        "run announced first",
        "run announced second",
        "run retried",
        "run swept first",
        "run swept second",
    ];
    assert_eq!(desk.claim_names(5).await, expected);
}

/// A store in which the API has shown these runs.
async fn knowing<S: StoreUnderTest>(names: &[&str]) -> Desk<S> {
    let desk = Desk::<S>::fresh().await;
    for name in names {
        desk.append(of_run(name), 0).await;
        let due = desk.claim_one(0).await;
        desk.commit(&due.lease, changed(name), 0).await;
    }
    desk
}

pub async fn known_runs_and_others_take_turns_in_each_lane<S: StoreUnderTest>() {
    let desk = knowing::<S>(&["real a", "real b", "swept"]).await;
    for second in 1..=4 {
        desk.append(of_run(&format!("made up {second}")), second).await;
    }
    desk.append(of_run("real a"), 5).await;
    desk.append(of_run("real b"), 6).await;
    desk.request("found", Lane::Sweep, 7).await;
    desk.request("swept", Lane::Sweep, 8).await;
    let expected = [
        "run real a",
        "run made up 1",
        "run real b",
        "run made up 2",
        "run made up 3",
        "run made up 4",
        "run swept",
        "run found",
    ];
    assert_eq!(desk.claim_names(10).await, expected);
}

pub async fn turns_go_on_from_claim_to_claim<S: StoreUnderTest>() {
    let desk = knowing::<S>(&["real a", "real b"]).await;
    for second in 1..=5 {
        desk.append(of_run(&format!("made up {second}")), second).await;
    }
    let next = async |seconds| {
        let claimed = desk
            .claim(Claim {
                limit: 1,
                ..claim(seconds)
            })
            .await;
        claimed
            .work
            .iter()
            .map(|due| due.subject.to_string())
            .collect::<String>()
    };
    // Alone, they need not wait for anybody.
    assert_eq!(next(6).await, "run made up 1");
    assert_eq!(next(6).await, "run made up 2");
    desk.append(of_run("real a"), 7).await;
    desk.append(of_run("real b"), 7).await;
    assert_eq!(next(8).await, "run real a");
    assert_eq!(next(8).await, "run made up 3");
    assert_eq!(next(8).await, "run real b");
    assert_eq!(next(8).await, "run made up 4");
}

pub async fn the_limit_leaves_the_rest_due<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    for name in ["a", "b", "c"] {
        desk.append(of_run(name), 1).await;
    }
    let claimed = desk.claim(Claim { limit: 2, ..claim(5) }).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (2, Some(at(1))));
    let claimed = desk.claim(Claim { limit: 2, ..claim(6) }).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (1, Some(at(5).after(LEASE))));
}

pub async fn a_limit_of_nothing_hands_out_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 1).await;
    let claimed = desk.claim(Claim { limit: 0, ..claim(5) }).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (0, Some(at(1))));
}

pub async fn what_is_leased_is_not_handed_out_again<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    desk.claim_one(0).await;
    let claimed = desk.claim(claim(59)).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (0, Some(at(60))));
}

pub async fn an_attempt_that_ends_with_its_lease_counts_as_a_failure<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    desk.claim_one(0).await;
    let again = desk.claim_one(60).await;
    assert_eq!((again.failures, again.lane), (1, Lane::Retry));
    assert_eq!(again.notifications.len(), 1);
    let again = desk.claim_one(200).await;
    assert_eq!(again.failures, 2);
}

pub async fn an_expired_lease_is_good_while_nobody_has_claimed_the_work<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, changed("1"), 1000).await;
    desk.assert_nothing_due(1001).await;
}

pub async fn a_lease_that_was_handed_out_again_changes_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.append(of_run("a"), 0).await;
    let old = desk.claim_one(0).await.lease;
    let new = desk.claim_one(60).await.lease;

    assert_lease_lost(desk.try_commit(&old, changed("old"), 61).await);
    assert_lease_lost(desk.end(&old, RefreshEnd::Postpone(postponed(5000, FAILED)), 61).await);
    assert_lease_lost(desk.end(&old, RefreshEnd::Resolve(run("b")), 61).await);
    assert!(desk.deliveries("h", 62).await.is_empty());

    desk.commit(&new, changed("new"), 63).await;
    assert_eq!(desk.attempts("h", 64).await, [("new".to_owned(), 1)]);
    desk.append(of_run("a"), 65).await;
    let due = desk.claim_one(65).await;
    assert_eq!(due.events, 1);
}

pub async fn a_lease_ends_once<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.append(of_run("a"), 0).await;
    let lease = desk.claim_one(0).await.lease;
    desk.commit(&lease, changed("1"), 1).await;
    assert_lease_lost(desk.try_commit(&lease, changed("2"), 1).await);
    assert_lease_lost(desk.end(&lease, RefreshEnd::Postpone(postponed(5, FAILED)), 1).await);
    desk.assert_nothing_due(10).await;

    let lease = desk.one_delivery("h", 1).await.lease;
    desk.settle(&lease, Settlement::Delivered, 2).await;
    for settlement in [Settlement::Delivered, Settlement::Released] {
        assert_eq!(desk.try_settle(&lease, settlement, 2).await, Err(LeaseLost));
    }
}

pub async fn leases_of_refreshes_and_deliveries_are_not_mixed_up<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.append(of_run("a"), 1).await;
    let refresh = desk.claim_one(1).await.lease;
    let delivery = desk.one_delivery("h", 1).await.lease;
    assert_lease_lost(desk.try_commit(&delivery, changed("2"), 2).await);
    assert_eq!(
        desk.try_settle(&refresh, Settlement::Delivered, 2).await,
        Err(LeaseLost)
    );
    desk.commit(&refresh, unchanged(), 3).await;
    desk.settle(&delivery, Settlement::Delivered, 3).await;
}

pub async fn a_snapshot_comes_with_the_next_claim<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.change("a", "first", 0).await;
    desk.append(of_run("a"), 1).await;
    let due = desk.claim_one(1).await;
    let snapshot = due.snapshot.expect("a snapshot was committed");
    assert_eq!((text(&snapshot.body).as_str(), snapshot.fetched_at), ("first", wall(0)));
    assert_eq!(due.standing, Standing::Present);

    let gone = Refreshed {
        standing: Standing::Gone,
        ..unchanged()
    };
    desk.commit(&due.lease, gone, 2).await;
    desk.append(of_run("a"), 3).await;
    let due = desk.claim_one(3).await;
    let kept = due.snapshot.expect("the last snapshot stays");
    assert_eq!((text(&kept.body).as_str(), due.standing), ("first", Standing::Gone));
}

pub async fn a_commit_ends_failures<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    for (second, cause) in [(1, FAILED), (2, PostponeCause::NotTried), (3, FAILED)] {
        let due = desk.claim_one(second - 1).await;
        desk.postpone(&due.lease, postponed(second, cause), second).await;
    }
    let due = desk.claim_one(3).await;
    assert_eq!(due.failures, 2);
    desk.commit(&due.lease, unchanged(), 4).await;
    desk.append(of_run("a"), 5).await;
    let due = desk.claim_one(5).await;
    assert_eq!((due.failures, due.lane), (0, Lane::Live));
}

pub async fn each_cause_of_a_postponement_counts_as_what_it_is<S: StoreUnderTest>() {
    let cases = [
        (FAILED, (1, Lane::Retry)),
        (PostponeCause::LookAgain, (0, Lane::Live)),
        (PostponeCause::NotTried, (0, Lane::Live)),
    ];
    for (cause, expected) in cases {
        let desk = Desk::<S>::fresh().await;
        desk.append(of_run("a"), 0).await;
        let due = desk.claim_one(0).await;
        desk.postpone(&due.lease, postponed(10, cause), 1).await;
        assert_eq!(desk.claim(claim(9)).await.next_due, Some(at(10)));
        let DueRefresh { failures, lane, .. } = desk.claim_one(10).await;
        assert_eq!((failures, lane), expected, "{cause:?}");
    }
}

pub async fn a_postponed_run_keeps_all_its_notifications<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.append(of_run("a"), 1).await;
    desk.postpone(&due.lease, postponed(2, PostponeCause::NotTried), 1)
        .await;
    assert_eq!(desk.claim_one(2).await.notifications.len(), 2);
}

pub async fn a_notification_during_a_failing_attempt_waits_for_the_backoff_in_the_live_lane<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.append(of_run("a"), 1).await;
    desk.postpone(&due.lease, postponed(100, FAILED), 2).await;
    desk.assert_nothing_due(99).await;
    assert_eq!(desk.claim_one(100).await.lane, Lane::Live);
}

pub async fn a_sweep_during_a_fetch_waits_in_the_sweep_lane<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.request("a", Lane::Sweep, 1).await;
    desk.commit(&due.lease, unchanged(), 2).await;
    assert_eq!(desk.claim_one(2).await.lane, Lane::Sweep);
}

pub async fn a_sweep_of_a_failing_run_leaves_it_among_the_retries<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.request("a", Lane::Sweep, 1).await;
    desk.postpone(&due.lease, postponed(2, FAILED), 1).await;
    desk.request("a", Lane::Sweep, 2).await;
    assert_eq!(desk.claim_one(3).await.lane, Lane::Retry);
}

pub async fn the_newest_bodies_come_with_the_claim<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let big = Bytes::from(vec![b'x'; 3 * 1024 * 1024]);
    for _ in 0..4 {
        let mut notification = of_run("a");
        notification.body = big.clone();
        desk.append(notification, 0).await;
    }
    let claimed = desk
        .claim(Claim {
            lease: Duration::from_secs(5),
            ..claim(0)
        })
        .await;
    let bodies: Vec<_> = claimed
        .work
        .iter()
        .flat_map(|due| &due.notifications)
        .map(|pending| (pending.body_len, pending.body.is_some()))
        .collect();
    let len = big.len() as u64;
    assert_eq!(bodies, [(len, false), (len, false), (len, true), (len, true)]);
}

pub async fn events_are_numbered_within_their_run<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    for (name, body) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        desk.change(name, body, 0).await;
    }
    desk.append(of_run("a"), 1).await;
    assert_eq!(desk.claim_one(1).await.events, 2);

    let mut numbers = Vec::new();
    for second in 1..=2 {
        for delivery in desk.deliveries("h", second).await {
            numbers.push((text(&delivery.body), delivery.number));
            desk.settle(&delivery.lease, Settlement::Delivered, second).await;
        }
    }
    numbers.sort();
    let expected = [("a1", 1), ("a2", 2), ("b1", 1)].map(|(body, number)| (body.to_owned(), number));
    assert_eq!(numbers, expected);
}

pub async fn several_events_of_one_refresh_are_numbered_in_their_order<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, with_events(&["seen", "completed", "archived"]), 0)
        .await;
    let mut got = Vec::new();
    for _ in 0..3 {
        let delivery = desk.one_delivery("h", 1).await;
        got.push((text(&delivery.body), delivery.number));
        desk.settle(&delivery.lease, Settlement::Delivered, 1).await;
    }
    let expected = [("seen", 1), ("completed", 2), ("archived", 3)];
    assert_eq!(got, expected.map(|(body, number)| (body.to_owned(), number)));
    desk.append(of_run("a"), 2).await;
    assert_eq!(desk.claim_one(2).await.events, 3);
}

pub async fn refreshes_that_end_together_have_an_outcome_each<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    for name in ["a", "b", "c"] {
        desk.append(of_run(name), 0).await;
    }
    let due = desk.claim(claim(0)).await.work;
    desk.commit(&due[1].lease, unchanged(), 1).await;
    let ended = due
        .iter()
        .map(|due| (due.lease.clone(), RefreshEnd::Commit(changed("1"))).into());
    let store = desk.0.store();
    desk.append(of_run("d"), 1).await;
    let turn = store
        .end_and_claim(ended.collect(), &org(), Lanes::All, claim(2))
        .await
        .unwrap();
    assert_eq!(turn.ended, [Ok(()), Err(LeaseLost), Ok(())]);
    let claimed: Vec<_> = turn.claimed.work.iter().map(|due| due.subject.to_string()).collect();
    assert_eq!(claimed, ["run d"]);
}

pub async fn what_the_worker_remembers_comes_with_the_next_claim<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let remembered = |memory: &str| Refreshed {
        memory: Some(memory.to_owned()),
        ..unchanged()
    };
    desk.append(of_run("a"), 0).await;
    desk.commit(&desk.claim_one(0).await.lease, remembered("1"), 0).await;
    let desk = desk.crash(1).await;
    desk.append(of_run("a"), 1).await;
    let due = desk.claim_one(1).await;
    assert_eq!(due.memory.as_deref(), Some("1"));
    desk.postpone(&due.lease, postponed(2, FAILED), 1).await;
    let due = desk.claim_one(2).await;
    assert_eq!(due.memory.as_deref(), Some("1"), "what is not said anew stays");
    let anew = Postponement {
        memory: Some("2".to_owned()),
        ..postponed(3, FAILED)
    };
    desk.postpone(&due.lease, anew, 2).await;
    let due = desk.claim_one(3).await;
    assert_eq!(due.memory.as_deref(), Some("2"));
    desk.commit(&due.lease, unchanged(), 3).await;
    desk.append(of_run("a"), 4).await;
    assert_eq!(desk.claim_one(4).await.memory, None);
}

pub async fn a_look_comes_by_itself_and_keeps_nothing_waiting<S: StoreUnderTest>() {
    let look_at = |seconds| Refreshed {
        look_again: Some(at(seconds)),
        ..unchanged()
    };
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    desk.commit(&desk.claim_one(0).await.lease, look_at(100), 0).await;
    assert_eq!(
        desk.0.store().next_due(&org(), Lanes::All).await.unwrap(),
        Some(at(100))
    );
    desk.assert_nothing_due(99).await;
    let due = desk.claim_one(100).await;
    assert_eq!((due.lane, due.notifications.len()), (Lane::Retry, 0));
    desk.commit(&due.lease, then_pause_until(look_at(200), 105), 101).await;

    desk.append(of_run("a"), 102).await;
    desk.assert_nothing_due(104).await;
    let due = desk.claim_one(105).await;
    assert_eq!((due.lane, due.notifications.len()), (Lane::Live, 1));

    desk.append(of_run("a"), 106).await;
    desk.commit(&due.lease, look_at(300), 107).await;
    assert_eq!(desk.claim_one(107).await.lane, Lane::Live);
}

pub async fn what_is_postponed_for_a_look_does_not_hold_a_notification_up<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.postpone(&due.lease, postponed(100, PostponeCause::LookAgain), 0)
        .await;
    desk.assert_nothing_due(1).await;
    desk.append(of_run("a"), 2).await;
    assert_eq!(desk.claim_one(2).await.notifications.len(), 2);
}

pub async fn what_is_used_of_a_budget_is_kept<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    assert_eq!(desk.0.store().budget(&org()).await.unwrap(), None);
    for used in ["1", "2"] {
        desk.0.store().keep_budget(&org(), used.to_owned()).await.unwrap();
    }
    let desk = desk.crash(1).await;
    assert_eq!(desk.0.store().budget(&org()).await.unwrap().as_deref(), Some("2"));
}

pub async fn an_organization_is_watched_since_it_was_first_said<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    assert_eq!(due.watched_since, None);
    desk.postpone(&due.lease, postponed(1, FAILED), 0).await;
    for seconds in [1, 2] {
        desk.0.store().watch(&org(), wall(seconds)).await.unwrap();
    }
    assert_eq!(desk.claim_one(3).await.watched_since, Some(wall(1)));
}
