//! The durable state of the runs worker: notifications, due runs, snapshots, events and deliveries.
//!
//! [`Store`] has a verb for each step of a notification's way, each of them one transaction. [`SqliteStore`] keeps it all
//! in one file.
//!
//! ```
//! use std::time::Duration;
//!
//! use jiff::Timestamp;
//! use runs_store::{Claim, Lane, Lanes, SqliteStore, Store};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("runs.db");
//! let now = Timestamp::now();
//! let store = SqliteStore::open(path, now)?;
//! let org = "org".into();
//! store.request_refresh(&org, &"run".into(), Lane::Live, now).await?;
//!
//! let claim = Claim { now, lease: Duration::from_secs(60), limit: 10 };
//! let claimed = store.claim_due(&org, Lanes::All, claim).await?;
//! assert_eq!(claimed.work.len(), 1);
//! store.close().await;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod journal;
mod operate;
pub mod sqlite;
mod store;
mod sweep;
mod thread;
#[doc(hidden)]
pub mod torture;
mod types;

pub use error::StoreError;
pub use journal::{Journal, JournalError};
pub use operate::{DeadLetter, EventSummary, NotificationSummary, Query, Whole};
pub use sqlite::SqliteStore;
pub use store::{Store, Wakeups};
pub use sweep::{
    Finding, Listed, ListedPage, Sweep, SweepFound, SweepKind, SweepOrder, SweepPhase, SweepScope, Sweeps, Version,
};
pub use types::{
    Appended, Claim, Claimed, Delivery, DueRefresh, HandlerName, HandlerStats, Lane, Lanes, Lease,
    MAX_CLAIMED_BODY_BYTES, NewEvent, NewNotification, NotificationHead, PendingNotification, PostponeCause,
    Postponement, Prune, Pruned, Recipients, Refreshed, Settlement, Snapshot, Standing, Stats, Subject,
};
