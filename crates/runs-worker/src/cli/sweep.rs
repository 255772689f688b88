//! `runs-worker sync` and `runs-worker audit`: sweeps that a person asks for.
//!
//! A running worker does them within its budget, and these commands look on. Where none runs, they hold the store
//! themselves and do the sweep in its place.
//!
//! A second process with a limiter of its own would not keep the budget.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use runs_store::{
    Finding, Store, StoreError, StoreLocation, Sweep, SweepFound, SweepKind, SweepOrder, SweepPhase, SweepScope, Sweeps,
};
use serde_json::json;
use tallyfy_model::{OrgId, RunId};
use tallyfy_transport::CircuitBreaker;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::print::plural;
use super::workers::is_here;
use super::{FAILED, MISUSED, Settings, fail};
use crate::clock::Clock;
use crate::config::{Loaded, Organization, ReconcileScope};
use crate::fetching::Fetching;
use crate::identity::identity;
use crate::redact::PathSecrets;
use crate::vitals::Vitals;
use crate::{api, data_folder, telemetry};

/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After how long without anything new to say so.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many findings are listed.
const MOST_FINDINGS: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    which: Which,
    /// Make an event of each run that was never fetched, however old it is
    #[arg(long)]
    backfill: bool,
}

#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// The organization [default: all]
    #[arg(long, value_name = "ORG_ID")]
    org: Option<OrgId>,
    /// Only runs that are active [default: reconcile.scope of the configuration]
    #[arg(long)]
    active: bool,
    /// One JSON object for each organization, for programs
    #[arg(long)]
    json: bool,
}

impl Sync {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let ended = sweep_all(settings, &self.which, SweepKind::Sync, self.backfill).await;
        ended.map_or_else(|code| code, |_| ExitCode::SUCCESS)
    }
}

impl Audit {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        match sweep_all(settings, &self.which, SweepKind::Audit, false).await {
            Ok(0) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(FAILED),
            Err(code) => code,
        }
    }
}

/// How many runs differ in all.
async fn sweep_all(settings: &Settings, which: &Which, kind: SweepKind, backfill: bool) -> Result<u64, ExitCode> {
    let loaded = settings
        .load(false)
        .map_err(|error| fail(MISUSED, &error.to_string()))?;
    let wanted = |organization: &&Organization| which.org.as_ref().is_none_or(|org| *org == organization.id);
    let organizations: Vec<&Organization> = loaded.organizations.iter().filter(wanted).collect();
    if organizations.is_empty() {
        return Err(fail(MISUSED, "that organization is not configured"));
    }
    let order = SweepOrder {
        kind,
        scope: match loaded.config.reconcile.scope {
            _ if which.active => SweepScope::Active,
            ReconcileScope::Active => SweepScope::Active,
            ReconcileScope::All | ReconcileScope::Off => SweepScope::All,
        },
        backfill,
    };
    let failed = |error: StoreError| fail(FAILED, &telemetry::chain(&error));
    let seat = Seat::take(&loaded, kind).await?;
    let mut differ = 0;
    for organization in organizations {
        let number = seat.ask(&loaded, organization, order).await?;
        let sweep = seat.follow(&organization.id, number, kind).await.map_err(failed)?;
        differ += sweep.found.missing();
        let findings = seat
            .store
            .findings(&organization.id, MOST_FINDINGS)
            .await
            .map_err(failed)?;
        if which.json {
            show_json(&organization.id, &sweep, &findings);
        } else {
            show(&organization.id, &sweep, &findings, seat.is_beside);
        }
    }
    seat.store.close().await;
    Ok(differ)
}

/// From where the store is worked on.
struct Seat {
    store: Arc<dyn Store>,
    /// Whether a worker holds the store, which then does the sweep.
    is_beside: bool,
}

impl Seat {
    /// An audit looks at a store that is there; a sync may be the first to make one.
    async fn take(loaded: &Loaded, kind: SweepKind) -> Result<Self, ExitCode> {
        let location = loaded
            .config
            .store
            .location()
            .map_err(|error| fail(MISUSED, &error.to_string()))?;
        if !location.has_one_worker() {
            return Self::beside_workers(&location).await;
        }
        let folder = loaded.config.store.folder();
        let file = data_folder::store_file(&folder);
        if kind == SweepKind::Audit && !file.exists() {
            return Err(fail(FAILED, &telemetry::chain(&StoreError::Missing { path: file })));
        }
        data_folder::make_private(&folder).map_err(|error| {
            fail(
                FAILED,
                &format!("cannot use the data folder {}: {error}", folder.display()),
            )
        })?;
        let failed = |error: StoreError| fail(FAILED, &telemetry::chain(&error));
        match location.open(&identity(), Clock::system().now()).await {
            Ok(store) => {
                // No worker's log would say what is wrong with the API.
                let mut log = loaded.config.log.clone();
                "warn".clone_into(&mut log.filter);
                telemetry::start_logging(&log).map_err(|error| fail(FAILED, &error.to_string()))?;
                Ok(Self {
                    store,
                    is_beside: false,
                })
            }
            Err(StoreError::Held { .. }) => {
                let store = location.open_beside().await.map_err(failed)?;
                Ok(Self { store, is_beside: true })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Where several workers have the store, the one that holds the organization's seat does the sweep.
    async fn beside_workers(location: &StoreLocation) -> Result<Self, ExitCode> {
        let failed = |error: StoreError| fail(FAILED, &telemetry::chain(&error));
        let store = location.open_beside().await.map_err(failed)?;
        let workers = store.workers().await.map_err(failed)?;
        if !workers.iter().any(is_here) {
            return Err(fail(
                FAILED,
                "no worker runs on this database that would do the sweep; start one first",
            ));
        }
        Ok(Self { store, is_beside: true })
    }

    /// Asks for a sweep, and does it if no worker would. Its number.
    async fn ask(&self, loaded: &Loaded, organization: &Organization, order: SweepOrder) -> Result<u64, ExitCode> {
        let failed = |error: StoreError| fail(FAILED, &telemetry::chain(&error));
        let asked = self.store.ask_for_sweep(&organization.id, order).await;
        let number = asked.map_err(failed)?;
        if !self.is_beside {
            self.sweep(loaded, organization)?;
        }
        Ok(number)
    }

    /// First what an earlier process left, then what was asked for.
    fn sweep(&self, loaded: &Loaded, organization: &Organization) -> Result<(), ExitCode> {
        let network = api::network(&loaded.config.api).map_err(|error| fail(FAILED, &telemetry::chain(&error)))?;
        let fetching = Fetching::new(
            &loaded.config,
            organization,
            Arc::new(network),
            CircuitBreaker::new(api::breaker_settings()),
            PathSecrets::new(&loaded.organizations),
            Vitals::new(Clock::system().wall()),
        )
        .map_err(|error| fail(FAILED, &telemetry::chain(&error)))?;
        let (_, losses) = watch::channel(0);
        let store = Arc::clone(&self.store);
        let reconciler = fetching.reconciler(&loaded.config, store.clone(), Clock::system(), losses);
        let org = organization.id.clone();
        tokio::spawn(async move {
            let stop = CancellationToken::new();
            while let Ok(Sweeps { latest, asked }) = store.sweeps(&org).await {
                let unfinished = latest.filter(|sweep| !sweep.is_finished()).map(|sweep| sweep.order);
                let Some(order) = unfinished.or(asked) else { break };
                reconciler.sweep(order, &stop).await;
            }
        });
        Ok(())
    }

    /// Shows how the sweep goes on until it is over.
    async fn follow(&self, org: &OrgId, number: u64, kind: SweepKind) -> Result<Sweep, StoreError> {
        let mut progress = Progress::new(org, kind);
        let (mut seen, mut unchanged_for) = (None, Duration::ZERO);
        loop {
            let latest = self.store.sweeps(org).await?.latest;
            if let Some(sweep) = latest.clone().filter(|sweep| sweep.number >= number) {
                if sweep.is_finished() {
                    progress.end();
                    return Ok(sweep);
                }
                progress.show(&sweep);
            }
            if latest == seen {
                unchanged_for += LOOK_EVERY;
            } else {
                (seen, unchanged_for) = (latest, Duration::ZERO);
            }
            if unchanged_for == PATIENCE {
                progress.say(if self.is_beside {
                    "nothing moves: the budget may be used up, or the API cannot be used; see the worker's log and /health/ready"
                } else {
                    "nothing moves: the budget may be used up, or the API cannot be used; Ctrl-C ends this, the sweep goes on later"
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A bar on a terminal, lines elsewhere.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    shown: Option<SweepPhase>,
}

impl Progress {
    fn new(org: &OrgId, kind: SweepKind) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} runs, {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let what = match kind {
            SweepKind::Sync => "sync",
            SweepKind::Audit => "audit",
        };
        bar.set_prefix(format!("{what} of {org}"));
        Self {
            bar,
            is_terminal,
            shown: None,
        }
    }

    fn show(&mut self, sweep: &Sweep) {
        let found = sweep.found;
        let step = match sweep.phase {
            SweepPhase::Listing { pass: 1, page } => format!("page {page}"),
            SweepPhase::Listing { pass, page } => format!("page {page}, pass {pass}"),
            SweepPhase::Closing | SweepPhase::Finished(_) => "looking at those that are not in the list".to_owned(),
        };
        self.bar.set_length(sweep.total.unwrap_or(found.listed));
        self.bar.set_position(found.listed);
        let message = format!("{} differ, {step}", found.missing());
        if self.shown != Some(sweep.phase) {
            self.shown = Some(sweep.phase);
            if !self.is_terminal {
                self.say(&format!("{} runs listed, {message}", found.listed));
            }
        }
        self.bar.set_message(message);
    }

    #[expect(clippy::print_stderr, reason = "this is for the person who waits")]
    fn say(&self, line: &str) {
        let prefix = self.bar.prefix();
        self.bar.suspend(|| eprintln!("{prefix}: {line}"));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::New => "new",
        Finding::Changed => "changed",
        Finding::Vanished => "vanished",
        Finding::Pending => "pending",
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn show_json(org: &OrgId, sweep: &Sweep, findings: &[(RunId, Finding)]) {
    let SweepFound {
        listed,
        new,
        changed,
        vanished,
        pending,
    } = sweep.found;
    let findings: Vec<_> = findings
        .iter()
        .map(|(run, what)| json!({"run": run.as_str(), "what": word(*what)}))
        .collect();
    println!(
        "{}",
        json!({
            "org": org.as_str(), "sweep": sweep.number, "listed": listed, "missing": sweep.found.missing(),
            "new": new, "changed": changed, "vanished": vanished, "pending": pending, "findings": findings,
        })
    );
}

/// What an audit says of the runs that it compared.
fn differing(found: SweepFound) -> String {
    let differ = match found.missing() {
        1 => "1 differs".to_owned(),
        count => format!("{count} differ"),
    };
    match (found.missing(), found.pending) {
        (0, 0) => "all up to date".to_owned(),
        (_, 0) => differ,
        (_, 1) => format!("{differ}, 1 waits to be fetched already"),
        (_, pending) => format!("{differ}, {pending} wait to be fetched already"),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn show(org: &OrgId, sweep: &Sweep, findings: &[(RunId, Finding)], beside: bool) {
    for (run, what) in findings {
        println!("{:<9} {run}", word(*what));
    }
    let found = sweep.found;
    let all = found.listed + found.vanished;
    let pending = match found.pending {
        0 => String::new(),
        pending => format!(", {pending} waiting to be fetched already"),
    };
    match sweep.order.kind {
        SweepKind::Audit => println!("{org}: {} compared, {}", plural(all, "run"), differing(found)),
        SweepKind::Sync => {
            let then = match (found.missing(), beside) {
                (0, _) => "",
                (_, true) => "; they are being fetched",
                (_, false) => "; they are fetched when the worker runs",
            };
            println!(
                "{org}: {}, {} new, {} changed, {} vanished without a webhook{pending}{then}",
                plural(all, "run"),
                found.new,
                found.changed,
                found.vanished
            );
            if sweep.baseline && !sweep.order.backfill {
                println!("{org}: the first sweep only records which runs exist; --backfill makes events of them");
            }
        }
    }
}
