//! `runs-worker serve`

use std::io;
use std::process::ExitCode;

use clap::Args;
use nix::sys::signal::Signal as Number;
use runs_store::StoreError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::live::{Live, Parts};
use super::{FAILED, Listening, MISUSED, Settings, fail};
use crate::config::{Loaded, readable_by_others};
use crate::front_door::HandedOver;
use crate::handler::reap_orphans;
use crate::start::StartError;
use crate::{service_manager, telemetry};

#[derive(Debug, Default, Args)]
pub(super) struct Serve {
    /// Make events for all runs that there are, not only from now on
    #[arg(long)]
    backfill: bool,
    #[command(flatten)]
    pub(super) listening: Listening,
}

impl Serve {
    pub(super) async fn run(self, settings: &Settings, sockets: HandedOver) -> ExitCode {
        match settings.load(true) {
            Ok(mut loaded) => {
                loaded.config.reconcile.backfill |= self.backfill;
                serve(settings, loaded, sockets).await
            }
            Err(error) => fail(MISUSED, &error.to_string()),
        }
    }
}

/// What others send to a process by habit (whoever rotates logs), by mistake, or because it has written as much as a file may
/// have. By default each ends a process at once.
const NOT_FOR_US: [Number; 7] = [
    Number::SIGUSR1,
    Number::SIGUSR2,
    Number::SIGALRM,
    Number::SIGVTALRM,
    Number::SIGPROF,
    Number::SIGIO,
    Number::SIGXFSZ,
];

fn ignore_what_is_not_for_us() {
    for number in NOT_FOR_US {
        // From now on it is caught, and nobody asks for it.
        if let Err(error) = signal(SignalKind::from_raw(number as i32)) {
            warn!(%error, signal = number.as_str(), "this signal would end the worker");
        }
    }
}

async fn serve(settings: &Settings, loaded: Loaded, sockets: HandedOver) -> ExitCode {
    let log = match telemetry::start_logging(&loaded.config.log) {
        Ok(log) => log,
        Err(error) => return fail(MISUSED, &format!("configuration: {error}")),
    };
    // Before anything is started, so that no signal is missed.
    let (mut stop, mut hang_up) = match StopSignals::new().and_then(|stop| Ok((stop, signal(SignalKind::hangup())?))) {
        Ok(signals) => signals,
        Err(error) => return fail(FAILED, &format!("cannot listen for signals: {error}")),
    };
    ignore_what_is_not_for_us();
    log_settings(&loaded);
    tokio::spawn(reap_orphans());
    let parts = match Parts::new() {
        Ok(parts) => parts,
        Err(error) => return fail(FAILED, &format!("cannot start metrics: {error}")),
    };
    let mut live = match Live::start(loaded, sockets, parts).await {
        Ok(live) => live,
        Err(error) => return cannot_start(&error),
    };
    service_manager::ready();
    let watchdog = tokio::spawn(service_manager::keep_watchdog());
    let code = loop {
        tokio::select! {
            () = stop.recv() => break ExitCode::SUCCESS,
            _ = hang_up.recv() => live = match live.reload(settings, &log).await {
                Ok(live) => live,
                Err(error) => return cannot_start(&error),
            },
            stage = live.worker.failed() => break fail(FAILED, &format!("{stage} ended by itself; stopping")),
        }
    };
    service_manager::stopping();
    let code = tokio::select! {
        () = live.worker.stop() => code,
        () = stop.recv() => fail(FAILED, "told to stop twice: leaving what is in hand to the next start"),
    };
    watchdog.abort();
    code
}

/// What tells the worker to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Returns when one of them comes.
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
        }
    }
}

pub(super) fn log_settings(loaded: &Loaded) {
    if let Some(file) = &loaded.file {
        info!(file = %file.display(), "configuration read");
    }
    for trouble in loaded.secret_files.iter().filter_map(|file| readable_by_others(file)) {
        warn!(trouble, "a secret is not protected");
    }
}

fn cannot_start(error: &StartError) -> ExitCode {
    let advice = advice(error).map(|advice| format!("\n  {advice}")).unwrap_or_default();
    fail(status(error), &format!("{}{advice}", telemetry::chain(error)))
}

/// Which status says that it does not start: whether something was configured wrongly.
fn status(error: &StartError) -> u8 {
    match error {
        StartError::Store(error) if error.is_misconfiguration() => MISUSED,
        _ => FAILED,
    }
}

/// What a person can do about it.
fn advice(error: &StartError) -> Option<&'static str> {
    match error {
        StartError::Listen { .. } => {
            Some("is another worker running? set another address with --listen or --admin-listen")
        }
        StartError::DataFolder { .. } => Some("set a folder that this user can write with --data-dir"),
        StartError::Store(StoreError::Held { .. }) => Some(
            "stop that worker first, or give this one a folder of its own with --data-dir; where a new one is started \
                 before the old one ends (a rolling update), let the old one end first: see moving.md, \"One at a time\"",
        ),
        StartError::Store(StoreError::NewerSchema { .. }) => {
            Some("start the version that wrote it, or a newer one; nothing was changed")
        }
        StartError::Store(StoreError::Corrupt { .. } | StoreError::NotAStore { .. }) => {
            Some("nothing was changed; restore the folder from a backup, or move it away to start afresh")
        }
        StartError::IntakeLog(_) => Some("set other folders as intake.dirs"),
        StartError::Store(StoreError::Full(_)) => Some("make space on that disk"),
        StartError::Store(_)
        | StartError::PublicAdmin(_)
        | StartError::Client(_)
        | StartError::Handler(..)
        | StartError::HandlerTwice(_)
        | StartError::Interrupted(_) => None,
    }
}
