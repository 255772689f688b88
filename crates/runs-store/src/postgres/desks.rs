//! The desks of the store, each verb a transaction.

use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::claim::Organization;
use super::core::{in_transaction, read, write};
use super::import::{self, Span};
use super::lost::Of;
use super::operator::{self, dead_letters, deliveries, events, handlers, ids, notifications, replay};
use super::session::Access;
use super::{PostgresStore, claim, inbox, outbox, refresh, report, retention, seats, settle, stats, sweep, workers};
use crate::desks::{
    Appended, Claim, Claimed, DeadLetter, Delivery, DueRefresh, EndedDelivery, EndedRefresh, EventPage, EventSummary,
    Finding, HandlerName, IdsOf, InboxDesk, Lane, Lanes, LeaseLost, ListedPage, NewNotification, NotificationSummary,
    OperatorDesk, OutboxDesk, Prune, Pruned, Query, RefreshDesk, RefreshTurn, SeatDesk, Seats, Stats, Store, Sweep,
    SweepDesk, SweepOrder, SweepPhase, Sweeps, Turn, WaitingDelivery, Wakeups, Whole, WorkerSummary,
};
use crate::error::StoreError;
use crate::intake_log::{LogId, Position};
use crate::time::SchedulingTime;

#[async_trait]
impl InboxDesk for PostgresStore {
    async fn append(&self, notification: NewNotification, now: SchedulingTime) -> Result<Appended, StoreError> {
        let appender = self.appender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        appender.ok_or(StoreError::Closed)?.append(notification, now).await
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
        let core = self.core.as_ref();
        let imported =
            in_transaction!(core, Access::Often, transaction => import::together(&transaction, &batch, span, now));
        let imported = match imported {
            Err(failure) if failure.is_about_one() => {
                in_transaction!(core, transaction => import::one_by_one(&transaction, &batch, span, now))
            }
            imported => imported,
        };
        imported.map_err(|failure| core.error(failure, "importing notifications"))
    }

    async fn imported(&self, log: LogId) -> Result<Position, StoreError> {
        read!(self, "looking how far a log was imported", view => import::position(&view, log))
    }
}

#[async_trait]
impl RefreshDesk for PostgresStore {
    async fn watch(&self, org: &OrgId, since: Timestamp) -> Result<(), StoreError> {
        write!(self, "watching an organization", transaction => inbox::watch(&transaction, org, since))
    }

    async fn budget(&self, org: &OrgId) -> Result<Option<String>, StoreError> {
        read!(self, "reading the budget", view => inbox::budget(&view, org))
    }

    async fn keep_budget(&self, org: &OrgId, budget: String) -> Result<(), StoreError> {
        write!(self, "keeping the budget", Access::Often, transaction => async {
            self.core.check_seat(&transaction, org).await?;
            inbox::keep_budget(&transaction, org, &budget).await
        })
    }

    async fn request_refresh(
        &self,
        org: &OrgId,
        run: &RunId,
        lane: Lane,
        now: SchedulingTime,
    ) -> Result<(), StoreError> {
        write!(self, "requesting a refresh", transaction => inbox::request_refresh(&transaction, org, run, lane, now))
    }

    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError> {
        self.core.give_back_lost(Of::Runs(org)).await?;
        let worker = self.core.worker;
        let claimed = write!(self, "claiming runs that are due", Access::Often, transaction => async {
            // Where nothing is due, nothing is locked.
            let Some(org) = Organization::read(&transaction, org).await? else {
                return Ok(claim::nothing(None));
            };
            let next_due = claim::next(&transaction, &self.core.fronts, org.key, lanes).await?;
            if claim.limit == 0 || next_due.is_none_or(|due| due > claim.now) {
                return Ok(claim::nothing(next_due));
            }
            self.core.check_seat_of(&transaction, org.key).await?;
            claim::claim_due(&transaction, &self.core.fronts, &org, lanes, claim, worker).await
        });
        self.core.lost.note(Of::Runs(org), claim, &claimed);
        claimed
    }

    async fn next_due(&self, org: &OrgId, lanes: Lanes) -> Result<Option<SchedulingTime>, StoreError> {
        read!(self, "looking for runs that are due", view => claim::look(&view, &self.core.fronts, org, lanes))
    }

    async fn end_refreshes(
        &self,
        ended: Vec<EndedRefresh>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        write!(self, "committing refreshes", Access::Often, transaction => async {
            let ended = refresh::end(&transaction, &ended, now).await?;
            if ended.iter().any(Result::is_ok) {
                transaction.wake_due();
            }
            Ok(ended)
        })
    }

    async fn end_and_claim(
        &self,
        ended: Vec<EndedRefresh>,
        org: &OrgId,
        lanes: Lanes,
        claim: Claim,
    ) -> Result<RefreshTurn, StoreError> {
        self.core.give_back_lost(Of::Runs(org)).await?;
        let worker = self.core.worker;
        let turn = write!(self, "committing refreshes and claiming runs", Access::Often, transaction => async {
            let org = Organization::read(&transaction, org).await?;
            let has_seat = match &org {
                Some(org) => self.core.has_seat(&transaction, org.key).await?,
                None => true,
            };
            let ended = refresh::end(&transaction, &ended, claim.now).await?;
            let claimed = match org.filter(|_| has_seat) {
                Some(org) => claim::claim_due(&transaction, &self.core.fronts, &org, lanes, claim, worker).await?,
                None => claim::nothing(None),
            };
            Ok(RefreshTurn { ended, claimed })
        });
        self.core.lost.note(Of::Runs(org), claim, &turn);
        turn
    }
}

#[async_trait]
impl OutboxDesk for PostgresStore {
    async fn set_handlers(&self, handlers: &[HandlerName], now: SchedulingTime) -> Result<(), StoreError> {
        write!(self, "setting the handlers", transaction => outbox::set_handlers(&transaction, handlers, now))
    }

    async fn set_paused(&self, handler: &HandlerName, paused: bool) -> Result<bool, StoreError> {
        write!(self, "pausing a handler", transaction => outbox::set_paused(&transaction, handler, paused))
    }

    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError> {
        self.core.give_back_lost(Of::Deliveries(handler)).await?;
        let worker = self.core.worker;
        let claimed = write!(self, "claiming deliveries", Access::Often, transaction => {
            outbox::claim_deliveries(&transaction, &self.core.fronts, handler, claim, worker)
        });
        self.core.lost.note(Of::Deliveries(handler), claim, &claimed);
        claimed
    }

    async fn settle(
        &self,
        ended: Vec<EndedDelivery>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        write!(self, "settling deliveries", Access::Often, transaction => async {
            let settled = settle::settle(&transaction, &ended, now).await?;
            if settled.iter().any(Result::is_ok) {
                transaction.wake_deliverable();
            }
            Ok(settled)
        })
    }

    async fn settle_and_claim(
        &self,
        ended: Vec<EndedDelivery>,
        handler: &HandlerName,
        claim: Claim,
    ) -> Result<Turn, StoreError> {
        self.core.give_back_lost(Of::Deliveries(handler)).await?;
        let worker = self.core.worker;
        let turn = write!(self, "settling and claiming deliveries", Access::Often, transaction => async {
            let settled = settle::settle(&transaction, &ended, claim.now).await?;
            let claimed = outbox::claim_deliveries(&transaction, &self.core.fronts, handler, claim, worker).await?;
            Ok(Turn { settled, claimed })
        });
        self.core.lost.note(Of::Deliveries(handler), claim, &turn);
        turn
    }
}

#[async_trait]
impl SweepDesk for PostgresStore {
    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError> {
        read!(self, "looking at sweeps", view => sweep::sweeps(&view, org))
    }

    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError> {
        write!(self, "asking for a sweep", transaction => sweep::ask(&transaction, org, order))
    }

    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, at: Timestamp) -> Result<Sweep, StoreError> {
        write!(self, "starting a sweep", transaction => async {
            self.core.check_seat(&transaction, org).await?;
            sweep::start(&transaction, org, order, at).await
        })
    }

    async fn record_page(&self, org: &OrgId, page: ListedPage, now: SchedulingTime) -> Result<Sweep, StoreError> {
        write!(self, "recording a page of the run list", transaction => async {
            self.core.check_seat(&transaction, org).await?;
            sweep::record_page(&transaction, org, &page, now).await
        })
    }

    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError> {
        write!(self, "going on with a sweep", transaction => async {
            self.core.check_seat(&transaction, org).await?;
            sweep::move_on(&transaction, org, sweep, phase).await
        })
    }

    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: SchedulingTime,
    ) -> Result<(Sweep, bool), StoreError> {
        write!(self, "closing a sweep", transaction => async {
            self.core.check_seat(&transaction, org).await?;
            sweep::close(&transaction, org, sweep, limit, now).await
        })
    }

    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        read!(self, "listing what a sweep found", view => sweep::findings(&view, org, limit))
    }
}

#[async_trait]
impl SeatDesk for PostgresStore {
    async fn hold_seats(&self, orgs: &[OrgId], term: Duration, now: SchedulingTime) -> Result<Seats, StoreError> {
        let Some(worker) = self.core.worker else {
            return Ok(Seats::default());
        };
        let held = write!(self, "holding seats", transaction => seats::hold(&transaction, worker, orgs, term, now))?;
        self.core.terms.note(&held.terms);
        Ok(held.seats)
    }

    async fn give_up_seats(&self, orgs: &[OrgId]) -> Result<(), StoreError> {
        let Some(worker) = self.core.worker else { return Ok(()) };
        write!(self, "giving up seats", transaction => seats::give_up(&transaction, worker, orgs))
    }

    async fn time(&self) -> Result<Option<SchedulingTime>, StoreError> {
        read!(self, "reading the clock", view => workers::time(&view)).map(Some)
    }

    async fn oldest_transaction(&self) -> Result<Option<Duration>, StoreError> {
        read!(self, "looking at transactions", view => report::oldest_transaction(&view))
    }

    async fn workers(&self) -> Result<Vec<WorkerSummary>, StoreError> {
        read!(self, "looking at the workers", view => seats::workers(&view))
    }
}

#[async_trait]
impl OperatorDesk for PostgresStore {
    async fn events(&self, query: &Query, limit: usize) -> Result<Vec<EventSummary>, StoreError> {
        read!(self, "listing events", view => events::newest(&view, query, limit))
    }

    async fn event(&self, id: Uuid) -> Result<Option<Whole<EventSummary>>, StoreError> {
        read!(self, "reading an event", view => events::whole(&view, id))
    }

    async fn events_after(&self, query: &Query, after: i64, limit: usize) -> Result<EventPage, StoreError> {
        read!(self, "reading events", view => events::page(&view, query, after, limit))
    }

    async fn replay(&self, events: &[Uuid], handler: &HandlerName, now: SchedulingTime) -> Result<u64, StoreError> {
        let mut replayed = 0;
        for batch in events.chunks(operator::BATCH) {
            replayed += write!(self, "replaying events", transaction => {
                replay::replay(&transaction, batch, handler, now)
            })?;
        }
        Ok(replayed)
    }

    async fn ids_between(&self, of: IdsOf, first: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>, StoreError> {
        read!(self, "looking for ids", view => ids::between(&view, of, first, last, limit))
    }

    async fn deliveries(&self, query: &Query, limit: usize) -> Result<Vec<WaitingDelivery>, StoreError> {
        read!(self, "listing deliveries", view => deliveries::in_order(&view, query, limit))
    }

    async fn retry_deliveries(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError> {
        let mut made_due = 0;
        loop {
            let some = write!(self, "retrying deliveries", transaction => {
                deliveries::retry_some(&transaction, query, now)
            })?;
            made_due += some as u64;
            if some < operator::BATCH {
                return Ok(made_due);
            }
        }
    }

    async fn notifications(&self, query: &Query, limit: usize) -> Result<Vec<NotificationSummary>, StoreError> {
        read!(self, "listing notifications", view => notifications::newest(&view, query, limit))
    }

    async fn notification(&self, id: Uuid) -> Result<Option<Whole<NotificationSummary>>, StoreError> {
        read!(self, "reading a notification", view => notifications::whole(&view, id))
    }

    async fn recognize(&self, read: NewNotification, now: SchedulingTime) -> Result<bool, StoreError> {
        write!(self, "recognizing a notification", transaction => inbox::recognize(&transaction, &read, now))
    }

    async fn dead_letters(&self, query: &Query, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        read!(self, "listing dead letters", view => dead_letters::latest(&view, query, limit))
    }

    async fn retry_dead_letters(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError> {
        self.end_dead_letters(query, Some(now)).await
    }

    async fn drop_dead_letters(&self, query: &Query) -> Result<u64, StoreError> {
        self.end_dead_letters(query, None).await
    }

    async fn drop_waiting(&self, handler: &HandlerName) -> Result<u64, StoreError> {
        write!(self, "dropping what waits", transaction => handlers::drop_waiting(&transaction, handler))
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        write!(self, "removing what is old", transaction => retention::prune(&transaction, &prune))
    }

    async fn stats(&self, now: SchedulingTime) -> Result<Stats, StoreError> {
        read!(self, "counting what waits", view => stats::stats(&view, now))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // That a transaction may write is what the server is asked; nothing is written.
        write!(self, "trying to write", transaction => transaction.batch("SELECT 1"))
    }
}

impl PostgresStore {
    async fn end_dead_letters(&self, query: &Query, back_at: Option<SchedulingTime>) -> Result<u64, StoreError> {
        let mut ended = 0;
        loop {
            let some = write!(self, "settling dead letters", transaction => {
                dead_letters::end_some(&transaction, query, back_at)
            })?;
            ended += some as u64;
            if some < operator::BATCH {
                return Ok(ended);
            }
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn wakeups(&self) -> Wakeups {
        self.wakeups.clone()
    }

    async fn close(&self) {
        self.end().await;
    }
}
