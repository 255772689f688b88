use super::*;

#[test]
fn a_store_is_neither_made_nor_migrated() {
    let place = Place::new();
    let missing = SqliteStore::open_beside(place.path()).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    let nowhere = SqliteStore::open_beside(place.path().join("deeper/runs.db")).unwrap_err();
    assert!(matches!(nowhere, StoreError::Missing { .. }), "{nowhere}");
    drop(place.open(0));
    assert!(
        SqliteStore::open_beside(place.path()).is_ok(),
        "while no worker runs, too"
    );
    place.raw().pragma_update(None, "user_version", 1).unwrap();
    let older = SqliteStore::open_beside(place.path()).unwrap_err();
    assert!(matches!(older, StoreError::OlderSchema { .. }), "{older}");
}

#[tokio::test]
async fn its_worker_is_not_disturbed() {
    let place = Place::new();
    let store = place.open(0);
    let beside = SqliteStore::open_beside(place.path()).unwrap();
    assert!(matches!(place.try_open(0), Err(StoreError::Held { .. })));
    beside.close().await;
    assert!(matches!(place.try_open(0), Err(StoreError::Held { .. })));
    store.append(of_run("a"), at(0)).await.unwrap();
}
