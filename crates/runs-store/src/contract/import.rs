//! Notifications come from an intake log, in batches.

use tallyfy_model::Announced;
use uuid::Uuid;

use super::arrange::{Desk, at, claim, keyed, of_run, unchanged, unrecognized};
use super::under_test::StoreUnderTest;
use crate::desks::{Appended, NewNotification};
use crate::error::StoreError;
use crate::intake_log::{LogId, Position};

/// The log that the tests import from.
fn log() -> LogId {
    LogId::from(Uuid::from_u128(7))
}

/// Imports what stands behind this position.
async fn import<S: StoreUnderTest>(
    desk: &Desk<S>,
    after: u64,
    batch: &[NewNotification],
) -> Result<Vec<Appended>, StoreError> {
    let through = Position::new(after + batch.len() as u64);
    let store = desk.0.store();
    store
        .import(log(), Position::new(after), batch.to_vec(), through, at(1))
        .await
}

async fn imported<S: StoreUnderTest>(desk: &Desk<S>) -> u64 {
    desk.0.store().imported(log()).await.unwrap().get()
}

pub async fn a_batch_is_kept_in_its_order_and_makes_each_run_due_once<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let batch = [of_run("a"), of_run("b"), of_run("a"), unrecognized("?")];
    let appended = import(&desk, 0, &batch).await.unwrap();
    let [first, .., last] = appended.as_slice() else {
        unreachable!("{appended:?}")
    };
    assert_eq!((first, last), (&Appended::Stored, &Appended::Unrecognized));
    assert_eq!(imported(&desk).await, 4);

    let due = desk.claim(claim(1)).await.work;
    let mut told: Vec<_> = due
        .iter()
        .map(|due| due.notifications.iter().map(|pending| pending.id).collect::<Vec<_>>())
        .collect();
    told.sort_unstable_by_key(Vec::len);
    let [a, b, other, _] = batch.map(|notification| notification.id);
    assert_eq!(told, [vec![b], vec![a, other]]);
    for due in due {
        desk.commit(&due.lease, unchanged(), 2).await;
    }
    desk.assert_nothing_due(1000).await;
}

pub async fn a_batch_that_was_imported_changes_nothing<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let batch = [of_run("a"), of_run("b")];
    import(&desk, 0, &batch).await.unwrap();
    for stale in [0, 1, 3] {
        let again = import(&desk, stale, &batch).await;
        assert!(matches!(again, Err(StoreError::LeaseLost)), "{again:?}");
    }
    assert_eq!(imported(&desk).await, 2);
    assert_eq!(desk.claim(claim(1)).await.work.len(), 2);
}

pub async fn each_log_has_a_position_of_its_own_that_survives_a_crash<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    import(&desk, 0, &[of_run("a")]).await.unwrap();
    import(&desk, 1, &[of_run("b"), of_run("c")]).await.unwrap();
    let desk = desk.crash(2).await;
    assert_eq!(imported(&desk).await, 3);
    let other = LogId::from(Uuid::from_u128(8));
    assert_eq!(desk.0.store().imported(other).await.unwrap(), Position::START);
}

pub async fn a_duplicate_within_a_batch_is_found<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let batch = [keyed(of_run("a"), "k"), keyed(of_run("a"), "k")];
    let appended = import(&desk, 0, &batch).await.unwrap();
    let (of, due_again) = (batch[0].id, false);
    assert_eq!(appended, [Appended::Stored, Appended::Duplicate { of, due_again }]);
    assert_eq!(desk.claim_one(1).await.notifications.len(), 1);
}

pub async fn a_duplicate_of_a_notification_that_is_being_fetched_makes_the_run_due_again<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    import(&desk, 0, &[keyed(of_run("a"), "k")]).await.unwrap();
    let due = desk.claim_one(1).await;
    let appended = import(&desk, 1, &[keyed(of_run("a"), "k"), of_run("a")]).await.unwrap();
    assert!(
        matches!(
            appended[..],
            [Appended::Duplicate { due_again: true, .. }, Appended::Stored]
        ),
        "{appended:?}"
    );
    desk.commit(&due.lease, unchanged(), 2).await;
    assert_eq!(desk.claim_one(3).await.notifications.len(), 1);
}

pub async fn what_the_store_has_already_is_not_stored_twice<S: StoreUnderTest>() {
    let desk = Desk::<S>::fresh().await;
    let known = of_run("a");
    desk.append(known.clone(), 0).await;
    let mut other = of_run("b");
    other.head.announced = Announced::default();
    let appended = import(&desk, 0, &[known.clone(), other]).await.unwrap();
    let (of, due_again) = (known.id, false);
    assert_eq!(appended, [Appended::Duplicate { of, due_again }, Appended::Stored]);
    assert_eq!(imported(&desk).await, 2);
    assert_eq!(desk.claim(claim(1)).await.work.len(), 2);
}
