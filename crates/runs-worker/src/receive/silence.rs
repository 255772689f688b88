//! Warns when no webhook of an organization has come for long: it may have been switched off.

use std::time::Duration;

use metrics::gauge;
use tallyfy_model::OrgId;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Listens whether anything comes in.
pub(crate) struct Silence {
    pub(super) org: OrgId,
    pub(super) heard: watch::Receiver<()>,
    pub(super) longest: Duration,
}

impl Silence {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let silent = gauge!("runs_worker_silent", "org" => self.org.to_string());
        silent.set(0.0);
        if self.longest.is_zero() {
            stop.cancelled().await;
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = async {
                loop {
                    match timeout(self.longest, self.heard.changed()).await {
                        Ok(Ok(())) => continue,
                        // The receiver is gone, and with it the listener.
                        Ok(Err(_)) => return std::future::pending().await,
                        Err(_) => {}
                    }
                    silent.set(1.0);
                    warn!(
                        org = %self.org, longest = ?self.longest,
                        "no webhook has come for long; is the webhook of the templates still switched on?"
                    );
                    if self.heard.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                    silent.set(0.0);
                    info!(org = %self.org, "webhooks come again");
                }
            } => {}
        }
    }
}
