use super::*;
use crate::desks::{HandlerName, Lane, NewEvent, PostponeCause, Postponement, Recipients};

fn postponed(until: i64) -> Postponement {
    Postponement {
        until: at(until),
        cause: PostponeCause::NotTried,
        memory: None,
        reason: String::new(),
    }
}

pub(super) fn changed() -> Refreshed {
    let event = NewEvent {
        id: Uuid::now_v7(),
        event_type: "t".to_owned(),
        created_at: wall(0),
        body: Bytes::new(),
        recipients: Recipients::All,
    };
    Refreshed {
        events: vec![event],
        ..unchanged()
    }
}

#[tokio::test]
async fn leases_of_the_last_owner_are_void_at_once() {
    let place = Place::new();
    let handler = HandlerName::new("h");
    let store = place.open(0);
    store.set_handlers(std::slice::from_ref(&handler), at(0)).await.unwrap();
    store.append(of_run("a"), at(0)).await.unwrap();
    let lease = claimed(&store, 0).await.remove(0).lease;
    commit(&store, &lease, changed(), 0).await.unwrap();
    store.append(of_run("a"), at(0)).await.unwrap();
    let refresh = claimed(&store, 0).await.remove(0).lease;
    let delivery = store
        .claim_deliveries(&handler, claim(0))
        .await
        .unwrap()
        .work
        .remove(0)
        .lease;

    let copy = place.copy();
    let store = copy.open(1);
    let late = commit(&store, &refresh, unchanged(), 1).await;
    assert_eq!(late, Err(LeaseLost));
    assert_eq!(
        settle(&store, &delivery, Settlement::Delivered, 1).await,
        Err(LeaseLost)
    );

    let due = claimed(&store, 1).await.remove(0);
    assert_eq!((due.failures, due.lane), (1, Lane::Retry));
    let delivery = store.claim_deliveries(&handler, claim(1)).await.unwrap().work.remove(0);
    assert_eq!(delivery.attempt, 2);
}

#[tokio::test]
async fn what_a_clock_that_was_set_back_has_postponed_is_due() {
    const DAY: i64 = 24 * 60 * 60;
    let place = Place::new();
    let handler = HandlerName::new("h");
    let store = place.open(DAY);
    store
        .set_handlers(std::slice::from_ref(&handler), at(DAY))
        .await
        .unwrap();
    for run in ["soon", "late", "paused", "retried"] {
        store.append(of_run(run), at(DAY)).await.unwrap();
    }
    for due in claimed(&store, DAY).await {
        let lease = &due.lease;
        let paused = Refreshed {
            not_before: at(DAY + 9),
            ..unchanged()
        };
        match due.subject.to_string().as_str() {
            "run soon" => end(&store, lease, RefreshEnd::Postpone(postponed(20)), DAY)
                .await
                .unwrap(),
            "run late" => end(&store, lease, RefreshEnd::Postpone(postponed(DAY + 9)), DAY)
                .await
                .unwrap(),
            "run paused" => commit(&store, lease, paused, DAY).await.unwrap(),
            _ => commit(&store, lease, changed(), DAY).await.unwrap(),
        }
    }
    let delivery = store
        .claim_deliveries(&handler, claim(DAY))
        .await
        .unwrap()
        .work
        .remove(0);
    let retry = Settlement::Retry {
        at: at(DAY + 9),
        reason: String::new(),
    };
    settle(&store, &delivery.lease, retry, DAY).await.unwrap();
    drop(store);

    let store = place.open(0);
    store.append(of_run("paused"), at(0)).await.unwrap();
    assert_eq!(claimed_names(&store, 0).await, ["run paused", "run late"]);
    assert_eq!(store.claim_deliveries(&handler, claim(0)).await.unwrap().work.len(), 1);
    assert_eq!(claimed_names(&store, 20).await, ["run soon"]);
}

#[tokio::test]
async fn a_clock_that_was_an_hour_ahead_delays_nothing_by_more_than_minutes() {
    const HOUR: i64 = 60 * 60;
    let place = Place::new();
    let handler = HandlerName::new("h");
    let store = place.open(HOUR);
    store
        .set_handlers(std::slice::from_ref(&handler), at(HOUR))
        .await
        .unwrap();
    for run in ["announced", "leased", "changed"] {
        store.append(of_run(run), at(HOUR)).await.unwrap();
    }
    for due in claimed(&store, HOUR).await {
        match due.subject.to_string().as_str() {
            "run announced" => end(&store, &due.lease, RefreshEnd::Postpone(postponed(HOUR)), HOUR)
                .await
                .unwrap(),
            "run changed" => {
                let paused = Refreshed {
                    not_before: at(HOUR + 1),
                    ..changed()
                };
                commit(&store, &due.lease, paused, HOUR).await.unwrap();
            }
            _ => {}
        }
    }
    // Minutes later, by a clock that is right again.
    let copy = place.copy();
    let store = copy.open(240);
    store.append(of_run("changed"), at(240)).await.unwrap();
    let mut names = claimed_names(&store, 240).await;
    names.sort();
    assert_eq!(names, ["run announced", "run changed", "run leased"]);
    let deliveries = store.claim_deliveries(&handler, claim(240)).await.unwrap().work;
    assert_eq!(deliveries.len(), 1);
}
