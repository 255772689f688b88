use super::*;
use crate::desks::{HandlerName, NewEvent, Recipients, Snapshot};
use crate::location::{Inspection, Verification};
use crate::sqlite::{copy, inspect, verify};

async fn with_work(place: &Place) {
    let store = place.open(0);
    store
        .set_handlers(&["a", "b"].map(HandlerName::new), at(0))
        .await
        .unwrap();
    for run in ["x", "y"] {
        store.append(of_run(run), at(0)).await.unwrap();
    }
    for due in claimed(&store, 1).await {
        let event = NewEvent {
            id: Uuid::now_v7(),
            event_type: "seen".to_owned(),
            created_at: wall(1),
            body: b"{}".as_slice().into(),
            recipients: Recipients::All,
        };
        let snapshot = Snapshot {
            fetched_at: wall(1),
            body: b"{}".as_slice().into(),
        };
        let refreshed = Refreshed {
            events: vec![event],
            snapshot: Some(snapshot),
            ..unchanged()
        };
        commit(&store, &due.lease, refreshed, 1).await.unwrap();
    }
    store.append(of_run("y"), at(2)).await.unwrap();
    drop(store);
}

fn verified(place: &Place) -> Verification {
    verify(place.path()).unwrap().unwrap()
}

#[test]
fn nothing_is_nothing_and_an_empty_file_is_sound() {
    let place = Place::new();
    assert_eq!(verify(place.path()).unwrap(), None);
    fs::write(place.path(), "").unwrap();
    assert_eq!(verified(&place), Verification::default());
}

#[tokio::test]
async fn a_sound_store_is_counted_and_left_alone() {
    let place = Place::new();
    with_work(&place).await;
    let before = fs::read(place.path()).unwrap();
    let counted = Verification {
        held_by: None,
        findings: Vec::new(),
        subjects: 2,
        notifications: 3,
        pending: 1,
        events: 2,
        deliveries: 4,
        dead_letters: 0,
    };
    assert_eq!(verified(&place), counted);
    assert!(fs::read(place.path()).unwrap() == before);
    let store = place.open(3);
    assert!(verified(&place).held_by.is_some());
    drop(store);
}

#[tokio::test]
async fn each_thing_that_must_hold_is_missed_when_it_does_not() {
    let breaks = [
        "UPDATE subjects SET due_at = NULL WHERE id = 'y'",
        "UPDATE notifications SET ticket = 99 WHERE ticket = 2",
        "UPDATE subjects SET events = 0 WHERE id = 'x'",
        "UPDATE events SET last_ticket = 7 WHERE subject = (SELECT key FROM subjects WHERE id = 'x')",
        "DELETE FROM cursors WHERE handler = 1 AND subject = 1",
        "UPDATE cursors SET number = 9 WHERE handler = 1 AND subject = 1",
        "UPDATE counters SET value = value + 1",
        "UPDATE handlers SET waiting = 0, dead_letters = 3",
        "UPDATE snapshots SET body = CAST('{' AS BLOB) WHERE subject = 1",
        "UPDATE events SET body = X'FF7B7D' WHERE subject = 1",
        "PRAGMA foreign_keys = 0; DELETE FROM orgs",
        "UPDATE events SET id = X'00000000000000000000000000000001' WHERE subject = 1;
         PRAGMA writable_schema = 1; DELETE FROM sqlite_schema WHERE name = 'cursors_waiting'",
    ];
    let mut told = String::new();
    for sql in breaks {
        let place = Place::new();
        with_work(&place).await;
        place.raw().execute_batch(sql).unwrap();
        let findings = verified(&place).findings;
        assert!(!findings.is_empty(), "{sql}");
        told.push_str(&format!("{sql}\n    {}\n", findings.join("\n    ")));
    }
    insta::with_settings!({filters => vec![("event [0-9a-f]{32}", "event [id]"), ("notification [0-9a-f]{32}", "notification [id]")]}, {
        insta::assert_snapshot!(told);
    });
}

/// What somebody else put into the file is told, and nobody works with it.
#[tokio::test]
async fn a_schema_that_is_not_ours_is_told_and_refused() {
    let crafted = [
        "CREATE TRIGGER \"gift\u{1b}[2J\" AFTER INSERT ON notifications BEGIN DELETE FROM events; END",
        "CREATE VIEW gifts AS SELECT load_extension('/tmp/x') FROM events",
        "CREATE TABLE gifts (a)",
        "DROP TRIGGER delivery_added",
        "DROP TRIGGER delivery_added;
         CREATE TRIGGER delivery_added AFTER INSERT ON deliveries BEGIN DELETE FROM deliveries; END",
        "CREATE INDEX gift ON events (upper(id))",
        "PRAGMA writable_schema = 1;
         UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (turn IN (0, 1))', 'CHECK (turn < 9)') WHERE name = 'orgs'",
    ];
    let mut told = String::new();
    for sql in crafted {
        let place = Place::new();
        with_work(&place).await;
        place.raw().execute_batch(sql).unwrap();
        told.push_str(&format!("{sql:?}\n    {}\n", verified(&place).findings.join("\n    ")));
        let Ok(Inspection::Present { damage, .. }) = inspect(place.path()) else {
            panic!("it is there");
        };
        assert_eq!(damage, verified(&place).findings);
        for refused in [
            place.try_open(9).map(drop),
            SqliteStore::open_beside(place.path()).map(drop),
            copy(place.path(), place.beside(".copy"), false),
        ] {
            assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{sql}: {refused:?}");
        }
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_destroyed_page_is_a_finding() {
    let place = Place::new();
    with_work(&place).await;
    let mut bytes = fs::read(place.path()).unwrap();
    bytes.get_mut(3 * 4096..4 * 4096).unwrap().fill(0x55);
    fs::write(place.path(), bytes).unwrap();
    assert!(!verified(&place).findings.is_empty());
}
