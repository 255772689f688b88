//! Lines that begin with many dead entries, because somebody keeps a transaction open.

use std::time::Duration;

use jiff::SignedDuration;
use runs_store::{Claim, Lane, Lanes, PostgresStore, RefreshDesk as _, SchedulingTime, Store as _};
use tallyfy_model::{OrgId, RunId};

use super::server::{Schema, administer, is_there, session};

fn org() -> OrgId {
    OrgId::new("org")
}

fn at(seconds: i64) -> SchedulingTime {
    let start: jiff::Timestamp = "2026-01-31T09:00:00Z".parse().unwrap();
    SchedulingTime::new(start + SignedDuration::from_secs(seconds))
}

fn claim(now: SchedulingTime) -> Claim {
    Claim {
        now,
        lease: Duration::from_secs(60),
        limit: 10,
        in_flight: None,
    }
}

async fn ask_for(store: &PostgresStore, run: &str, now: SchedulingTime) {
    store
        .request_refresh(&org(), &RunId::new(run), Lane::Live, now)
        .await
        .unwrap();
}

async fn claimed(store: &PostgresStore, now: SchedulingTime) -> Vec<String> {
    let claimed = store.claim_due(&org(), Lanes::All, claim(now)).await.unwrap();
    claimed.work.iter().map(|due| due.subject.to_string()).collect()
}

/// A store in which a transaction sees a hundred thousand runs that were due, and are not.
async fn with_dead_entries(schema: &Schema) -> (PostgresStore, tokio_postgres::Client) {
    let store = schema.open(at(0)).await;
    ask_for(&store, "the first", at(0)).await;
    let name = schema.name();
    administer(&format!(
        "INSERT INTO {name}.subjects OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(s, jsonb_build_object('key', 1000 + n, 'id', 'run ' || n))).*
           FROM {name}.subjects s, generate_series(1, 100000) AS n"
    ))
    .await;
    let reader = session().await;
    reader
        .batch_execute(&format!(
            "SET idle_in_transaction_session_timeout TO '30s'; BEGIN ISOLATION LEVEL REPEATABLE READ;
             SELECT count(*) FROM {name}.subjects"
        ))
        .await
        .unwrap();
    administer(&format!("UPDATE {name}.subjects SET due_at = NULL WHERE key > 1000")).await;
    (store, reader)
}

#[tokio::test]
async fn what_is_due_is_found_behind_dead_entries_and_before_them() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let (store, reader) = with_dead_entries(&schema).await;
    assert_eq!(claimed(&store, at(1)).await, ["run the first"]);
    ask_for(&store, "later", at(30)).await;
    assert_eq!(store.next_due(&org(), Lanes::All).await.unwrap(), Some(at(30)));
    assert_eq!(claimed(&store, at(30)).await, ["run later"]);
    assert_eq!(
        store.next_due(&org(), Lanes::All).await.unwrap(),
        Some(at(61)),
        "the first lease that ends"
    );
    ask_for(&store, "of a clock that is behind", at(-3600)).await;
    // Until the whole line is looked at again.
    let found = loop {
        let found = claimed(&store, at(31)).await;
        if !found.is_empty() {
            break found;
        }
    };
    assert_eq!(found, ["run of a clock that is behind"]);
    assert_eq!(claimed(&store, at(61)).await, ["run the first"], "its lease has ended");
    store.close().await;
    reader.batch_execute("ROLLBACK").await.unwrap();
}
