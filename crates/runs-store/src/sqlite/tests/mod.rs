//! What is special about SQLite. What every store does is in the contract.

mod beside;
mod bounded;
mod closing;
mod copies;
mod group_commit;
mod inspecting;
mod opening;
mod power_cut;
mod refused;
mod retention;
mod takeover;
mod verifying;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::time::SchedulingTime;
use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::OrgId;
use tempfile::TempDir;
use uuid::Uuid;

use super::SqliteStore;
use crate::desks::{
    Claim, DueRefresh, Lanes, NewNotification, NotificationHead, RefreshEnd, Refreshed, Standing, Subject,
};
use crate::desks::{InboxDesk as _, OperatorDesk as _, OutboxDesk as _, RefreshDesk as _, Store as _};
use crate::desks::{Lease, LeaseLost, Settlement};
use crate::error::StoreError;

fn at(seconds: i64) -> SchedulingTime {
    SchedulingTime::new(wall(seconds))
}

/// The same by the wall clock.
fn wall(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn org() -> OrgId {
    OrgId::new("org")
}

fn of_run(run: &str) -> NewNotification {
    NewNotification {
        id: Uuid::now_v7(),
        org: org(),
        subject: Some(Subject::Run(run.into())),
        head: NotificationHead::default(),
        dedupe_key: None,
        received_at: wall(0),
        body: Bytes::from_static(b"{}"),
    }
}

fn unchanged() -> Refreshed {
    Refreshed::new(Standing::Present, at(0))
}

fn claim(seconds: i64) -> Claim {
    Claim {
        now: at(seconds),
        lease: Duration::from_secs(60),
        limit: 1000,
        in_flight: None,
    }
}

async fn claimed(store: &SqliteStore, seconds: i64) -> Vec<DueRefresh> {
    store.claim_due(&org(), Lanes::All, claim(seconds)).await.unwrap().work
}

/// Which runs a claim hands out.
async fn claimed_names(store: &SqliteStore, seconds: i64) -> Vec<String> {
    let claimed = claimed(store, seconds).await;
    claimed.iter().map(|due| due.subject.to_string()).collect()
}

/// A folder for a store.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("runs.db")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.0.path().join(format!("runs.db{suffix}"))
    }

    fn open(&self, seconds: i64) -> SqliteStore {
        self.try_open(seconds).unwrap()
    }

    fn try_open(&self, seconds: i64) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self.path(), at(seconds))
    }

    /// What a power cut would leave of it.
    fn copy(&self) -> Self {
        let left = Self::new();
        for suffix in ["", "-wal"] {
            if self.beside(suffix).exists() {
                fs::copy(self.beside(suffix), left.beside(suffix)).unwrap();
            }
        }
        left
    }

    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

/// An error and its causes, with the folder's name taken out.
fn told(error: &(dyn Error + 'static), place: &Path) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str("\n  because: ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.replace(&place.display().to_string(), "/store")
}

async fn end(store: &SqliteStore, lease: &Lease, end: RefreshEnd, seconds: i64) -> Result<(), LeaseLost> {
    let ended = vec![(lease.clone(), end).into()];
    store.end_refreshes(ended, at(seconds)).await.unwrap().remove(0)
}

async fn commit(store: &SqliteStore, lease: &Lease, refreshed: Refreshed, seconds: i64) -> Result<(), LeaseLost> {
    end(store, lease, RefreshEnd::Commit(refreshed), seconds).await
}

async fn settle(store: &SqliteStore, lease: &Lease, settlement: Settlement, seconds: i64) -> Result<(), LeaseLost> {
    let ended = vec![(lease.clone(), settlement).into()];
    store.settle(ended, at(seconds)).await.unwrap().remove(0)
}
