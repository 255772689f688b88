//! What is old goes, what is needed stays.

use bytes::Bytes;

use super::arrange::{Desk, give_up, of_run, unchanged, unrecognized, wall};
use super::under_test::StoreUnderTest;
use crate::desks::{Appended, Prune, Pruned, Refreshed, Settlement, Snapshot};

/// A pass over everything from before this second, a row at a time; what it removed in all.
async fn pass<S: StoreUnderTest>(desk: &Desk<S>, before: i64) -> (u64, u64, u64) {
    let mut next = Prune {
        events_before: Some(wall(before)),
        notifications_before: Some(wall(before)),
        snapshots_before: Some(wall(before)),
        limit: 1,
        ..Prune::default()
    };
    let mut removed = (0, 0, 0);
    loop {
        let pruned: Pruned = desk.prune(next).await;
        removed.0 += pruned.events;
        removed.1 += pruned.notifications;
        removed.2 += pruned.snapshots;
        if pruned.is_done {
            return removed;
        }
        next = pruned.next;
    }
}

pub async fn only_events_that_nobody_needs_are_removed<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h1", "h2"]).await;
    // Made at second 0: the first is delivered to both, the second to one, the third is a dead letter of one.
    for body in ["1", "2", "3"] {
        desk.change("a", body, 0).await;
    }
    for settlements in [3, 1] {
        let name = if settlements == 3 { "h1" } else { "h2" };
        for number in 1..=settlements {
            let delivery = desk.one_delivery(name, 1).await;
            let settlement = if number == 3 { give_up() } else { Settlement::Delivered };
            desk.settle(&delivery.lease, settlement, 1).await;
        }
    }
    assert_eq!(pass(&desk, 0).await.0, 0, "they are not old");
    assert_eq!(pass(&desk, 100).await.0, 1);
    // What waits is delivered all the same, in order.
    for number in [2, 3] {
        let delivery = desk.one_delivery("h2", 2).await;
        assert_eq!(delivery.number, number);
        desk.settle(&delivery.lease, Settlement::Delivered, 2).await;
    }
    assert_eq!(pass(&desk, 100).await.0, 1, "the dead letter keeps its event");
    desk.change("a", "4", 3).await;
    assert_eq!(desk.one_delivery("h1", 4).await.number, 4, "numbers go on");
}

pub async fn notifications_stay_until_they_are_covered<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    desk.append(unrecognized("?"), 0).await;
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, unchanged(), 0).await;
    desk.append(of_run("b"), 0).await;
    assert_eq!(pass(&desk, 0).await.1, 0, "they are not old");
    assert_eq!(pass(&desk, 100).await.1, 2, "the covered one and the unrecognized one");
    assert_eq!(desk.stats(1).await.unrecognized, 0);
    let due = desk.claim_one(1).await;
    assert_eq!(due.notifications.len(), 1);
    desk.commit(&due.lease, unchanged(), 1).await;
    assert_eq!(pass(&desk, 100).await.1, 1);
    // What is not remembered is no duplicate.
    assert_eq!(desk.append(of_run("a"), 2).await, Appended::Stored);
}

pub async fn snapshots_of_runs_that_are_due_stay<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    for name in ["a", "b"] {
        desk.append(of_run(name), 0).await;
        let due = desk.claim_one(0).await;
        if name == "b" {
            desk.append(of_run(name), 0).await;
        }
        let snapshot = Snapshot {
            body: Bytes::from_static(b"{}"),
            fetched_at: wall(0),
        };
        let refreshed = Refreshed {
            snapshot: Some(snapshot),
            ..unchanged()
        };
        desk.commit(&due.lease, refreshed, 0).await;
    }
    assert_eq!(pass(&desk, 0).await.2, 0, "they are not old");
    assert_eq!(pass(&desk, 100).await.2, 1);
    assert!(desk.claim_one(1).await.snapshot.is_some(), "the one that is due");
    desk.append(of_run("a"), 1).await;
    assert!(desk.claim_one(1).await.snapshot.is_none());
}

pub async fn what_has_no_age_is_kept<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.change("a", "1", 0).await;
    let pruned = desk
        .prune(Prune {
            limit: 100,
            ..Prune::default()
        })
        .await;
    assert_eq!(
        (pruned.events, pruned.notifications, pruned.snapshots, pruned.is_done),
        (0, 0, 0, true)
    );
    assert!(pruned.used_bytes > 0);
}
