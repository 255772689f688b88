//! Reconcile: walks the run list now and then, and makes those runs due that changed without a webhook.
//!
//! There is no list of what changed since a time, and no order but that of creation can be relied on (API reference,
//! section e.5), so a sweep reads all of the list. It keeps its place in the store, so that it goes on there after a
//! restart, and compares by what the list has in common with a run: its status and when it was last updated.
//!
//! A page may be missed because runs that leave the list move others to a page that was read already. Where fewer runs
//! were seen than the API says there are, the list is read again, and runs that are known and were not seen are fetched.
//!
//! Sweeps have a share of the budget of their own, as a limit and as a right: a page, and what a sweep found, wait behind
//! webhooks for half a minute and a minute at most. A flood of notifications cannot switch reconciliation off.

mod schedule;
mod verdict;
mod version;

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use runs_store::{
    Lanes, Listed, ListedPage, Recorded, Store, StoreError, Sweep, SweepKind, SweepOrder, SweepPhase, SweepScope,
};
use tallyfy_model::{ApiTime, Run, RunStatus};
use tallyfy_runs::{Archived, Client, Error, ListRunsOptions, Page, Pages, RunOrder};
use tallyfy_transport::{Backoff, RateLimiter};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::config::ReconcileConfig;
use crate::refresh::TokenGate;
use crate::telemetry;
use crate::wait::AFTER_STORE_TROUBLE;

use schedule::Reasons;
pub(crate) use version::{is_older, version};

/// The longest between two looks at the store: a person may have asked for a sweep there.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many runs that were not in the list are looked at in one transaction.
const CLOSING_BATCH: usize = 200;
/// How long a page waits for runs that a webhook told of, and how often it looks whether they still wait.
const YIELD: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(100));
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(5 * 60),
};

/// The kinds of sweeps, and what they find, as metrics say it.
pub(crate) const KINDS: [&str; 2] = ["sync", "audit"];
pub(crate) const FOUND: [&str; 3] = ["new", "changed", "vanished"];

/// The reconciling stage of one organization.
#[derive(Clone)]
pub(crate) struct Reconciler {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) client: Client,
    pub(crate) limiter: RateLimiter,
    /// What sweeps may use of that, and the fetches that they lead to.
    pub(crate) share: RateLimiter,
    pub(crate) gate: Arc<TokenGate>,
    pub(crate) config: ReconcileConfig,
    /// Changes when a webhook was turned away although it was genuine.
    pub(crate) losses: watch::Receiver<u64>,
}

/// Why a sweep did not go on.
enum Trouble {
    Api(Error),
    Store(StoreError),
    Stopped,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Reconciler {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut reasons = Reasons {
            last_ended: None,
            lost_at: None,
        };
        let mut resumed = false;
        while !stop.is_cancelled() {
            let next = match self.store.sweeps(self.client.org()).await {
                Ok(sweeps) => {
                    resumed = sweeps.latest.as_ref().is_some_and(|sweep| !sweep.is_finished());
                    if let Some(SweepPhase::Finished(at)) = sweeps.latest.as_ref().map(|sweep| sweep.phase) {
                        self.note_last(at);
                    }
                    schedule::next(&sweeps, &self.config, reasons, Instant::now())
                }
                Err(error) => {
                    let error = telemetry::chain(&error);
                    error!(org = %self.client.org(), error, "cannot see how the sweeps stand");
                    Err(AFTER_STORE_TROUBLE)
                }
            };
            match next {
                Ok(order) => {
                    self.losses.mark_unchanged();
                    reasons.lost_at = None;
                    // What an earlier process began says nothing of the time since it ended.
                    if self.sweep(order, &stop).await && !resumed && order.kind == SweepKind::Sync {
                        reasons.last_ended = Some(Instant::now());
                    }
                }
                Err(wait) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
                    Ok(()) = self.losses.changed() => {
                        reasons.lost_at = reasons.lost_at.or_else(|| Some(Instant::now()));
                    }
                },
            }
        }
    }

    /// Begins a sweep, or goes on with the one that is under way. Whether it came to its end.
    pub(crate) async fn sweep(&self, order: SweepOrder, stop: &CancellationToken) -> bool {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let trouble = match self.go_on(order, stop, &mut failures).await {
                Ok(sweep) => {
                    self.report(&sweep);
                    return true;
                }
                Err(trouble) => trouble,
            };
            failures += 1;
            let wait = match trouble {
                Trouble::Stopped => break,
                Trouble::Api(error) => self.api_trouble(&error, failures),
                Trouble::Store(StoreError::LeaseLost) => {
                    debug!(org = %self.client.org(), "somebody else went on with the sweep");
                    AFTER_STORE_TROUBLE
                }
                Trouble::Store(error) => {
                    let error = telemetry::chain(&error);
                    error!(org = %self.client.org(), error, "a sweep cannot go on");
                    AFTER_STORE_TROUBLE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        false
    }

    async fn go_on(&self, order: SweepOrder, stop: &CancellationToken, failures: &mut u32) -> Result<Sweep, Trouble> {
        let org = self.client.org();
        let mut sweep = self.store.start_sweep(org, order, self.clock.wall()).await?;
        debug!(%org, sweep = sweep.number, phase = ?sweep.phase, "sweep");
        let mut pages = None;
        loop {
            match sweep.phase {
                SweepPhase::Listing { pass, page } => {
                    let reading = pages.get_or_insert_with(|| self.pages(sweep.order.scope, page));
                    self.turn(stop).await?;
                    let generation = self.gate.generation().await;
                    let read = reading.next().await;
                    if let Err(error @ (Error::TokenRefused { .. } | Error::Credentials { .. })) = &read {
                        self.gate
                            .refused(generation, &telemetry::chain(error), self.clock.wall());
                    }
                    match read.map_err(Trouble::Api)? {
                        Some(read) => {
                            let listed = self.listed(&sweep, pass, &read);
                            sweep = self.store.record_page(org, listed, self.clock.now()).await?;
                            let found = sweep.found;
                            debug!(%org, sweep = sweep.number, pass, page = read.number, listed = found.listed, differ = found.missing(), "a page was compared");
                        }
                        None => {
                            pages = None;
                            let (phase, wait) = verdict::after_list(&sweep, pass, self.clock.wall());
                            if !wait.is_zero() {
                                warn!(
                                    %org, sweep = sweep.number, pass, listed = sweep.found.listed, total = sweep.total,
                                    known = sweep.expected, again_in = ?wait, "the run list contradicts itself; it is read again"
                                );
                                stop.run_until_cancelled(tokio::time::sleep(wait))
                                    .await
                                    .ok_or(Trouble::Stopped)?;
                            }
                            sweep = self.store.move_sweep(org, &sweep, phase).await?;
                        }
                    }
                    *failures = 0;
                    self.gate.accepted();
                }
                SweepPhase::Closing => {
                    let (closing, more) = self
                        .store
                        .close_sweep(org, sweep.number, CLOSING_BATCH, self.clock.now())
                        .await?;
                    sweep = closing;
                    if !more {
                        let finished = SweepPhase::Finished(self.clock.wall());
                        sweep = self.store.move_sweep(org, &sweep, finished).await?;
                    }
                }
                SweepPhase::Finished(_) => return Ok(sweep),
            }
        }
    }

    fn pages(&self, scope: SweepScope, page: u32) -> Pages<Run> {
        let options = ListRunsOptions::default().with_order(RunOrder::NewestFirst);
        let options = match scope {
            SweepScope::All => options.with_archived(Archived::Also),
            SweepScope::Active => options.with_status(RunStatus::Active),
        };
        self.client.list_runs(&options).starting_at(page)
    }

    fn listed(&self, sweep: &Sweep, pass: u32, page: &Page<Run>) -> ListedPage {
        if !page.unreadable.is_empty() {
            let runs = page.unreadable.len();
            warn!(org = %self.client.org(), page = page.number, runs, "runs in the list have no id and cannot be looked at");
        }
        let listed = |run: &Run| Listed {
            run: run.id().clone(),
            version: version(run, None),
            shows: Recorded {
                complete: run.is_complete(),
                archived: run.is_archived(),
            },
            created_at: run.created_at.get().and_then(ApiTime::timestamp),
        };
        ListedPage {
            sweep: sweep.number,
            pass,
            page: page.number,
            runs: page.items.iter().map(listed).collect(),
            total: page.pagination.total.get().and_then(|&total| u64::try_from(total).ok()),
        }
    }

    /// Waits until a page may be asked for: the token works, the sweeps' share allows it, and nothing that a webhook told
    /// of waits for the same budget. For that it waits only so long, or a flood of webhooks would keep it out for ever.
    async fn turn(&self, stop: &CancellationToken) -> Result<(), Trouble> {
        let until_it_may = async {
            if self.gate.passage(stop).await.is_none() {
                return Ok(());
            }
            let _permit = self.share.acquire().await;
            let (longest, look_every) = YIELD;
            let until = Instant::now() + longest;
            loop {
                self.limiter.ready().await;
                let next_due = self.store.next_due(self.client.org(), Lanes::WithoutSweeps).await?;
                let waits = next_due.is_some_and(|due| due <= self.clock.now());
                if !waits || Instant::now() >= until {
                    return Ok(());
                }
                tokio::time::sleep(look_every).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => Err(Trouble::Stopped),
            ready = until_it_may => ready,
        }
    }

    /// Says what is wrong, and how long to wait.
    fn api_trouble(&self, error: &Error, failures: u32) -> Duration {
        let wait = match error {
            // The limiter and the gate make everybody wait.
            Error::RateLimited { .. } | Error::TokenRefused { .. } | Error::Credentials { .. } => BACKOFF.initial,
            _ => BACKOFF.wait(failures, rand::random()),
        };
        let reason = telemetry::chain(error);
        warn!(org = %self.client.org(), reason, failures, again_in = ?wait, "the run list cannot be read; the sweep goes on later");
        wait
    }

    /// Shows when the last sweep ended, which may have been in an earlier process.
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    fn note_last(&self, at: jiff::Timestamp) {
        gauge!("runs_worker_last_sweep_timestamp_seconds", "org" => self.client.org().to_string())
            .set(at.as_millisecond() as f64 / 1000.0);
    }

    fn report(&self, sweep: &Sweep) {
        let org = self.client.org();
        let found = sweep.found;
        let [sync, audit] = KINDS;
        let kind = match sweep.order.kind {
            SweepKind::Sync => sync,
            SweepKind::Audit => audit,
        };
        counter!("runs_worker_sweeps_total", "org" => org.to_string(), "kind" => kind).increment(1);
        self.note_last(self.clock.wall());
        for (what, count) in FOUND.into_iter().zip([found.new, found.changed, found.vanished]) {
            counter!("runs_worker_sweep_found_total", "org" => org.to_string(), "kind" => kind, "what" => what)
                .increment(count);
        }
        if sweep.baseline && !sweep.order.backfill {
            info!(
                %org, runs = found.listed,
                "the first sweep recorded which runs exist; no events are made of what happened before it (--backfill makes them)"
            );
        }
        info!(
            %org, sweep = sweep.number, kind, listed = found.listed, new = found.new, changed = found.changed,
            vanished = found.vanished, pending = found.pending, "sweep finished"
        );
    }
}
