//! What every verb needs: connections, the schema, and whom to wake.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::Pool;
use tallyfy_model::OrgId;

use super::failure::Failure;
use super::fronts::Fronts;
use super::lost::{self, LostClaims, Of};
use super::seats;
use super::session::{Access, Statements, Transaction, Woken};
use super::settings::Target;
use super::subjects::known_org;
use super::wake::Wake;
use crate::error::StoreError;

/// What every verb needs.
pub(super) struct Core {
    pub(super) pool: Pool,
    pub(super) target: Target,
    pub(super) wake: Arc<Wake>,
    /// The worker, by its key, that leases; none beside a worker.
    pub(super) worker: Option<i64>,
    /// The seats that it has or had.
    pub(super) terms: Terms,
    /// What it may have leased without knowing.
    pub(super) lost: LostClaims,
    /// Where lines begin that have much before them that is dead.
    pub(super) fronts: Fronts,
}

/// The terms under which this worker had seats last, by the key of the organization. A term that is over stays: what is
/// written under it is refused, until the worker has the seat anew.
#[derive(Default)]
pub(super) struct Terms(Mutex<HashMap<i64, i64>>);

impl Terms {
    pub(super) fn note(&self, terms: &BTreeMap<i64, i64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(terms);
    }

    fn of(&self, org: i64) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&org).copied()
    }
}

impl Core {
    pub(super) async fn begin(&self, access: Access) -> Result<Transaction, Failure> {
        // What is seldom asked for is planned best for its values.
        let statements = match access == Access::Often && self.wake.keeps_sessions() {
            true => Statements::Prepared,
            false => Statements::Unnamed,
        };
        Transaction::begin_with(&self.pool, &self.target.schema, access, statements).await
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
                if failure.is_of_another_session() {
                    self.wake.lost_a_session();
                }
                // Its connection is not used again.
                if failure.is_of_its_connection() {
                    drop(transaction);
                } else {
                    transaction.roll_back().await;
                }
                Err(failure)
            }
        }
    }

    /// Refuses what is written for an organization by a worker whose seat another one has taken.
    pub(super) async fn check_seat(&self, transaction: &Transaction, org: &OrgId) -> Result<(), Failure> {
        match known_org(transaction, org).await? {
            Some(org) => self.check_seat_of(transaction, org).await,
            None => Ok(()),
        }
    }

    /// The same for an organization by its key.
    pub(super) async fn check_seat_of(&self, transaction: &Transaction, org: i64) -> Result<(), Failure> {
        let Some(worker) = self.worker else { return Ok(()) };
        match self.terms.of(org) {
            Some(term) => seats::check(transaction, org, worker, term).await,
            None => Ok(()),
        }
    }

    /// Whether this worker may fetch for an organization, as far as it knows.
    pub(super) async fn has_seat(&self, transaction: &Transaction, org: i64) -> Result<bool, Failure> {
        match self.check_seat_of(transaction, org).await {
            Ok(()) => Ok(true),
            Err(Failure::LeaseLost) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Gives back what claims have leased whose answer got lost.
    pub(super) async fn give_back_lost(&self, of: Of<'_>) -> Result<(), StoreError> {
        let ends = self.lost.ends(of);
        if ends.is_empty() {
            return Ok(());
        }
        let given_back = in_transaction!(self, transaction => lost::give_back(&transaction, self.worker, of, &ends));
        let given_back = given_back.map_err(|failure| self.error(failure, "giving back what was claimed"))?;
        self.lost.forget(of, &given_back);
        Ok(())
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

/// Runs a verb that writes; its error says what was being done.
macro_rules! write {
    ($store:expr, $doing:literal, $transaction:ident => $work:expr) => {{
        let access = $crate::postgres::session::Access::Write;
        $crate::postgres::core::write!($store, $doing, access, $transaction => $work)
    }};
    ($store:expr, $doing:literal, $access:expr, $transaction:ident => $work:expr) => {{
        let done = $crate::postgres::core::in_transaction!($store.core.as_ref(), $access, $transaction => $work);
        done.map_err(|failure| $store.core.error(failure, $doing))
    }};
}

/// Runs a verb that reads, from one moment's view of the store.
macro_rules! read {
    ($store:expr, $doing:literal, $view:ident => $work:expr) => {{
        let access = $crate::postgres::session::Access::Read;
        let seen = $crate::postgres::core::in_transaction!($store.core.as_ref(), access, $view => $work);
        seen.map_err(|failure| $store.core.error(failure, $doing))
    }};
}

pub(super) use {in_transaction, read, write};
