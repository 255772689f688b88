//! The desks of the store, each verb a transaction of the writing thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::import::{self, Span};
use super::operator::{self, dead_letters, deliveries, events, handlers, ids, notifications, replay};
use super::{SqliteStore, claim, file, inbox, outbox, refresh, retention, stats, sweep};
use crate::desks::{
    Appended, Claim, Claimed, DeadLetter, Delivery, DueRefresh, EndedDelivery, EndedRefresh, EventPage, EventSummary,
    Finding, HandlerName, IdsOf, InboxDesk, Lane, Lanes, LeaseLost, ListedPage, NewNotification, NotificationSummary,
    OperatorDesk, OutboxDesk, Prune, Pruned, Query, RefreshDesk, RefreshTurn, SeatDesk, Stats, Store, Subject, Sweep,
    SweepDesk, SweepOrder, SweepPhase, Sweeps, Turn, WaitingDelivery, Wakeups, Whole,
};
use crate::error::StoreError;
use crate::intake_log::{LogId, Position};
use crate::time::SchedulingTime;

#[async_trait]
impl InboxDesk for SqliteStore {
    async fn append(&self, notification: NewNotification, now: SchedulingTime) -> Result<Appended, StoreError> {
        self.write("storing a notification", move |transaction| {
            inbox::append(transaction, &notification, now)
        })
        .await
    }

    async fn import(
        &self,
        log: LogId,
        after: Position,
        batch: Vec<NewNotification>,
        through: Position,
        now: SchedulingTime,
    ) -> Result<Vec<Appended>, StoreError> {
        let span = Span { log, after, through };
        let batch = Arc::new(batch);
        let together = Arc::clone(&batch);
        let imported = self
            .write("importing notifications", move |transaction| {
                import::together(transaction, &together, span, now)
            })
            .await;
        match imported {
            Err(error) if import::may_be_one_of_them(&error) => {}
            imported => return imported,
        }
        self.write("importing notifications one by one", move |transaction| {
            import::one_by_one(transaction, &batch, span, now)
        })
        .await
    }

    async fn imported(&self, log: LogId) -> Result<Position, StoreError> {
        self.read("looking how far a log was imported", move |view| {
            import::position(view, log)
        })
        .await
    }
}

#[async_trait]
impl RefreshDesk for SqliteStore {
    async fn watch(&self, org: &OrgId, since: Timestamp) -> Result<(), StoreError> {
        let org = org.clone();
        self.write("watching an organization", move |transaction| {
            inbox::watch(transaction, &org, since)
        })
        .await
    }

    async fn budget(&self, org: &OrgId) -> Result<Option<String>, StoreError> {
        let org = org.clone();
        self.read("reading the budget", move |view| inbox::budget(view, &org))
            .await
    }

    async fn keep_budget(&self, org: &OrgId, budget: String) -> Result<(), StoreError> {
        let org = org.clone();
        self.write("keeping the budget", move |transaction| {
            inbox::keep_budget(transaction, &org, &budget)
        })
        .await
    }

    async fn request_refresh(
        &self,
        org: &OrgId,
        run: &RunId,
        lane: Lane,
        now: SchedulingTime,
    ) -> Result<(), StoreError> {
        let (org, run) = (org.clone(), Subject::Run(run.clone()));
        self.write("requesting a refresh", move |transaction| {
            inbox::request_refresh(transaction, &org, &run, lane, now)
        })
        .await
    }

    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError> {
        let next_due = self.next_due(org, lanes).await?;
        if claim.limit == 0 || next_due.is_none_or(|due| due > claim.now) {
            return Ok(claim::nothing(next_due));
        }
        let org = org.clone();
        self.write("claiming runs that are due", move |transaction| {
            claim::claim_due(transaction, &org, lanes, claim)
        })
        .await
    }

    async fn next_due(&self, org: &OrgId, lanes: Lanes) -> Result<Option<SchedulingTime>, StoreError> {
        let org = org.clone();
        self.read("looking for runs that are due", move |view| {
            claim::look(view, &org, lanes)
        })
        .await
    }

    async fn end_refreshes(
        &self,
        ended: Vec<EndedRefresh>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        self.write("committing refreshes", move |transaction| {
            let ended = refresh::end(transaction, &ended, now)?;
            if ended.iter().any(Result::is_ok) {
                transaction.wake_due();
            }
            Ok(ended)
        })
        .await
    }

    async fn end_and_claim(
        &self,
        ended: Vec<EndedRefresh>,
        org: &OrgId,
        lanes: Lanes,
        claim: Claim,
    ) -> Result<RefreshTurn, StoreError> {
        let org = org.clone();
        self.write("committing refreshes and claiming runs", move |transaction| {
            let ended = refresh::end(transaction, &ended, claim.now)?;
            let claimed = claim::claim_due(transaction, &org, lanes, claim)?;
            Ok(RefreshTurn { ended, claimed })
        })
        .await
    }
}

#[async_trait]
impl OutboxDesk for SqliteStore {
    async fn set_handlers(&self, handlers: &[HandlerName], now: SchedulingTime) -> Result<(), StoreError> {
        let handlers = handlers.to_vec();
        self.write("setting the handlers", move |transaction| {
            outbox::set_handlers(transaction, &handlers, now)
        })
        .await
    }

    async fn set_paused(&self, handler: &HandlerName, paused: bool) -> Result<bool, StoreError> {
        let handler = handler.clone();
        self.write("pausing a handler", move |transaction| {
            outbox::set_paused(transaction, &handler, paused)
        })
        .await
    }

    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError> {
        let looking = handler.clone();
        let next_due = self
            .read("looking for deliveries", move |view| outbox::look(view, &looking))
            .await?;
        if next_due.is_none_or(|due| due > claim.now) {
            return Ok(Claimed {
                work: Vec::new(),
                next_due,
            });
        }
        let handler = handler.clone();
        self.write("claiming deliveries", move |transaction| {
            outbox::claim_deliveries(transaction, &handler, claim)
        })
        .await
    }

    async fn settle(
        &self,
        ended: Vec<EndedDelivery>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        self.write("settling deliveries", move |transaction| {
            let settled = outbox::settle(transaction, &ended, now)?;
            if settled.iter().any(Result::is_ok) {
                transaction.wake_deliverable();
            }
            Ok(settled)
        })
        .await
    }

    async fn settle_and_claim(
        &self,
        ended: Vec<EndedDelivery>,
        handler: &HandlerName,
        claim: Claim,
    ) -> Result<Turn, StoreError> {
        let handler = handler.clone();
        self.write("settling and claiming deliveries", move |transaction| {
            let settled = outbox::settle(transaction, &ended, claim.now)?;
            let claimed = outbox::claim_deliveries(transaction, &handler, claim)?;
            Ok(Turn { settled, claimed })
        })
        .await
    }
}

#[async_trait]
impl SweepDesk for SqliteStore {
    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError> {
        let org = org.clone();
        self.read("looking at sweeps", move |view| sweep::sweeps(view, &org))
            .await
    }

    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError> {
        let org = org.clone();
        self.write("asking for a sweep", move |transaction| {
            sweep::ask(transaction, &org, order)
        })
        .await
    }

    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, at: Timestamp) -> Result<Sweep, StoreError> {
        let org = org.clone();
        self.write("starting a sweep", move |transaction| {
            sweep::start(transaction, &org, order, at)
        })
        .await
    }

    async fn record_page(&self, org: &OrgId, page: ListedPage, now: SchedulingTime) -> Result<Sweep, StoreError> {
        let org = org.clone();
        self.write("recording a page of the run list", move |transaction| {
            sweep::record_page(transaction, &org, &page, now)
        })
        .await
    }

    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError> {
        let (org, sweep) = (org.clone(), sweep.clone());
        self.write("going on with a sweep", move |transaction| {
            sweep::move_on(transaction, &org, &sweep, phase)
        })
        .await
    }

    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: SchedulingTime,
    ) -> Result<(Sweep, bool), StoreError> {
        let org = org.clone();
        self.write("closing a sweep", move |transaction| {
            sweep::close(transaction, &org, sweep, limit, now)
        })
        .await
    }

    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        let org = org.clone();
        self.read("listing what a sweep found", move |view| {
            sweep::findings(view, &org, limit)
        })
        .await
    }
}

impl SeatDesk for SqliteStore {}

#[async_trait]
impl OperatorDesk for SqliteStore {
    async fn events(&self, query: &Query, limit: usize) -> Result<Vec<EventSummary>, StoreError> {
        let query = query.clone();
        self.read("listing events", move |view| events::newest(view, &query, limit))
            .await
    }

    async fn event(&self, id: Uuid) -> Result<Option<Whole<EventSummary>>, StoreError> {
        self.read("reading an event", move |view| events::whole(view, id)).await
    }

    async fn events_after(&self, query: &Query, after: i64, limit: usize) -> Result<EventPage, StoreError> {
        let query = query.clone();
        self.read("reading events", move |view| events::page(view, &query, after, limit))
            .await
    }

    async fn replay(&self, events: &[Uuid], handler: &HandlerName, now: SchedulingTime) -> Result<u64, StoreError> {
        let mut replayed = 0;
        for batch in events.chunks(operator::BATCH) {
            let (batch, handler) = (batch.to_vec(), handler.clone());
            replayed += self
                .write("replaying events", move |transaction| {
                    replay::replay(transaction, &batch, &handler, now)
                })
                .await?;
        }
        Ok(replayed)
    }

    async fn ids_between(&self, of: IdsOf, first: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>, StoreError> {
        self.read("looking for ids", move |view| {
            ids::between(view, of, first, last, limit)
        })
        .await
    }

    async fn deliveries(&self, query: &Query, limit: usize) -> Result<Vec<WaitingDelivery>, StoreError> {
        let query = query.clone();
        self.read("listing deliveries", move |view| {
            deliveries::in_order(view, &query, limit)
        })
        .await
    }

    async fn retry_deliveries(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError> {
        let mut made_due = 0;
        loop {
            let query = query.clone();
            let some = self
                .write("retrying deliveries", move |transaction| {
                    deliveries::retry_some(transaction, &query, now)
                })
                .await?;
            made_due += some as u64;
            if some < operator::BATCH {
                return Ok(made_due);
            }
        }
    }

    async fn notifications(&self, query: &Query, limit: usize) -> Result<Vec<NotificationSummary>, StoreError> {
        let query = query.clone();
        self.read("listing notifications", move |view| {
            notifications::newest(view, &query, limit)
        })
        .await
    }

    async fn notification(&self, id: Uuid) -> Result<Option<Whole<NotificationSummary>>, StoreError> {
        self.read("reading a notification", move |view| notifications::whole(view, id))
            .await
    }

    async fn recognize(&self, read: NewNotification, now: SchedulingTime) -> Result<bool, StoreError> {
        self.write("recognizing a notification", move |transaction| {
            inbox::recognize(transaction, &read, now)
        })
        .await
    }

    async fn dead_letters(&self, query: &Query, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let query = query.clone();
        self.read("listing dead letters", move |view| {
            dead_letters::latest(view, &query, limit)
        })
        .await
    }

    async fn retry_dead_letters(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError> {
        self.end_dead_letters(query, Some(now)).await
    }

    async fn drop_dead_letters(&self, query: &Query) -> Result<u64, StoreError> {
        self.end_dead_letters(query, None).await
    }

    async fn drop_waiting(&self, handler: &HandlerName) -> Result<u64, StoreError> {
        let handler = handler.clone();
        self.write("dropping what waits", move |transaction| {
            handlers::drop_waiting(transaction, &handler)
        })
        .await
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        self.write("removing what is old", move |transaction| {
            retention::prune(transaction, &prune)
        })
        .await
    }

    async fn stats(&self, now: SchedulingTime) -> Result<Stats, StoreError> {
        let log_bytes = std::fs::metadata(file::beside(&self.path, "-wal")).map_or(0, |log| log.len());
        self.read("counting what waits", move |view| stats::stats(view, now, log_bytes))
            .await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let was_troubled = self.troubled.load(Ordering::Relaxed);
        self.write("trying to write", move |transaction| {
            // Otherwise it is enough that the transaction begins and ends, which writes nothing.
            if was_troubled {
                transaction.execute("UPDATE counters SET value = value + 1 WHERE name = 'probes'", [])?;
            }
            Ok(())
        })
        .await
    }
}

impl SqliteStore {
    async fn end_dead_letters(&self, query: &Query, back_at: Option<SchedulingTime>) -> Result<u64, StoreError> {
        let mut ended = 0;
        loop {
            let query = query.clone();
            let some = self
                .write("settling dead letters", move |transaction| {
                    dead_letters::end_some(transaction, &query, back_at)
                })
                .await?;
            ended += some as u64;
            if some < operator::BATCH {
                return Ok(ended);
            }
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn wakeups(&self) -> Wakeups {
        self.wakeups.clone()
    }

    /// Moves the write-ahead log into the file, too.
    async fn close(&self) {
        if let Some(reader) = &self.reader {
            reader.close().await;
        }
        self.writer.close().await;
    }
}
