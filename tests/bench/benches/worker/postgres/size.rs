//! How large the database becomes when events are made and removed for ever.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use benches::{Limit, Table};
use bytes::Bytes;
use jiff::Timestamp;
use runs_store::{
    Claim, HandlerName, InboxDesk as _, Lanes, NewEvent, NewNotification, NotificationHead, OperatorDesk as _,
    OutboxDesk as _, PostgresSettings, PostgresStore, Prune, Recipients, RefreshDesk as _, RefreshEnd, Refreshed,
    SchedulingTime, Settlement, Snapshot, Standing, Store as _, Subject, WorkerIdentity,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Database;
use crate::rate::ORG;

const FEW: usize = 100_000;
const MANY: usize = 1_000_000;
/// How many are made before any of them is removed, each of another run.
const AT_A_TIME: usize = 5000;
/// The size of an event.
const BODY_BYTES: usize = 2048;
const LEASE: Duration = Duration::from_secs(60);

pub(super) async fn measure(table: &mut Table, database: &Database) -> anyhow::Result<()> {
    let mut settings = PostgresSettings::new(database.url("size"));
    settings.connections = 10;
    let worker = WorkerIdentity::new(Uuid::now_v7(), "bench", "0");
    let store = Arc::new(PostgresStore::open(&settings, &worker, SchedulingTime::by_wall_clock()).await?);
    let handler = HandlerName::new("sink");
    let now = SchedulingTime::by_wall_clock();
    store.set_handlers(std::slice::from_ref(&handler), now).await?;
    let (client, connection) = tokio_postgres::connect(&database.server.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mut sizes = Vec::new();
    for made in (0..MANY).step_by(AT_A_TIME) {
        make(&store).await?;
        remove(&store, &handler).await?;
        if [FEW, MANY].contains(&(made + AT_A_TIME)) {
            let row = client
                .query_one("SELECT pg_database_size(current_database())", &[])
                .await?;
            sizes.push(row.try_get::<_, i64>(0)?);
        }
    }
    store.close().await;
    let [few, many] = sizes.as_slice() else {
        anyhow::bail!("the sizes were not looked at");
    };
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = *many as f64 / *few as f64;
    table.row(
        "size after 1,000,000 events made and removed, to 100,000",
        ratio,
        Limit::AtMost(1.5),
    );
    println!(
        "  {} MB after {FEW}, {} MB after {MANY}",
        few / 1_000_000,
        many / 1_000_000
    );
    Ok(())
}

/// Webhooks come in, runs are fetched, events made.
async fn make(store: &Arc<PostgresStore>) -> anyhow::Result<()> {
    let mut appending = JoinSet::new();
    for number in 0..AT_A_TIME {
        let store = Arc::clone(store);
        appending.spawn(async move {
            let now = SchedulingTime::by_wall_clock();
            let run = format!("run{number}");
            let notification = NewNotification {
                id: Uuid::now_v7(),
                org: ORG.into(),
                subject: Some(Subject::Run(run.as_str().into())),
                head: NotificationHead {
                    run: Some(run.as_str().into()),
                    ..NotificationHead::default()
                },
                dedupe_key: Some(Uuid::now_v7().to_string()),
                received_at: now.shown(),
                body: Bytes::from(vec![b'x'; BODY_BYTES]),
            };
            store.append(notification, now).await
        });
    }
    while let Some(appended) = appending.join_next().await {
        appended??;
    }
    let mut made = 0;
    while made < AT_A_TIME {
        let claimed = store.claim_due(&ORG.into(), Lanes::All, claim()).await?;
        ensure!(!claimed.work.is_empty(), "{made} of {AT_A_TIME} runs were due");
        made += claimed.work.len();
        let ended = claimed.work.into_iter().map(|due| (due.lease, changed()).into());
        store
            .end_refreshes(ended.collect(), SchedulingTime::by_wall_clock())
            .await?;
    }
    Ok(())
}

fn claim() -> Claim {
    Claim {
        now: SchedulingTime::by_wall_clock(),
        lease: LEASE,
        limit: 100,
        in_flight: None,
    }
}

fn changed() -> RefreshEnd {
    let now = SchedulingTime::by_wall_clock();
    let body = Bytes::from(vec![b'e'; BODY_BYTES]);
    RefreshEnd::Commit(Refreshed {
        snapshot: Some(Snapshot {
            body: body.clone(),
            fetched_at: now.shown(),
        }),
        events: vec![NewEvent {
            id: Uuid::now_v7(),
            event_type: "com.tallyfy.run.changed.v1".to_owned(),
            created_at: now.shown(),
            body,
            recipients: Recipients::All,
        }],
        ..Refreshed::new(Standing::Present, now)
    })
}

/// All events are delivered, and everything that is old goes.
async fn remove(store: &PostgresStore, handler: &HandlerName) -> anyhow::Result<()> {
    loop {
        let claimed = store.claim_deliveries(handler, claim()).await?;
        if claimed.work.is_empty() {
            break;
        }
        let settled = claimed.work.into_iter();
        let settled = settled.map(|delivery| (delivery.lease, Settlement::Delivered).into());
        store.settle(settled.collect(), SchedulingTime::by_wall_clock()).await?;
    }
    let mut next = Prune {
        events_before: Some(Timestamp::MAX),
        notifications_before: Some(Timestamp::MAX),
        limit: 500,
        ..Prune::default()
    };
    loop {
        let pruned = store.prune(next).await?;
        if pruned.is_done {
            return Ok(());
        }
        next = pruned.next;
    }
}
