//! Claims whose answer got lost: the connection ended, and the server may have leased what nobody was told of. It would wait
//! for the end of its lease, with its worker alive. So a worker remembers such claims, and gives back what they leased before
//! it claims again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tallyfy_model::OrgId;
use tokio::time::Instant;

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::params::{params, text};
use super::session::{STATEMENT, Transaction};
use super::subjects::known_org;
use crate::desks::{Claim, HandlerName};
use crate::error::StoreError;

/// Claims: for whom, the end of their leases, which no other claim for the same has, and when they got lost.
type Lost = BTreeMap<(String, i64), Instant>;

/// The claims of a worker that may have been granted without its knowing.
#[derive(Default)]
pub(super) struct LostClaims {
    runs: Mutex<Lost>,
    deliveries: Mutex<Lost>,
}

/// What was claimed, and for whom.
#[derive(Clone, Copy)]
pub(super) enum Of<'c> {
    Runs(&'c OrgId),
    Deliveries(&'c HandlerName),
}

impl LostClaims {
    fn of(&self, of: Of<'_>) -> (MutexGuard<'_, Lost>, String) {
        let (claims, whose) = match of {
            Of::Runs(org) => (&self.runs, org.to_string()),
            Of::Deliveries(handler) => (&self.deliveries, handler.to_string()),
        };
        (claims.lock().unwrap_or_else(PoisonError::into_inner), whose)
    }

    /// Notes how a claim ended.
    pub(super) fn note<T>(&self, of: Of<'_>, claim: Claim, outcome: &Result<T, StoreError>) {
        if let Err(StoreError::Unavailable { .. }) = outcome {
            let (mut claims, whose) = self.of(of);
            claims.insert((whose, micros(claim.now.after(claim.lease))), Instant::now());
        }
    }

    /// The ends of the leases of those that are lost.
    pub(super) fn ends(&self, of: Of<'_>) -> Vec<i64> {
        let (claims, whose) = self.of(of);
        let own = claims.keys().filter(|(name, _)| *name == whose);
        own.map(|(_, end)| *end).collect()
    }

    /// Forgets those that were given back, and those that the server can have granted no longer: a commit that is under way
    /// is not seen yet.
    pub(super) fn forget(&self, of: Of<'_>, given_back: &[i64]) {
        let (mut claims, whose) = self.of(of);
        claims.retain(|(name, end), since| *name != whose || !given_back.contains(end) && since.elapsed() < STATEMENT);
    }
}

/// Gives back what lost claims have leased, as if it had not been claimed. The ends of those leases.
pub(super) async fn give_back(
    transaction: &Transaction,
    worker: Option<i64>,
    of: Of<'_>,
    ends: &[i64],
) -> Result<Vec<i64>, Failure> {
    let ends = ends.to_vec();
    let found = match of {
        Of::Runs(org) => {
            let Some(org) = known_org(transaction, org).await? else {
                return Ok(Vec::new());
            };
            let runs = "UPDATE subjects s
                           SET lease_until = NULL, holder = NULL, claimed = covered,
                               lane = least(lane, coalesce(next_lane, lane)), next_lane = NULL
                          FROM unnest($3) AS l (until)
                         WHERE org = $1 AND due_at IS NOT NULL AND holder = $2 AND lease_until = l.until
                     RETURNING l.until";
            transaction.rows(runs, params![org, worker; ends]).await?
        }
        Of::Deliveries(handler) => {
            let deliveries = "UPDATE cursors c
                                 SET lease_until = NULL, holder = NULL, attempts = attempts - 1,
                                     tried_since = CASE WHEN attempts > 1 THEN tried_since END
                                FROM unnest($3) AS l (until)
                               WHERE handler = (SELECT key FROM handlers WHERE name = $1)
                                 AND due_at IS NOT NULL AND holder = $2 AND lease_until = l.until
                           RETURNING l.until";
            transaction
                .rows(deliveries, params![text(handler.as_str()), worker; ends])
                .await?
        }
    };
    found.iter().map(|row| row.at(0)).collect()
}
