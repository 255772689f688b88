//! Group commit: notifications that arrive together are stored by one statement for each table and one commit, and answered
//! after it. What arrives meanwhile is the next group.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::core::{Core, in_transaction};
use super::failure::Failure;
use super::filing;
use super::session::Access;
use crate::desks::{Appended, NewNotification};
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// How many notifications are stored in one transaction.
const GROUP: usize = 256;
/// How many may wait; who comes then waits for room.
const WAITING: usize = 4096;

const DOING: &str = "storing a notification";

/// A notification that is to be stored.
struct Append {
    notification: NewNotification,
    now: SchedulingTime,
    caller: oneshot::Sender<Result<Appended, StoreError>>,
}

/// Takes notifications for the task that stores them.
pub(super) struct Appender(mpsc::Sender<Append>);

impl Appender {
    /// The way to the task, and the task.
    pub(super) fn new(core: Arc<Core>) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), serve(core, receiver))
    }

    pub(super) async fn append(
        &self,
        notification: NewNotification,
        now: SchedulingTime,
    ) -> Result<Appended, StoreError> {
        let (caller, answer) = oneshot::channel();
        let append = Append {
            notification,
            now,
            caller,
        };
        self.0.send(append).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

async fn serve(core: Arc<Core>, mut waiting: mpsc::Receiver<Append>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        store(&core, std::mem::take(&mut group)).await;
    }
}

/// Stores a group, or, if it may have failed for something in it, each by itself.
async fn store(core: &Core, group: Vec<Append>) {
    let now = group
        .iter()
        .map(|append| append.now)
        .max()
        .unwrap_or(SchedulingTime::new(Timestamp::UNIX_EPOCH));
    let (mut callers, mut notifications) = (Vec::new(), Vec::new());
    for append in group {
        callers.push(append.caller);
        notifications.push(append.notification);
    }
    match together(core, &notifications, now).await {
        Ok(appended) => {
            for (caller, outcome) in callers.into_iter().zip(appended) {
                answer(caller, Ok(outcome));
            }
        }
        Err(failure) if failure.is_about_one() && notifications.len() > 1 => {
            for (caller, notification) in callers.into_iter().zip(&notifications) {
                let alone = together(core, std::slice::from_ref(notification), now).await;
                let alone = alone.and_then(|appended| appended.into_iter().next().ok_or(Failure::Conflict));
                answer(caller, alone.map_err(|failure| core.error(failure, DOING)));
            }
        }
        Err(failure) => fail_all(core, callers, &failure),
    }
}

async fn together(
    core: &Core,
    notifications: &[NewNotification],
    now: SchedulingTime,
) -> Result<Vec<Appended>, Failure> {
    in_transaction!(core, Access::Often, transaction => filing::file(&transaction, notifications, now))
}

fn fail_all(core: &Core, callers: Vec<oneshot::Sender<Result<Appended, StoreError>>>, failure: &Failure) {
    for caller in callers {
        answer(caller, Err(core.error(failure.for_another(), DOING)));
    }
}

fn answer(caller: oneshot::Sender<Result<Appended, StoreError>>, outcome: Result<Appended, StoreError>) {
    // A caller that does not wait any more is no harm: it is stored, or not, and nobody was told that it is.
    let _: Result<(), _> = caller.send(outcome);
}
