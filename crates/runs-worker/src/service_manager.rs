//! Tells systemd, or whoever else listens at `NOTIFY_SOCKET`, how the worker is. Elsewhere this does nothing.

use sd_notify::NotifyState;
use tracing::warn;

/// Webhooks are accepted.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What is in hand is being finished.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says now and then that the worker is alive, if somebody wants to know; never returns.
///
/// It says that tasks get their turn, no more: a store that cannot be written is no reason to be killed.
pub(crate) async fn keep_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else {
        return std::future::pending().await;
    };
    let mut interval = tokio::time::interval(limit / 3);
    loop {
        interval.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot tell the service manager");
    }
}
