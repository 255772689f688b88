//! The durable state of the runs worker: notifications, due runs, snapshots, events and deliveries.
//!
//! [`Store`] has seven desks: six with a verb for each step of a notification's way, each of them one transaction, and one where
//! it is told what happened. [`SqliteStore`]
//! keeps it all in one file, or in memory for tests. The [intake log](intake_log) stands before it.
//!
//! ```
//! use std::time::Duration;
//!
//! use jiff::Timestamp;
//! use runs_store::{Claim, Lane, Lanes, RefreshDesk as _, SchedulingTime, SqliteStore, Store as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("runs.db");
//! let now = SchedulingTime::new(Timestamp::now());
//! let store = SqliteStore::open(path, now)?;
//! let org = "org".into();
//! store.request_refresh(&org, &"run".into(), Lane::Live, now).await?;
//!
//! let claim = Claim { now, lease: Duration::from_secs(60), limit: 10, in_flight: None };
//! let claimed = store.claim_due(&org, Lanes::All, claim).await?;
//! assert_eq!(claimed.work.len(), 1);
//! store.close().await;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "contract")]
pub mod contract;
mod desks;
mod error;
mod guard;
pub mod intake_log;
mod location;
#[cfg(feature = "postgres")]
pub mod moving;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;
mod thread;
mod time;
#[doc(hidden)]
pub mod torture;

pub use desks::{
    After, Appended, AttemptEnd, AttemptReport, Beat, Claim, Claimed, DeadLetter, Delivery, DueRefresh, EndedDelivery,
    EndedRefresh, EventPage, EventSummary, Failing, FetchCause, FetchReport, Finding, HandlerName, HandlerStats, Head,
    HeadsPage, IdsOf, InboxDesk, Journal, JournalEntry, JournalQuery, Lane, Lanes, Lease, LeaseLost, Listed,
    ListedPage, MAX_ATTEMPTS_KEPT, MAX_CLAIMED_BODY_BYTES, MAX_CLAIMED_EVENT_BYTES, MAX_FETCHES_KEPT, MAX_REASON_KEPT,
    NewEvent, NewNotification, NotificationHead, NotificationSummary, OperatorDesk, OutboxDesk, PULSE_KEPT,
    PendingNotification, PostponeCause, Postponement, Prune, Pruned, Pulse, Query, Recipients, Recorded, RefreshDesk,
    RefreshEnd, RefreshTurn, Refreshed, RunLabel, RunPlace, RunSummary, RunsOnly, RunsPage, RunsQuery, SeatDesk, Seats,
    Settlement, Snapshot, Standing, Stats, Store, Story, StoryDesk, Subject, Sweep, SweepDesk, SweepFound, SweepKind,
    SweepOrder, SweepPhase, SweepScope, Sweeps, ToldAttempt, ToldFetch, Turn, Verdict, Version, WaitingDelivery,
    Wakeups, Whole, WorkerIdentity, WorkerSeen, WorkerSummary,
};
pub use error::StoreError;
pub use intake_log::{IntakeLog, IntakeLogError, IntakeLogSettings, LogBatch, LogId, Position};
pub use location::{Inspection, ServerReport, StoreLocation, Verification};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresSettings, PostgresStore};
pub use sqlite::SqliteStore;
pub use time::SchedulingTime;
