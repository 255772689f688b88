//! Notifications make runs due, and duplicates do not hide anything.

use super::arrange::{
    Desk, at, changed, claim, keyed, of_run, org, postponed, run, then_pause_until, unchanged, unrecognized, wall,
};
use super::under_test::StoreUnderTest;
use crate::desks::{Appended, Lane, Lanes, PostponeCause, Standing, Subject};
use bytes::Bytes;
use tallyfy_model::{Announced, OrgId, TaskId};

fn duplicate(appended: &Appended) -> Option<bool> {
    match appended {
        Appended::Duplicate { due_again, .. } => Some(*due_again),
        Appended::Stored | Appended::Unrecognized => None,
    }
}

pub async fn a_notification_makes_its_run_due<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let mut notification = of_run("a");
    notification.head.event = Some("task.completed".to_owned());
    notification.head.task = Some(TaskId::new("t"));
    notification.head.announced = announced();
    notification.body = Bytes::from_static(b"{\"odd\":\xff}");
    assert_eq!(desk.append(notification.clone(), 5).await, Appended::Stored);

    let due = desk.claim_one(5).await;
    assert_eq!((due.org, due.subject), (org(), Subject::Run(run("a"))));
    assert_eq!((due.lane, due.standing), (Lane::Live, Standing::Unseen));
    assert_eq!((due.failures, due.memory, due.events), (0, None, 0));
    assert!(due.snapshot.is_none());
    let [pending] = due.notifications.as_slice() else {
        unreachable!("{:?}", due.notifications)
    };
    assert_eq!((pending.id, &pending.head), (notification.id, &notification.head));
    assert_eq!((pending.received_at, pending.duplicates), (wall(0), 0));
    assert_eq!((pending.body_len, pending.body.as_ref()), (9, Some(&notification.body)));
}

fn announced() -> Announced {
    serde_json::from_str(r#"{"run_last_updated":"2026-11-20 10:11:12","task":"t"}"#).unwrap()
}

pub async fn notifications_of_one_run_share_one_claim<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let sent = [of_run("a"), of_run("a"), of_run("a")];
    for notification in sent.clone() {
        desk.append(notification, 1).await;
    }
    let due = desk.claim_one(1).await;
    let got: Vec<_> = due.notifications.iter().map(|pending| pending.id).collect();
    assert_eq!(got, sent.map(|notification| notification.id), "the oldest first");
    desk.commit(&due.lease, unchanged(), 2).await;
    desk.assert_nothing_due(1000).await;
}

pub async fn fifty_notifications_during_a_fetch_cost_exactly_one_more<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let first = desk.claim_one(0).await;
    for second in 1..=50 {
        desk.append(of_run("a"), second).await;
    }
    desk.assert_nothing_due(50).await;
    desk.commit(&first.lease, changed("1"), 51).await;

    let second = desk.claim_one(51).await;
    assert_eq!((second.notifications.len(), second.lane), (50, Lane::Live));
    desk.commit(&second.lease, changed("2"), 52).await;
    desk.assert_nothing_due(10_000).await;
}

pub async fn a_notification_waits_out_the_pause_after_a_commit<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.append(of_run("a"), 1).await;
    desk.commit(&due.lease, then_pause_until(unchanged(), 30), 2).await;
    assert_eq!(
        desk.claim(claim(29)).await.next_due,
        Some(at(30)),
        "asked for during the fetch"
    );
    let due = desk.claim_one(30).await;
    desk.commit(&due.lease, then_pause_until(unchanged(), 60), 31).await;

    assert_eq!(desk.claim(claim(32)).await.next_due, None);
    desk.append(of_run("a"), 32).await;
    assert_eq!(
        desk.claim(claim(59)).await.next_due,
        Some(at(60)),
        "asked for after the fetch"
    );
    desk.claim_one(60).await;
}

pub async fn a_notification_does_not_cut_a_postponement_short<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.postpone(&due.lease, postponed(100, PostponeCause::Failed), 1)
        .await;
    desk.append(of_run("a"), 2).await;

    desk.assert_nothing_due(99).await;
    let due = desk.claim_one(100).await;
    assert_eq!((due.notifications.len(), due.lane, due.failures), (2, Lane::Live, 1));
}

pub async fn a_notification_lifts_a_sweep_into_the_live_lane<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.request("swept", Lane::Sweep, 0).await;
    desk.request("announced", Lane::Sweep, 1).await;
    desk.append(of_run("announced"), 2).await;
    assert_eq!(desk.claim_names(3).await, ["run announced", "run swept"]);
}

pub async fn a_notification_keeps_the_place_of_those_before_it<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("first"), 0).await;
    desk.append(of_run("second"), 1).await;
    desk.append(of_run("first"), 2).await;
    assert_eq!(desk.claim_names(3).await, ["run first", "run second"]);
}

pub async fn a_person_does_not_wait_for_the_end_of_a_postponement<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.postpone(&due.lease, postponed(1000, PostponeCause::Failed), 1)
        .await;
    desk.request("a", Lane::Sweep, 2).await;
    desk.assert_nothing_due(2).await;
    desk.request("a", Lane::Live, 3).await;
    assert_eq!(desk.claim_one(3).await.lane, Lane::Live);
}

pub async fn a_person_waits_for_the_pause_after_a_commit<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, then_pause_until(unchanged(), 30), 1).await;
    desk.request("a", Lane::Live, 2).await;
    desk.assert_nothing_due(29).await;
    desk.claim_one(30).await;
}

pub async fn organizations_do_not_see_each_other<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let mut foreign = of_run("a");
    foreign.org = OrgId::new("org-2");
    desk.append(foreign.clone(), 0).await;
    desk.assert_nothing_due(1).await;
    assert_eq!(desk.claim(claim(1)).await.next_due, None);

    let own = of_run("a");
    desk.append(own.clone(), 2).await;
    let due = desk.claim_one(3).await;
    assert_eq!(due.notifications.len(), 1);
    assert_eq!(due.notifications.first().map(|pending| pending.id), Some(own.id));
    let claimed = desk
        .0
        .store()
        .claim_due(&foreign.org, Lanes::All, claim(3))
        .await
        .unwrap();
    assert_eq!(claimed.work.len(), 1);
}

pub async fn ids_may_hold_anything<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let odd = [
        "",
        "'; DROP TABLE subjects; --",
        "a b",
        "ä",
        "%",
        "1",
        "01",
        "x".repeat(5000).as_str(),
    ]
    .map(str::to_owned);
    for name in &odd {
        desk.append(of_run(name), 0).await;
    }
    let mut got = desk.claim_names(0).await;
    let mut expected = odd.map(|name| format!("run {name}")).to_vec();
    got.sort();
    expected.sort();
    assert_eq!(got, expected);
}

pub async fn an_unrecognized_body_is_kept_and_counted<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    assert_eq!(desk.append(unrecognized("<html>"), 0).await, Appended::Unrecognized);
    let twin = keyed(unrecognized("[1]"), "k");
    assert_eq!(desk.append(twin.clone(), 0).await, Appended::Unrecognized);
    let again = desk.append(keyed(unrecognized("[1]"), "k"), 1).await;
    assert_eq!(
        again,
        Appended::Duplicate {
            of: twin.id,
            due_again: false
        }
    );
    desk.assert_nothing_due(1).await;
    assert_eq!(desk.stats(1).await.unrecognized, 2);
}

pub async fn a_duplicate_of_a_waiting_notification_costs_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let twin = keyed(of_run("a"), "k");
    desk.append(twin.clone(), 0).await;
    let appended = desk.append(keyed(of_run("a"), "k"), 1).await;
    assert_eq!(
        appended,
        Appended::Duplicate {
            of: twin.id,
            due_again: false
        }
    );

    let due = desk.claim_one(2).await;
    assert_eq!(due.notifications.len(), 1);
    assert_eq!(due.notifications.first().map(|pending| pending.duplicates), Some(1));
    desk.commit(&due.lease, unchanged(), 3).await;
    desk.assert_nothing_due(1000).await;
}

pub async fn a_duplicate_during_the_fetch_of_its_twin_makes_the_run_due_again<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(keyed(of_run("a"), "k"), 0).await;
    let due = desk.claim_one(0).await;
    let appended = desk.append(keyed(of_run("a"), "k"), 1).await;
    assert_eq!(duplicate(&appended), Some(true));
    desk.commit(&due.lease, unchanged(), 2).await;

    let due = desk.claim_one(2).await;
    assert!(due.notifications.is_empty());
    desk.commit(&due.lease, unchanged(), 3).await;
    desk.assert_nothing_due(1000).await;
}

pub async fn a_duplicate_of_a_covered_notification_makes_the_run_due_again<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(keyed(of_run("a"), "k"), 0).await;
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, unchanged(), 1).await;
    let appended = desk.append(keyed(of_run("a"), "k"), 2).await;
    assert_eq!(duplicate(&appended), Some(true));
    assert_eq!(desk.claim_one(2).await.lane, Lane::Live);
}

pub async fn a_duplicate_of_a_postponed_notification_costs_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(keyed(of_run("a"), "k"), 0).await;
    let due = desk.claim_one(0).await;
    desk.postpone(&due.lease, postponed(10, PostponeCause::NotTried), 1)
        .await;
    let appended = desk.append(keyed(of_run("a"), "k"), 2).await;
    assert_eq!(
        duplicate(&appended),
        Some(false),
        "the next fetch starts after the duplicate arrived"
    );
    let due = desk.claim_one(10).await;
    desk.commit(&due.lease, unchanged(), 11).await;
    desk.assert_nothing_due(1000).await;
}

pub async fn equal_keys_of_two_organizations_are_no_duplicates<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let mut foreign = keyed(of_run("a"), "k");
    foreign.org = OrgId::new("org-2");
    desk.append(foreign, 0).await;
    assert_eq!(desk.append(keyed(of_run("a"), "k"), 0).await, Appended::Stored);
}

pub async fn a_readable_twin_of_an_unreadable_body_is_no_duplicate<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(keyed(unrecognized("?"), "k"), 0).await;
    let readable = keyed(of_run("a"), "k");
    assert_eq!(desk.append(readable.clone(), 1).await, Appended::Stored);
    let third = desk.append(keyed(of_run("a"), "k"), 2).await;
    assert_eq!(
        third,
        Appended::Duplicate {
            of: readable.id,
            due_again: false
        }
    );
    assert_eq!(desk.claim_one(2).await.notifications.len(), 1);
}

pub async fn a_notification_that_is_appended_twice_is_stored_once<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    for notification in [of_run("a"), keyed(of_run("a"), "k"), unrecognized("?")] {
        desk.append(notification.clone(), 0).await;
        let again = desk.append(notification.clone(), 1).await;
        assert_eq!(
            again,
            Appended::Duplicate {
                of: notification.id,
                due_again: false
            }
        );
    }
    let due = desk.claim_one(2).await;
    let duplicates: Vec<_> = due.notifications.iter().map(|pending| pending.duplicates).collect();
    assert_eq!(duplicates, [0, 0]);
}
