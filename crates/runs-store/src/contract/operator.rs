//! What a person looks at and sets right, from the worker's own store and beside it.

use bytes::Bytes;
use uuid::Uuid;

use super::arrange::{Desk, again, at, changed, claim, handler, of_run, org, run, unrecognized, wall};
use super::outbox::by_filter;
use super::under_test::StoreUnderTest;
use crate::desks::{DeadLetter, Delivery, NewNotification, Query, Settlement, Store, Subject};
use crate::error::StoreError;

const GIVEN_UP: &str = "after 3 tries: it is closed";
const EVERYTHING: usize = 10_000;

/// Runs a test twice: with the store that the worker holds, and with one that was opened beside it.
async fn from_both_seats<S: StoreUnderTest>(test: impl AsyncFn(&Desk<S>, &dyn Store)) {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    test(&desk, desk.0.store()).await;
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    let beside = desk.0.beside().await;
    test(&desk, beside.as_ref()).await;
    beside.close().await;
}

/// The next delivery of `h`, if there is one.
async fn delivery<S: StoreUnderTest>(desk: &Desk<S>, seconds: i64) -> Option<Delivery> {
    desk.deliveries("h", seconds).await.pop()
}

/// Numbers of events in the order in which they are delivered to `h`.
async fn delivered<S: StoreUnderTest>(desk: &Desk<S>, seconds: i64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(delivery) = delivery(desk, seconds).await {
        numbers.push(delivery.number);
        desk.settle(&delivery.lease, Settlement::Delivered, seconds).await;
    }
    numbers
}

async fn events_of_a<S: StoreUnderTest>(desk: &Desk<S>, count: usize) {
    for _ in 0..count {
        desk.change("a", "{}", 0).await;
    }
}

async fn give_up<S: StoreUnderTest>(desk: &Desk<S>) {
    let lease = delivery(desk, 1).await.unwrap().lease;
    let given_up = Settlement::DeadLetter {
        reason: GIVEN_UP.to_owned(),
        answer: Some("no such customer".to_owned()),
    };
    desk.settle(&lease, given_up, 1).await;
}

async fn letters(operator: &dyn Store) -> Vec<DeadLetter> {
    operator.dead_letters(&Query::default(), EVERYTHING).await.unwrap()
}

/// The ids of the events that a query means, the newest first.
async fn listed(operator: &dyn Store, query: &Query) -> Vec<Uuid> {
    let events = operator.events(query, EVERYTHING).await.unwrap();
    events.iter().map(|event| event.id).collect()
}

pub async fn a_dead_letter_is_shown_and_goes_back_to_the_head_of_its_line<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 3).await;
        give_up(desk).await;
        let shown = letters(operator).await;
        assert_eq!(shown.len(), 1);
        let letter = &shown[0];
        assert_eq!(
            (letter.event.number, letter.attempts, letter.reason.as_str()),
            (1, 1, GIVEN_UP)
        );
        assert_eq!(letter.answer.as_deref(), Some("no such customer"));
        assert_eq!(letter.event.dead, [handler("h")]);

        let put_back = operator.retry_dead_letters(&Query::default(), at(2)).await.unwrap();
        assert_eq!(put_back, 1);
        assert!(letters(operator).await.is_empty());
        assert_eq!(delivered(desk, 3).await, [1, 2, 3]);
        assert_eq!(operator.stats(at(3)).await.unwrap().handlers[0].dead_letters, 0);
    })
    .await;
}

pub async fn what_became_of_an_event_for_each_handler_is_kept_with_it<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    let mut refreshed = changed("1");
    refreshed.events[0].recipients = by_filter(&[("h", None), ("other", Some("changes"))]);
    desk.commit(&due.lease, refreshed, 0).await;
    let operator = desk.0.store();
    let became = async || {
        let event = operator.events(&Query::default(), 1).await.unwrap().pop().unwrap();
        (event.waiting, event.delivered, event.dead, event.kept_back)
    };
    let kept_back = vec![(handler("other"), "changes".to_owned())];
    assert_eq!(became().await, (vec![handler("h")], vec![], vec![], kept_back.clone()));
    assert_eq!(delivered(&desk, 7).await, [1]);
    let has_it = vec![(handler("h"), wall(7))];
    assert_eq!(became().await, (vec![], has_it.clone(), vec![], kept_back));
    let mut query = Query::default();
    for name in ["h", "other"] {
        query.handler = Some(handler(name));
        assert_eq!(listed(operator, &query).await.len(), 1, "{name}");
    }

    // A person hands it out all the same.
    let id = listed(operator, &query).await;
    assert_eq!(operator.replay(&id, &handler("other"), at(8)).await.unwrap(), 1);
    assert_eq!(became().await, (vec![handler("other")], has_it, vec![], vec![]));
}

pub async fn what_is_put_back_while_another_is_out_is_the_next<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 3).await;
        give_up(desk).await;
        let out = delivery(desk, 1).await.unwrap();
        assert_eq!(out.number, 2);
        operator.retry_dead_letters(&Query::default(), at(2)).await.unwrap();
        assert!(delivery(desk, 2).await.is_none(), "one at a time");
        desk.settle(&out.lease, Settlement::Delivered, 2).await;
        assert_eq!(delivered(desk, 3).await, [1, 3]);
    })
    .await;
}

/// Queries that mean none of the events of run `a`, which were made and given up in the first second.
fn queries_for_nothing() -> [Query; 7] {
    let query = |change: fn(&mut Query)| {
        let mut query = Query::default();
        change(&mut query);
        query
    };
    [
        query(|query| query.run = Some(run("b"))),
        query(|query| query.org = Some("another".into())),
        query(|query| query.handler = Some(handler("x"))),
        query(|query| query.types.push("com.tallyfy.run.change".to_owned())),
        query(|query| query.ids.push(Uuid::nil())),
        query(|query| query.since = Some(wall(2))),
        query(|query| query.until = Some(wall(0))),
    ]
}

pub async fn only_the_dead_letters_that_are_meant_are_touched<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 2).await;
        give_up(desk).await;
        give_up(desk).await;
        for query in queries_for_nothing() {
            assert_eq!(operator.drop_dead_letters(&query).await.unwrap(), 0, "{query:?}");
        }
        let first = letters(operator).await.pop().unwrap();
        let mut query = Query::default();
        query.ids.push(first.event.id);
        assert_eq!(operator.drop_dead_letters(&query).await.unwrap(), 1);
        assert_eq!(letters(operator).await.len(), 1);
        assert_eq!(delivered(desk, 2).await, [0_u64; 0]);
    })
    .await;
}

pub async fn events_are_listed_as_they_are_meant<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 3).await;
        give_up(desk).await;
        let second = delivery(desk, 1).await.unwrap();
        desk.settle(&second.lease, Settlement::Delivered, 1).await;
        let all = listed(operator, &Query::default()).await;
        let third = all[0];
        let mut query = Query {
            run: Some(run("a")),
            org: Some(org()),
            types: vec!["com.tallyfy.run.changed.v1".to_owned()],
            since: Some(wall(0)),
            until: Some(wall(1)),
            ..Query::default()
        };
        assert_eq!(listed(operator, &query).await, all);
        query.handler = Some(handler("h"));
        assert_eq!(
            listed(operator, &query).await,
            all,
            "what waits, what it has, what was given up"
        );
        query.pending = true;
        assert_eq!(listed(operator, &query).await, [third]);
        query.handler = None;
        assert_eq!(listed(operator, &query).await, [third]);
        for query in queries_for_nothing() {
            assert!(listed(operator, &query).await.is_empty(), "{query:?}");
        }
        let whole = operator.event(third).await.unwrap().unwrap();
        assert_eq!((whole.summary.number, whole.body.as_ref()), (3, b"{}".as_slice()));
        assert_eq!(operator.event(Uuid::nil()).await.unwrap(), None);
    })
    .await;
}

pub async fn events_are_replayed_in_order_with_their_ids<S: StoreUnderTest>() {
    const MANY: usize = 20;
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, MANY).await;
        assert_eq!(delivered(desk, 1).await.len(), MANY);
        let (mut ids, mut after) = (Vec::new(), 0);
        loop {
            let page = operator.events_after(&Query::default(), after, 8).await.unwrap();
            if page.events.is_empty() {
                break;
            }
            after = page.last;
            ids.extend(page.events.iter().map(|event| event.summary.id));
        }
        // More than are put in line in one transaction; those that are not there are passed over.
        let (first, rest) = ids.split_at(10);
        let asked = [first, &[Uuid::nil(); 1000], rest].concat();
        let replayed = operator.replay(&asked, &handler("h"), at(2)).await.unwrap();
        assert_eq!(replayed, MANY as u64);
        let expected: Vec<u64> = (1..=MANY as u64).collect();
        assert_eq!(delivered(desk, 3).await, expected);

        let last = *ids.last().unwrap();
        let replayed = operator.replay(&[last, Uuid::nil()], &handler("h"), at(4)).await;
        assert_eq!(replayed.unwrap(), 1);
        assert_eq!(delivery(desk, 5).await.unwrap().event_id, last);
    })
    .await;
}

pub async fn nothing_is_replayed_to_a_handler_that_never_was<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 1).await;
        let ids = listed(operator, &Query::default()).await;
        let refused = operator.replay(&ids, &handler("x"), at(4)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
        assert!(refused.to_string().contains("`x`"), "{refused}");
    })
    .await;
}

pub async fn what_waits_for_a_handler_is_dropped_only_when_it_is_gone<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 2).await;
        let configured = operator.drop_waiting(&handler("h")).await;
        assert!(matches!(configured, Err(StoreError::Refused(_))), "{configured:?}");
        desk.set_handlers(&[], 1).await;
        assert_eq!(operator.drop_waiting(&handler("h")).await.unwrap(), 2);
        desk.set_handlers(&["h"], 2).await;
        assert_eq!(delivered(desk, 3).await, [0_u64; 0]);
        let unknown = operator.drop_waiting(&handler("x")).await;
        assert!(matches!(unknown, Err(StoreError::Refused(_))), "{unknown:?}");
    })
    .await;
}

pub async fn a_notification_that_can_be_read_now_makes_its_run_due<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        let unread = unrecognized("{\"new\":1}");
        desk.append(unread.clone(), 0).await;
        desk.append(of_run("b"), 0).await;
        let query = Query {
            unrecognized: true,
            ..Query::default()
        };
        let found = operator.notifications(&query, 10).await.unwrap();
        assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [unread.id]);
        let whole = operator.notification(unread.id).await.unwrap().unwrap();
        assert_eq!(whole.body, Bytes::from_static(b"{\"new\":1}"));

        let read = NewNotification {
            id: unread.id,
            ..of_run("a")
        };
        assert!(operator.recognize(read.clone(), at(1)).await.unwrap());
        let again = operator.recognize(read, at(1)).await.unwrap();
        assert!(!again, "it is not unrecognized any more");
        assert_eq!(desk.stats(1).await.unrecognized, 0);
        let due = desk.claim(claim(1)).await.work;
        let is_read = |due: &&crate::desks::DueRefresh| due.subject == Subject::Run(run("a"));
        let due = due.iter().find(is_read).unwrap();
        assert_eq!(due.notifications[0].id, unread.id);
    })
    .await;
}

pub async fn a_notification_names_the_events_that_it_led_to<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 2).await;
        desk.append(of_run("a"), 1).await;
        let events = listed(operator, &Query::default()).await;
        let found = operator.notifications(&Query::default(), 10).await.unwrap();
        let led_to: Vec<&[Uuid]> = found.iter().map(|found| found.led_to.as_slice()).collect();
        assert_eq!(led_to, [&[], &events[..1], &events[1..]]);

        let query = Query {
            pending: true,
            ..Query::default()
        };
        let pending = operator.notifications(&query, 10).await.unwrap();
        assert_eq!(pending.iter().map(|found| found.id).collect::<Vec<_>>(), [found[0].id]);
    })
    .await;
}

pub async fn a_sweep_and_a_fetch_are_asked_for_beside_the_worker<S: StoreUnderTest>() {
    use crate::desks::{Lane, SweepKind, SweepOrder, SweepScope};
    from_both_seats::<S>(async |desk, operator| {
        let order = SweepOrder {
            kind: SweepKind::Sync,
            scope: SweepScope::All,
            backfill: false,
        };
        operator.ask_for_sweep(&org(), order).await.unwrap();
        assert_eq!(desk.0.store().sweeps(&org()).await.unwrap().asked, Some(order));
        operator
            .request_refresh(&org(), &run("a"), Lane::Live, at(0))
            .await
            .unwrap();
        assert_eq!(desk.claim_names(0).await, ["run a"]);
    })
    .await;
}

pub async fn a_delivery_that_waits_for_its_next_try_can_be_tried_now<S: StoreUnderTest>() {
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 2).await;
        let out = delivery(desk, 1).await.unwrap();
        let waiting = operator.deliveries(&Query::default(), 10).await.unwrap();
        let shown: Vec<_> = waiting
            .iter()
            .map(|waiting| {
                (
                    waiting.event.number,
                    waiting.is_out,
                    waiting.attempts,
                    waiting.due_at.is_some(),
                )
            })
            .collect();
        assert_eq!(shown, [(1, true, 1, true), (2, false, 0, false)]);
        let failing = Query {
            failing: true,
            handler: Some(handler("h")),
            ..Query::default()
        };
        assert_eq!(operator.deliveries(&failing, 10).await.unwrap(), []);

        desk.settle(&out.lease, again(1000), 1).await;
        let waiting = operator.deliveries(&failing, 10).await.unwrap();
        let [waiting] = waiting.as_slice() else {
            unreachable!("{waiting:?}");
        };
        assert_eq!(
            (waiting.due_at, waiting.reason.as_deref()),
            (Some(at(1000)), Some("503"))
        );
        for query in queries_for_nothing() {
            assert_eq!(operator.retry_deliveries(&query, at(2)).await.unwrap(), 0, "{query:?}");
        }
        assert!(delivery(desk, 2).await.is_none());
        assert_eq!(operator.retry_deliveries(&failing, at(2)).await.unwrap(), 1);
        let out = delivery(desk, 2).await.unwrap();
        assert_eq!((out.number, out.attempt), (1, 2));
    })
    .await;
}

pub async fn ids_are_found_by_their_beginning<S: StoreUnderTest>() {
    use crate::desks::IdsOf;
    from_both_seats::<S>(async |desk, operator| {
        events_of_a(desk, 2).await;
        let mut events = listed(operator, &Query::default()).await;
        events.sort();
        let between = async |of, first, last| operator.ids_between(of, first, last, 10).await.unwrap();
        assert_eq!(between(IdsOf::Events, Uuid::nil(), Uuid::max()).await, events);
        assert_eq!(between(IdsOf::Events, events[1], events[1]).await, events[1..]);
        let notifications = between(IdsOf::Notifications, Uuid::nil(), Uuid::max()).await;
        assert_eq!(notifications.len(), 2);
        assert!(!events.contains(&notifications[0]));
    })
    .await;
}
