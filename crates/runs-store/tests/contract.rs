//! SQLite keeps the contract, in a file and in memory.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runs_store::SchedulingTime;
use runs_store::contract::StoreUnderTest;
use runs_store::{SqliteStore, Store, StoreLocation};
use tempfile::TempDir;

struct InAFile {
    store: SqliteStore,
    folder: TempDir,
}

impl InAFile {
    fn open(folder: TempDir, now: SchedulingTime) -> Self {
        let store = SqliteStore::open(folder.path().join("runs.db"), now).unwrap();
        Self { store, folder }
    }
}

#[async_trait]
impl StoreUnderTest for InAFile {
    async fn fresh(now: SchedulingTime) -> Self {
        Self::open(tempfile::tempdir().unwrap(), now)
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn beside(&self) -> Arc<dyn Store> {
        let location = StoreLocation::File(self.folder.path().join("runs.db"));
        location.open_beside().await.unwrap()
    }

    async fn restart(self, now: SchedulingTime) -> Self {
        let Self { store, folder } = self;
        store.close().await;
        Self::open(folder, now)
    }

    /// What is on the disk while the store is open is what a kill leaves there.
    async fn crash(self, now: SchedulingTime) -> Self {
        let left = tempfile::tempdir().unwrap();
        copy(&self, left.path());
        Self::open(left, now)
    }
}

fn copy(from: &InAFile, to: &Path) {
    for name in ["runs.db", "runs.db-wal"] {
        fs::copy(from.folder.path().join(name), to.join(name)).unwrap();
    }
}

mod in_a_file {
    use super::InAFile;

    runs_store::store_contract!(InAFile);
    runs_store::story_contract!(InAFile);
}

struct InMemory(Arc<SqliteStore>);

impl InMemory {
    async fn successor(self, now: SchedulingTime) -> Self {
        Self(Arc::new(self.0.successor(now).await.unwrap()))
    }
}

#[async_trait]
impl StoreUnderTest for InMemory {
    async fn fresh(now: SchedulingTime) -> Self {
        Self(Arc::new(SqliteStore::in_memory(now).unwrap()))
    }

    fn store(&self) -> &dyn Store {
        self.0.as_ref()
    }

    async fn beside(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as _
    }

    async fn restart(self, now: SchedulingTime) -> Self {
        self.successor(now).await
    }

    async fn crash(self, now: SchedulingTime) -> Self {
        self.successor(now).await
    }
}

mod in_memory {
    use super::InMemory;

    runs_store::store_contract!(InMemory);
    runs_store::story_contract!(InMemory);
}
