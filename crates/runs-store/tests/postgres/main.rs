//! PostgreSQL keeps the contract, on a real server: the one that `RUNS_STORE_POSTGRES_URL` names.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod bounded;
mod conflicts;
mod fronts;
mod lost_answers;
mod moving;
mod opening;
mod prepared;
mod server;

use std::sync::Arc;

use async_trait::async_trait;
use runs_store::contract::{SeveralUnderTest, StoreUnderTest};
use runs_store::{PostgresSettings, PostgresStore, SchedulingTime, Store};

use server::Schema;

/// Reached directly.
const DIRECTLY: u8 = 0;
/// Reached through a pooler in transaction mode.
const POOLED: u8 = 1;
/// Brought up to date by a later version, beside which this one still works.
const NEWER: u8 = 2;

/// A store in a schema of its own.
struct OnAServer<const KIND: u8> {
    store: PostgresStore,
    schema: Schema,
}

impl<const KIND: u8> OnAServer<KIND> {
    async fn open(schema: Schema, now: SchedulingTime) -> Self {
        let store = PostgresStore::open(&Self::settings(&schema), &schema.worker(), now)
            .await
            .unwrap();
        if KIND != POOLED {
            assert!(store.hears().await, "so it prepares its statements");
        }
        Self { store, schema }
    }

    fn settings(schema: &Schema) -> PostgresSettings {
        if KIND == POOLED {
            schema.settings_at(&server::pooled_url())
        } else {
            schema.settings()
        }
    }
}

#[async_trait]
impl<const KIND: u8> StoreUnderTest for OnAServer<KIND> {
    fn is_there() -> bool {
        server::is_there() && (KIND != POOLED || server::pooler_is_there())
    }

    // Each is played in a schema of its own, which takes longer to make than a file.
    fn stories() -> u32 {
        12
    }

    async fn fresh(now: SchedulingTime) -> Self {
        let fresh = Self::open(Schema::new(), now).await;
        if KIND == NEWER {
            fresh.schema.make_newer().await;
        }
        fresh
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn beside(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::open_beside(&Self::settings(&self.schema)).await.unwrap())
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
impl<const KIND: u8> SeveralUnderTest for OnAServer<KIND> {
    async fn another(&self, now: SchedulingTime) -> Arc<dyn Store> {
        let worker = self.schema.another_worker();
        Arc::new(
            PostgresStore::open(&Self::settings(&self.schema), &worker, now)
                .await
                .unwrap(),
        )
    }
}

mod directly {
    runs_store::store_contract!(crate::OnAServer<{ crate::DIRECTLY }>);
    runs_store::several_workers_contract!(crate::OnAServer<{ crate::DIRECTLY }>);
    runs_store::story_contract!(crate::OnAServer<{ crate::DIRECTLY }>);
}

mod through_a_pooler {
    runs_store::store_contract!(crate::OnAServer<{ crate::POOLED }>);
    runs_store::several_workers_contract!(crate::OnAServer<{ crate::POOLED }>);
    runs_store::story_contract!(crate::OnAServer<{ crate::POOLED }>);
}

mod in_a_newer_schema {
    runs_store::store_contract!(crate::OnAServer<{ crate::NEWER }>);
    runs_store::several_workers_contract!(crate::OnAServer<{ crate::NEWER }>);
    runs_store::story_contract!(crate::OnAServer<{ crate::NEWER }>);
}
