use super::*;

#[tokio::test]
async fn a_closed_store_refuses_what_comes_later() {
    let place = Place::new();
    let store = place.open(0);
    store.close().await;
    store.close().await;
    let refused = store.append(of_run("a"), at(0)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Closed), "{refused:?}");
    assert!(matches!(store.stats(at(0)).await, Err(StoreError::Closed)));
    insta::assert_snapshot!(refused, @"the store is closed");
}

#[tokio::test]
async fn a_closed_store_is_one_file_that_another_worker_may_open() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    store.close().await;
    assert!(!place.beside("-wal").exists() && !place.beside("-shm").exists());
    assert_eq!(fs::read_to_string(place.beside(".lock")).unwrap(), "");
    assert_eq!(claimed_names(&place.open(1), 1).await, ["run a"]);
}

#[tokio::test]
async fn what_was_asked_before_the_close_is_done() {
    let place = Place::new();
    let store = place.open(0);
    let (appended, ()) = tokio::join!(store.append(of_run("a"), at(0)), store.close());
    appended.unwrap();
    assert_eq!(claimed_names(&place.open(1), 1).await, ["run a"]);
}

#[tokio::test]
async fn dropping_a_store_finishes_what_nobody_waits_for() {
    let place = Place::new();
    let store = place.open(0);
    tokio::select! {
        biased;
        _ = store.append(of_run("a"), at(0)) => {}
        () = std::future::ready(()) => {}
    }
    drop(store);
    assert!(!place.beside("-wal").exists());
    assert_eq!(claimed_names(&place.open(1), 1).await, ["run a"]);
}
