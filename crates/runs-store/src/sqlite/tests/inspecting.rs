use std::collections::BTreeMap;

use super::*;
use crate::location::Inspection;
use crate::sqlite::{inspect, schema};

fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(place.0.path()).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect()
}

fn sound(held_by: Option<String>) -> Inspection {
    Inspection::Present {
        schema: schema::VERSION,
        supported: schema::VERSION,
        held_by,
        damage: Vec::new(),
    }
}

#[test]
fn nothing_is_absent_and_stays_so() {
    let place = Place::new();
    assert_eq!(inspect(place.path()).unwrap(), Inspection::Absent);
    assert!(files(&place).is_empty());
}

#[tokio::test]
async fn a_store_at_rest_is_read_without_a_trace() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    drop(store);
    let before = files(&place);
    assert_eq!(inspect(place.path()).unwrap(), sound(None));
    assert!(files(&place) == before);
}

#[tokio::test]
async fn a_store_whose_worker_was_killed_is_read_with_its_log() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let left = place.copy();
    assert_eq!(inspect(left.path()).unwrap(), sound(None));
    assert_eq!(claimed_names(&left.open(1), 1).await, ["run a"]);
}

#[tokio::test]
async fn a_store_in_use_says_by_whom_and_is_not_disturbed() {
    let place = Place::new();
    let store = place.open(0);
    let Inspection::Present {
        held_by: Some(holder),
        damage,
        ..
    } = inspect(place.path()).unwrap()
    else {
        panic!("it is held");
    };
    assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    assert!(damage.is_empty());
    store.append(of_run("a"), at(0)).await.unwrap();
    assert!(
        matches!(place.try_open(1), Err(StoreError::Held { .. })),
        "the lock is still held"
    );
    drop(store);
    assert_eq!(claimed_names(&place.open(1), 1).await, ["run a"]);
}

#[test]
fn an_empty_file_would_be_migrated() {
    let place = Place::new();
    fs::write(place.path(), "").unwrap();
    let Inspection::Present { schema, supported, .. } = inspect(place.path()).unwrap() else {
        panic!("there is a file");
    };
    assert_eq!((schema, supported), (0, schema::VERSION));
    assert_eq!(fs::metadata(place.path()).unwrap().len(), 0);
}

#[test]
fn damage_is_found() {
    let place = Place::new();
    drop(place.open(0));
    let mut bytes = fs::read(place.path()).unwrap();
    bytes.get_mut(3 * 4096..4 * 4096).unwrap().fill(0x55);
    fs::write(place.path(), bytes).unwrap();
    let Inspection::Present { damage, .. } = inspect(place.path()).unwrap() else {
        panic!("there is a file");
    };
    insta::assert_snapshot!(damage.join("\n"), @"database disk image is malformed (SQLite code 11)");
}

#[test]
fn what_is_no_store_is_refused_as_at_the_start() {
    let place = Place::new();
    fs::write(place.path(), "x").unwrap();
    let refused = inspect(place.path()).unwrap_err();
    assert!(matches!(refused, StoreError::NotAStore { .. }), "{refused:?}");
}

#[test]
fn a_path_may_hold_anything() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b.db", "100%.db", "what?#.db", "ä&=.db", "file:x.db", "%41.db"] {
        let path = folder.path().join(name);
        drop(SqliteStore::open(&path, at(0)).unwrap());
        assert_eq!(inspect(&path).unwrap(), sound(None), "{name}");
        assert!(path.exists());
    }
}
