//! The worker with a store that forgets everything: what the door alone can do.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use runs_store::intake_log::{LogId, Position};
use runs_store::{
    Appended, Beat, Claim, Claimed, DeadLetter, Delivery, DueRefresh, EndedDelivery, EndedRefresh, EventPage,
    EventSummary, Finding, HandlerName, HeadsPage, IdsOf, InboxDesk, Journal, JournalEntry, JournalQuery, Lane, Lanes,
    LeaseLost, ListedPage, NewNotification, NotificationSummary, OperatorDesk, OutboxDesk, Prune, Pruned, Pulse, Query,
    RefreshDesk, RefreshTurn, RunPlace, RunsPage, RunsQuery, SchedulingTime, SeatDesk, Stats, Store, StoreError, Story,
    StoryDesk, Sweep, SweepDesk, SweepOrder, SweepPhase, Sweeps, Turn, WaitingDelivery, Wakeups, Whole, WorkerSeen,
};
use runs_worker::config::{self, Flags};
use runs_worker::{Worker, telemetry};
use tallyfy_model::{OrgId, RunId};
use tokio::sync::watch;
use uuid::Uuid;

/// Runs until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let loaded = config::load(&Flags::default(), &std::env::vars().collect(), true)?;
    telemetry::start_logging(&loaded.config.log).map_err(anyhow::Error::from_boxed)?;
    let (_due, due) = watch::channel(0);
    let (_deliverable, deliverable) = watch::channel(0);
    let wakeups = Wakeups { due, deliverable };
    let mut worker = Worker::builder(loaded)
        .store(Arc::new(NoStore { wakeups }))
        .start()
        .await?;
    anyhow::bail!("{} ended", worker.failed().await);
}

struct NoStore {
    wakeups: Wakeups,
}

const NONE: Result<(), StoreError> = Ok(());

fn nothing<T>() -> Result<Claimed<T>, StoreError> {
    let (work, next_due) = (Vec::new(), None);
    Ok(Claimed { work, next_due })
}

#[async_trait]
impl InboxDesk for NoStore {
    async fn append(&self, _: NewNotification, _: SchedulingTime) -> Result<Appended, StoreError> {
        Ok(Appended::Stored)
    }

    async fn import(
        &self,
        _: LogId,
        _: Position,
        _: Vec<NewNotification>,
        _: Position,
        _: SchedulingTime,
    ) -> Result<Vec<Appended>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn imported(&self, _: LogId) -> Result<Position, StoreError> {
        Err(StoreError::Closed)
    }
}

#[async_trait]
impl RefreshDesk for NoStore {
    async fn request_refresh(&self, _: &OrgId, _: &RunId, _: Lane, _: SchedulingTime) -> Result<(), StoreError> {
        NONE
    }

    async fn claim_due(&self, _: &OrgId, _: Lanes, _: Claim) -> Result<Claimed<DueRefresh>, StoreError> {
        nothing()
    }

    async fn budget(&self, _: &OrgId) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn keep_budget(&self, _: &OrgId, _: String) -> Result<(), StoreError> {
        Ok(())
    }

    async fn watch(&self, _: &OrgId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn next_due(&self, _: &OrgId, _: Lanes) -> Result<Option<SchedulingTime>, StoreError> {
        Ok(None)
    }

    async fn end_refreshes(
        &self,
        _: Vec<EndedRefresh>,
        _: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn end_and_claim(
        &self,
        _: Vec<EndedRefresh>,
        _: &OrgId,
        _: Lanes,
        _: Claim,
    ) -> Result<RefreshTurn, StoreError> {
        Err(StoreError::Closed)
    }
}

#[async_trait]
impl OutboxDesk for NoStore {
    async fn set_handlers(&self, _: &[HandlerName], _: SchedulingTime) -> Result<(), StoreError> {
        NONE
    }

    async fn set_paused(&self, _: &HandlerName, _: bool) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn claim_deliveries(&self, _: &HandlerName, _: Claim) -> Result<Claimed<Delivery>, StoreError> {
        nothing()
    }

    async fn settle(&self, _: Vec<EndedDelivery>, _: SchedulingTime) -> Result<Vec<Result<(), LeaseLost>>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle_and_claim(&self, _: Vec<EndedDelivery>, _: &HandlerName, _: Claim) -> Result<Turn, StoreError> {
        Err(StoreError::Closed)
    }
}

impl SeatDesk for NoStore {}

#[async_trait]
impl SweepDesk for NoStore {
    async fn sweeps(&self, _: &OrgId) -> Result<Sweeps, StoreError> {
        Err(StoreError::Closed)
    }

    async fn ask_for_sweep(&self, _: &OrgId, _: SweepOrder) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn start_sweep(&self, _: &OrgId, _: SweepOrder, _: Timestamp) -> Result<Sweep, StoreError> {
        Err(StoreError::Closed)
    }

    async fn record_page(&self, _: &OrgId, _: ListedPage, _: SchedulingTime) -> Result<Sweep, StoreError> {
        Err(StoreError::Closed)
    }

    async fn move_sweep(&self, _: &OrgId, _: &Sweep, _: SweepPhase) -> Result<Sweep, StoreError> {
        Err(StoreError::Closed)
    }

    async fn close_sweep(&self, _: &OrgId, _: u64, _: usize, _: SchedulingTime) -> Result<(Sweep, bool), StoreError> {
        Err(StoreError::Closed)
    }

    async fn findings(&self, _: &OrgId, _: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl OperatorDesk for NoStore {
    async fn events(&self, _: &Query, _: usize) -> Result<Vec<EventSummary>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn event(&self, _: Uuid) -> Result<Option<Whole<EventSummary>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn events_after(&self, _: &Query, _: i64, _: usize) -> Result<EventPage, StoreError> {
        Err(StoreError::Closed)
    }

    async fn replay(&self, _: &[Uuid], _: &HandlerName, _: SchedulingTime) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn ids_between(&self, _: IdsOf, _: Uuid, _: Uuid, _: usize) -> Result<Vec<Uuid>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn deliveries(&self, _: &Query, _: usize) -> Result<Vec<WaitingDelivery>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn retry_deliveries(&self, _: &Query, _: SchedulingTime) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn notifications(&self, _: &Query, _: usize) -> Result<Vec<NotificationSummary>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn notification(&self, _: Uuid) -> Result<Option<Whole<NotificationSummary>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn recognize(&self, _: NewNotification, _: SchedulingTime) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn dead_letters(&self, _: &Query, _: usize) -> Result<Vec<DeadLetter>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn retry_dead_letters(&self, _: &Query, _: SchedulingTime) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn drop_dead_letters(&self, _: &Query) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn drop_waiting(&self, _: &HandlerName) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn prune(&self, _: Prune) -> Result<Pruned, StoreError> {
        Err(StoreError::Closed)
    }

    async fn stats(&self, _: SchedulingTime) -> Result<Stats, StoreError> {
        Ok(Stats::default())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        NONE
    }
}

#[async_trait]
impl StoryDesk for NoStore {
    async fn runs(&self, _: &RunsQuery, _: Option<RunPlace>, _: usize) -> Result<RunsPage, StoreError> {
        Err(StoreError::Closed)
    }

    async fn story(&self, _: &OrgId, _: &RunId, _: Option<Timestamp>, _: usize) -> Result<Option<Story>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn heads(&self, _: &HandlerName, _: Option<RunPlace>, _: usize) -> Result<HeadsPage, StoreError> {
        Err(StoreError::Closed)
    }

    async fn note(&self, _: JournalEntry) -> Result<(), StoreError> {
        NONE
    }

    async fn journal(&self, _: &JournalQuery, _: Option<i64>, _: usize) -> Result<Vec<Journal>, StoreError> {
        Ok(Vec::new())
    }

    async fn beat(&self, _: Beat) -> Result<(), StoreError> {
        NONE
    }

    async fn beats(&self, _: Timestamp) -> Result<Vec<WorkerSeen>, StoreError> {
        Ok(Vec::new())
    }

    async fn pulse(&self, _: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Store for NoStore {
    fn wakeups(&self) -> Wakeups {
        self.wakeups.clone()
    }

    async fn close(&self) {}
}
