//! What the tests are written with.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId, TaskId};
use uuid::Uuid;

use super::under_test::StoreUnderTest;
use crate::desks::Version;
use crate::desks::{
    Appended, Claim, Claimed, Delivery, DueRefresh, HandlerName, Lane, Lanes, Lease, LeaseLost, NewEvent,
    NewNotification, NotificationHead, PostponeCause, Postponement, Prune, Pruned, Recipients, RefreshEnd, Refreshed,
    Settlement, Snapshot, Standing, Stats, Subject,
};
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// How long the tests lease.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// This many seconds after the start of every test.
pub(super) fn at(seconds: i64) -> SchedulingTime {
    SchedulingTime::new(wall(seconds))
}

/// The same by the wall clock.
pub(super) fn wall(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(super) fn org() -> OrgId {
    OrgId::new("org-1")
}

pub(super) fn run(name: &str) -> RunId {
    RunId::new(name)
}

pub(super) fn handler(name: &str) -> HandlerName {
    HandlerName::new(name)
}

/// A notification of a run.
pub(super) fn of_run(name: &str) -> NewNotification {
    let mut notification = unrecognized("{}");
    notification.subject = Some(Subject::Run(run(name)));
    notification.head.kind = "process".to_owned();
    notification.head.run = Some(run(name));
    notification
}

/// A notification that names a task only.
pub(super) fn of_task(name: &str) -> NewNotification {
    let mut notification = unrecognized("{}");
    notification.subject = Some(Subject::Task(TaskId::new(name)));
    notification.head.kind = "organization".to_owned();
    notification.head.task = Some(TaskId::new(name));
    notification
}

/// A notification that nobody could read.
pub(super) fn unrecognized(body: &str) -> NewNotification {
    NewNotification {
        id: Uuid::now_v7(),
        org: org(),
        subject: None,
        head: NotificationHead {
            kind: "unrecognized".to_owned(),
            ..NotificationHead::default()
        },
        dedupe_key: None,
        received_at: wall(0),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// The same with a dedupe key.
pub(super) fn keyed(mut notification: NewNotification, key: &str) -> NewNotification {
    notification.dedupe_key = Some(key.to_owned());
    notification
}

pub(super) fn claim(seconds: i64) -> Claim {
    Claim {
        now: at(seconds),
        lease: LEASE,
        limit: 100,
        in_flight: None,
    }
}

/// A refresh that found the run and has nothing to tell.
pub(super) fn unchanged() -> Refreshed {
    Refreshed::new(Standing::Present, at(0))
}

/// A refresh with an event of this body.
pub(super) fn changed(body: &str) -> Refreshed {
    with_events(&[body])
}

/// A refresh with events of these bodies; the last is the snapshot too.
pub(super) fn with_events(bodies: &[&str]) -> Refreshed {
    let event = |body: &&str| NewEvent {
        id: Uuid::now_v7(),
        event_type: "com.tallyfy.run.changed.v1".to_owned(),
        created_at: wall(0),
        body: Bytes::copy_from_slice(body.as_bytes()),
        recipients: Recipients::All,
    };
    let events: Vec<_> = bodies.iter().map(event).collect();
    Refreshed {
        snapshot: events.last().map(|event| Snapshot {
            body: event.body.clone(),
            fetched_at: wall(0),
        }),
        events,
        ..unchanged()
    }
}

/// The next fetch starts no earlier than at this second.
pub(super) fn then_pause_until(mut refreshed: Refreshed, seconds: i64) -> Refreshed {
    refreshed.not_before = at(seconds);
    refreshed
}

pub(super) fn postponed(until: i64, cause: PostponeCause) -> Postponement {
    Postponement {
        until: at(until),
        cause,
        memory: None,
        reason: "the API is down".to_owned(),
    }
}

/// A state of a run.
pub(super) fn version(text: &str) -> Version {
    Version {
        text: text.to_owned(),
        settled: true,
        active: true,
    }
}

/// A store and short words for what is done with it.
pub(super) struct Desk<S>(pub(super) S);

impl<S: StoreUnderTest> Desk<S> {
    pub(super) async fn fresh() -> Self {
        Self(S::fresh(at(0)).await)
    }

    /// With these handlers.
    pub(super) async fn with_handlers(names: &[&str]) -> Self {
        let desk = Self::fresh().await;
        desk.set_handlers(names, 0).await;
        desk
    }

    pub(super) async fn restart(self, seconds: i64) -> Self {
        Self(self.0.restart(at(seconds)).await)
    }

    pub(super) async fn crash(self, seconds: i64) -> Self {
        Self(self.0.crash(at(seconds)).await)
    }

    pub(super) async fn append(&self, notification: NewNotification, seconds: i64) -> Appended {
        self.0.store().append(notification, at(seconds)).await.unwrap()
    }

    pub(super) async fn request(&self, name: &str, lane: Lane, seconds: i64) {
        let (org, run) = (org(), run(name));
        let requested = self.0.store().request_refresh(&org, &run, lane, at(seconds));
        requested.await.unwrap();
    }

    pub(super) async fn claim(&self, claim: Claim) -> Claimed<DueRefresh> {
        self.0.store().claim_due(&org(), Lanes::All, claim).await.unwrap()
    }

    /// Which subjects a claim hands out, in order.
    pub(super) async fn claim_names(&self, seconds: i64) -> Vec<String> {
        let claimed = self.claim(claim(seconds)).await;
        claimed.work.iter().map(|due| due.subject.to_string()).collect()
    }

    /// The only subject that a claim hands out.
    pub(super) async fn claim_one(&self, seconds: i64) -> DueRefresh {
        let mut claimed = self.claim(claim(seconds)).await;
        assert_eq!(claimed.work.len(), 1, "subjects handed out");
        claimed.work.remove(0)
    }

    pub(super) async fn assert_nothing_due(&self, seconds: i64) {
        assert_eq!(self.claim_names(seconds).await, Vec::<String>::new());
    }

    pub(super) async fn commit(&self, lease: &Lease, refreshed: Refreshed, seconds: i64) {
        self.try_commit(lease, refreshed, seconds).await.unwrap();
    }

    pub(super) async fn try_commit(&self, lease: &Lease, refreshed: Refreshed, seconds: i64) -> Result<(), StoreError> {
        self.end(lease, RefreshEnd::Commit(refreshed), seconds).await
    }

    pub(super) async fn postpone(&self, lease: &Lease, postponement: Postponement, seconds: i64) {
        let postponed = self.end(lease, RefreshEnd::Postpone(postponement), seconds);
        postponed.await.unwrap();
    }

    pub(super) async fn end(&self, lease: &Lease, end: RefreshEnd, seconds: i64) -> Result<(), StoreError> {
        let ended = vec![(lease.clone(), end).into()];
        let outcomes = self.0.store().end_refreshes(ended, at(seconds)).await?;
        assert_eq!(outcomes.len(), 1, "one outcome for one attempt");
        outcomes[0].map_err(|LeaseLost| StoreError::LeaseLost)
    }

    /// Brings a run through a notification, a fetch and an event of this body.
    pub(super) async fn change(&self, name: &str, body: &str, seconds: i64) {
        self.append(of_run(name), seconds).await;
        let due = self.claim_one(seconds).await;
        self.commit(&due.lease, changed(body), seconds).await;
    }

    pub(super) async fn set_handlers(&self, names: &[&str], seconds: i64) {
        let names: Vec<_> = names.iter().map(|name| handler(name)).collect();
        self.0.store().set_handlers(&names, at(seconds)).await.unwrap();
    }

    pub(super) async fn claim_deliveries(&self, name: &str, claim: Claim) -> Claimed<Delivery> {
        self.0.store().claim_deliveries(&handler(name), claim).await.unwrap()
    }

    pub(super) async fn deliveries(&self, name: &str, seconds: i64) -> Vec<Delivery> {
        self.claim_deliveries(name, claim(seconds)).await.work
    }

    /// What a claim of deliveries hands out: the body and which try it is.
    pub(super) async fn attempts(&self, name: &str, seconds: i64) -> Vec<(String, u32)> {
        let deliveries = self.deliveries(name, seconds).await;
        deliveries
            .iter()
            .map(|delivery| (text(&delivery.body), delivery.attempt))
            .collect()
    }

    /// The only delivery that a claim hands out.
    pub(super) async fn one_delivery(&self, name: &str, seconds: i64) -> Delivery {
        let mut deliveries = self.deliveries(name, seconds).await;
        assert_eq!(deliveries.len(), 1, "deliveries handed out");
        deliveries.remove(0)
    }

    pub(super) async fn settle(&self, lease: &Lease, settlement: Settlement, seconds: i64) {
        self.try_settle(lease, settlement, seconds).await.unwrap();
    }

    pub(super) async fn try_settle(
        &self,
        lease: &Lease,
        settlement: Settlement,
        seconds: i64,
    ) -> Result<(), LeaseLost> {
        let ended = vec![(lease.clone(), settlement).into()];
        let settled = self.0.store().settle(ended, at(seconds)).await.unwrap();
        assert_eq!(settled.len(), 1, "one outcome for one attempt");
        settled[0]
    }

    pub(super) async fn prune(&self, prune: Prune) -> Pruned {
        self.0.store().prune(prune).await.unwrap()
    }

    pub(super) async fn stats(&self, seconds: i64) -> Stats {
        let stats = self.0.store().stats(at(seconds)).await.unwrap();
        // How a database keeps its log is its own matter.
        Stats { log_bytes: 0, ..stats }
    }
}

pub(super) fn text(body: &Bytes) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

pub(super) fn again(seconds: i64) -> Settlement {
    Settlement::Retry {
        at: at(seconds),
        reason: "503".to_owned(),
    }
}

pub(super) fn give_up() -> Settlement {
    Settlement::DeadLetter {
        reason: "400".to_owned(),
        answer: None,
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the outcome ends here")]
pub(super) fn assert_lease_lost(outcome: Result<(), StoreError>) {
    assert!(matches!(outcome, Err(StoreError::LeaseLost)), "{outcome:?}");
}
