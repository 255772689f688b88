//! `runs-worker serve`

use std::process::ExitCode;

use runs_store::StoreError;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{FAILED, MISUSED, Settings, fail};
use crate::worker::{StartError, Worker};
use crate::{config::Loaded, telemetry};

pub(super) async fn run(settings: &Settings) -> ExitCode {
    let loaded = match settings.load(true) {
        Ok(loaded) => loaded,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    if let Err(error) = telemetry::start_logging(&loaded.config.log) {
        return fail(MISUSED, &format!("configuration: {error}"));
    }
    let metrics = match telemetry::start_metrics() {
        Ok(metrics) => metrics,
        Err(error) => return fail(FAILED, &format!("cannot start metrics: {error}")),
    };
    // Before anything is started, so that no signal is missed.
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return fail(FAILED, &format!("cannot listen for signals: {error}")),
    };
    log_settings(&loaded);
    let mut worker = match Worker::builder(loaded).metrics(metrics).start().await {
        Ok(worker) => worker,
        Err(error) => {
            let advice = advice(&error).map(|advice| format!("\n  {advice}")).unwrap_or_default();
            return fail(FAILED, &format!("{}{advice}", telemetry::chain(&error)));
        }
    };
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        stage = worker.failed() => fail(FAILED, &format!("{stage} ended by itself; stopping")),
    };
    tokio::select! {
        () = worker.stop() => code,
        _ = terminate.recv() => fail(FAILED, "told to stop twice: leaving what is in hand to the next start"),
        _ = interrupt.recv() => fail(FAILED, "told to stop twice: leaving what is in hand to the next start"),
    }
}

fn log_settings(loaded: &Loaded) {
    if let Some(file) = &loaded.file {
        info!(file = %file.display(), "configuration read");
    }
}

/// What a person can do about it.
fn advice(error: &StartError) -> Option<&'static str> {
    match error {
        StartError::Listen { .. } => {
            Some("is another worker running? set another address with --listen or --admin-listen")
        }
        StartError::DataFolder { .. } => Some("set a folder that this user can write with --data-dir"),
        StartError::Store(StoreError::Held { .. }) => {
            Some("stop that worker first, or give this one a folder of its own with --data-dir")
        }
        StartError::Store(StoreError::NewerSchema { .. }) => {
            Some("start the version that wrote it, or a newer one; nothing was changed")
        }
        StartError::Store(StoreError::Corrupt { .. } | StoreError::NotAStore { .. }) => {
            Some("nothing was changed; restore the folder from a backup, or move it away to start afresh")
        }
        StartError::Store(StoreError::Full(_)) => Some("make space on that disk"),
        StartError::Store(_)
        | StartError::Client(_)
        | StartError::Config(_)
        | StartError::Handler(..)
        | StartError::HandlerTwice(_)
        | StartError::Interrupted(_) => None,
    }
}
