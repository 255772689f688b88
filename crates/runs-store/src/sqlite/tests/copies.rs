use super::*;
use crate::sqlite::{copy, restore, verify};

fn findings(path: &std::path::Path) -> Vec<String> {
    verify(path).unwrap().unwrap().findings
}

#[tokio::test]
async fn a_copy_of_a_store_in_use_is_whole_and_a_bare_copy_of_its_file_is_told() {
    let (place, other) = (Place::new(), Place::new());
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let bare = other.beside(".bare");
    fs::copy(place.path(), &bare).unwrap();
    assert!(findings(&bare)[0].contains("write-ahead log"), "{:?}", findings(&bare));
    assert!(matches!(
        restore(&bare, other.path(), false, at(1)),
        Err(StoreError::Refused(_))
    ));

    let backup = other.beside(".backup");
    copy(place.path(), &backup, false).unwrap();
    assert_eq!(findings(&backup), [""; 0]);
    assert!(copy(place.path(), &backup, false).is_err(), "it is there already");
    store.append(of_run("b"), at(2)).await.unwrap();
    restore(&backup, other.path(), false, at(3)).unwrap();
    assert!(matches!(
        restore(&backup, other.path(), false, at(3)),
        Err(StoreError::Refused(_))
    ));
    drop(store);
    assert_eq!(findings(&place.path()), [""; 0], "closed, it is whole without its log");
    assert_eq!(claimed_names(&other.open(4), 4).await, ["run a"]);
}

#[tokio::test]
async fn a_store_whose_worker_was_killed_is_whole_with_its_log_whoever_looked_at_it() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let left = place.copy();
    drop(SqliteStore::open_beside(left.path()).unwrap());
    assert_eq!(findings(&left.path()), [""; 0]);
    drop(left.open(1));
    assert_eq!(findings(&left.path()), [""; 0]);
    // The bare one is opened all the same: sweeps find what is missing.
    let bare = Place::new();
    fs::copy(place.path(), bare.path()).unwrap();
    drop(bare.open(1));
    assert_eq!(findings(&bare.path()), [""; 0]);
}

#[tokio::test]
async fn to_probe_a_store_that_works_writes_nothing() {
    use crate::OperatorDesk as _;
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let log = || fs::metadata(place.beside("-wal")).unwrap().len();
    let before = log();
    for _ in 0..10 {
        store.probe().await.unwrap();
    }
    assert_eq!(log(), before);
}
