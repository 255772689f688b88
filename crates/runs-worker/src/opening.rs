//! Opening the store, at the start or as soon as that is possible.
//!
//! A sender tries once, so a worker whose store cannot be opened because its disk is full or somebody holds a lock starts
//! all the same, as long as it has an overflow journal: webhooks go there, and everything else begins once the store is open.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use runs_store::{HandlerName, Journal, JournalError, SqliteStore, Store, StoreError, torture};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::worker::StartError;
use crate::{data_folder, telemetry};

/// The waits between attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A store that may not be open yet.
#[derive(Clone, Default)]
pub(crate) struct LateStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: OnceLock<Arc<dyn Store>>,
    /// What keeps it from being open.
    trouble: Mutex<String>,
}

/// Nobody could open the store yet.
#[derive(Debug, Error)]
#[error("the store is not open: {0}")]
pub(crate) struct NotOpen(String);

impl LateStore {
    pub(crate) fn get(&self) -> Result<&Arc<dyn Store>, NotOpen> {
        self.0.store.get().ok_or_else(|| NotOpen(self.trouble().clone()))
    }

    pub(crate) fn opened(&self, store: Arc<dyn Store>) {
        // It is opened once.
        let _: Result<(), _> = self.0.store.set(store);
    }

    pub(crate) fn failed(&self, error: &StartError) {
        *self.trouble() = telemetry::chain(error);
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, String> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is at the start.
pub(crate) struct Opened {
    pub(crate) late: LateStore,
    /// The store, if it could be opened.
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) journal: Option<Arc<Journal>>,
}

/// Opens the store.
pub(crate) struct Opener {
    pub(crate) config: StoreConfig,
    /// The store that was given in the place of that of the configuration.
    pub(crate) given: Option<Arc<dyn Store>>,
    pub(crate) handlers: Vec<HandlerName>,
    pub(crate) clock: Clock,
}

impl Opener {
    /// Opens the store and the journal. Where the journal alone can be opened, the store may be waited for.
    pub(crate) async fn open_or_wait(&self) -> Result<Opened, StartError> {
        let late = LateStore::default();
        match self.open().await {
            Ok(store) => {
                let journal = self.open_journal().await?;
                late.opened(Arc::clone(&store));
                let store = Some(store);
                Ok(Opened { late, store, journal })
            }
            Err(error) if is_passing(&error) => {
                let Some(journal) = self.open_journal().await? else {
                    return Err(error);
                };
                let reason = telemetry::chain(&error);
                error!(
                    reason,
                    "the store cannot be opened: notifications go to the overflow journal, and nothing else is done"
                );
                late.failed(&error);
                Ok(Opened {
                    late,
                    store: None,
                    journal: Some(journal),
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn open_journal(&self) -> Result<Option<Arc<Journal>>, StartError> {
        // A store that was given says nothing of where a journal could be.
        let is_wanted = self.given.is_none() || self.config.overflow_dir.is_some();
        let Some(folder) = self.config.overflow_folder().filter(|_| is_wanted) else {
            return Ok(None);
        };
        let reserve = u64::from(self.config.overflow_megabytes) * 1_000_000;
        let opened = tokio::task::spawn_blocking(move || Journal::open(&folder, reserve)).await;
        match opened.map_err(StartError::Interrupted)? {
            Ok(journal) => Ok(Some(Arc::new(journal))),
            // To receive without it is better than not to receive.
            Err(reason @ JournalError::Unavailable { .. }) => {
                error!(%reason, "there is no overflow journal: what the store cannot take is lost");
                Ok(None)
            }
            Err(reason) => Err(reason.into()),
        }
    }

    /// Opens it, and tells it who the handlers are.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, StartError> {
        let store = match &self.given {
            Some(store) => Arc::clone(store),
            None => self.open_file().await?,
        };
        torture::point("start.opened");
        let now = self.clock.now();
        let mut told = store.set_handlers(&self.handlers, now).await;
        torture::point("start.handlers-set");
        if told.is_ok() {
            told = warn_of_leftovers(store.as_ref(), now).await;
        }
        if let Err(error) = told {
            if self.given.is_none() {
                store.close().await;
            }
            return Err(error.into());
        }
        Ok(store)
    }

    async fn open_file(&self) -> Result<Arc<dyn Store>, StartError> {
        let folder = self.config.folder();
        data_folder::make_private(&folder).map_err(|source| StartError::DataFolder {
            path: folder.clone(),
            source,
        })?;
        let (file, now) = (data_folder::store_file(&folder), self.clock.now());
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(file, now)).await;
        Ok(Arc::new(opened.map_err(StartError::Interrupted)??))
    }

    /// Tries until it is open, or until `stop`.
    pub(crate) async fn keep_trying(&self, late: &LateStore, stop: &CancellationToken) -> Option<Arc<dyn Store>> {
        let mut pause = PAUSES.0;
        loop {
            stop.run_until_cancelled(tokio::time::sleep(pause)).await?;
            pause = (pause * 2).min(PAUSES.1);
            match self.open().await {
                Ok(store) => {
                    info!("the store is open now");
                    late.opened(Arc::clone(&store));
                    return Some(store);
                }
                Err(error) => {
                    late.failed(&error);
                    debug!(reason = telemetry::chain(&error), "the store cannot be opened yet");
                }
            }
        }
    }
}

/// Whether it may go away by itself. What does not is for a person to see at once.
pub(crate) fn is_passing(error: &StartError) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        StartError::Store(StoreError::Full(_)) => true,
        StartError::Store(StoreError::Unavailable { source, .. }) => {
            let system = source.downcast_ref::<io::Error>().map(io::Error::kind);
            !matches!(system, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound))
        }
        StartError::DataFolder { source, .. } => {
            matches!(source.kind(), StorageFull | ReadOnlyFilesystem | QuotaExceeded)
        }
        _ => false,
    }
}

/// What waits for a handler that is not configured any more would otherwise wait unseen.
async fn warn_of_leftovers(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    for left in store.stats(now).await?.handlers {
        if !left.active && left.waiting > 0 {
            warn!(
                handler = %left.handler, events = left.waiting,
                "events wait for a handler that is not configured; they are kept, and delivered when it is back"
            );
        }
    }
    Ok(())
}
