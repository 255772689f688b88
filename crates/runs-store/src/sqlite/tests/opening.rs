use super::*;
use crate::sqlite::{connect, inspect, schema, verify};

#[tokio::test]
async fn the_file_is_as_it_has_to_be_for_the_promises() {
    let place = Place::new();
    let store = place.open(0);
    let settings = store.write("reading", |transaction| {
        let mut settings = Vec::new();
        let pragmas = [
            "page_size",
            "synchronous",
            "fullfsync",
            "checkpoint_fullfsync",
            "foreign_keys",
            "journal_size_limit",
        ];
        for pragma in pragmas {
            let value = transaction.row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))?;
            settings.push((pragma, value.unwrap_or_default()));
        }
        let journal = transaction.row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?;
        Ok((settings, journal))
    });
    let (settings, journal) = settings.await.unwrap();
    let expected = [
        ("page_size", 4096),
        ("synchronous", 2),
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
        ("foreign_keys", 1),
        ("journal_size_limit", 268_435_456),
    ];
    assert_eq!(settings, expected);
    assert_eq!(journal.as_deref(), Some("wal"));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mode = fs::metadata(place.beside(suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "runs.db{suffix}");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let place = Place::new();
    fs::write(place.path(), "").unwrap();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
}

#[tokio::test]
async fn opening_a_store_again_changes_nothing() {
    let place = Place::new();
    drop(place.open(0));
    let before = verify(place.path()).unwrap();
    drop(place.open(1));
    assert_eq!(verify(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let place = Place::new();
    let mut connection = place.raw();
    connection.execute_batch("CREATE TABLE cursors (theirs)").unwrap();
    schema::migrate(&mut connection).unwrap_err();
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!((schema::version(&connection).unwrap(), tables), (0, 1));
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_folder_of_a_store_is_that_folder() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("data");
    let store = place.open(0);
    std::os::unix::fs::symlink(place.0.path(), &link).unwrap();
    let file = link.join(place.path().file_name().unwrap());
    let refused = SqliteStore::open(&file, at(1)).unwrap_err();
    assert!(matches!(refused, StoreError::Held { .. }), "{refused:?}");
    drop(store);
    drop(SqliteStore::open(&file, at(1)).unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_the_place_of_its_files_are_not_followed() {
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let (place, elsewhere) = (Place::new(), tempfile::tempdir().unwrap());
        let victim = elsewhere.path().join("victim");
        for target in ["precious", ""] {
            if !target.is_empty() {
                fs::write(&victim, target).unwrap();
            }
            std::os::unix::fs::symlink(&victim, place.beside(suffix)).unwrap();
            place.try_open(0).unwrap_err();
            assert!(inspect(place.path()).is_err() || suffix == ".lock", "runs.db{suffix}");
            fs::remove_file(place.beside(suffix)).unwrap();
            let left = fs::read_to_string(&victim).unwrap_or_default();
            assert_eq!(left, target, "runs.db{suffix}");
            drop(fs::remove_file(&victim));
        }
    }
}

#[tokio::test]
async fn the_first_pages_of_a_store_too_large_to_check_are_read() {
    let place = Place::new();
    let store = place.open(0);
    store.append(of_run("a"), at(0)).await.unwrap();
    drop(store);
    connect::read_first_pages(&place.raw()).unwrap();

    let mut bytes = fs::read(place.path()).unwrap();
    let pages = bytes.len() / 4096;
    bytes.get_mut(4096..).unwrap().fill(0x55);
    fs::write(place.path(), &bytes).unwrap();
    connect::read_first_pages(&place.raw()).unwrap_err();
    assert!(pages > 10);
}

#[tokio::test]
async fn runs_of_an_older_file_are_looked_at_by_the_first_sweep() {
    let place = Place::new();
    let connection = place.raw();
    connection.execute_batch(include_str!("../schema/v1.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .execute_batch(
            "INSERT INTO orgs (name) VALUES ('org-1');
             INSERT INTO subjects (org, kind, id, standing) VALUES (1, 'run', 'known', 'present'), (1, 'run', 'new', 'unseen');",
        )
        .unwrap();
    drop(connection);
    let store = place.open(0);
    let views = store.write("reading", |transaction| {
        transaction.rows(
            "SELECT subjects.id FROM views JOIN subjects ON key = subject",
            [],
            |row| row.get::<_, String>(0),
        )
    });
    assert_eq!(views.await.unwrap(), ["known"]);
}
