//! What every verb needs: connections, the schema, and whom to wake.

use std::sync::Arc;

use deadpool_postgres::Pool;

use super::failure::Failure;
use super::session::{Access, Transaction, Woken};
use super::settings::Target;
use super::wake::Wake;
use crate::error::StoreError;

/// What every verb needs.
pub(super) struct Core {
    pub(super) pool: Pool,
    pub(super) target: Target,
    pub(super) wake: Arc<Wake>,
    /// The worker, by its key, that leases; none beside a worker.
    pub(super) worker: Option<i64>,
}

impl Core {
    pub(super) async fn begin(&self, access: Access) -> Result<Transaction, Failure> {
        Transaction::begin(&self.pool, &self.target.schema, access).await
    }

    /// Ends a transaction as what was done in it ended, and wakes whoever has something to do now.
    pub(super) async fn end<T>(&self, transaction: Transaction, done: Result<T, Failure>) -> Result<T, Failure> {
        match done {
            Ok(done) => {
                let woken: Woken = transaction.commit().await?;
                self.wake.committed(woken);
                Ok(done)
            }
            Err(failure) => {
                transaction.roll_back().await;
                Err(failure)
            }
        }
    }

    /// The error for a caller, who was doing this.
    pub(super) fn error(&self, failure: Failure, doing: &str) -> StoreError {
        failure.into_store_error(&self.target.place, doing)
    }
}

/// Runs a verb in a transaction of its own; again, if other workers got in its way.
macro_rules! in_transaction {
    ($core:expr, $transaction:ident => $work:expr) => {
        $crate::postgres::core::in_transaction!($core, $crate::postgres::session::Access::Write, $transaction => $work)
    };
    ($core:expr, $access:expr, $transaction:ident => $work:expr) => {{
        let core: &$crate::postgres::core::Core = $core;
        $crate::postgres::session::in_time(async {
            let mut tries = $crate::postgres::session::Tries::default();
            loop {
                let outcome = match core.begin($access).await {
                    Ok($transaction) => {
                        let done = $work.await;
                        core.end($transaction, done).await
                    }
                    Err(failure) => Err(failure),
                };
                match outcome {
                    Err(failure) if tries.again(&failure).await => {}
                    outcome => break outcome,
                }
            }
        })
        .await
    }};
}

pub(super) use in_transaction;
