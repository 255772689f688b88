//! What the log and the metrics say when a notification is in the store.

use metrics::counter;
use runs_store::{Appended, NotificationHead};
use tallyfy_model::OrgId;
use tracing::info;
use uuid::Uuid;

/// Which notification, without its body.
pub(crate) struct Notified {
    id: Uuid,
    org: OrgId,
    head: NotificationHead,
    bytes: usize,
}

impl Notified {
    pub(crate) fn of(notification: &runs_store::NewNotification) -> Self {
        Self {
            id: notification.id,
            org: notification.org.clone(),
            head: notification.head.clone(),
            bytes: notification.body.len(),
        }
    }

    /// Says what became of it.
    pub(crate) fn tell(&self, appended: &Appended) {
        let outcome = match appended {
            Appended::Stored => "stored",
            Appended::Unrecognized => "unrecognized",
            Appended::Duplicate { .. } => "duplicate",
        };
        self.count(outcome);
        let Self { id, org, head, bytes } = self;
        let (run, task) = (
            head.run.as_ref().map(tracing::field::display),
            head.task.as_ref().map(tracing::field::display),
        );
        let (kind, webhook_event) = (&head.kind, head.event.as_deref());
        match appended {
            Appended::Duplicate { of, due_again } => {
                info!(%org, run, task, notification = %of, kind, webhook_event, bytes, due_again, "duplicate notification");
            }
            Appended::Stored => {
                info!(%org, run, task, notification = %id, kind, webhook_event, bytes, "notification stored");
            }
            Appended::Unrecognized => {
                info!(%org, notification = %id, bytes, "unrecognized notification stored for a person to look at");
            }
        }
    }

    /// Says that it is gone.
    pub(crate) fn tell_lost(&self, reason: &str) {
        self.count("lost");
        let Self { id, org, head, bytes } = self;
        let (run, task) = (
            head.run.as_ref().map(tracing::field::display),
            head.task.as_ref().map(tracing::field::display),
        );
        let (kind, webhook_event) = (&head.kind, head.event.as_deref());
        tracing::error!(
            %org, run, task, notification = %id, kind, webhook_event, bytes, reason,
            "notification could not be stored and was answered with 503; Tallyfy will not send it again"
        );
    }

    fn count(&self, outcome: &'static str) {
        counter!(
            "runs_worker_notifications_total",
            "org" => self.org.to_string(), "kind" => self.head.kind.clone(), "outcome" => outcome
        )
        .increment(1);
    }
}
