//! PostgreSQL keeps the contract, on a real server: the one that `RUNS_STORE_POSTGRES_URL` names.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod moving;
mod opening;
mod server;

use std::sync::Arc;

use async_trait::async_trait;
use runs_store::contract::{SeveralUnderTest, StoreUnderTest};
use runs_store::{PostgresStore, SchedulingTime, Store};

use server::Schema;

/// A store in a schema of its own.
struct OnAServer {
    store: PostgresStore,
    schema: Schema,
}

impl OnAServer {
    async fn open(schema: Schema, now: SchedulingTime) -> Self {
        let store = PostgresStore::open(&schema.settings(), &schema.worker(), now)
            .await
            .unwrap();
        Self { store, schema }
    }
}

#[async_trait]
impl StoreUnderTest for OnAServer {
    fn is_there() -> bool {
        server::is_there()
    }

    // Each is played in a schema of its own, which takes longer to make than a file.
    fn stories() -> u32 {
        12
    }

    async fn fresh(now: SchedulingTime) -> Self {
        Self::open(Schema::new(), now).await
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn beside(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::open_beside(&self.schema.settings()).await.unwrap())
    }

    async fn restart(self, now: SchedulingTime) -> Self {
        let Self { store, schema } = self;
        store.close().await;
        Self::open(schema, now).await
    }

    async fn crash(self, now: SchedulingTime) -> Self {
        let Self { store, schema } = self;
        drop(store);
        Self::open(schema, now).await
    }
}

#[async_trait]
impl SeveralUnderTest for OnAServer {
    async fn another(&self, now: SchedulingTime) -> Arc<dyn Store> {
        let worker = self.schema.another_worker();
        Arc::new(
            PostgresStore::open(&self.schema.settings(), &worker, now)
                .await
                .unwrap(),
        )
    }
}

runs_store::store_contract!(OnAServer);
runs_store::several_workers_contract!(OnAServer);
runs_store::story_contract!(OnAServer);
