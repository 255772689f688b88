//! What happened is told, in bounds.

use std::time::Duration;

use super::arrange::{
    Desk, again, at as due_at, changed, claim, give_up, handler, of_run, org, postponed, run, unchanged, wall as at,
};
use super::outbox::by_filter;
use super::under_test::StoreUnderTest;
use crate::desks::{
    After, AttemptEnd, AttemptReport, Beat, DueRefresh, EndedDelivery, EndedRefresh, FetchCause, FetchReport,
    JournalEntry, JournalQuery, Lane, Lease, MAX_ATTEMPTS_KEPT, MAX_FETCHES_KEPT, MAX_REASON_KEPT, PULSE_KEPT,
    PostponeCause, Prune, Query, RefreshEnd, Refreshed, RunLabel, RunPlace, RunsOnly, RunsQuery, Settlement, Standing,
    Story,
};
use crate::time::SchedulingTime;

const EVERYTHING: usize = 10_000;

fn fetch_report(seconds: i64, cause: FetchCause, outcome: &str) -> FetchReport {
    FetchReport {
        at: at(seconds),
        took: Duration::from_millis(250),
        cause,
        outcome: outcome.to_owned(),
        changes: 2,
        stale: false,
        worker: "w1".to_owned(),
    }
}

fn attempt_report(seconds: i64) -> AttemptReport {
    AttemptReport {
        at: at(seconds),
        took: Duration::from_millis(40),
        worker: "w1".to_owned(),
    }
}

/// Ends a refresh, and tells of it.
async fn end<S: StoreUnderTest>(desk: &Desk<S>, due: &DueRefresh, end: RefreshEnd, report: FetchReport) {
    let now = SchedulingTime::new(report.at);
    let ended = EndedRefresh {
        report: Some(report),
        ..(due.lease.clone(), end).into()
    };
    let ended = desk.0.store().end_refreshes(vec![ended], now).await.unwrap();
    assert_eq!(ended, [Ok(())]);
}

/// Settles a delivery, and tells of it.
async fn settle<S: StoreUnderTest>(desk: &Desk<S>, lease: &Lease, settlement: Settlement, report: AttemptReport) {
    let now = SchedulingTime::new(report.at);
    let ended = EndedDelivery {
        report: Some(report),
        ..(lease.clone(), settlement).into()
    };
    let ended = desk.0.store().settle(vec![ended], now).await.unwrap();
    assert_eq!(ended, [Ok(())]);
}

async fn story<S: StoreUnderTest>(desk: &Desk<S>, name: &str) -> Story {
    let story = desk.0.store().story(&org(), &run(name), None, EVERYTHING).await;
    story.unwrap().unwrap()
}

fn labelled(mut refreshed: Refreshed, name: &str, template: &str) -> Refreshed {
    refreshed.label = Some(RunLabel {
        name: Some(name.to_owned()),
        template: Some(template.to_owned()),
        template_name: Some(format!("The {template}")),
        status: Some("active".to_owned()),
    });
    refreshed
}

pub async fn a_run_is_told_from_the_webhook_to_the_handler<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(1).await;
    let down = RefreshEnd::Postpone(postponed(5, PostponeCause::Failed));
    end(&desk, &due, down, fetch_report(1, FetchCause::Webhook, "failed")).await;
    let due = desk.claim_one(5).await;
    let mut refreshed = labelled(changed("1"), "Onboarding", "t1");
    refreshed.events[0].recipients = by_filter(&[("h", None), ("other", Some("events"))]);
    let commit = RefreshEnd::Commit(refreshed);
    end(&desk, &due, commit, fetch_report(5, FetchCause::Retry, "changed")).await;
    let lease = desk.one_delivery("h", 6).await.lease;
    settle(&desk, &lease, again(10), attempt_report(6)).await;

    let told = story(&desk, "a").await;
    assert_eq!(told.run.label.name.as_deref(), Some("Onboarding"));
    assert_eq!((told.run.standing, told.run.events), (Standing::Present, 1));
    assert_eq!((told.run.fetched_at, told.run.due_at), (Some(at(5)), None));
    assert_eq!(told.run.failing_for, [handler("h")]);
    assert_eq!(told.notifications.len(), 1);
    let fetches: Vec<_> = told
        .fetches
        .iter()
        .map(|fetch| (fetch.cause, fetch.outcome.as_str(), fetch.first_event, fetch.events))
        .collect();
    assert_eq!(
        fetches,
        [
            (FetchCause::Retry, "changed", 1, 1),
            (FetchCause::Webhook, "failed", 1, 0)
        ]
    );
    let failed = &told.fetches[1];
    assert_eq!(failed.reason.as_deref(), Some("the API is down"));
    assert_eq!((failed.at, failed.again_at), (at(1), Some(at(5))));
    assert_eq!(
        (failed.took, failed.worker.as_str()),
        (Duration::from_millis(250), "w1")
    );
    assert_eq!(told.events.len(), 1);
    assert_eq!(told.events[0].kept_back, [(handler("other"), "events".to_owned())]);
    let head = &told.heads[0];
    assert_eq!((&head.handler, head.number, head.due_at), (&handler("h"), 1, at(10)));
    assert_eq!((head.attempts, head.reason.as_deref()), (1, Some("503")));

    let lease = desk.one_delivery("h", 10).await.lease;
    settle(&desk, &lease, Settlement::Delivered, attempt_report(11)).await;
    let told = story(&desk, "a").await;
    let attempts: Vec<_> = told
        .attempts
        .iter()
        .map(|tried| (tried.attempt, tried.at, &tried.end))
        .collect();
    let failed = AttemptEnd::Failed {
        reason: "503".to_owned(),
        again_at: at(10),
    };
    assert_eq!(attempts, [(2, at(11), &AttemptEnd::Delivered), (1, at(6), &failed)]);
    assert!(told.heads.is_empty() && told.run.failing_for.is_empty());
    let earlier = desk.0.store().story(&org(), &run("a"), Some(at(5)), EVERYTHING).await;
    let earlier = earlier.unwrap().unwrap();
    assert_eq!((earlier.fetches.len(), earlier.attempts.len()), (1, 0));
}

pub async fn nothing_is_told_of_a_run_that_is_not_known<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let store = desk.0.store();
    assert_eq!(store.story(&org(), &run("b"), None, 1).await.unwrap(), None);
    assert_eq!(store.story(&"another".into(), &run("a"), None, 1).await.unwrap(), None);
    let told = story(&desk, "a").await;
    assert_eq!((told.run.due_at, told.run.fetched_at), (Some(at(0)), None));
}

pub async fn what_was_given_up_and_sent_again_is_told_in_full<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    let lease = desk.one_delivery("h", 1).await.lease;
    settle(&desk, &lease, give_up(), attempt_report(1)).await;
    let told = story(&desk, "a").await;
    assert_eq!(told.run.given_up_for, [handler("h")]);
    assert_eq!(told.dead_letters.len(), 1);
    let store = desk.0.store();
    store.retry_dead_letters(&Query::default(), due_at(2)).await.unwrap();
    let lease = desk.one_delivery("h", 2).await.lease;
    settle(&desk, &lease, Settlement::Delivered, attempt_report(2)).await;
    let event = story(&desk, "a").await.events[0].id;
    store.replay(&[event], &handler("h"), due_at(3)).await.unwrap();
    let lease = desk.one_delivery("h", 3).await.lease;
    settle(&desk, &lease, Settlement::Delivered, attempt_report(3)).await;
    let told = story(&desk, "a").await;
    let given_up = AttemptEnd::GivenUp {
        reason: "400".to_owned(),
    };
    let ends: Vec<_> = told.attempts.iter().map(|tried| (tried.at, &tried.end)).collect();
    let delivered = AttemptEnd::Delivered;
    assert_eq!(ends, [(at(3), &delivered), (at(2), &delivered), (at(1), &given_up)]);
    assert!(told.run.given_up_for.is_empty());
}

pub async fn what_is_told_of_one_run_is_bounded<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.change("a", "1", 0).await;
    desk.append(of_run("b"), 0).await;
    let due = desk.claim_one(0).await;
    desk.commit(&due.lease, unchanged(), 0).await;
    let most = i64::try_from(MAX_FETCHES_KEPT.max(MAX_ATTEMPTS_KEPT)).unwrap();
    for second in 1..=most + 5 {
        desk.request("b", Lane::Sweep, second).await;
        let due = desk.claim_one(second).await;
        let mut failed = postponed(second, PostponeCause::Failed);
        failed.reason = "ä".repeat(MAX_REASON_KEPT + 1);
        let report = fetch_report(second, FetchCause::Sweep, "failed");
        end(&desk, &due, RefreshEnd::Postpone(failed), report).await;
        let lease = desk.one_delivery("h", second).await.lease;
        settle(&desk, &lease, again(second + 1), attempt_report(second)).await;
    }
    let told = story(&desk, "b").await;
    assert_eq!(told.fetches.len() as u64, MAX_FETCHES_KEPT);
    assert_eq!(told.fetches[0].at, at(most + 5));
    let reason = told.fetches[0].reason.as_deref().unwrap();
    assert_eq!(reason.chars().count(), MAX_REASON_KEPT);
    let told = story(&desk, "a").await;
    assert_eq!(told.attempts.len() as u64, MAX_ATTEMPTS_KEPT);
    assert_eq!(told.attempts[0].at, at(most + 5));
}

pub async fn what_is_told_goes_with_its_age<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    let commit = RefreshEnd::Commit(changed("1"));
    end(&desk, &due, commit, fetch_report(0, FetchCause::Webhook, "changed")).await;
    for second in [1, 2] {
        let lease = desk.one_delivery("h", second).await.lease;
        let settlement = if second == 1 { again(2) } else { Settlement::Delivered };
        settle(&desk, &lease, settlement, attempt_report(second)).await;
    }
    let store = desk.0.store();
    let entry = JournalEntry::new(at(0), "w1", "worker", "started");
    store.note(entry).await.unwrap();
    let mut prune = Prune {
        events_before: Some(at(0)),
        limit: 1,
        ..Prune::default()
    };
    assert_eq!(desk.prune(prune.clone()).await.told, 0, "they are not old");
    prune.events_before = Some(at(100));
    let mut told = 0;
    loop {
        let pruned = desk.prune(prune).await;
        told += pruned.told;
        if pruned.is_done {
            break;
        }
        prune = pruned.next;
    }
    assert_eq!(told, 2, "a fetch and an entry");
    let left = story(&desk, "a").await;
    assert!(left.fetches.is_empty() && left.attempts.is_empty() && left.events.is_empty());
    assert!(
        store
            .journal(&JournalQuery::default(), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

/// The runs that a query means, a page of this size at a time.
async fn listed<S: StoreUnderTest>(desk: &Desk<S>, query: &RunsQuery, page: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let found = desk.0.store().runs(query, after, page).await.unwrap();
        assert!(found.runs.len() <= page);
        names.extend(found.runs.iter().map(|found| found.run.to_string()));
        match found.next {
            // A place survives being written down.
            Some(next) => after = Some(next.to_string().parse::<RunPlace>().unwrap()),
            None => return names,
        }
    }
}

fn only(only: RunsOnly) -> RunsQuery {
    RunsQuery {
        only: Some(only),
        ..RunsQuery::default()
    }
}

pub async fn runs_are_listed_by_their_last_fetch_page_by_page<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    for (name, second) in [("a", 1), ("b", 2), ("c", 3), ("d", 3), ("a", 4)] {
        desk.append(of_run(name), second).await;
        let due = desk.claim_one(second).await;
        let template = if name == "b" { "t2" } else { "t1" };
        let refreshed = labelled(unchanged(), &format!("Run {name}"), template);
        desk.commit(&due.lease, refreshed, second).await;
    }
    desk.append(of_run("e"), 5).await;
    for page in [1, 2, 100] {
        assert_eq!(
            listed(&desk, &RunsQuery::default(), page).await,
            ["a", "d", "c", "b", "e"]
        );
    }
    let query = |change: fn(&mut RunsQuery)| {
        let mut query = RunsQuery::default();
        change(&mut query);
        query
    };
    for (query, expected) in [
        (query(|query| query.run = Some(run("c"))), vec!["c"]),
        (query(|query| query.run = Some(run("x"))), vec![]),
        (query(|query| query.org = Some("another".into())), vec![]),
        (query(|query| query.name = Some("rUn B".to_owned())), vec!["b"]),
        (query(|query| query.name = Some("E".to_owned())), vec!["e"]),
        (query(|query| query.name = Some("%".to_owned())), vec![]),
        (query(|query| query.template = Some("t2".to_owned())), vec!["b"]),
        (
            query(|query| query.template = Some("the T1".to_owned())),
            vec!["a", "d", "c"],
        ),
        (only(RunsOnly::Due), vec!["e"]),
    ] {
        assert_eq!(listed(&desk, &query, 1).await, expected, "{query:?}");
    }
}

pub async fn runs_are_listed_by_what_holds_them_up<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    for name in ["a", "b", "c", "d"] {
        desk.change(name, name, 0).await;
    }
    for name in ["c", "d"] {
        desk.append(of_run(name), 1).await;
    }
    let due = desk.claim(claim(1)).await.work;
    desk.postpone(&due[0].lease, postponed(100, PostponeCause::Failed), 1)
        .await;
    let deliveries = desk.deliveries("h", 2).await;
    desk.settle(&deliveries[0].lease, again(50), 2).await;
    desk.settle(&deliveries[1].lease, give_up(), 2).await;
    for page in [1, 100] {
        assert_eq!(listed(&desk, &only(RunsOnly::Due), page).await, ["d", "c"]);
        assert_eq!(listed(&desk, &only(RunsOnly::Failing), page).await, ["c"]);
        assert_eq!(listed(&desk, &only(RunsOnly::Blocked), page).await, ["b", "a"]);
    }
    let store = desk.0.store();
    let heads = store.heads(&handler("h"), None, 10).await.unwrap();
    let found: Vec<_> = heads
        .heads
        .iter()
        .map(|head| (head.run.as_str(), head.attempts))
        .collect();
    assert_eq!((found, heads.next), (vec![("a", 1)], None));
    assert!(store.heads(&handler("other"), None, 10).await.unwrap().heads.is_empty());
    let page = store.heads(&handler("h"), None, 1).await.unwrap();
    let rest = store.heads(&handler("h"), page.next, 1).await.unwrap();
    assert_eq!((page.heads.len(), rest.heads.len(), rest.next), (1, 0, None));
}

pub async fn heads_that_failed_at_the_same_moment_come_one_by_one<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    for name in ["a", "b", "c"] {
        desk.change(name, name, 0).await;
    }
    for delivery in desk.deliveries("h", 1).await {
        desk.settle(&delivery.lease, again(50), 2).await;
    }
    let (mut found, mut place) = (Vec::new(), None);
    loop {
        let page = desk.0.store().heads(&handler("h"), place, 1).await.unwrap();
        found.extend(page.heads.iter().map(|head| head.run.to_string()));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(found, ["c", "b", "a"]);
}

pub async fn lists_go_on_after_an_entry<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h", "other"]).await;
    for name in ["a", "b"] {
        desk.change(name, name, 0).await;
    }
    // Given up at the same moment.
    for name in ["h", "other"] {
        for delivery in desk.deliveries(name, 1).await {
            desk.settle(&delivery.lease, give_up(), 1).await;
        }
    }
    let store = desk.0.store();
    let all = store.dead_letters(&Query::default(), EVERYTHING).await.unwrap();
    assert_eq!(all.len(), 4);
    let mut paged = Vec::new();
    let mut query = Query::default();
    while let Some(letter) = store.dead_letters(&query, 1).await.unwrap().pop() {
        query.after = Some(After {
            id: letter.event.id,
            handler: Some(letter.handler.clone()),
        });
        paged.push(letter);
    }
    assert_eq!(paged, all);

    let events = store.events(&Query::default(), EVERYTHING).await.unwrap();
    query.after = Some(After {
        id: events[0].id,
        handler: None,
    });
    assert_eq!(store.events(&query, EVERYTHING).await.unwrap(), events[1..]);
    let notifications = store.notifications(&Query::default(), EVERYTHING).await.unwrap();
    query.after = Some(After {
        id: notifications[0].id,
        handler: None,
    });
    assert_eq!(
        store.notifications(&query, EVERYTHING).await.unwrap(),
        notifications[1..]
    );
}

pub async fn the_journal_is_read_backwards<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let store = desk.0.store();
    for number in 0..5 {
        let mut entry = JournalEntry::new(at(number), "ann", "retry", format!("entry {number}"));
        if number == 3 {
            entry.kind = "pause".to_owned();
            entry.handler = Some(handler("h"));
            entry.org = Some(org());
            entry.run = Some(run("a"));
        }
        store.note(entry).await.unwrap();
    }
    let texts = async |query: JournalQuery, before, limit| {
        let entries = store.journal(&query, before, limit).await.unwrap();
        let last = entries.last().map(|entry| entry.place);
        (
            entries.into_iter().map(|entry| entry.entry.text).collect::<Vec<_>>(),
            last,
        )
    };
    let (page, last) = texts(JournalQuery::default(), None, 2).await;
    assert_eq!(page, ["entry 4", "entry 3"]);
    assert_eq!(
        texts(JournalQuery::default(), last, 9).await.0,
        ["entry 2", "entry 1", "entry 0"]
    );
    let mut query = JournalQuery {
        kind: Some("pause".to_owned()),
        org: Some(org()),
        handler: Some(handler("h")),
    };
    assert_eq!(texts(query.clone(), None, 9).await.0, ["entry 3"]);
    query.handler = Some(handler("x"));
    assert!(texts(query, None, 9).await.0.is_empty());
    assert_eq!(story(&desk, "a").await.journal.len(), 1);
}

fn beat(worker: &str, seconds: i64, done: &[(&str, u64)]) -> Beat {
    Beat {
        worker: worker.to_owned(),
        version: "1".to_owned(),
        started_at: at(0),
        at: at(seconds),
        report: format!("{{\"second\":{seconds}}}"),
        done: done.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect(),
    }
}

pub async fn what_workers_do_is_added_up_by_the_minute<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let store = desk.0.store();
    // `at(0)` is 20 seconds into a minute.
    for beat in [
        beat("w1", 0, &[("events", 2), ("webhooks", 1)]),
        beat("w2", 1, &[("events", 3), ("nothing", 0)]),
        beat("w1", 45, &[("events", 7)]),
    ] {
        store.beat(beat).await.unwrap();
    }
    let pulse = async |since| {
        let pulse = store.pulse(since).await.unwrap();
        let told = pulse.into_iter().map(|pulse| (pulse.minute, pulse.what, pulse.count));
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        pulse(at(-60)).await,
        [
            (at(-20), "events".to_owned(), 5),
            (at(-20), "webhooks".to_owned(), 1),
            (at(40), "events".to_owned(), 7)
        ]
    );
    assert_eq!(pulse(at(0)).await.len(), 1);
    let names = async |since| {
        let workers = store.beats(since).await.unwrap();
        let told = workers.into_iter().map(|seen| (seen.worker, seen.seen_at, seen.report));
        told.collect::<Vec<_>>()
    };
    let first = ("w1".to_owned(), at(45), r#"{"second":45}"#.to_owned());
    let second = ("w2".to_owned(), at(1), r#"{"second":1}"#.to_owned());
    assert_eq!(names(at(0)).await, [first.clone(), second]);
    assert_eq!(names(at(2)).await, [first]);

    // What is a week old goes.
    let later = i64::try_from(PULSE_KEPT.as_secs()).unwrap() + 60;
    store.beat(beat("w3", later, &[("events", 1)])).await.unwrap();
    assert_eq!(pulse(at(-60)).await.len(), 1);
    assert_eq!(names(at(0)).await.len(), 1);
}
