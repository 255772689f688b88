//! Refresh: fetches the runs that are due, compares them, and commits what handlers are to get.
//!
//! It is a reconciler: a notification says that a run is worth a look, never what it looks like. One of these runs for
//! each organization, since budget and token are the organization's.

mod attempt;
mod budget;
mod decide;
mod doubt;
mod ended;
mod failed;
mod gate;
mod label;
mod looks;
mod memory;
mod milestones;
#[cfg(test)]
mod model;
mod sabotage;

use std::sync::Arc;
use std::time::Duration;

use runs_store::SchedulingTime;
use runs_store::{Claim, Claimed, DueRefresh, HandlerName, Lane, Lanes, Store, StoreError, torture};
use tallyfy_runs::Client;
use tallyfy_transport::{CircuitBreaker, CircuitState, RateLimiter};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::config::{EventsConfig, RefreshConfig};
use crate::filter::EventFilter;
use crate::telemetry;
use crate::vitals::Vitals;
use crate::wait::{AFTER_STORE_TROUBLE, Gather, Wait};

use attempt::Attempted;
pub(crate) use budget::BudgetKeeper;
pub(crate) use doubt::Doubt;
use ended::Ended;
use gate::Passage;
pub(crate) use gate::TokenGate;

/// How long what a sweep found may wait behind everything else.
const SWEEPS_WAIT: Duration = Duration::from_secs(60);
/// How soon it is seen, when the worker stops, that what is left waits for the budget.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How an attempt may end, as metrics and the log say it.
pub(crate) const OUTCOMES: [&str; 14] = [
    "changed",
    "unchanged",
    "delivered stale",
    "stale",
    "older",
    "failed",
    "missing",
    "gone",
    "no access",
    "given up",
    "given back",
    "token refused",
    "rate limited",
    "circuit open",
];

/// The refreshing stage of one organization.
#[derive(Clone)]
pub(crate) struct Refresher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) client: Client,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) limiter: RateLimiter,
    /// What sweeps may use of that, and the fetches that they lead to.
    pub(crate) share: RateLimiter,
    pub(crate) gate: Arc<TokenGate>,
    pub(crate) doubt: Arc<Doubt>,
    pub(crate) config: RefreshConfig,
    pub(crate) events: EventsConfig,
    /// Who wants which events.
    pub(crate) handlers: Arc<[(HandlerName, EventFilter)]>,
    pub(crate) vitals: Arc<Vitals>,
    /// Cancelled when what is not fetched yet is to be given back.
    pub(crate) give_back: CancellationToken,
}

impl Refresher {
    /// Runs until `stop`, then finishes the refreshes in hand within `grace`.
    pub(crate) async fn run(self, stop: CancellationToken, grace: Duration) {
        let mut stage = Stage::new(self);
        stage.watch(&stop).await;
        while !stop.is_cancelled() {
            stage.turn(&stop).await;
        }
        if tokio::time::timeout(grace, stage.finish()).await.is_err() {
            let unfinished = stage.in_hand.len();
            warn!(org = %stage.refresher.client.org(), unfinished, "refreshes did not end in time; they stay due");
        }
    }
}

/// The stage at work.
struct Stage {
    refresher: Refresher,
    wait: Wait,
    gather: Gather,
    in_hand: JoinSet<Attempted>,
    ended: Ended,
    last_swept: Instant,
    /// Whether ending and claiming are two transactions, because together they failed.
    apart: bool,
}

/// Whether something may be claimed now.
enum Room {
    /// So many, from these lanes.
    For(usize, Lanes),
    /// All hands are full.
    Full,
    /// The API as a whole is down: nothing is tried, and nothing counts as failed.
    Down(Instant),
    /// The token is refused.
    Shut,
    /// The budget is used up.
    Spent,
}

impl Stage {
    fn new(refresher: Refresher) -> Self {
        Self {
            wait: Wait::new(refresher.store.wakeups().due, refresher.clock.clone()),
            gather: Gather::default(),
            in_hand: JoinSet::new(),
            ended: Ended::new(refresher.client.org().clone()),
            last_swept: Instant::now(),
            apart: false,
            refresher,
        }
    }

    /// Notes since when the organization is watched.
    async fn watch(&mut self, stop: &CancellationToken) {
        let Refresher {
            store, client, clock, ..
        } = &self.refresher;
        while let Err(error) = store.watch(client.org(), clock.wall()).await {
            error!(org = %client.org(), error = telemetry::chain(&error), "cannot note since when the organization is watched");
            self.wait.pause(AFTER_STORE_TROUBLE, stop).await;
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Notes what has ended, claims what is due, begins to fetch it, and waits until there is something to do.
    async fn turn(&mut self, stop: &CancellationToken) {
        self.collect();
        self.wait.mark_seen();
        let room = self.room().await;
        let begun = Instant::now();
        let claimed = self.end_and_claim(&room).await;
        self.gather.note(begun);
        match claimed {
            Ok(claimed) => {
                if matches!(room, Room::For(_, Lanes::SweepsFirst)) {
                    // Whether or not there was something: they had their turn.
                    self.last_swept = Instant::now();
                }
                let is_more_due =
                    !claimed.work.is_empty() && claimed.next_due.is_some_and(|due| due <= self.refresher.clock.now());
                self.begin(claimed.work);
                if is_more_due && self.in_hand.len() < self.refresher.config.concurrency.get() {
                    // What was just begun takes its requests off the budget first.
                    tokio::task::yield_now().await;
                } else {
                    self.rest(&room, claimed.next_due, stop).await;
                }
            }
            Err(error) => {
                let org = self.refresher.client.org();
                error!(%org, error = telemetry::chain(&error), "cannot note refreshes or claim what is due; it is tried again");
                self.apart = true;
                self.wait.pause(AFTER_STORE_TROUBLE, stop).await;
            }
        }
    }

    /// What goes next is chosen only when it can go: a live run that arrives while the budget is used up is then ahead of
    /// the retries.
    async fn room(&self) -> Room {
        let Refresher {
            breaker,
            limiter,
            share,
            gate,
            config,
            ..
        } = &self.refresher;
        let free = config.concurrency.get().saturating_sub(self.in_hand.len());
        if free == 0 {
            return Room::Full;
        }
        if let CircuitState::Open(until) = breaker.state() {
            return Room::Down(until);
        }
        let free = match gate.passage_now().await {
            None => return Room::Shut,
            // Alone: while the token is doubtful, one request shows as much as many.
            Some(Passage::Trial) if self.in_hand.is_empty() => 1,
            Some(Passage::Trial) => return Room::Full,
            Some(Passage::Open) => free,
        };
        // What sweeps found goes last, but not never: a flood of notifications may not keep their share from them.
        match (limiter.available(free), share.available(free)) {
            (0, _) => Room::Spent,
            (free, 0) => Room::For(free, Lanes::WithoutSweeps),
            (_, _) if self.last_swept.elapsed() >= SWEEPS_WAIT => Room::For(1, Lanes::SweepsFirst),
            (free, of_sweeps) => Room::For(free.min(of_sweeps), Lanes::All),
        }
    }

    /// Notes what has ended, and claims, in one transaction.
    async fn end_and_claim(&mut self, room: &Room) -> Result<Claimed<DueRefresh>, StoreError> {
        let Refresher {
            store,
            clock,
            client,
            config,
            ..
        } = &self.refresher;
        let now = clock.now();
        let ended = self.ended.next();
        let claim = match room {
            Room::For(limit, lanes) => Some((
                *lanes,
                Claim {
                    now,
                    lease: config.lease,
                    limit: *limit,
                    in_flight: None,
                },
            )),
            _ => None,
        };
        let nothing = Claimed {
            work: Vec::new(),
            next_due: None,
        };
        match claim {
            Some((lanes, claim)) if !ended.is_empty() && !self.apart => {
                let turn = store.end_and_claim(ended, client.org(), lanes, claim).await;
                let (ended, claimed) = match turn {
                    Ok(turn) => (Ok(turn.ended), turn.claimed),
                    Err(error) => (Err(error), nothing),
                };
                self.ended.note(ended)?;
                Ok(claimed)
            }
            claim => {
                if !ended.is_empty() {
                    let ended = store.end_refreshes(ended, now).await;
                    self.ended.note(ended)?;
                }
                match claim {
                    Some((lanes, claim)) => {
                        let claimed = store.claim_due(client.org(), lanes, claim).await?;
                        self.apart = false;
                        Ok(claimed)
                    }
                    None => Ok(nothing),
                }
            }
        }
    }

    /// Begins to fetch what was claimed.
    fn begin(&mut self, work: Vec<DueRefresh>) {
        if !work.is_empty() {
            torture::point("refresh.claimed");
        }
        for due in work {
            if due.lane == Lane::Sweep {
                self.last_swept = Instant::now();
                let _taken = self.refresher.share.try_acquire();
            }
            self.in_hand.spawn(self.refresher.clone().attempt(due));
        }
    }

    /// Takes what has ended.
    fn collect(&mut self) {
        while let Some(ended) = self.in_hand.try_join_next() {
            self.ended.add(ended);
        }
    }

    /// Until a fetch has ended, or something may be due and may be claimed.
    async fn rest(&mut self, room: &Room, next_due: Option<SchedulingTime>, stop: &CancellationToken) {
        let Refresher {
            limiter, gate, config, ..
        } = &self.refresher;
        let is_full = self.in_hand.len() >= config.concurrency.get();
        let is_more_to_note = !self.ended.is_empty();
        let claimable = async {
            match room {
                _ if is_more_to_note => {}
                _ if is_full => std::future::pending().await,
                Room::Full => std::future::pending().await,
                Room::Down(until) => tokio::time::sleep_until(*until).await,
                Room::Shut => drop(gate.passage(stop).await),
                Room::Spent => limiter.ready().await,
                Room::For(..) => self.wait.for_work(next_due, stop).await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = self.in_hand.join_next() => {
                self.ended.add(ended);
                for ended in self.gather.more(&mut self.in_hand).await {
                    self.ended.add(ended);
                }
            }
            () = claimable => {}
        }
    }

    /// Lets what is in hand come to its end. What waits for a request of the budget is given back instead: that may take
    /// an hour.
    async fn finish(&mut self) {
        loop {
            self.collect();
            if !self.ended.is_empty() {
                if self.end_and_claim(&Room::Full).await.is_err() {
                    tokio::time::sleep(AFTER_STORE_TROUBLE.min(self.ended.patience())).await;
                }
                continue;
            }
            if self.in_hand.is_empty() {
                return;
            }
            if self.in_hand.len() <= self.refresher.limiter.waiting() {
                self.refresher.give_back.cancel();
            }
            tokio::select! {
                Some(ended) = self.in_hand.join_next() => self.ended.add(ended),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
}
