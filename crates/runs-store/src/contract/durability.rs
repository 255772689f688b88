//! What was answered stays, whoever ends and whatever happens beside it.

use std::future::ready;

use super::arrange::{
    Desk, again, assert_lease_lost, at, changed, claim, give_up, keyed, of_run, of_task, org, postponed, run, text,
    then_pause_until, unchanged, unrecognized,
};
use super::under_test::StoreUnderTest;
use crate::desks::{Appended, Lane, Lanes, LeaseLost, PostponeCause, RefreshEnd, Settlement, Standing, Subject};
use crate::error::StoreError;

/// Brings a store into all states that there are, ends it in some way, and looks whether they are all there.
async fn fill<S: StoreUnderTest>(desk: &Desk<S>) {
    desk.set_handlers(&["h", "left"], 0).await;
    for body in ["1", "2", "3"] {
        desk.change("done", body, 0).await;
    }
    desk.set_handlers(&["h"], 0).await;
    let delivery = desk.one_delivery("h", 0).await;
    desk.settle(&delivery.lease, Settlement::Delivered, 1).await;
    let delivery = desk.one_delivery("h", 1).await;
    desk.settle(&delivery.lease, give_up(), 1).await;
    let delivery = desk.one_delivery("h", 1).await;
    desk.settle(&delivery.lease, again(250), 1).await;

    desk.append(of_run("failed"), 1).await;
    let due = desk.claim_one(1).await;
    desk.postpone(&due.lease, postponed(250, PostponeCause::Failed), 1)
        .await;
    desk.append(of_task("t"), 1).await;
    let due = desk.claim_one(1).await;
    desk.end(&due.lease, RefreshEnd::Resolve(run("resolved")), 1)
        .await
        .unwrap();
    let due = desk.claim_one(1).await;
    desk.commit(&due.lease, then_pause_until(unchanged(), 390), 1).await;
    desk.append(keyed(of_run("waiting"), "k"), 2).await;
    desk.append(unrecognized("?"), 2).await;
}

async fn assert_filled<S: StoreUnderTest>(desk: &Desk<S>) {
    let stats = desk.stats(100).await;
    assert_eq!((stats.due, stats.unrecognized), (2, 1));
    let handlers: Vec<_> = stats
        .handlers
        .iter()
        .map(|h| (h.active, h.waiting, h.dead_letters))
        .collect();
    assert_eq!(handlers, [(true, 1, 1), (false, 3, 0)]);

    let twin = desk.append(keyed(of_run("waiting"), "k"), 100).await;
    assert!(matches!(twin, Appended::Duplicate { due_again: false, .. }), "{twin:?}");
    let due = desk.claim_one(100).await;
    assert_eq!(
        (due.subject, due.notifications.len()),
        (Subject::Run(run("waiting")), 1)
    );
    desk.commit(&due.lease, unchanged(), 101).await;
    desk.append(of_task("t"), 102).await;
    desk.append(of_run("done"), 102).await;
    let due = desk.claim_one(102).await;
    assert_eq!((due.events, due.standing), (3, Standing::Present));
    assert_eq!(due.snapshot.map(|snapshot| text(&snapshot.body)), Some("3".to_owned()));
    desk.commit(&due.lease, unchanged(), 103).await;

    let due = desk.claim_one(300).await;
    assert_eq!((due.failures, due.lane), (1, Lane::Retry));
    desk.commit(&due.lease, unchanged(), 301).await;
    assert_eq!(
        desk.claim(claim(302)).await.next_due,
        Some(at(390)),
        "the pause of the task's run"
    );
    assert_eq!(desk.attempts("h", 300).await, [("3".to_owned(), 2)]);
}

pub async fn what_was_answered_survives_a_crash<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    fill(&desk).await;
    assert_filled(&desk.crash(100).await).await;
}

pub async fn what_was_answered_survives_a_restart<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    fill(&desk).await;
    assert_filled(&desk.restart(100).await).await;
}

pub async fn leases_end_with_their_worker<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.append(of_run("b"), 0).await;
    let refresh = desk.claim_one(0).await;
    let delivery = desk.one_delivery("h", 0).await;

    let desk = desk.crash(1000).await;
    let again = desk.claim_one(1000).await;
    assert_eq!(
        (again.failures, again.lane, again.notifications.len()),
        (1, Lane::Retry, 1)
    );
    assert_eq!(desk.attempts("h", 1000).await, [("1".to_owned(), 2)]);
    assert_lease_lost(desk.try_commit(&refresh.lease, unchanged(), 1001).await);
    let late = desk.try_settle(&delivery.lease, Settlement::Delivered, 1001).await;
    assert_eq!(late, Err(LeaseLost));
}

pub async fn a_failing_verb_does_not_hurt_those_beside_it<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let lost = desk.claim_one(0).await.lease;
    desk.commit(&lost, unchanged(), 1).await;
    desk.append(of_run("d"), 1).await;
    let held = desk.claim_one(1).await.lease;

    let store = desk.0.store();
    let (first, failed, refused, second) = tokio::join!(
        store.append(of_run("b"), at(2)),
        desk.try_commit(&lost, changed("1"), 2),
        desk.end(&held, RefreshEnd::Resolve(run("e")), 2),
        store.append(of_run("c"), at(2)),
    );
    assert_lease_lost(failed);
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert_eq!((first.unwrap(), second.unwrap()), (Appended::Stored, Appended::Stored));
    let desk = desk.crash(3).await;
    let mut names = desk.claim_names(3).await;
    names.sort();
    assert_eq!(names, ["run b", "run c", "run d"]);
}

pub async fn appends_at_the_same_time_are_all_kept<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let store = desk.0.store();
    let send = async |part: usize| {
        for number in 0..50 {
            let name = format!("{}", (part + number) % 7);
            store.append(of_run(&name), at(0)).await.unwrap();
        }
    };
    tokio::join!(send(0), send(1), send(2), send(3), send(4), send(5), send(6), send(7));
    let desk = desk.crash(1).await;
    let claimed = desk.claim(claim(1)).await;
    assert_eq!(claimed.work.len(), 7);
    assert_eq!(
        claimed.work.iter().map(|due| due.notifications.len()).sum::<usize>(),
        400
    );
}

pub async fn a_caller_that_goes_away_does_no_harm<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    for _ in 0..20 {
        tokio::select! {
            biased;
            _ = desk.0.store().append(of_run("a"), at(0)) => {}
            () = ready(()) => {}
        }
    }
    desk.append(of_run("b"), 1).await;
    let names = desk.claim_names(1).await;
    assert!(names.contains(&"run b".to_owned()), "{names:?}");
}

pub async fn every_verb_that_makes_something_due_wakes_the_stage<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    let mut wakeups = desk.0.store().wakeups();
    macro_rules! woken {
        ($channel:ident by $verb:expr) => {{
            wakeups.$channel.mark_unchanged();
            let done = $verb;
            assert!(wakeups.$channel.has_changed().unwrap(), stringify!($verb));
            done
        }};
    }
    woken!(due by desk.append(of_run("a"), 0).await);
    let due = desk.claim_one(0).await;
    woken!(due by desk.append(of_run("a"), 1).await);
    woken!(due by desk.postpone(&due.lease, postponed(2, PostponeCause::NotTried), 1).await);
    let due = desk.claim_one(2).await;
    woken!(due by desk.request("a", Lane::Sweep, 2).await);
    woken!(due by desk.commit(&due.lease, unchanged(), 2).await);
    let due = desk.claim_one(2).await;
    woken!(deliverable by desk.commit(&due.lease, changed("1"), 2).await);
    let delivery = desk.one_delivery("h", 2).await;
    woken!(deliverable by desk.settle(&delivery.lease, Settlement::Released, 2).await);
    let delivery = desk.one_delivery("h", 2).await;
    woken!(deliverable by desk.settle(&delivery.lease, again(3), 2).await);
    let delivery = desk.one_delivery("h", 3).await;
    woken!(deliverable by desk.settle(&delivery.lease, Settlement::Delivered, 3).await);
    woken!(deliverable by desk.set_handlers(&["h", "i"], 3).await);
    desk.append(of_task("t"), 4).await;
    let task = desk.claim_one(4).await;
    woken!(due by desk.end(&task.lease, RefreshEnd::Resolve(run("a")), 4).await.unwrap());
}

pub async fn a_failed_verb_wakes_nobody<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let lease = desk.claim_one(0).await.lease;
    desk.commit(&lease, unchanged(), 1).await;
    let mut wakeups = desk.0.store().wakeups();
    wakeups.due.mark_unchanged();
    wakeups.deliverable.mark_unchanged();
    assert_lease_lost(desk.try_commit(&lease, changed("1"), 1).await);
    desk.0.store().claim_due(&org(), Lanes::All, claim(2)).await.unwrap();
    assert!(!wakeups.due.has_changed().unwrap());
    assert!(!wakeups.deliverable.has_changed().unwrap());
}

pub async fn the_store_can_be_probed<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.0.store().probe().await.unwrap();
}
