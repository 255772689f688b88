//! A store in front of another one, for what a good store does not do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use runs_store::intake_log::{LogId, Position};
use runs_store::{
    Appended, Beat, Claim, Claimed, DeadLetter, Delivery, DueRefresh, EndedDelivery, EndedRefresh, EventPage,
    EventSummary, Finding, HandlerName, HeadsPage, IdsOf, InboxDesk, Journal, JournalEntry, JournalQuery, Lane, Lanes,
    LeaseLost, ListedPage, NewNotification, NotificationSummary, OperatorDesk, OutboxDesk, Prune, Pruned, Pulse, Query,
    RefreshDesk, RefreshEnd, RefreshTurn, RunPlace, RunsPage, RunsQuery, SchedulingTime, SeatDesk, Stats, Store,
    StoreError, Story, StoryDesk, Sweep, SweepDesk, SweepOrder, SweepPhase, Sweeps, Turn, WaitingDelivery, Wakeups,
    Whole, WorkerSeen,
};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

/// Panics on a webhook of the run `panic`, and keeps one of the run `wait` waiting for ever.
pub(crate) struct OddStore {
    store: Arc<dyn Store>,
    refuses: Mutex<BTreeSet<&'static str>>,
}

impl OddStore {
    /// Each of these verbs finds the disk full, once.
    pub(crate) fn new(store: Arc<dyn Store>, refuses: &[&'static str]) -> Arc<Self> {
        let refuses = Mutex::new(refuses.iter().copied().collect());
        Arc::new(Self { store, refuses })
    }

    /// What it has not refused yet.
    pub(crate) fn will_refuse(&self) -> BTreeSet<&'static str> {
        self.refuses.lock().unwrap().clone()
    }

    fn room_for(&self, ended: &[EndedRefresh]) -> Result<(), StoreError> {
        ended.iter().try_for_each(|ended| {
            self.room(match &ended.end {
                RefreshEnd::Commit(_) => "commit",
                RefreshEnd::Postpone(_) => "postpone",
                RefreshEnd::Resolve(_) => "resolve",
            })
        })
    }

    fn room(&self, verb: &'static str) -> Result<(), StoreError> {
        match self.refuses.lock().unwrap().remove(verb) {
            true => Err(StoreError::Full("no room for this once".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl InboxDesk for OddStore {
    async fn append(&self, notification: NewNotification, now: SchedulingTime) -> Result<Appended, StoreError> {
        match notification.head.run.as_ref().map(RunId::as_str) {
            Some("panic") => std::panic::resume_unwind(Box::new("s3cret-of-the-panic")),
            Some("wait") => std::future::pending().await,
            _ => self.store.append(notification, now).await,
        }
    }

    async fn import(
        &self,
        log: LogId,
        after: Position,
        batch: Vec<NewNotification>,
        through: Position,
        now: SchedulingTime,
    ) -> Result<Vec<Appended>, StoreError> {
        self.store.import(log, after, batch, through, now).await
    }

    async fn imported(&self, log: LogId) -> Result<Position, StoreError> {
        self.store.imported(log).await
    }
}

#[async_trait]
impl RefreshDesk for OddStore {
    async fn request_refresh(
        &self,
        org: &OrgId,
        run: &RunId,
        lane: Lane,
        now: SchedulingTime,
    ) -> Result<(), StoreError> {
        self.store.request_refresh(org, run, lane, now).await
    }

    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError> {
        self.store.claim_due(org, lanes, claim).await
    }

    async fn budget(&self, org: &OrgId) -> Result<Option<String>, StoreError> {
        self.store.budget(org).await
    }

    async fn keep_budget(&self, org: &OrgId, budget: String) -> Result<(), StoreError> {
        self.store.keep_budget(org, budget).await
    }

    async fn watch(&self, org: &OrgId, now: Timestamp) -> Result<(), StoreError> {
        self.store.watch(org, now).await
    }

    async fn next_due(&self, org: &OrgId, lanes: Lanes) -> Result<Option<SchedulingTime>, StoreError> {
        self.store.next_due(org, lanes).await
    }

    async fn end_refreshes(
        &self,
        ended: Vec<EndedRefresh>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        self.room_for(&ended)?;
        self.store.end_refreshes(ended, now).await
    }

    async fn end_and_claim(
        &self,
        ended: Vec<EndedRefresh>,
        org: &OrgId,
        lanes: Lanes,
        claim: Claim,
    ) -> Result<RefreshTurn, StoreError> {
        self.room_for(&ended)?;
        self.store.end_and_claim(ended, org, lanes, claim).await
    }
}

#[async_trait]
impl OutboxDesk for OddStore {
    async fn set_handlers(&self, handlers: &[HandlerName], now: SchedulingTime) -> Result<(), StoreError> {
        self.store.set_handlers(handlers, now).await
    }

    async fn set_paused(&self, handler: &HandlerName, paused: bool) -> Result<bool, StoreError> {
        self.store.set_paused(handler, paused).await
    }

    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError> {
        self.store.claim_deliveries(handler, claim).await
    }

    async fn settle(
        &self,
        ended: Vec<EndedDelivery>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        self.room("settle")?;
        self.store.settle(ended, now).await
    }

    async fn settle_and_claim(
        &self,
        ended: Vec<EndedDelivery>,
        handler: &HandlerName,
        claim: Claim,
    ) -> Result<Turn, StoreError> {
        self.room("settle")?;
        self.store.settle_and_claim(ended, handler, claim).await
    }
}

impl SeatDesk for OddStore {}

#[async_trait]
impl SweepDesk for OddStore {
    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError> {
        self.store.sweeps(org).await
    }

    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError> {
        self.store.ask_for_sweep(org, order).await
    }

    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, now: Timestamp) -> Result<Sweep, StoreError> {
        self.store.start_sweep(org, order, now).await
    }

    async fn record_page(&self, org: &OrgId, page: ListedPage, now: SchedulingTime) -> Result<Sweep, StoreError> {
        self.store.record_page(org, page, now).await
    }

    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError> {
        self.store.move_sweep(org, sweep, phase).await
    }

    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: SchedulingTime,
    ) -> Result<(Sweep, bool), StoreError> {
        self.store.close_sweep(org, sweep, limit, now).await
    }

    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        self.store.findings(org, limit).await
    }
}

#[async_trait]
impl OperatorDesk for OddStore {
    async fn events(&self, query: &Query, limit: usize) -> Result<Vec<EventSummary>, StoreError> {
        self.store.events(query, limit).await
    }

    async fn event(&self, id: Uuid) -> Result<Option<Whole<EventSummary>>, StoreError> {
        self.store.event(id).await
    }

    async fn events_after(&self, query: &Query, after: i64, limit: usize) -> Result<EventPage, StoreError> {
        self.store.events_after(query, after, limit).await
    }

    async fn replay(&self, events: &[Uuid], handler: &HandlerName, now: SchedulingTime) -> Result<u64, StoreError> {
        self.store.replay(events, handler, now).await
    }

    async fn ids_between(&self, of: IdsOf, first: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>, StoreError> {
        self.store.ids_between(of, first, last, limit).await
    }

    async fn deliveries(&self, query: &Query, limit: usize) -> Result<Vec<WaitingDelivery>, StoreError> {
        self.store.deliveries(query, limit).await
    }

    async fn retry_deliveries(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError> {
        self.store.retry_deliveries(query, now).await
    }

    async fn notifications(&self, query: &Query, limit: usize) -> Result<Vec<NotificationSummary>, StoreError> {
        self.store.notifications(query, limit).await
    }

    async fn notification(&self, id: Uuid) -> Result<Option<Whole<NotificationSummary>>, StoreError> {
        self.store.notification(id).await
    }

    async fn recognize(&self, read: NewNotification, now: SchedulingTime) -> Result<bool, StoreError> {
        self.store.recognize(read, now).await
    }

    async fn dead_letters(&self, query: &Query, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.dead_letters(query, limit).await
    }

    async fn retry_dead_letters(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError> {
        self.store.retry_dead_letters(query, now).await
    }

    async fn drop_dead_letters(&self, query: &Query) -> Result<u64, StoreError> {
        self.store.drop_dead_letters(query).await
    }

    async fn drop_waiting(&self, handler: &HandlerName) -> Result<u64, StoreError> {
        self.store.drop_waiting(handler).await
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        self.store.prune(prune).await
    }

    async fn stats(&self, now: SchedulingTime) -> Result<Stats, StoreError> {
        self.store.stats(now).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await
    }
}

#[async_trait]
impl StoryDesk for OddStore {
    async fn runs(&self, query: &RunsQuery, after: Option<RunPlace>, limit: usize) -> Result<RunsPage, StoreError> {
        self.store.runs(query, after, limit).await
    }

    async fn story(
        &self,
        org: &OrgId,
        run: &RunId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Option<Story>, StoreError> {
        self.store.story(org, run, before, limit).await
    }

    async fn heads(
        &self,
        handler: &HandlerName,
        after: Option<RunPlace>,
        limit: usize,
    ) -> Result<HeadsPage, StoreError> {
        self.store.heads(handler, after, limit).await
    }

    async fn note(&self, entry: JournalEntry) -> Result<(), StoreError> {
        self.store.note(entry).await
    }

    async fn journal(
        &self,
        query: &JournalQuery,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Journal>, StoreError> {
        self.store.journal(query, before, limit).await
    }

    async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        self.store.beat(beat).await
    }

    async fn beats(&self, since: Timestamp) -> Result<Vec<WorkerSeen>, StoreError> {
        self.store.beats(since).await
    }

    async fn pulse(&self, since: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        self.store.pulse(since).await
    }
}

#[async_trait]
impl Store for OddStore {
    fn wakeups(&self) -> Wakeups {
        self.store.wakeups()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
