//! Deliveries: for each handler and run in order, one at a time, until settled.

use std::num::NonZeroUsize;

use super::arrange::{
    Desk, LEASE, again, at, changed, claim, give_up, handler, of_run, org, run, text, unchanged, wall,
};
use super::under_test::StoreUnderTest;
use crate::desks::{
    Claim, Failing, HandlerStats, Lane, LeaseLost, MAX_CLAIMED_EVENT_BYTES, Recipients, Settlement, Stats, Verdict,
};

const DELIVERED: Settlement = Settlement::Delivered;

pub async fn an_event_goes_to_every_active_handler<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h1", "h2"]).await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    let refreshed = changed("{}");
    let event = refreshed.events[0].clone();
    desk.commit(&due.lease, refreshed, 1).await;

    for name in ["h1", "h2"] {
        let delivery = desk.one_delivery(name, 1).await;
        assert_eq!(
            (delivery.event_id, delivery.event_type),
            (event.id, event.event_type.clone())
        );
        assert_eq!((delivery.org, delivery.run, delivery.number), (org(), run("a"), 1));
        assert_eq!((delivery.handler, delivery.attempt), (handler(name), 1));
        assert_eq!(
            (delivery.created_at, delivery.body),
            (event.created_at, event.body.clone())
        );
    }
}

pub async fn events_of_one_run_come_one_at_a_time_and_in_order<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    for body in ["1", "2", "3"] {
        desk.change("a", body, 0).await;
    }
    for body in ["1", "2", "3"] {
        let delivery = desk.one_delivery("h", 1).await;
        assert_eq!(text(&delivery.body), body);
        assert!(
            desk.deliveries("h", 1).await.is_empty(),
            "the next one waits for {body}"
        );
        desk.settle(&delivery.lease, DELIVERED, 1).await;
    }
    let claimed = desk.claim_deliveries("h", claim(1000)).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (0, None));
}

/// What filters said.
pub(super) fn by_filter(verdicts: &[(&str, Option<&str>)]) -> Recipients {
    let verdict = |(name, key): &(&str, Option<&str>)| Verdict {
        handler: handler(name),
        kept_back_by: key.map(str::to_owned),
    };
    Recipients::ByFilter(verdicts.iter().map(verdict).collect())
}

pub async fn an_event_goes_to_none_but_its_recipients_and_is_counted_all_the_same<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h1", "h2"]).await;
    for (body, recipients) in [
        ("1", by_filter(&[("h1", None), ("not active", None)])),
        ("2", by_filter(&[("h1", Some("events")), ("h2", Some("events"))])),
        ("3", by_filter(&[("h1", Some("changes")), ("h2", None)])),
        ("4", Recipients::All),
    ] {
        desk.append(of_run("a"), 0).await;
        let due = desk.claim_one(0).await;
        let mut refreshed = changed(body);
        refreshed.events[0].recipients = recipients;
        desk.commit(&due.lease, refreshed, 0).await;
    }
    for (name, numbers) in [("h1", [1, 4]), ("h2", [3, 4])] {
        for number in numbers {
            let delivery = desk.one_delivery(name, 1).await;
            assert_eq!(delivery.number, number, "{name}");
            desk.settle(&delivery.lease, DELIVERED, 1).await;
        }
        assert!(desk.deliveries(name, 1).await.is_empty());
    }
}

pub async fn neither_runs_nor_handlers_wait_for_each_other<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["slow", "fast"]).await;
    desk.change("a", "a1", 0).await;
    desk.one_delivery("slow", 0).await;
    desk.change("b", "b1", 1).await;
    assert_eq!(desk.attempts("slow", 1).await, [("b1".to_owned(), 1)]);
    assert_eq!(
        desk.attempts("fast", 1).await,
        [("a1".to_owned(), 1), ("b1".to_owned(), 1)]
    );
}

pub async fn a_retry_waits_and_counts<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "a1", 0).await;
    desk.change("a", "a2", 0).await;
    desk.change("b", "b1", 0).await;
    for delivery in desk.deliveries("h", 0).await {
        let settlement = if delivery.run == run("a") {
            again(100)
        } else {
            DELIVERED
        };
        desk.settle(&delivery.lease, settlement, 1).await;
    }
    let claimed = desk.claim_deliveries("h", claim(99)).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (0, Some(at(100))));
    let second = desk.one_delivery("h", 100).await;
    assert_eq!(
        (text(&second.body).as_str(), second.attempt),
        ("a1", 2),
        "its run waits behind it"
    );
    desk.settle(&second.lease, DELIVERED, 101).await;
    assert_eq!(desk.attempts("h", 101).await, [("a2".to_owned(), 1)]);
}

pub async fn a_dead_letter_lets_the_next_event_go_on<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.change("a", "2", 0).await;
    let first = desk.one_delivery("h", 0).await;
    desk.settle(&first.lease, give_up(), 1).await;
    assert_eq!(desk.attempts("h", 1).await, [("2".to_owned(), 1)]);
    let stats = desk.stats(1).await;
    let counts: Vec<_> = stats.handlers.iter().map(|h| (h.waiting, h.dead_letters)).collect();
    assert_eq!(counts, [(1, 1)]);
}

pub async fn an_attempt_that_ends_with_its_lease_counts<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    let first = desk.one_delivery("h", 0).await;
    assert_eq!(
        desk.claim_deliveries("h", claim(59)).await.next_due,
        Some(at(0).after(LEASE))
    );
    let second = desk.one_delivery("h", 60).await;
    assert_eq!((second.event_id, second.attempt), (first.event_id, 2));
}

pub async fn a_released_delivery_was_no_attempt<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    let delivery = desk.one_delivery("h", 0).await;
    desk.settle(&delivery.lease, Settlement::Released, 1).await;
    assert_eq!(desk.attempts("h", 1).await, [("1".to_owned(), 1)]);
}

pub async fn the_limit_leaves_the_rest_due<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    for (name, second) in [("b", 1), ("a", 2), ("c", 3)] {
        desk.change(name, name, second).await;
    }
    let claimed = desk.claim_deliveries("h", Claim { limit: 2, ..claim(9) }).await;
    let runs: Vec<_> = claimed.work.iter().map(|delivery| delivery.run.as_str()).collect();
    assert_eq!(
        (runs, claimed.next_due),
        (vec!["b", "a"], Some(at(3))),
        "the longest due first"
    );
}

pub async fn no_more_are_in_flight_than_may_be<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    for name in ["a", "b", "c", "d"] {
        desk.change(name, name, 0).await;
    }
    let two = |seconds| Claim {
        in_flight: NonZeroUsize::new(2),
        ..claim(seconds)
    };
    assert_eq!(
        desk.deliveries("other", 1).await.len(),
        4,
        "another handler's do not count"
    );
    let first = desk.claim_deliveries("h", two(1)).await;
    assert_eq!(
        (first.work.len(), first.next_due),
        (2, Some(at(61))),
        "what waits is due when a lease ends"
    );
    let none = desk.claim_deliveries("h", two(2)).await;
    assert_eq!((none.work.len(), none.next_due), (0, Some(at(61))));
    desk.settle(&first.work[0].lease, DELIVERED, 3).await;
    let third = desk.claim_deliveries("h", two(3)).await;
    assert_eq!(third.work.len(), 1);
    assert_ne!(third.work[0].run, first.work[1].run);
    let later = desk.claim_deliveries("h", two(63)).await;
    assert_eq!(later.work.len(), 2, "leases that have ended do not count");
    desk.settle(&later.work[0].lease, DELIVERED, 64).await;
    desk.settle(&later.work[1].lease, DELIVERED, 64).await;
    let last = desk.claim_deliveries("h", two(64)).await;
    assert_eq!((last.work.len(), last.next_due), (1, Some(at(124))));
}

pub async fn a_lease_that_was_handed_out_again_changes_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.change("a", "2", 0).await;
    let old = desk.one_delivery("h", 0).await.lease;
    let new = desk.one_delivery("h", 60).await.lease;
    for settlement in [DELIVERED, again(5000), give_up(), Settlement::Released] {
        assert_eq!(desk.try_settle(&old, settlement, 61).await, Err(LeaseLost));
    }
    assert!(desk.deliveries("h", 62).await.is_empty());
    desk.settle(&new, DELIVERED, 63).await;
    assert_eq!(desk.attempts("h", 63).await, [("2".to_owned(), 1)]);
}

pub async fn attempts_that_end_together_have_an_outcome_each<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    for name in ["a", "b", "c", "d"] {
        desk.change(name, name, 0).await;
    }
    desk.change("a", "a2", 0).await;
    let mut leases = desk.deliveries("h", 0).await.into_iter().map(|delivery| delivery.lease);
    let [a, b, c, d] = std::array::from_fn(|_| leases.next().unwrap());
    desk.settle(&b, again(5), 1).await;
    let ended = vec![
        (a.clone(), DELIVERED),
        (b, DELIVERED),
        (c, again(9)),
        (d, Settlement::Released),
        (a, give_up()),
    ];
    let ended = ended.into_iter().map(Into::into).collect();
    let settled = desk.0.store().settle(ended, at(1)).await.unwrap();
    let lost = Err(LeaseLost);
    assert_eq!(settled, [Ok(()), lost, Ok(()), Ok(()), lost]);
    let mut left = desk.attempts("h", 9).await;
    left.sort_unstable();
    let left: Vec<_> = left.iter().map(|(body, attempt)| (body.as_str(), *attempt)).collect();
    assert_eq!(left, [("a2", 1), ("b", 2), ("c", 2), ("d", 1)]);
    assert_eq!(desk.stats(9).await.handlers[0].dead_letters, 0);
}

pub async fn what_settling_makes_due_is_claimed_with_it<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    for body in ["1", "2"] {
        desk.change("a", body, 0).await;
    }
    let first = desk.one_delivery("h", 0).await.lease;
    let ended = vec![(first.clone(), DELIVERED).into(), (first, DELIVERED).into()];
    let turn = desk
        .0
        .store()
        .settle_and_claim(ended, &handler("h"), claim(1))
        .await
        .unwrap();
    assert_eq!(turn.settled, [Ok(()), Err(LeaseLost)]);
    let claimed: Vec<_> = turn.claimed.work.iter().map(|delivery| text(&delivery.body)).collect();
    assert_eq!(claimed, ["2"]);
    assert_eq!(
        turn.claimed.next_due,
        Some(at(1).after(LEASE)),
        "what is leased comes again at its end"
    );
}

pub async fn a_claim_hands_out_a_bounded_number_of_bytes<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    let large = "x".repeat(MAX_CLAIMED_EVENT_BYTES - 1);
    for (name, body) in [("a", large.as_str()), ("b", "xx"), ("c", large.as_str())] {
        desk.change(name, body, 0).await;
    }
    let claimed = desk.claim_deliveries("h", claim(1)).await;
    let runs: Vec<_> = claimed.work.iter().map(|delivery| delivery.run.as_str()).collect();
    assert_eq!((runs, claimed.next_due), (vec!["a", "b"], Some(at(0))));
    assert_eq!(desk.one_delivery("h", 1).await.run, run("c"));
}

pub async fn a_failing_delivery_tells_how_it_stands<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.change("a", "2", 3).await;
    let released = desk.one_delivery("h", 5).await;
    desk.settle(&released.lease, Settlement::Released, 6).await;
    for (second, attempt) in [(10, 1), (20, 2)] {
        let delivery = desk.one_delivery("h", second).await;
        assert_eq!((delivery.attempt, delivery.tried_since), (attempt, at(10)));
        desk.settle(&delivery.lease, again(second + 10), second + 1).await;
    }
    let stats = desk.stats(22).await.handlers.remove(0);
    let failing = Failing {
        reason: "503".to_owned(),
        at: wall(21),
        attempts: 2,
        next_try: at(30),
    };
    assert_eq!((stats.oldest, stats.failing), (Some(at(0)), Some(failing)));

    let delivery = desk.one_delivery("h", 30).await;
    desk.settle(&delivery.lease, DELIVERED, 31).await;
    let stats = desk.stats(32).await.handlers.remove(0);
    assert_eq!((stats.oldest, stats.failing), (Some(at(3)), None));
    assert_eq!(desk.one_delivery("h", 40).await.tried_since, at(40));
}

pub async fn nothing_of_a_paused_handler_is_claimed<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    desk.change("a", "1", 0).await;
    assert!(desk.0.store().set_paused(&handler("h"), true).await.unwrap());
    assert!(
        !desk.0.store().set_paused(&handler("x"), true).await.unwrap(),
        "there is none"
    );
    let desk = Desk(desk.0.restart(at(1)).await);
    desk.set_handlers(&["h", "other"], 1).await;
    let claimed = desk.claim_deliveries("h", claim(2)).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (0, None));
    assert_eq!(desk.deliveries("other", 2).await.len(), 1);
    let paused: Vec<_> = desk
        .stats(2)
        .await
        .handlers
        .iter()
        .map(|handler| handler.paused)
        .collect();
    assert_eq!(paused, [true, false]);

    desk.0.store().set_paused(&handler("h"), false).await.unwrap();
    assert_eq!(desk.one_delivery("h", 3).await.number, 1);
}

pub async fn a_new_handler_starts_with_the_next_event<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["old"]).await;
    desk.change("a", "1", 0).await;
    desk.set_handlers(&["old", "new"], 1).await;
    assert!(desk.deliveries("new", 1).await.is_empty());
    desk.change("a", "2", 2).await;
    assert_eq!(desk.attempts("new", 2).await, [("2".to_owned(), 1)]);
    assert_eq!(desk.attempts("old", 2).await, [("1".to_owned(), 1)]);
}

pub async fn a_handler_that_is_not_named_keeps_what_it_has_left<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    desk.change("a", "1", 0).await;
    desk.change("a", "2", 0).await;
    let first = desk.one_delivery("h", 0).await;
    desk.set_handlers(&["other"], 1).await;
    desk.settle(&first.lease, DELIVERED, 1).await;
    desk.change("a", "missed", 2).await;
    assert!(desk.deliveries("h", 1000).await.is_empty());
    let left = desk.stats(1000).await.handlers;
    let left: Vec<_> = left.iter().map(|h| (h.handler.as_str(), h.active, h.waiting)).collect();
    assert_eq!(left, [("h", false, 1), ("other", true, 3)]);

    desk.set_handlers(&["h"], 1001).await;
    desk.change("a", "3", 1002).await;
    for body in ["2", "3"] {
        let delivery = desk.one_delivery("h", 1003).await;
        assert_eq!(text(&delivery.body), body);
        desk.settle(&delivery.lease, DELIVERED, 1003).await;
    }
    assert!(desk.deliveries("h", 2000).await.is_empty());
}

pub async fn nothing_of_an_unknown_handler_is_claimed<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    let claimed = desk.claim_deliveries("nobody", claim(1)).await;
    assert_eq!((claimed.work.len(), claimed.next_due), (0, None));
}

pub async fn an_event_without_a_handler_is_for_nobody<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.change("a", "1", 0).await;
    desk.set_handlers(&["h"], 1).await;
    assert!(desk.deliveries("h", 1).await.is_empty());
    desk.change("a", "2", 2).await;
    assert_eq!(desk.one_delivery("h", 2).await.number, 2);
}

pub async fn stats_count_what_waits<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    assert_eq!(desk.stats(0).await, Stats::default());
    desk.set_handlers(&["b", "a"], 0).await;
    desk.change("x", "1", 5).await;
    desk.append(of_run("y"), 7).await;
    desk.request("z", Lane::Sweep, 6).await;

    let a = HandlerStats {
        handler: handler("a"),
        active: true,
        paused: false,
        waiting: 1,
        oldest: Some(at(5)),
        failing: None,
        dead_letters: 0,
    };
    let b = HandlerStats {
        handler: handler("b"),
        ..a.clone()
    };
    let expected = Stats {
        due: 2,
        oldest_due: Some(at(6)),
        unrecognized: 0,
        handlers: vec![a, b],
        log_bytes: 0,
    };
    assert_eq!(desk.stats(10).await, expected);

    let before = desk.stats(4).await;
    assert_eq!(
        (before.due, before.oldest_due),
        (2, None),
        "nothing could have been claimed yet"
    );
    let claimed = desk.claim(claim(10)).await;
    let leased = desk.stats(11).await;
    assert_eq!(
        (leased.due, leased.oldest_due),
        (2, None),
        "what is being refreshed counts, but does not wait"
    );
    assert_eq!(
        desk.stats(70).await.oldest_due,
        Some(at(70)),
        "a lease that ran out waits"
    );
    for due in &claimed.work {
        desk.commit(&due.lease, unchanged(), 71).await;
    }
    assert_eq!(desk.stats(71).await.due, 0);
}
