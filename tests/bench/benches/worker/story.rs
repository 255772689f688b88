//! What it costs that it is kept what happened: the store's own work for an event, with what the stages report of their attempts
//! and without.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use benches::{Limit, Table};
use bytes::Bytes;
use jiff::Timestamp;
use runs_store::{
    AttemptReport, Claim, EndedDelivery, EndedRefresh, FetchCause, FetchReport, HandlerName, InboxDesk as _, Lanes,
    NewEvent, NewNotification, NotificationHead, OutboxDesk as _, Recipients, RefreshDesk as _, RefreshEnd, Refreshed,
    RunLabel, SchedulingTime, Settlement, Snapshot, SqliteStore, Standing, Store as _, Subject,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{place, rate};

/// How many events in a turn, how many at a time, and how many turns there are.
const EVENTS: usize = 8_000;
const AT_A_TIME: usize = 64;
const TURNS: usize = 5;

const HANDLER: &str = "file";

fn claim() -> Claim {
    Claim {
        now: SchedulingTime::by_wall_clock(),
        lease: Duration::from_secs(60),
        limit: AT_A_TIME,
        in_flight: None,
    }
}

/// From the webhook to the handler, so many events; how long it takes.
async fn events(folder: &Path, is_told: bool) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = std::sync::Arc::new(SqliteStore::open(
        folder.path().join("runs.db"),
        SchedulingTime::by_wall_clock(),
    )?);
    let handler = HandlerName::new(HANDLER);
    let now = SchedulingTime::by_wall_clock();
    store.set_handlers(std::slice::from_ref(&handler), now).await?;
    let began = Instant::now();
    for first in (0..EVENTS).step_by(AT_A_TIME) {
        let mut appends = JoinSet::new();
        for number in first..first + AT_A_TIME {
            let store = std::sync::Arc::clone(&store);
            appends.spawn(async move {
                store
                    .append(notification(number), SchedulingTime::by_wall_clock())
                    .await
            });
        }
        while let Some(appended) = appends.join_next().await {
            appended??;
        }
        let due = store.claim_due(&rate::ORG.into(), Lanes::All, claim()).await?.work;
        ensure!(due.len() == AT_A_TIME, "{} runs are due", due.len());
        let ended = due.into_iter().map(|due| EndedRefresh {
            lease: due.lease,
            end: RefreshEnd::Commit(refreshed()),
            report: is_told.then(fetch_report),
        });
        store
            .end_refreshes(ended.collect(), SchedulingTime::by_wall_clock())
            .await?;
        let deliveries = store.claim_deliveries(&handler, claim()).await?.work;
        ensure!(deliveries.len() == AT_A_TIME, "{} events wait", deliveries.len());
        let settled = deliveries.into_iter().map(|delivery| EndedDelivery {
            lease: delivery.lease,
            settlement: Settlement::Delivered,
            report: is_told.then(attempt_report),
        });
        store.settle(settled.collect(), SchedulingTime::by_wall_clock()).await?;
    }
    let took = began.elapsed();
    store.close().await;
    Ok(took)
}

fn notification(number: usize) -> NewNotification {
    let run = format!("run{number}");
    NewNotification {
        id: Uuid::now_v7(),
        org: rate::ORG.into(),
        subject: Some(Subject::Run(run.as_str().into())),
        head: NotificationHead {
            run: Some(run.as_str().into()),
            ..NotificationHead::default()
        },
        dedupe_key: Some(run),
        received_at: Timestamp::now(),
        body: Bytes::from(vec![b'x'; 500]),
    }
}

/// A run of some kilobytes, with one event.
fn refreshed() -> Refreshed {
    let now = SchedulingTime::by_wall_clock();
    let body = Bytes::from(vec![b'x'; 4000]);
    let mut refreshed = Refreshed::new(Standing::Present, now);
    refreshed.snapshot = Some(Snapshot {
        fetched_at: now.shown(),
        body: body.clone(),
    });
    refreshed.label = Some(RunLabel {
        name: Some("Onboarding".to_owned()),
        ..RunLabel::default()
    });
    refreshed.events = vec![NewEvent {
        id: Uuid::now_v7(),
        event_type: "com.tallyfy.run.changed.v1".to_owned(),
        created_at: now.shown(),
        body,
        recipients: Recipients::All,
    }];
    refreshed
}

fn fetch_report() -> FetchReport {
    FetchReport {
        at: Timestamp::now(),
        took: Duration::from_millis(80),
        cause: FetchCause::Webhook,
        outcome: "changed".to_owned(),
        changes: 3,
        stale: false,
        worker: "worker-1".to_owned(),
    }
}

fn attempt_report() -> AttemptReport {
    AttemptReport {
        at: Timestamp::now(),
        took: Duration::from_millis(20),
        worker: "worker-1".to_owned(),
    }
}

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let mut ratios = Vec::new();
    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..=TURNS {
        let bare = events(folder.path(), false).await?;
        let told = events(folder.path(), true).await?;
        // The first turn warms both up.
        if turn > 0 {
            ratios.push(place::ratio(bare, told));
            (with, without) = (with + told, without + bare);
        }
    }
    ratios.sort_by(f64::total_cmp);
    table.row(
        "events a second of the store that keeps what happened, to none",
        ratios[TURNS / 2],
        Limit::AtLeast(0.9),
    );
    let all = f64::from(u32::try_from(EVENTS * TURNS)?);
    println!(
        "  with it {:.0} events a second, without {:.0}",
        all / with.as_secs_f64(),
        all / without.as_secs_f64()
    );
    Ok(())
}
