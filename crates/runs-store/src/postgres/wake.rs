//! Wake-ups of the stages: in this process at once, and of other workers by NOTIFY.
//!
//! A commit with a NOTIFY in it takes a lock of the whole server. So what was committed is told afterwards, by a task of its
//! own, several commits at a time. It is a hint: a pooler may swallow it, and work is found by looking. At the start, and
//! whenever it has connected again, a worker tries whether it hears its own voice; while it does not, it looks more often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::poll_fn;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::failure::Failure;
use super::params::params;
use super::session::{Woken, no_connection, quoted};
use super::settings::Target;
use crate::desks::Wakeups;

/// The shortest time between two notifications.
const COALESCE: Duration = Duration::from_millis(100);
/// How long a worker waits for its own voice.
const ECHO: Duration = Duration::from_secs(1);
/// How often a worker looks that hears nothing.
const DEAF: Duration = Duration::from_millis(500);
/// The waits between attempts to listen.
const PAUSE: Duration = Duration::from_secs(2);

/// Whom to wake.
pub(super) struct Wake {
    due: watch::Sender<u64>,
    deliverable: watch::Sender<u64>,
    /// What other workers are still to be told.
    untold_due: AtomicBool,
    untold_deliverable: AtomicBool,
    untold: Notify,
    /// Who speaks: this opening of the store.
    voice: Uuid,
    /// Whether it hears its own voice; `None` before it has tried.
    hears: watch::Sender<Option<bool>>,
    /// Whether a connection was found to be another than it was.
    lost_a_session: AtomicBool,
}

impl Wake {
    pub(super) fn new() -> (Self, Wakeups) {
        let (due, due_changed) = watch::channel(0);
        let (deliverable, deliverable_changed) = watch::channel(0);
        let wake = Self {
            due,
            deliverable,
            untold_due: AtomicBool::new(false),
            untold_deliverable: AtomicBool::new(false),
            untold: Notify::new(),
            voice: Uuid::now_v7(),
            hears: watch::Sender::new(None),
            lost_a_session: AtomicBool::new(false),
        };
        let wakeups = Wakeups {
            due: due_changed,
            deliverable: deliverable_changed,
        };
        (wake, wakeups)
    }

    /// Wakes the stages of this process, and notes what other workers are to be told.
    pub(super) fn committed(&self, woken: Woken) {
        self.here(woken);
        if woken.due {
            self.untold_due.store(true, Ordering::Relaxed);
        }
        if woken.deliverable {
            self.untold_deliverable.store(true, Ordering::Relaxed);
        }
        if woken != Woken::default() {
            self.untold.notify_one();
        }
    }

    fn here(&self, woken: Woken) {
        if woken.due {
            self.due.send_modify(|count| *count = count.wrapping_add(1));
        }
        if woken.deliverable {
            self.deliverable.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Whether it hears its own voice; `None` before it has tried.
    pub(super) fn hears(&self) -> watch::Receiver<Option<bool>> {
        self.hears.subscribe()
    }

    /// Whether a connection is the server's own, and what is prepared on it stays: who stands between and gives each
    /// transaction another one lets nobody listen.
    pub(super) fn keeps_sessions(&self) -> bool {
        *self.hears.borrow() == Some(true) && !self.lost_a_session.load(Ordering::Relaxed)
    }

    /// Notes that it does not stay.
    pub(super) fn lost_a_session(&self) {
        if !self.lost_a_session.swap(true, Ordering::Relaxed) {
            warn!("a prepared statement was not there any more; no more statements are prepared");
        }
    }

    fn is_own(&self, payload: &str) -> bool {
        payload.starts_with(&self.voice.to_string())
    }
}

/// Tells other workers what was committed.
pub(super) async fn tell(wake: Arc<Wake>, pool: Pool, channel: String) {
    loop {
        wake.untold.notified().await;
        let woken = Woken {
            due: wake.untold_due.swap(false, Ordering::Relaxed),
            deliverable: wake.untold_deliverable.swap(false, Ordering::Relaxed),
        };
        let word = match woken {
            Woken {
                due: true,
                deliverable: true,
            } => "both",
            Woken { due: true, .. } => "due",
            Woken { .. } => "deliverable",
        };
        if let Err(failure) = say(&pool, &channel, &format!("{} {word}", wake.voice)).await {
            // They look by themselves.
            debug!(reason = %failure, "other workers could not be told");
        }
        sleep(COALESCE).await;
    }
}

async fn say(pool: &Pool, channel: &str, payload: &str) -> Result<(), Failure> {
    let connection = pool.get().await.map_err(no_connection)?;
    connection
        .query_typed("SELECT pg_notify($1, $2)", params![channel, payload])
        .await?;
    Ok(())
}

/// What is needed to listen.
pub(super) struct Listener {
    pub(super) wake: Arc<Wake>,
    pub(super) pool: Pool,
    pub(super) target: Target,
    pub(super) tls: MakeRustlsConnect,
}

impl Listener {
    /// Listens, and connects again whenever the connection ends.
    pub(super) async fn run(self) {
        loop {
            if let Err(failure) = self.listen().await {
                debug!(reason = %failure, "does not listen to other workers");
            }
            self.wake.hears.send_replace(Some(false));
            self.look_for(PAUSE).await;
        }
    }

    async fn listen(&self) -> Result<(), Failure> {
        let (client, mut connection) = self.target.config.connect(self.tls.clone()).await?;
        let (heard, mut hearing) = mpsc::unbounded_channel();
        let driver = async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message
                    && heard.send(notification.payload().to_owned()).is_err()
                {
                    break;
                }
            }
        };
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        client
            .batch_execute(&format!("LISTEN {}", quoted(&self.target.schema)))
            .await?;
        // What was said before is not heard.
        self.wake.here(EVERYBODY);
        self.try_own_voice(&mut hearing).await?;
        while let Some(payload) = self.next(&mut hearing).await {
            if !self.wake.is_own(&payload) {
                self.hear(&payload);
            }
        }
        drop(driver);
        Ok(())
    }

    /// Says something and listens for it.
    async fn try_own_voice(&self, hearing: &mut mpsc::UnboundedReceiver<String>) -> Result<(), Failure> {
        say(&self.pool, &self.target.schema, &format!("{} echo", self.wake.voice)).await?;
        let echo = async {
            while let Some(payload) = hearing.recv().await {
                if self.wake.is_own(&payload) {
                    return true;
                }
                self.hear(&payload);
            }
            false
        };
        let hears = timeout(ECHO, echo).await.unwrap_or(false);
        if hears {
            info!("hears other workers");
        } else {
            warn!(
                "does not hear other workers: a pooler may swallow NOTIFY; looks for work twice a second in the place of that"
            );
        }
        self.wake.hears.send_replace(Some(hears));
        Ok(())
    }

    /// The next word. Without hearing, it looks from time to time.
    async fn next(&self, hearing: &mut mpsc::UnboundedReceiver<String>) -> Option<String> {
        loop {
            if *self.wake.hears.borrow() == Some(true) {
                return hearing.recv().await;
            }
            match timeout(DEAF, hearing.recv()).await {
                Ok(heard) => return heard,
                Err(_) => self.wake.here(EVERYBODY),
            }
        }
    }

    async fn look_for(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            sleep(DEAF).await;
            self.wake.here(EVERYBODY);
            left = left.saturating_sub(DEAF);
        }
    }

    fn hear(&self, payload: &str) {
        let word = payload.rsplit(' ').next().unwrap_or_default();
        self.wake.here(Woken {
            due: matches!(word, "due" | "both"),
            deliverable: matches!(word, "deliverable" | "both"),
        });
    }
}

const EVERYBODY: Woken = Woken {
    due: true,
    deliverable: true,
};
