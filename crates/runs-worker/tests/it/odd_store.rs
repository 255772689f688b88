//! A store in front of another one, for what a good store does not do.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use runs_store::{
    Appended, Claim, Claimed, Delivery, DueRefresh, Finding, HandlerName, Lane, Lanes, Lease, ListedPage,
    NewNotification, Postponement, Prune, Pruned, Refreshed, Settlement, Stats, Store, StoreError, Sweep, SweepOrder,
    SweepPhase, Sweeps, Wakeups,
};
use tallyfy_model::{OrgId, RunId};

/// Panics on a webhook of the run `panic`, and keeps one of the run `wait` waiting for ever.
pub(crate) struct OddStore(pub(crate) Arc<dyn Store>);

#[async_trait]
impl Store for OddStore {
    async fn append(&self, notification: NewNotification, now: Timestamp) -> Result<Appended, StoreError> {
        match notification.head.run.as_ref().map(RunId::as_str) {
            Some("panic") => std::panic::resume_unwind(Box::new("s3cret-of-the-panic")),
            Some("wait") => std::future::pending().await,
            _ => self.0.append(notification, now).await,
        }
    }

    async fn request_refresh(&self, org: &OrgId, run: &RunId, lane: Lane, now: Timestamp) -> Result<(), StoreError> {
        self.0.request_refresh(org, run, lane, now).await
    }

    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError> {
        self.0.claim_due(org, lanes, claim).await
    }

    async fn commit_refresh(&self, lease: &Lease, refreshed: Refreshed, now: Timestamp) -> Result<(), StoreError> {
        self.0.commit_refresh(lease, refreshed, now).await
    }

    async fn postpone(&self, lease: &Lease, postponement: Postponement, now: Timestamp) -> Result<(), StoreError> {
        self.0.postpone(lease, postponement, now).await
    }

    async fn resolve_task(&self, lease: &Lease, run: &RunId, now: Timestamp) -> Result<(), StoreError> {
        self.0.resolve_task(lease, run, now).await
    }

    async fn set_handlers(&self, handlers: &[HandlerName], now: Timestamp) -> Result<(), StoreError> {
        self.0.set_handlers(handlers, now).await
    }

    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError> {
        self.0.claim_deliveries(handler, claim).await
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement, now: Timestamp) -> Result<(), StoreError> {
        self.0.settle(lease, settlement, now).await
    }

    async fn release_delivery(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        self.0.release_delivery(lease, now).await
    }

    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError> {
        self.0.sweeps(org).await
    }

    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError> {
        self.0.ask_for_sweep(org, order).await
    }

    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, now: Timestamp) -> Result<Sweep, StoreError> {
        self.0.start_sweep(org, order, now).await
    }

    async fn record_page(&self, org: &OrgId, page: ListedPage, now: Timestamp) -> Result<Sweep, StoreError> {
        self.0.record_page(org, page, now).await
    }

    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError> {
        self.0.move_sweep(org, sweep, phase).await
    }

    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Sweep, bool), StoreError> {
        self.0.close_sweep(org, sweep, limit, now).await
    }

    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        self.0.findings(org, limit).await
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        self.0.prune(prune).await
    }

    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError> {
        self.0.stats(now).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.0.probe().await
    }

    fn wakeups(&self) -> Wakeups {
        self.0.wakeups()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
