//! What is not opened, and what a person is told.

use insta::assert_snapshot;

use super::*;

fn refusal(place: &Place) -> String {
    told(&place.try_open(5).unwrap_err(), place.0.path())
}

/// The bytes of the file are the same after a refusal.
fn refusal_without_a_trace(place: &Place) -> String {
    let before = fs::read(place.path()).unwrap();
    let refusal = refusal(place);
    assert!(fs::read(place.path()).unwrap() == before, "a refused file was changed");
    refusal
}

#[tokio::test]
async fn a_store_that_somebody_has_open() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let refusal = refusal(&place);
    insta::with_settings!({filters => [(r"process \d+", "process [pid]"), (r" on \S+ since", " on [host] since")]}, {
        assert_snapshot!(refusal, @"/store/runs.db is in use by process [pid] on [host] since 2026-09-21T14:13:20Z");
    });
    assert!(refusal.contains(&format!("process {}", std::process::id())));
    store.append(of_run("b"), at(1)).await.unwrap();
}

#[tokio::test]
async fn a_store_whose_holder_wrote_nonsense() {
    let place = Place::new();
    let _store = place.open(0);
    for nonsense in ["", "\u{1b}[31m", "\n"] {
        fs::write(place.beside(".lock"), nonsense).unwrap();
        assert_eq!(refusal(&place), "/store/runs.db is in use by another process");
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version() {
    let place = Place::new();
    drop(place.open(0));
    place.raw().pragma_update(None, "user_version", 1000).unwrap();
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db has schema version 1000, but this version knows only up to 10");
}

#[test]
fn a_database_of_another_program() {
    let place = Place::new();
    place
        .raw()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is not a store of the runs worker: it is an SQLite database of some other program");
}

#[test]
fn a_database_that_another_program_has_marked_as_its_own() {
    let place = Place::new();
    let connection = place.raw();
    connection
        .execute_batch("PRAGMA application_id = 7; CREATE TABLE t (x); DROP TABLE t")
        .unwrap();
    drop(connection);
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is not a store of the runs worker: it is an SQLite database of some other program");
}

#[test]
fn a_text_file() {
    let place = Place::new();
    fs::write(place.path(), "tallyfy = true\n".repeat(1000)).unwrap();
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is not a store of the runs worker: it is no SQLite database, or its first page is destroyed");
}

#[test]
fn a_short_text_file() {
    let place = Place::new();
    fs::write(place.path(), "x").unwrap();
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is not a store of the runs worker: it is no SQLite database, or its first page is destroyed");
}

#[test]
fn a_file_of_zeros() {
    let place = Place::new();
    fs::write(place.path(), [0; 20_000]).unwrap();
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is not a store of the runs worker: it is no SQLite database, or its first page is destroyed");
}

#[test]
fn a_folder() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    assert_snapshot!(refusal(&place), @"/store/runs.db is not a store of the runs worker: it is a folder");
    assert!(!place.beside(".lock").exists());
}

#[test]
fn a_file_in_a_folder_that_is_not_there() {
    let place = Place::new();
    let refused = SqliteStore::open(place.0.path().join("no/runs.db"), at(0)).unwrap_err();
    assert_snapshot!(told(&refused, place.0.path()), @"
    the store is unavailable: opening /store/no/runs.db failed
      because: No such file or directory (os error 2)
    ");
}

fn damaged(damage: impl FnOnce(&mut Vec<u8>)) -> Place {
    let place = Place::new();
    drop(place.open(0));
    let mut bytes = fs::read(place.path()).unwrap();
    damage(&mut bytes);
    fs::write(place.path(), bytes).unwrap();
    place
}

#[test]
fn a_store_whose_header_is_overwritten() {
    let place = damaged(|bytes| bytes.get_mut(..100).unwrap().fill(0x55));
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is not a store of the runs worker: it is no SQLite database, or its first page is destroyed");
}

#[test]
fn a_store_whose_schema_is_overwritten() {
    let place = damaged(|bytes| bytes.get_mut(100..4096).unwrap().fill(0x55));
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is damaged: reading the schema failed: database disk image is malformed (SQLite code 11)");
}

#[test]
fn a_store_with_an_overwritten_page() {
    let place = damaged(|bytes| bytes.get_mut(3 * 4096..4 * 4096).unwrap().fill(0x55));
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is damaged: database disk image is malformed (SQLite code 11)");
}

#[test]
fn a_store_with_any_page_overwritten() {
    let pages = fs::metadata(damaged(|_| ()).path()).unwrap().len() / 4096;
    for page in 1..usize::try_from(pages).unwrap() {
        let place = damaged(|bytes| bytes.get_mut(page * 4096..(page + 1) * 4096).unwrap().fill(0));
        let refused = place.try_open(1).unwrap_err();
        assert!(
            matches!(refused, StoreError::Corrupt { .. }),
            "page {page}: {refused:?}"
        );
    }
}

#[test]
fn a_store_that_was_cut_off() {
    let place = damaged(|bytes| bytes.truncate(5 * 4096 + 100));
    assert_snapshot!(refusal_without_a_trace(&place), @"/store/runs.db is damaged: reading the schema failed: database disk image is malformed (SQLite code 11)");
}

#[tokio::test]
async fn a_value_that_nobody_can_have_written() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    let spoil = store.write("spoiling", |transaction| {
        transaction.execute("UPDATE notifications SET announced = 'nonsense'", [])
    });
    spoil.await.unwrap();
    let refused = store.claim_due(&org(), Lanes::All, claim(1)).await.unwrap_err();
    assert_snapshot!(told(&refused, place.0.path()), @"/store/runs.db is damaged: claiming runs that are due failed: Conversion error from type Text at index: 6, expected ident at line 1 column 2");
}

#[test]
fn a_lost_lease() {
    assert_snapshot!(StoreError::LeaseLost, @"the lease is lost: the work was settled, or handed to somebody else");
}
