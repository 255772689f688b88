//! Where a notification is kept before it is answered.
//!
//! The intake log is the way in. The store can be asked too: before the log, where what was acknowledged is to survive the
//! machine, or after it, for the day on which no folder of the log takes bytes. The order is decided once, at the start.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runs_store::intake_log::{IntakeLog, IntakeLogError};
use runs_store::{Appended, NewNotification, StoreError};
use thiserror::Error;
use tokio::time::{Instant, timeout};
use tracing::error;

use crate::clock::Clock;
use crate::shared::late_store::{LateStore, NotOpen};
use crate::telemetry;

/// How long a place that failed is passed over while another one takes what comes.
const REST: Duration = Duration::from_secs(1);

/// How long after a notification was lost it is not even tried whether one would be kept: on a full disk there may be room
/// for the try, and for nothing else.
const FOR_SURE: Duration = Duration::from_secs(5);

/// After how long a place that failed is worth another try: as long as the log leaves a folder alone.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// The places that may keep a notification, in the order in which they are asked.
#[derive(Clone)]
pub(crate) struct WayIn {
    places: Arc<[Place]>,
    lost: Arc<Mutex<Option<Lost>>>,
}

/// Which place is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Log,
    Store,
}

/// The last notification was kept nowhere.
#[derive(Clone)]
struct Lost {
    at: Instant,
    reason: String,
}

struct Place {
    keeper: Keeper,
    /// Until when it is passed over.
    resting: Mutex<Option<Instant>>,
}

enum Keeper {
    Log(Arc<IntakeLog>),
    Store {
        store: LateStore,
        clock: Clock,
        /// How long it may take.
        patience: Duration,
    },
}

/// Where a notification is.
#[derive(Debug)]
pub(crate) enum Kept {
    /// In the log, on its way to the store, where it will show whether it is a duplicate.
    InLog,
    InStore(Appended),
}

/// Why a place did not keep a notification.
#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Log(#[from] IntakeLogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NotOpen(#[from] NotOpen),
    #[error("the store did not answer within {0:?}")]
    Slow(Duration),
}

/// No place kept the notification; with what each of them said.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct NotKept(String);

impl WayIn {
    /// The log first, where there is one; or the store, where what it has acknowledged survives this machine.
    pub(crate) fn new(
        log: Option<Arc<IntakeLog>>,
        store: LateStore,
        clock: Clock,
        patience: Duration,
        first: First,
    ) -> Self {
        let store = Keeper::Store { store, clock, patience };
        let mut keepers: Vec<Keeper> = log.map(Keeper::Log).into_iter().chain([store]).collect();
        if first == First::Store {
            keepers.reverse();
        }
        let place = |keeper| Place {
            keeper,
            resting: Mutex::default(),
        };
        Self {
            places: keepers.into_iter().map(place).collect(),
            lost: Arc::default(),
        }
    }

    /// Why a notification that came now would be kept nowhere, as far as that can be known without one. Nothing is written
    /// to find out, unless the last one was lost.
    pub(crate) async fn trouble(&self) -> Option<String> {
        let lost = self.lost().clone();
        if let Some(lost) = lost.as_ref().filter(|lost| lost.at.elapsed() < FOR_SURE) {
            return Some(lost.reason.clone());
        }
        let mut store = None;
        for place in self.places.iter() {
            match &place.keeper {
                Keeper::Log(_) if lost.is_none() => return None,
                Keeper::Log(_) => {}
                Keeper::Store {
                    store: late, patience, ..
                } => store = Some((late, *patience)),
            }
        }
        let (store, patience) = store?;
        let opened = match store.get() {
            Ok(opened) => opened,
            Err(not_open) if lost.is_none() => return Some(not_open.to_string()),
            Err(_) => {
                return lost
                    .filter(|lost| lost.at.elapsed() < TRY_AGAIN)
                    .map(|lost| lost.reason);
            }
        };
        let lost = lost.filter(|lost| lost.at.elapsed() < TRY_AGAIN)?;
        match timeout(patience, opened.probe()).await {
            Ok(Ok(())) => {
                *self.lost() = None;
                None
            }
            Ok(Err(_)) | Err(_) => Some(lost.reason),
        }
    }

    fn lost(&self) -> MutexGuard<'_, Option<Lost>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a notification. When this returns `Ok`, it survives a power cut.
    pub(crate) async fn keep(&self, notification: NewNotification) -> Result<Kept, NotKept> {
        let mut troubles = Vec::new();
        // A place at rest is asked all the same where no other one took it.
        for is_rested in [true, false] {
            for place in self.places.iter().filter(|place| place.is_rested() == is_rested) {
                match place.keeper.keep(notification.clone()).await {
                    Ok(kept) => {
                        *self.lost() = None;
                        return Ok(kept);
                    }
                    Err(trouble) => troubles.push(place.failed(&trouble)),
                }
            }
            if troubles.len() >= self.places.len() {
                break;
            }
        }
        let reason = troubles.join("; ");
        *self.lost() = Some(Lost {
            at: Instant::now(),
            reason: reason.clone(),
        });
        Err(NotKept(reason))
    }
}

impl Keeper {
    /// What the store takes after its time was up is not kept twice: it has the same id.
    async fn keep(&self, notification: NewNotification) -> Result<Kept, Trouble> {
        match self {
            Self::Log(log) => {
                log.append(notification).await?;
                Ok(Kept::InLog)
            }
            Self::Store { store, clock, patience } => {
                let appended = async {
                    let store = store.opening().await?;
                    Ok(store.append(notification, clock.now()).await?)
                };
                let answered = timeout(*patience, appended).await;
                answered.unwrap_or(Err(Trouble::Slow(*patience))).map(Kept::InStore)
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Log(_) => "intake log",
            Self::Store { .. } => "store",
        }
    }
}

impl Place {
    fn is_rested(&self) -> bool {
        let resting = *self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.is_none_or(|until| until <= Instant::now())
    }

    /// Lets it rest, and says what was wrong.
    fn failed(&self, trouble: &Trouble) -> String {
        let (place, reason) = (self.keeper.name(), telemetry::chain(trouble));
        let now = Instant::now();
        let before = self
            .resting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(now + REST);
        if before.is_none_or(|until| until <= now) {
            error!(
                place,
                reason, "a webhook could not be kept in the place that is asked for it"
            );
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use runs_store::{SchedulingTime, SqliteStore};

    use super::super::read_notification;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// A way in that asks the store alone, and the store, which is not open yet.
    fn way_in() -> (WayIn, LateStore) {
        let (late, clock) = (LateStore::default(), Clock::starting_at(Timestamp::UNIX_EPOCH));
        (WayIn::new(None, late.clone(), clock, PATIENCE, First::Store), late)
    }

    fn notification() -> NewNotification {
        read_notification(&"org".into(), Bytes::from_static(b"{}"), Timestamp::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_store_that_is_being_opened_is_waited_for() {
        let (way_in, late) = way_in();
        let (kept, ()) = tokio::join!(way_in.keep(notification()), async {
            let store = SqliteStore::in_memory(SchedulingTime::by_wall_clock()).unwrap();
            late.opened(Arc::new(store));
        });
        assert!(matches!(kept, Ok(Kept::InStore(_))), "{kept:?}");
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_opened_is_not_waited_for() {
        let (way_in, late) = way_in();
        let (kept, _) = tokio::join!(way_in.keep(notification()), async { late.failed("locked".to_owned()) });
        assert_eq!(kept.unwrap_err().to_string(), "the store is not open: locked");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_waited_for_longer_than_a_store_may_take() {
        let (way_in, _late) = way_in();
        let kept = way_in.keep(notification()).await;
        assert_eq!(kept.unwrap_err().to_string(), "the store did not answer within 2s");
    }
}
