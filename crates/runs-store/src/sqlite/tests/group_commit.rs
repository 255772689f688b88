use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use tokio::task::{JoinSet, yield_now};

use super::*;
use crate::desks::{Appended, HandlerName};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// Holds the writing thread until it is dropped.
struct Held {
    _gate: mpsc::Sender<()>,
}

async fn hold(store: &SqliteStore) -> Held {
    let (gate, opened) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let (request, _) = crate::sqlite::writer::verb(move |_: &Transaction<'_>| {
        started.send(()).unwrap();
        opened.recv().unwrap_err();
        Ok(())
    });
    store.writer.request(request).await.unwrap();
    has_started.recv().unwrap();
    Held { _gate: gate }
}

async fn insert_org(store: &SqliteStore, name: &'static str) -> Result<(), StoreError> {
    let insert = move |transaction: &Transaction<'_>| {
        let inserted = transaction.execute("INSERT INTO orgs (name) VALUES (?)", [name]);
        inserted.map(drop)
    };
    store.write("inserting", insert).await
}

async fn org_names(store: &SqliteStore) -> Vec<String> {
    let names =
        |transaction: &Transaction<'_>| transaction.rows("SELECT name FROM orgs ORDER BY key", [], |row| row.get(0));
    store.write("reading", names).await.unwrap()
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let place = Place::new();
    let store = Arc::new(place.open(0));
    let held = hold(&store).await;
    let mut appends = JoinSet::new();
    let queued = Arc::new(AtomicU64::new(0));
    for number in 0..100 {
        let (store, queued) = (Arc::clone(&store), Arc::clone(&queued));
        appends.spawn(async move {
            // It queues without a pause, as there is room.
            queued.fetch_add(1, Ordering::Relaxed);
            store.append(of_run(&number.to_string()), at(0)).await
        });
    }
    while queued.load(Ordering::Relaxed) < 100 {
        yield_now().await;
    }
    let before = store.commits();
    drop(held);
    for appended in appends.join_all().await {
        assert_eq!(appended.unwrap(), Appended::Stored);
    }
    assert_eq!(
        store.commits() - before,
        2,
        "the verb that held the writer, and a hundred appends"
    );
}

#[tokio::test]
async fn a_verb_that_fails_half_way_is_undone_alone() {
    let place = Place::new();
    let store = place.open(0);
    let held = hold(&store).await;
    let mut wakeups = store.wakeups();
    wakeups.due.mark_unchanged();
    let failing = store.write("failing", |transaction| {
        transaction.execute("INSERT INTO orgs (name) VALUES ('half')", [])?;
        transaction.wake_due();
        Err::<(), _>(Failure::Refused("enough"))
    });
    let release = async { drop(held) };
    let (first, failed, last, ()) = tokio::join!(
        insert_org(&store, "first"),
        failing,
        insert_org(&store, "last"),
        release
    );
    first.unwrap();
    last.unwrap();
    assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
    assert!(!wakeups.due.has_changed().unwrap(), "it woke somebody for nothing");
    assert_eq!(org_names(&store).await, ["first", "last"]);
}

#[tokio::test]
async fn a_verb_that_panics_is_undone_alone() {
    let place = Place::new();
    let store = place.open(0);
    let held = hold(&store).await;
    let panicking = store.write("panicking", |transaction| {
        transaction.execute("INSERT INTO orgs (name) VALUES ('half')", [])?;
        if transaction.inserted() > 0 {
            panic!("a bug in a verb, on purpose");
        }
        Ok(())
    });
    let release = async { drop(held) };
    let (first, failed, last, ()) = tokio::join!(
        insert_org(&store, "first"),
        panicking,
        insert_org(&store, "last"),
        release
    );
    first.unwrap();
    last.unwrap();
    insta::assert_snapshot!(told(&failed.unwrap_err(), place.0.path()), @"
    the store is unavailable: panicking failed
      because: a bug: a bug in a verb, on purpose
    ");
    assert_eq!(org_names(&store).await, ["first", "last"]);
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_all_and_the_store_goes_on() {
    let place = Place::new();
    let store = place.open(0);
    let held = hold(&store).await;
    // A reference to nothing that is looked at only at the commit.
    let poisonous = store.write("poisoning", |transaction| {
        transaction.execute("PRAGMA defer_foreign_keys = 1", [])?;
        transaction.execute(
            "INSERT INTO snapshots (subject, fetched_at, body) VALUES (99, 0, x'')",
            [],
        )?;
        Ok(())
    });
    let release = async { drop(held) };
    let (beside, poisoned, ()) = tokio::join!(insert_org(&store, "beside"), poisonous, release);
    for outcome in [beside, poisoned] {
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    }
    insert_org(&store, "later").await.unwrap();
    assert_eq!(org_names(&store).await, ["later"]);
}

#[tokio::test]
async fn what_sqlite_rolls_back_with_a_failing_verb_is_not_answered_as_done() {
    let place = Place::new();
    let store = place.open(0);
    let held = hold(&store).await;
    let rolling_back = store.write("rolling back", |transaction| {
        transaction.execute("ROLLBACK", [])?;
        Err::<(), _>(Failure::Refused("all is lost"))
    });
    let release = async { drop(held) };
    let (before, failed, after, ()) = tokio::join!(
        insert_org(&store, "before"),
        rolling_back,
        insert_org(&store, "after"),
        release
    );
    assert!(before.is_err() && failed.is_err());
    after.unwrap();
    assert_eq!(org_names(&store).await, ["after"]);
}

async fn limit_pages(store: &SqliteStore, more: i64) {
    let limit = move |transaction: &Transaction<'_>| {
        let pages = transaction.row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?;
        let most = pages.unwrap_or_default() + more;
        transaction.row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))
    };
    store.write("limiting", limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
    let place = Place::new();
    let store = place.open(0);
    limit_pages(&store, 10).await;
    let mut big = of_run("big");
    big.body = Bytes::from(vec![b'x'; 1_000_000]);

    let held = hold(&store).await;
    let release = async { drop(held) };
    let (small, full, other, ()) = tokio::join!(
        store.append(of_run("small"), at(0)),
        store.append(big.clone(), at(0)),
        store.append(of_run("other"), at(0)),
        release
    );
    assert_eq!((small.unwrap(), other.unwrap()), (Appended::Stored, Appended::Stored));
    insta::assert_snapshot!(told(&full.unwrap_err(), place.0.path()), @"
    no space left for the store
      because: database or disk is full (SQLite code 13)
    ");
    assert_eq!(claimed_names(&store, 1).await, ["run small", "run other"]);

    limit_pages(&store, 10_000).await;
    assert_eq!(
        store.append(big, at(2)).await.unwrap(),
        Appended::Stored,
        "it works again when there is space"
    );
    assert_eq!(claimed_names(&store, 2).await, ["run big"]);
}

#[tokio::test]
async fn counting_does_not_wait_for_whoever_writes() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let held = hold(&store).await;
    assert_eq!(store.stats(at(1)).await.unwrap().due, 1);
    drop(held);
}

#[tokio::test]
async fn to_learn_that_no_delivery_is_due_waits_for_no_commit() {
    let place = Place::new();
    let store = place.open(0);
    let handler = HandlerName::new("h");
    store.set_handlers(std::slice::from_ref(&handler), at(0)).await.unwrap();
    let _held = hold(&store).await;
    let claimed = store.claim_deliveries(&handler, claim(0)).await.unwrap();
    assert_eq!((claimed.work.len(), claimed.next_due), (0, None));
}
