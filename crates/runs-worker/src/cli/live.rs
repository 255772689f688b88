//! The worker of `serve`, and how it takes over a configuration that is read again: all of it, or nothing, with the reason.
//!
//! Path secrets, tokens and the log filter are replaced while it works. For anything else it stops as at every stop, finishing
//! what is in hand, and another one starts in the same process and behind the same sockets, at which senders wait meanwhile.

use std::collections::BTreeSet;
use std::io;

use tracing::{error, info};

use super::Settings;
use crate::config::Loaded;
use crate::front_door::{self, HandedOver};
use crate::start::{StartError, WorkerBuilder};
use crate::telemetry::{self, LogFilter};
use crate::worker::Worker;

/// What a process begins with: where its state is, where it listens, how it logs.
const TAKES_A_RESTART: [&str; 4] = ["store.", "intake.", "receive.listen", "admin.listen"];
const LOG_FILTER: &str = "log.filter";

/// What every worker of this process is made with.
#[derive(Clone)]
pub(super) struct Parts {
    #[cfg(feature = "prometheus")]
    metrics: metrics_exporter_prometheus::PrometheusHandle,
}

/// A worker that runs, and what it was started with.
pub(super) struct Live {
    pub(super) worker: Worker,
    loaded: Loaded,
    parts: Parts,
}

impl Parts {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(feature = "prometheus")]
            metrics: telemetry::start_metrics().map_err(io::Error::other)?,
        })
    }

    fn builder(&self, loaded: Loaded, sockets: HandedOver) -> WorkerBuilder {
        let builder = Worker::builder(loaded).sockets(sockets);
        #[cfg(feature = "prometheus")]
        let builder = builder.metrics(self.metrics.clone());
        builder
    }
}

impl Live {
    pub(super) async fn start(loaded: Loaded, sockets: HandedOver, parts: Parts) -> Result<Self, StartError> {
        front_door::raise_descriptors(loaded.config.receive.max_connections.get());
        let worker = parts.builder(loaded.clone(), sockets).start().await?;
        Ok(Self { worker, loaded, parts })
    }

    /// Reads the configuration again and takes it over.
    ///
    /// # Errors
    /// If neither the new configuration nor the one before can be started with any more.
    pub(super) async fn reload(mut self, settings: &Settings, log: &LogFilter) -> Result<Self, StartError> {
        let mut loaded = match settings.load(true) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                let error = telemetry::chain(&mistakes);
                error!(error, "the configuration is not taken over: it has mistakes");
                return Ok(self);
            }
        };
        // Of the command line, and of the start alone.
        loaded.config.reconcile.backfill |= self.loaded.config.reconcile.backfill;
        let changed = self.loaded.sections.different(&loaded.sections);
        let fixed: Vec<&str> = changed
            .iter()
            .map(String::as_str)
            .filter(|key| takes_a_restart(key))
            .collect();
        if !fixed.is_empty() {
            let keys = fixed.join(",");
            error!(keys, "the configuration is not taken over: these keys take a restart");
            return Ok(self);
        }
        if let Err(error) = self.parts.builder(loaded.clone(), HandedOver::default()).check() {
            let error = telemetry::chain(&error);
            error!(error, "the configuration is not taken over");
            return Ok(self);
        }
        if changed.iter().all(|key| key == LOG_FILTER) {
            if let Err(error) = self.worker.reload(&loaded) {
                let error = telemetry::chain(&error);
                error!(error, "the configuration is not taken over");
                return Ok(self);
            }
            self.loaded = loaded;
        } else {
            self = self.replaced_by(loaded, &changed).await?;
        }
        if let Err(error) = log.set(&self.loaded.config.log) {
            error!(%error, "the log filter is not taken over");
        }
        super::serve::log_settings(&self.loaded);
        Ok(self)
    }

    /// Stops, and starts with this configuration; with the one before, if that fails.
    async fn replaced_by(self, loaded: Loaded, changed: &BTreeSet<String>) -> Result<Self, StartError> {
        let changed = changed.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        info!(changed, "the configuration is taken over: senders wait meanwhile");
        let doors = self.worker.stop_behind_open_doors().await;
        let again = doors.duplicates();
        match Self::start(loaded, doors, self.parts.clone()).await {
            Ok(live) => {
                info!(changed, "the configuration was taken over");
                Ok(live)
            }
            Err(error) => {
                let error = telemetry::chain(&error);
                error!(
                    error,
                    "the configuration is not taken over: the worker goes on with the one before"
                );
                Self::start(self.loaded, again.unwrap_or_default(), self.parts).await
            }
        }
    }
}

fn takes_a_restart(key: &str) -> bool {
    (key.starts_with("log.") && key != LOG_FILTER) || TAKES_A_RESTART.iter().any(|fixed| key.starts_with(fixed))
}
