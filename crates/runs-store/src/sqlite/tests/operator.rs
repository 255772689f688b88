use super::takeover::changed;
use super::*;
use crate::desks::Query;
use crate::desks::{Delivery, HandlerName, Settlement};
use crate::sqlite::SqliteOperator;

const GIVEN_UP: &str = "after 3 tries: it is closed";

fn handler() -> HandlerName {
    HandlerName::new("h")
}

async fn delivery(store: &SqliteStore, seconds: i64) -> Option<Delivery> {
    store
        .claim_deliveries(&handler(), claim(seconds))
        .await
        .unwrap()
        .work
        .pop()
}

/// Numbers of events in the order in which they are delivered.
async fn delivered(store: &SqliteStore, seconds: i64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(delivery) = delivery(store, seconds).await {
        numbers.push(delivery.number);
        store
            .settle(&delivery.lease, Settlement::Delivered, at(seconds))
            .await
            .unwrap();
    }
    numbers
}

/// A store with so many events of run `a`, of which none was delivered, and a person beside its worker.
async fn with_events(place: &Place, count: usize) -> (SqliteStore, SqliteOperator) {
    let store = place.open(0);
    store.set_handlers(&[handler()], at(0)).await.unwrap();
    for _ in 0..count {
        store.append(of_run("a"), at(0)).await.unwrap();
        let lease = claimed(&store, 0).await.remove(0).lease;
        store.commit_refresh(&lease, changed(), at(0)).await.unwrap();
    }
    let operator = SqliteOperator::open(place.path()).unwrap();
    (store, operator)
}

async fn give_up(store: &SqliteStore) {
    let lease = delivery(store, 1).await.unwrap().lease;
    let reason = GIVEN_UP.to_owned();
    store
        .settle(
            &lease,
            Settlement::DeadLetter {
                reason,
                answer: Some("no such customer".to_owned()),
            },
            at(1),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_dead_letter_is_shown_and_goes_back_to_the_head_of_its_line() {
    let place = Place::new();
    let (store, mut operator) = with_events(&place, 3).await;
    give_up(&store).await;
    let letters = operator.dead_letters(&Query::default(), 10).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].event.number, letters[0].attempts, letters[0].reason.as_str()),
        (1, 1, GIVEN_UP)
    );
    assert_eq!(letters[0].answer.as_deref(), Some("no such customer"));
    assert_eq!(letters[0].event.dead, [handler()]);

    assert_eq!(operator.retry_dead_letters(&Query::default(), at(2)).unwrap(), 1);
    assert!(operator.dead_letters(&Query::default(), 10).unwrap().is_empty());
    assert_eq!(delivered(&store, 3).await, [1, 2, 3]);
    assert_eq!(operator.stats(at(3)).unwrap().handlers[0].dead_letters, 0);
}

#[tokio::test]
async fn what_is_put_back_while_another_is_out_is_the_next() {
    let place = Place::new();
    let (store, mut operator) = with_events(&place, 3).await;
    give_up(&store).await;
    let out = delivery(&store, 1).await.unwrap();
    assert_eq!(out.number, 2);
    operator.retry_dead_letters(&Query::default(), at(2)).unwrap();
    assert!(delivery(&store, 2).await.is_none(), "one at a time");
    store.settle(&out.lease, Settlement::Delivered, at(2)).await.unwrap();
    assert_eq!(delivered(&store, 3).await, [1, 3]);
}

#[tokio::test]
async fn only_the_dead_letters_that_are_meant_are_touched() {
    let place = Place::new();
    let (store, mut operator) = with_events(&place, 2).await;
    give_up(&store).await;
    give_up(&store).await;
    let nothing = [
        Query {
            run: Some("b".into()),
            ..Query::default()
        },
        Query {
            handler: Some(HandlerName::new("x")),
            ..Query::default()
        },
        Query {
            ids: vec![Uuid::nil()],
            ..Query::default()
        },
        Query {
            since: Some(at(2)),
            ..Query::default()
        },
        Query {
            until: Some(at(1)),
            ..Query::default()
        },
    ];
    for query in nothing {
        assert_eq!(operator.drop_dead_letters(&query).unwrap(), 0, "{query:?}");
    }
    let first = operator.dead_letters(&Query::default(), 10).unwrap().pop().unwrap();
    let ids = vec![first.event.id];
    assert_eq!(
        operator
            .drop_dead_letters(&Query {
                ids,
                ..Query::default()
            })
            .unwrap(),
        1
    );
    assert_eq!(operator.dead_letters(&Query::default(), 10).unwrap().len(), 1);
    assert_eq!(delivered(&store, 2).await, [0_u64; 0]);
}

#[tokio::test]
async fn events_are_replayed_in_order_with_their_ids() {
    let place = Place::new();
    let (store, mut operator) = with_events(&place, 1200).await;
    assert_eq!(delivered(&store, 1).await.len(), 1200);
    let expected: Vec<u64> = (1..=1200).collect();
    assert_eq!(operator.replay(&Query::default(), &handler(), at(2)).unwrap(), 1200);
    assert_eq!(delivered(&store, 3).await, expected);

    let event = operator.events(&Query::default(), 1).unwrap().remove(0);
    let ids = vec![event.id];
    assert_eq!(
        operator
            .replay(
                &Query {
                    ids,
                    ..Query::default()
                },
                &handler(),
                at(4)
            )
            .unwrap(),
        1
    );
    assert_eq!(delivery(&store, 5).await.unwrap().event_id, event.id);

    let unknown = operator
        .replay(&Query::default(), &HandlerName::new("x"), at(4))
        .unwrap_err();
    assert!(unknown.to_string().contains("replaying"), "{unknown}");
}

#[tokio::test]
async fn what_waits_for_a_handler_is_dropped_only_when_it_is_gone() {
    let place = Place::new();
    let (store, mut operator) = with_events(&place, 2).await;
    assert!(operator.drop_waiting(&handler()).is_err(), "it is configured");
    store.set_handlers(&[], at(1)).await.unwrap();
    assert_eq!(operator.drop_waiting(&handler()).unwrap(), 2);
    store.set_handlers(&[handler()], at(2)).await.unwrap();
    assert_eq!(delivered(&store, 3).await, [0_u64; 0]);
    assert!(operator.drop_waiting(&HandlerName::new("x")).is_err(), "there is none");
}

#[tokio::test]
async fn a_notification_that_can_be_read_now_makes_its_run_due() {
    let place = Place::new();
    let (store, mut operator) = with_events(&place, 0).await;
    let unread = NewNotification {
        subject: None,
        body: Bytes::from_static(b"{\"new\":1}"),
        ..of_run("a")
    };
    store.append(unread.clone(), at(0)).await.unwrap();
    store.append(of_run("b"), at(0)).await.unwrap();
    let query = Query {
        unrecognized: true,
        ..Query::default()
    };
    let listed = operator.notifications(&query, 10).unwrap();
    assert_eq!(listed.iter().map(|found| found.id).collect::<Vec<_>>(), [unread.id]);
    assert_eq!(operator.notification(unread.id).unwrap().unwrap().body, unread.body);

    let read = NewNotification {
        id: unread.id,
        ..of_run("a")
    };
    assert!(operator.recognize(&read, at(1)).unwrap());
    assert!(
        !operator.recognize(&read, at(1)).unwrap(),
        "it is not unrecognized any more"
    );
    assert_eq!(store.stats(at(1)).await.unwrap().unrecognized, 0);
    let due = claimed(&store, 1).await;
    assert!(
        due.iter()
            .any(|due| due.subject == Subject::Run("a".into()) && due.notifications[0].id == unread.id)
    );
}

#[tokio::test]
async fn a_store_is_neither_made_nor_migrated() {
    let place = Place::new();
    let missing = SqliteOperator::open(place.path()).unwrap_err();
    assert!(matches!(missing, StoreError::NotAStore { .. }), "{missing}");
    drop(place.open(0));
    assert!(SqliteOperator::open(place.path()).is_ok(), "while no worker runs, too");
}
