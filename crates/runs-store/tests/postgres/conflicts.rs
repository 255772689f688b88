//! Other sessions stand in the way.

use bytes::Bytes;
use runs_store::{
    Appended, InboxDesk as _, LogId, NewNotification, NotificationHead, Position, PostgresStore, SchedulingTime,
    Store as _, Subject,
};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::server::{Schema, is_there, session};

fn now() -> SchedulingTime {
    SchedulingTime::by_wall_clock()
}

fn of_run(run: &str) -> NewNotification {
    NewNotification {
        id: Uuid::now_v7(),
        org: OrgId::new("org"),
        subject: Some(Subject::Run(RunId::new(run))),
        head: NotificationHead {
            kind: "process".to_owned(),
            ..NotificationHead::default()
        },
        dedupe_key: Some(Uuid::now_v7().to_string()),
        received_at: jiff::Timestamp::UNIX_EPOCH,
        body: Bytes::from_static(b"{}"),
    }
}

/// Two notifications, in one transaction.
async fn import(store: &PostgresStore, after: u64) -> Vec<Appended> {
    let (log, batch) = (LogId::from(Uuid::from_u128(1)), vec![of_run("a"), of_run("b")]);
    let (after, through) = (Position::new(after), Position::new(after + 2));
    store.import(log, after, batch, through, now()).await.unwrap()
}

#[tokio::test]
async fn what_a_deadlock_has_undone_is_done_again() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let store = schema.open(now()).await;
    import(&store, 0).await;
    let (other, watcher) = (session().await, session().await);
    let lock = |run: &str| format!("SELECT FROM {}.subjects WHERE id = '{run}' FOR UPDATE", schema.name());
    // Who waits for less time finds the circle, and is undone.
    let patiently = format!("SET deadlock_timeout TO '1h'; BEGIN; {}", lock("b"));
    other.batch_execute(&patiently).await.unwrap();
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let circle = async {
        let who_waits = "SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))";
        while watcher.query(who_waits, &[&pid]).await.unwrap().is_empty() {}
        other.batch_execute(&lock("a")).await.unwrap();
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (imported, ()) = tokio::join!(import(&store, 2), circle);
    assert_eq!(imported, [Appended::Stored, Appended::Stored]);
    store.close().await;
}
