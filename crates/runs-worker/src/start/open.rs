//! Opening the intake log and the store.
//!
//! A sender tries once, so the worker receives as soon as the log is open. A store that is recovered, migrated, locked, or on
//! a full disk is waited for: what arrives meanwhile is in the log, where the store is asked first not before the time that it may
//! take for a webhook. What a person has to mend ends the start.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runs_store::intake_log::{IntakeLog, IntakeLogError};
use runs_store::{HandlerName, SchedulingTime, Store, StoreError, StoreLocation, WorkerIdentity, torture};
use tallyfy_transport::Backoff;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::StartError;
use super::stages::StoreStages;
use crate::clock::Clock;
use crate::config::{IntakeConfig, StoreConfig};
use crate::shared::late_store::LateStore;
use crate::{data_folder, telemetry};

/// The waits between attempts.
const PAUSE: Backoff = Backoff {
    initial: Duration::from_millis(250),
    max: Duration::from_secs(5),
};
/// How long the start waits for the store, so that it can say what is wrong with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the intake log; `None` if no folder of it can be used just now, where the store has to do.
pub(super) async fn open_log(intake: &IntakeConfig, store: &StoreConfig) -> Result<Option<Arc<IntakeLog>>, StartError> {
    let folder = store.folder();
    // Before the log makes its own folder in it.
    if intake.dirs.is_empty() {
        make_folder(&folder).or_else(|error| if is_passing(&error) { Ok(()) } else { Err(error) })?;
    }
    let settings = intake.settings(&folder);
    let opened = tokio::task::spawn_blocking(move || IntakeLog::open(settings)).await;
    match opened.map_err(StartError::Interrupted)? {
        Ok(log) => Ok(Some(Arc::new(log))),
        // To receive without it is better than not to receive.
        Err(reason @ IntakeLogError::Unavailable { .. }) => {
            error!(%reason, "there is no intake log: what the store cannot take at once is lost");
            Ok(None)
        }
        Err(reason) => Err(reason.into()),
    }
}

fn make_folder(folder: &std::path::Path) -> Result<(), StartError> {
    data_folder::make_private(folder).map_err(|source| StartError::DataFolder {
        path: folder.to_owned(),
        source,
    })
}

/// Opens the store.
pub(super) struct Opener {
    /// The folder of what is kept on this machine.
    pub(super) folder: PathBuf,
    /// Where the store is.
    pub(super) location: StoreLocation,
    /// Who opens it.
    pub(super) worker: WorkerIdentity,
    /// The store that was given in the place of that of the configuration.
    pub(super) given: Option<Arc<dyn Store>>,
    pub(super) handlers: Vec<HandlerName>,
    pub(super) clock: Clock,
}

/// How far the opening is.
pub(super) enum Opening {
    Open(Arc<dyn Store>),
    /// It takes long.
    UnderWay(JoinHandle<Result<Arc<dyn Store>, StartError>>),
    /// It failed, for a reason that may go away.
    TryAgain,
}

impl Opener {
    /// Opens it, and tells it who the handlers are.
    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, StartError> {
        let store = match &self.given {
            Some(store) => Arc::clone(store),
            None => self.open_location().await?,
        };
        torture::point("start.opened");
        if let Ok(Some(shown)) = store.time().await {
            self.clock.hold_to(shown);
        }
        let now = self.clock.now();
        let mut told = store.set_handlers(&self.handlers, now).await;
        torture::point("start.handlers-set");
        if told.is_ok() {
            told = warn_of_leftovers(store.as_ref(), now).await;
        }
        if let Err(error) = told {
            if self.given.is_none() {
                store.close().await;
            }
            return Err(error.into());
        }
        Ok(store)
    }

    async fn open_location(&self) -> Result<Arc<dyn Store>, StartError> {
        if self.location.has_one_worker() {
            make_folder(&self.folder)?;
        }
        Ok(self.location.open(&self.worker, self.clock.now()).await?)
    }

    /// Opens it before the worker receives.
    pub(super) async fn open_now(&self, late: &LateStore) -> Result<Opening, StartError> {
        let store = self.open().await?;
        late.opened(Arc::clone(&store));
        Ok(Opening::Open(store))
    }

    /// Runs what needs the store, as soon as it is open. The name of what ended.
    pub(super) async fn run_when_open(
        self: Arc<Self>,
        opening: Opening,
        late: LateStore,
        stages: StoreStages,
        stop: CancellationToken,
    ) -> &'static str {
        match self.finish(opening, &late, &stop).await {
            Some(store) => stages.run(store, stop).await,
            None => "open",
        }
    }

    /// Begins to open it while the worker receives. An error is one that a person has to mend.
    pub(super) async fn begin(self: &Arc<Self>, late: &LateStore) -> Result<Opening, StartError> {
        let opener = Arc::clone(self);
        let mut opening = tokio::spawn(async move { opener.open().await });
        match tokio::time::timeout(PATIENCE, &mut opening).await {
            Ok(opened) => settle(opened.map_err(StartError::Interrupted)?, late),
            Err(_) => {
                warn!("the store takes long to open: webhooks are received, and nothing else is done");
                Ok(Opening::UnderWay(opening))
            }
        }
    }

    /// Tries until it is open. `None` if the worker stops first, or if a person has to mend something.
    pub(super) async fn finish(
        &self,
        mut opening: Opening,
        late: &LateStore,
        stop: &CancellationToken,
    ) -> Option<Arc<dyn Store>> {
        let mut failures = 0;
        loop {
            let opened = match opening {
                Opening::Open(store) => return Some(store),
                Opening::UnderWay(under_way) => {
                    let opened = stop.run_until_cancelled(under_way).await?;
                    opened.map_err(StartError::Interrupted).flatten()
                }
                Opening::TryAgain => {
                    failures += 1;
                    let pause = PAUSE.full(failures);
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await?;
                    self.open().await
                }
            };
            if opened.is_ok() {
                info!("the store is open now");
            }
            opening = settle(opened, late)
                .inspect_err(|error| error!(reason = telemetry::chain(error), "the store cannot be opened"))
                .ok()?;
        }
    }
}

/// What a try to open the store leads to.
fn settle(opened: Result<Arc<dyn Store>, StartError>, late: &LateStore) -> Result<Opening, StartError> {
    match opened {
        Ok(store) => {
            late.opened(Arc::clone(&store));
            Ok(Opening::Open(store))
        }
        Err(error) if is_passing(&error) => {
            let reason = telemetry::chain(&error);
            if late.failed(reason.clone()) {
                error!(
                    reason,
                    "the store cannot be opened yet: webhooks are received, and nothing else is done"
                );
            } else {
                debug!(reason, "the store cannot be opened yet");
            }
            Ok(Opening::TryAgain)
        }
        Err(error) => Err(error),
    }
}

/// Whether it may go away by itself. What does not is for a person to see at once.
fn is_passing(error: &StartError) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error {
        StartError::Store(StoreError::Full(_)) => true,
        StartError::Store(StoreError::Unavailable { source, .. }) => {
            let system = source.downcast_ref::<io::Error>().map(io::Error::kind);
            !matches!(system, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound))
        }
        StartError::DataFolder { source, .. } => {
            matches!(source.kind(), StorageFull | ReadOnlyFilesystem | QuotaExceeded)
        }
        _ => false,
    }
}

/// What waits for a handler that is not configured any more would otherwise wait unseen.
async fn warn_of_leftovers(store: &dyn Store, now: SchedulingTime) -> Result<(), StoreError> {
    for left in store.stats(now).await?.handlers {
        if !left.active && left.waiting > 0 {
            warn!(
                handler = %left.handler, events = left.waiting,
                "events wait for a handler that is not configured; they are kept, and delivered when it is back"
            );
        }
    }
    Ok(())
}
