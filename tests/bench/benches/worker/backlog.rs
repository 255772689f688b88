//! What a long backlog costs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Limit, Table};
use bytes::Bytes;
use runs_store::{InboxDesk as _, NewNotification, NotificationHead, SchedulingTime, SqliteStore, Store as _, Subject};
use system_tests::WorkerProcess;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{place, rate};

/// How many notifications wait.
const BACKLOG: usize = 1_000_000;
/// How many are stored side by side.
const SIDE_BY_SIDE: usize = 1000;

/// A store in which so much waits, ten notifications for each run.
async fn fill(data_dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    let store = Arc::new(SqliteStore::open(
        data_dir.join("runs.db"),
        SchedulingTime::by_wall_clock(),
    )?);
    let mut fillers = JoinSet::new();
    for filler in 0..SIDE_BY_SIDE {
        let store = Arc::clone(&store);
        fillers.spawn(async move {
            for number in 0..BACKLOG / SIDE_BY_SIDE {
                let now = SchedulingTime::by_wall_clock();
                let run = format!("backlog{}", (filler * BACKLOG / SIDE_BY_SIDE + number) / 10);
                let notification = NewNotification {
                    id: Uuid::now_v7(),
                    org: rate::ORG.into(),
                    subject: Some(Subject::Run(run.as_str().into())),
                    head: NotificationHead {
                        run: Some(run.as_str().into()),
                        ..NotificationHead::default()
                    },
                    dedupe_key: Some(format!("backlog {filler} {number}")),
                    received_at: now.shown(),
                    body: Bytes::from(vec![b'x'; 500]),
                };
                store.append(notification, now).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(filled) = fillers.join_next().await {
        filled??;
    }
    store.close().await;
    Ok(())
}

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let (full, empty) = (folder.path().join("full"), folder.path().join("empty"));
    fill(&full).await?;
    let empty = WorkerProcess::start(&rate::settings(&empty)).await?;
    let began = Instant::now();
    let mut worker = WorkerProcess::start(&rate::settings(&full)).await?;
    let start = began.elapsed();
    let (ratio, _) = rate::by_turns(&rate::load(&worker), &rate::load(&empty)).await?;
    table.row(
        "durable 2xx per second with a backlog of 1,000,000, to none",
        ratio,
        Limit::AtLeast(0.95),
    );
    let resident = place::resident_mib(&worker)?;
    table.row(
        "resident memory with it, under load, MiB",
        resident,
        Limit::AtMost(100.0),
    );
    worker.kill().await?;
    let began = Instant::now();
    let worker = WorkerProcess::start(&rate::settings(&full)).await?;
    let again = began.elapsed();
    let slower = start.max(again).as_secs_f64();
    table.row("start with it, also after SIGKILL, seconds", slower, Limit::AtMost(2.0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "  resident without load, after that start: {:.0} MiB; started in {start:?}, after SIGKILL in {again:?}",
        place::resident_mib(&worker)?
    );
    Ok(())
}
