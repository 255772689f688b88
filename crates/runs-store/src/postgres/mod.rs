//! The store on a PostgreSQL server, for several workers.
//!
//! # Invariants
//!
//! - Each verb is one transaction; none is open while anything but SQL is done. Whatever is needed of a session is said in
//!   the transaction, and statements have no names, so that a pooler may hand each transaction another connection.
//! - Rows are locked in the order of their keys. What other workers got in the way of is tried again.
//! - What is leased carries a fencing number, and work is claimed past what others have locked: nothing is handed out
//!   twice, and who comes back late changes nothing.
//! - Nothing depends on the memory of a process, except how long it takes, and no row is updated by every transaction.

mod append;
mod claim;
mod column;
mod connect;
mod core;
mod desks;
mod failure;
mod filing;
mod fronts;
mod import;
mod inbox;
mod lost;
pub(crate) mod moving;
mod operator;
mod outbox;
mod params;
mod refresh;
mod report;
mod retention;
mod sabotage;
mod schema;
mod seats;
mod session;
mod settings;
mod settle;
mod stats;
mod story;
mod subjects;
mod sweep;
mod verify;
mod wake;
mod workers;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{JoinHandle, JoinSet};
use tracing::info;

pub use report::report;
pub use settings::PostgresSettings;
pub use verify::{inspect, verify};

use self::append::Appender;
use self::core::{Core, Terms, in_transaction};
use self::fronts::Fronts;
use self::lost::LostClaims;
use self::settings::Target;
use self::wake::{Listener, Wake};
use crate::desks::{Wakeups, WorkerIdentity};
use crate::error::StoreError;
use crate::time::SchedulingTime;
use crate::torture;

/// The store on a PostgreSQL server, for several workers.
///
/// Dropping it ends it as a crash would; [`close`](crate::Store::close) in an orderly way.
pub struct PostgresStore {
    core: Arc<Core>,
    /// None once it is closed.
    appender: Mutex<Option<Arc<Appender>>>,
    appending: Mutex<Option<JoinHandle<()>>>,
    /// Told to others and heard from others; ends with the store.
    _hints: JoinSet<()>,
    wakeups: Wakeups,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresStore")
            .field("place", &self.core.target.place)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store as one of its workers, and makes its tables if they are not there.
    ///
    /// What a worker of this id had leased when it ended is due at `now`, as after an attempt that failed.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`], [`StoreError::NotAStore`] and [`StoreError::NewerSchema`] for what a person has to
    /// mend; nothing was changed then. [`StoreError::Unavailable`] if the server is away.
    pub async fn open(
        settings: &PostgresSettings,
        worker: &WorkerIdentity,
        now: SchedulingTime,
    ) -> Result<Self, StoreError> {
        let target = Target::read(settings)?;
        let tls = connect::tls(&target)?;
        let pool = connect::pool(&target, tls.clone())?;
        connect::examine(&target, &pool).await?;
        schema::migrate(&target, &pool).await?;
        moving::refuse(&target, &pool).await?;
        let (wake, wakeups) = Wake::new();
        let wake = Arc::new(wake);
        let mut core = Core {
            pool: pool.clone(),
            target: target.clone(),
            wake: Arc::clone(&wake),
            worker: None,
            terms: Terms::default(),
            lost: LostClaims::default(),
            fronts: Fronts::default(),
        };
        let entered = in_transaction!(&core, transaction => async {
            let key = workers::enter(&transaction, worker).await?;
            Ok((key, workers::void_leases(&transaction, key, now).await?))
        });
        torture::point("postgres.entered");
        let (key, voided) = entered.map_err(|failure| connect::explain(&target, failure))?;
        if voided > 0 {
            info!(voided, "work that this worker did not end is due again");
        }
        core.worker = Some(key);
        let mut hints = JoinSet::new();
        hints.spawn(wake::tell(Arc::clone(&wake), pool.clone(), target.schema.clone()));
        let listener = Listener {
            wake,
            pool,
            target,
            tls,
        };
        hints.spawn(listener.run());
        Ok(Self::with(core, wakeups, hints))
    }

    fn with(core: Core, wakeups: Wakeups, hints: JoinSet<()>) -> Self {
        let core = Arc::new(core);
        let (appender, appending) = Appender::new(Arc::clone(&core));
        Self {
            core,
            appender: Mutex::new(Some(Arc::new(appender))),
            appending: Mutex::new(Some(tokio::spawn(appending))),
            _hints: hints,
            wakeups,
        }
    }

    /// Opens the store beside its workers, for a person's commands. It is neither made nor brought up to date.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`StoreError::Missing`] and [`StoreError::OlderSchema`] besides.
    pub async fn open_beside(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let target = Target::read(settings)?;
        let pool = connect::pool(&target, connect::tls(&target)?)?;
        connect::examine(&target, &pool).await?;
        let path = target.place.clone();
        match schema::inspect(&target, &pool).await? {
            schema::Found::Store { version, .. } if version < schema::VERSION => {
                return Err(StoreError::OlderSchema { path });
            }
            schema::Found::Store { .. } => moving::refuse(&target, &pool).await?,
            schema::Found::Nothing | schema::Found::Foreign => return Err(StoreError::Missing { path }),
        }
        let (wake, wakeups) = Wake::new();
        let wake = Arc::new(wake);
        let core = Core {
            pool: pool.clone(),
            target: target.clone(),
            wake: Arc::clone(&wake),
            worker: None,
            terms: Terms::default(),
            lost: LostClaims::default(),
            fronts: Fronts::default(),
        };
        let mut hints = JoinSet::new();
        hints.spawn(wake::tell(wake, pool, target.schema));
        Ok(Self::with(core, wakeups, hints))
    }

    /// Whether it hears what other workers tell it; waits until it has tried.
    pub async fn hears(&self) -> bool {
        let mut hears = self.core.wake.hears();
        let tried = hears.wait_for(Option::is_some).await;
        tried.is_ok_and(|hears| *hears == Some(true))
    }

    async fn end(&self) {
        let appender = self.appender.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(appender);
        let appending = self.appending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(appending) = appending {
            // It ends when it has stored what it was given.
            let _: Result<(), _> = appending.await;
        }
        if let Some(worker) = self.core.worker
            && !self.core.pool.is_closed()
        {
            let left = in_transaction!(self.core.as_ref(), transaction => async {
                seats::give_up_all(&transaction, worker).await?;
                workers::leave(&transaction, worker).await
            });
            if let Err(failure) = left {
                // Its leases run out by themselves.
                tracing::warn!(reason = %failure, "the store was not closed cleanly");
            }
        }
        self.core.pool.close();
    }
}
