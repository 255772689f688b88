//! Deliver: hands events to one handler, for each run in order, until each is done or given up.
//!
//! One of these runs for each handler. The order is the store's: it hands out the next event of a run only after the one
//! before it was settled for good.
//!
//! An attempt goes through named steps, and grows on the way:
//!
//! ```text
//! claim ──▶ call ──▶ note health ──▶ decide ──▶ measure ──▶ log ──▶ settle
//! Event     Called                   Decided                       │
//!   ▲                                                              │
//!   └───────────── one transaction settles, and claims ◀───────────┘
//! ```
//!
//! The steps from call to log run in a task for each call. What has ended by the time the store is free is settled
//! together, and what is due is claimed in the same transaction.

mod call;
mod decide;
mod health;
mod report;
mod sabotage;
mod settle;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use runs_store::{Claim, Claimed, Delivery, HandlerName, OutboxDesk, SchedulingTime, StoreError, torture};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::call::Calling;
use self::decide::Decided;
use self::report::Meters;
use self::settle::{LEASE_MARGIN, Unsettled};
use crate::clock::Clock;
use crate::config::DeliverConfig;
use crate::handler::{Event, Handler};
use crate::telemetry;
use crate::vitals::Vitals;
use crate::wait::{AFTER_STORE_TROUBLE, Gather, Wait};

pub(crate) use self::health::HandlerHealth;
pub(crate) use self::sabotage::guarded;

/// How many calls at a time a handler gets that takes many events in one: while one call is settled, the other one works.
const CALLS_WITH_MANY: usize = 2;

/// What the delivering stage of one handler is made of.
pub(crate) struct Deliverer {
    pub(crate) outbox: Arc<dyn OutboxDesk>,
    pub(crate) wakeup: watch::Receiver<u64>,
    pub(crate) clock: Clock,
    pub(crate) name: HandlerName,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) health: Arc<HandlerHealth>,
    pub(crate) config: DeliverConfig,
}

impl Deliverer {
    /// Runs until `stop`, then finishes the deliveries in hand within `grace`.
    pub(crate) async fn run(self, stop: CancellationToken, grace: Duration) {
        let wait = Wait::new(self.wakeup.clone(), self.clock.clone());
        let mut stage = Stage::new(self, wait);
        while !stop.is_cancelled() {
            stage.turn(&stop).await;
        }
        if tokio::time::timeout(grace, stage.finish()).await.is_err() {
            warn!(
                handler = %stage.name, unfinished = stage.in_hand.len(),
                "deliveries did not end in time; they will be tried again"
            );
        }
    }
}

/// The stage at work.
struct Stage {
    outbox: Arc<dyn OutboxDesk>,
    clock: Clock,
    name: HandlerName,
    health: Arc<HandlerHealth>,
    calling: Arc<Calling>,
    wait: Wait,
    gather: Gather,
    /// The most calls at a time.
    calls: usize,
    /// The most events in one call.
    at_once: NonZeroUsize,
    in_hand: JoinSet<Vec<Decided>>,
    unsettled: Unsettled,
}

impl Stage {
    fn new(deliverer: Deliverer, wait: Wait) -> Self {
        let at_once = deliverer.handler.at_once();
        let most = deliverer.config.concurrency.get();
        Self {
            wait,
            gather: Gather::default(),
            calls: if at_once.get() > 1 {
                most.min(CALLS_WITH_MANY)
            } else {
                most
            },
            at_once,
            in_hand: JoinSet::new(),
            unsettled: Unsettled::new(deliverer.name.clone(), Arc::clone(&deliverer.vitals)),
            calling: Arc::new(Calling {
                handler: deliverer.handler,
                health: Arc::clone(&deliverer.health),
                meters: Meters::new(&deliverer.name),
                clock: deliverer.clock.clone(),
                vitals: deliverer.vitals,
                name: deliverer.name.clone(),
                config: deliverer.config,
            }),
            outbox: deliverer.outbox,
            clock: deliverer.clock,
            name: deliverer.name,
            health: deliverer.health,
        }
    }

    /// Settles what has ended, claims what is due, calls the handler with it, and waits until there is something to do.
    async fn turn(&mut self, stop: &CancellationToken) {
        self.collect();
        let room = self.room();
        self.wait.mark_seen();
        let begun = Instant::now();
        let claimed = self.settle_and_claim(room).await;
        self.gather.note(begun);
        match claimed {
            Ok(claimed) => {
                let is_more_due =
                    !claimed.work.is_empty() && claimed.next_due.is_some_and(|due| due <= self.clock.now());
                self.call(claimed.work);
                if !is_more_due || self.room() == 0 {
                    self.rest(claimed.next_due, stop).await;
                }
            }
            Err(error) => {
                error!(
                    handler = %self.name, error = telemetry::chain(&error),
                    "cannot settle or claim deliveries; it is tried again"
                );
                self.wait.pause(AFTER_STORE_TROUBLE, stop).await;
            }
        }
    }

    /// How many events may be claimed now.
    fn room(&self) -> usize {
        if self.health.pause().is_some() {
            return 0;
        }
        // One delivery shows as much as many whether the handler works again.
        if self.health.is_doubtful() {
            return usize::from(self.in_hand.is_empty());
        }
        self.calls.saturating_sub(self.in_hand.len()) * self.at_once.get()
    }

    /// Claims up to `room` events. What has ended is settled in the same transaction.
    async fn settle_and_claim(&mut self, room: usize) -> Result<Claimed<Delivery>, StoreError> {
        let claim = Claim {
            now: self.clock.now(),
            lease: self.calling.config.timeout + LEASE_MARGIN,
            limit: room,
            in_flight: NonZeroUsize::new(self.calling.config.max_in_flight),
        };
        let ended = self.unsettled.ended();
        let claimed = match (ended.is_empty(), room) {
            (true, 0) => nothing(),
            (true, _) => self.outbox.claim_deliveries(&self.name, claim).await?,
            (false, 0) => {
                let settled = self.outbox.settle(ended, claim.now).await;
                self.unsettled.note(settled)?;
                nothing()
            }
            (false, _) => {
                let turn = self.outbox.settle_and_claim(ended, &self.name, claim).await;
                let (settled, claimed) = match turn {
                    Ok(turn) => (Ok(turn.settled), turn.claimed),
                    Err(error) => (Err(error), nothing()),
                };
                self.unsettled.note(settled)?;
                claimed
            }
        };
        if !claimed.work.is_empty() {
            torture::point("deliver.claimed");
        }
        Ok(claimed)
    }

    /// Begins calls with what was claimed.
    fn call(&mut self, work: Vec<Delivery>) {
        let mut events = work.into_iter().map(Event::new).peekable();
        while events.peek().is_some() {
            let together = events.by_ref().take(self.at_once.get()).collect();
            self.in_hand.spawn(Arc::clone(&self.calling).attempt(together));
        }
    }

    /// Takes what has ended.
    fn collect(&mut self) {
        while let Some(ended) = self.in_hand.try_join_next() {
            self.unsettled.add(ended);
        }
    }

    /// Until a call has ended, or something may be due and may be claimed.
    async fn rest(&mut self, next_due: Option<SchedulingTime>, stop: &CancellationToken) {
        let (room, pause) = (self.room(), self.health.pause());
        let claimable = async {
            match (room, pause) {
                (_, Some(pause)) => tokio::time::sleep(pause).await,
                (0, None) => std::future::pending().await,
                (_, None) => self.wait.for_work(next_due, stop).await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = self.in_hand.join_next() => {
                self.unsettled.add(ended);
                // A call with many events is a batch by itself.
                if self.at_once.get() == 1 {
                    for ended in self.gather.more(&mut self.in_hand).await {
                        self.unsettled.add(ended);
                    }
                }
            }
            () = claimable => {}
        }
    }

    /// Waits for the calls in hand, and settles them.
    async fn finish(&mut self) {
        loop {
            self.collect();
            if !self.unsettled.is_empty() {
                if self.settle_and_claim(0).await.is_err() {
                    tokio::time::sleep(AFTER_STORE_TROUBLE).await;
                }
            } else if let Some(ended) = self.in_hand.join_next().await {
                self.unsettled.add(ended);
            } else {
                return;
            }
        }
    }
}

fn nothing() -> Claimed<Delivery> {
    Claimed {
        work: Vec::new(),
        next_due: None,
    }
}
