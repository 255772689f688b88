//! A store that may not be open yet: the worker receives before it is.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use runs_store::Store;
use thiserror::Error;
use tokio::sync::Notify;

/// A store that may not be open yet.
#[derive(Clone, Default)]
pub(crate) struct LateStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: OnceLock<Arc<dyn Store>>,
    /// What keeps it from being open.
    trouble: Mutex<Option<String>>,
    /// Tells those that wait how it went.
    went: Notify,
}

/// The store is not open.
#[derive(Debug, Error)]
pub(crate) enum NotOpen {
    /// It is being opened: recovered, migrated or examined.
    #[error("the store is being opened")]
    Yet,
    /// It could not be opened, and is tried again.
    #[error("the store is not open: {0}")]
    Failed(String),
}

impl LateStore {
    pub(crate) fn get(&self) -> Result<&Arc<dyn Store>, NotOpen> {
        self.0
            .store
            .get()
            .ok_or_else(|| self.trouble().clone().map_or(NotOpen::Yet, NotOpen::Failed))
    }

    /// The same, once it is known whether it can be opened.
    pub(crate) async fn opening(&self) -> Result<&Arc<dyn Store>, NotOpen> {
        loop {
            let mut went = pin!(self.0.went.notified());
            // Whoever is told between the look and the wait is told all the same.
            went.as_mut().enable();
            match self.get() {
                Err(NotOpen::Yet) => went.await,
                known => return known,
            }
        }
    }

    /// Says that it is open, which happens once.
    pub(crate) fn opened(&self, store: Arc<dyn Store>) {
        let _: Result<(), _> = self.0.store.set(store);
        self.0.went.notify_waiters();
    }

    /// Says that it could not be opened. Whether that is news.
    pub(crate) fn failed(&self, reason: String) -> bool {
        let is_news = self.trouble().replace(reason).is_none();
        self.0.went.notify_waiters();
        is_news
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
