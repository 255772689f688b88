//! Notifications that name a task only, and the run that it turns out to belong to.

use super::arrange::{Desk, changed, keyed, of_run, of_task, run, unchanged};
use super::under_test::StoreUnderTest;
use crate::desks::{Appended, DueRefresh, Lease, RefreshEnd, Refreshed, Standing, Subject};
use crate::error::StoreError;

impl<S: StoreUnderTest> Desk<S> {
    async fn resolve(&self, lease: &Lease, name: &str, seconds: i64) {
        self.end(lease, RefreshEnd::Resolve(run(name)), seconds).await.unwrap();
    }
}

fn ids(due: &DueRefresh) -> Vec<uuid::Uuid> {
    due.notifications.iter().map(|pending| pending.id).collect()
}

pub async fn the_notifications_of_a_task_become_those_of_its_run<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let (of_the_run, first, second) = (of_run("r"), of_task("t"), of_task("t"));
    for notification in [&first, &second] {
        desk.append(notification.clone(), 0).await;
    }
    let task = desk.claim_one(0).await;
    assert_eq!(task.subject, Subject::Task("t".into()));
    assert_eq!(ids(&task), [first.id, second.id]);
    desk.append(of_the_run.clone(), 1).await;
    desk.resolve(&task.lease, "r", 2).await;

    let due = desk.claim_one(2).await;
    assert_eq!(due.subject, Subject::Run(run("r")));
    assert_eq!(ids(&due), [of_the_run.id, first.id, second.id]);
    desk.commit(&due.lease, changed("1"), 3).await;
    desk.assert_nothing_due(1000).await;
}

pub async fn what_arrives_while_a_task_is_resolved_goes_to_the_run<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("r"), 0).await;
    let fetch = desk.claim_one(0).await;
    let (first, late) = (of_task("t"), of_task("t"));
    desk.append(first.clone(), 1).await;
    let task = desk.claim_one(1).await;
    desk.append(late.clone(), 2).await;
    desk.resolve(&task.lease, "r", 3).await;
    desk.commit(&fetch.lease, unchanged(), 4).await;

    let due = desk.claim_one(4).await;
    assert_eq!(due.subject, Subject::Run(run("r")));
    assert_eq!(
        ids(&due),
        [first.id, late.id],
        "the fetch that was under way does not cover them"
    );
}

pub async fn a_resolved_task_leads_to_its_run_at_once<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_task("t"), 0).await;
    let task = desk.claim_one(0).await;
    desk.resolve(&task.lease, "r", 1).await;
    let due = desk.claim_one(1).await;
    desk.commit(&due.lease, unchanged(), 2).await;

    let later = of_task("t");
    desk.append(later.clone(), 3).await;
    let due = desk.claim_one(3).await;
    assert_eq!((&due.subject, ids(&due)), (&Subject::Run(run("r")), vec![later.id]));
}

pub async fn a_duplicate_of_a_tasks_notification_counts_for_the_run<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let twin = keyed(of_task("t"), "k");
    desk.append(twin.clone(), 0).await;
    let task = desk.claim_one(0).await;
    desk.resolve(&task.lease, "r", 1).await;
    let waiting = desk.append(keyed(of_task("t"), "k"), 2).await;
    assert_eq!(
        waiting,
        Appended::Duplicate {
            of: twin.id,
            due_again: false
        }
    );

    let due = desk.claim_one(2).await;
    let fetched = desk.append(keyed(of_task("t"), "k"), 3).await;
    assert_eq!(
        fetched,
        Appended::Duplicate {
            of: twin.id,
            due_again: true
        }
    );
    desk.commit(&due.lease, unchanged(), 4).await;
    assert_eq!(desk.claim_one(4).await.subject, Subject::Run(run("r")));
}

pub async fn a_task_without_a_run_ends_without_an_event<S: StoreUnderTest>() {
    let desk = Desk::<S>::with_handlers(&["h"]).await;
    desk.append(of_task("t"), 0).await;
    let task = desk.claim_one(0).await;
    let refused = desk.try_commit(&task.lease, changed("1"), 1).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");

    let gone = Refreshed {
        standing: Standing::Gone,
        ..unchanged()
    };
    desk.commit(&task.lease, gone, 1).await;
    desk.assert_nothing_due(1000).await;
    assert!(desk.deliveries("h", 1000).await.is_empty());
    desk.append(of_task("t"), 1001).await;
    assert_eq!(desk.claim_one(1001).await.standing, Standing::Gone);
}

pub async fn a_duplicate_of_what_ended_with_the_task_counts_for_the_run<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(keyed(of_task("t"), "k"), 0).await;
    let task = desk.claim_one(0).await;
    desk.commit(&task.lease, unchanged(), 1).await;
    desk.append(of_task("t"), 2).await;
    let task = desk.claim_one(2).await;
    desk.resolve(&task.lease, "r", 3).await;
    let due = desk.claim_one(3).await;
    desk.commit(&due.lease, unchanged(), 4).await;

    desk.append(keyed(of_task("t"), "k"), 5).await;
    assert_eq!(desk.claim_one(5).await.subject, Subject::Run(run("r")));
}

pub async fn a_run_is_not_resolved<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    desk.append(of_run("a"), 0).await;
    let due = desk.claim_one(0).await;
    let refused = desk.end(&due.lease, RefreshEnd::Resolve(run("b")), 1).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    desk.commit(&due.lease, unchanged(), 2).await;
}
