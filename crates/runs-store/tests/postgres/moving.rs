//! A store is moved from a file to a server and back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use runs_store::moving::{Place, move_store};
use runs_store::{
    Claim, HandlerName, Lane, Lanes, NewEvent, NewNotification, NotificationHead, OutboxDesk as _, PostgresStore,
    Query, Recipients, RefreshDesk as _, RefreshEnd, Refreshed, SchedulingTime, Settlement, Snapshot, SqliteStore,
    Standing, Store, StoreError, Subject,
};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use crate::server::{self, Schema};

fn at(seconds: i64) -> SchedulingTime {
    SchedulingTime::new(Timestamp::from_second(1_790_000_000 + seconds).unwrap())
}

fn org() -> OrgId {
    OrgId::new("acme")
}

fn claim(seconds: i64) -> Claim {
    Claim {
        now: at(seconds),
        lease: Duration::from_secs(60),
        limit: 1,
        in_flight: None,
    }
}

async fn notify(store: &dyn Store, run: &str) {
    let notification = NewNotification {
        id: Uuid::now_v7(),
        org: org(),
        subject: Some(Subject::Run(RunId::new(run))),
        head: NotificationHead::default(),
        dedupe_key: Some(format!("key of {run}")),
        received_at: at(0).shown(),
        body: Bytes::from_static(b"{\"id\":1.50}"),
    };
    store.append(notification, at(0)).await.unwrap();
}

/// Fetches what is due, and makes this many events of it.
async fn refresh(store: &dyn Store, events: usize) {
    let due = store
        .claim_due(&org(), Lanes::All, claim(1))
        .await
        .unwrap()
        .work
        .remove(0);
    let mut refreshed = Refreshed::new(Standing::Present, at(1));
    refreshed.memory = Some("{\"told\":{}}".to_owned());
    refreshed.snapshot = Some(Snapshot {
        body: Bytes::from_static(b"{\"name\":\"\xc3\xa4\"}"),
        fetched_at: at(1).shown(),
    });
    for number in 0..events {
        refreshed.events.push(NewEvent {
            id: Uuid::now_v7(),
            event_type: "com.tallyfy.run.changed.v1".to_owned(),
            created_at: at(1).shown(),
            body: Bytes::from(format!("event {number}")),
            recipients: Recipients::All,
        });
    }
    let ended = vec![(due.lease, RefreshEnd::Commit(refreshed)).into()];
    store.end_refreshes(ended, at(1)).await.unwrap();
}

/// What waits, what was delivered and what was given up, in words that hold no time and no key.
async fn told(store: &dyn Store) -> Vec<String> {
    let mut told = Vec::new();
    for event in store.events(&Query::default(), 1000).await.unwrap() {
        told.push(format!("{event:?}"));
    }
    for notification in store.notifications(&Query::default(), 1000).await.unwrap() {
        told.push(format!("{notification:?}"));
    }
    for letter in store.dead_letters(&Query::default(), 1000).await.unwrap() {
        told.push(format!("{letter:?}"));
    }
    for delivery in store.deliveries(&Query::default(), 1000).await.unwrap() {
        told.push(format!("{delivery:?}"));
    }
    let mut stats = store.stats(at(100)).await.unwrap();
    stats.log_bytes = 0;
    told.push(format!("{stats:?}"));
    told.push(format!("{:?}", store.sweeps(&org()).await.unwrap()));
    told
}

/// A store in which something of everything is.
async fn full(file: &Path) -> Vec<String> {
    let store = SqliteStore::open(file, at(0)).unwrap();
    let handlers = [HandlerName::new("http"), HandlerName::new("file")];
    store.set_handlers(&handlers, at(0)).await.unwrap();
    store.watch(&org(), at(0).shown()).await.unwrap();
    store.keep_budget(&org(), "{\"hour\":17}".to_owned()).await.unwrap();
    for run in ["first", "second"] {
        notify(&store, run).await;
        refresh(&store, 3).await;
    }
    for number in 0..250 {
        notify(&store, &format!("waits {number}")).await;
    }
    store
        .request_refresh(&org(), &RunId::new("of a sweep"), Lane::Sweep, at(0))
        .await
        .unwrap();
    let given_up = Settlement::DeadLetter {
        reason: "422".to_owned(),
        answer: Some("no such field".to_owned()),
    };
    for settlement in [Settlement::Delivered, given_up] {
        let delivery = store
            .claim_deliveries(&handlers[0], claim(2))
            .await
            .unwrap()
            .work
            .remove(0);
        store
            .settle(vec![(delivery.lease, settlement).into()], at(2))
            .await
            .unwrap();
    }
    let told = told(&store).await;
    store.close().await;
    told
}

struct Scene {
    _folder: tempfile::TempDir,
    file: PathBuf,
    schema: Schema,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            file: folder.path().join("runs.db"),
            _folder: folder,
            schema: Schema::new(),
        }
    }

    fn in_file(&self) -> Place {
        Place::File(self.file.clone())
    }

    fn on_server(&self) -> Place {
        Place::Server(self.schema.settings())
    }

    async fn to_server(&self) -> Result<(), StoreError> {
        move_store(&self.in_file(), &self.on_server(), at(10), |_| {})
            .await
            .map(drop)
    }

    async fn open(&self) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(&self.schema.settings(), &self.schema.worker(), at(20)).await
    }
}

#[tokio::test]
async fn everything_arrives_there_and_back() {
    if !server::is_there() {
        return;
    }
    let scene = Scene::new();
    let before = full(&scene.file).await;
    let mut tables = BTreeSet::new();
    let moved = move_store(&scene.in_file(), &scene.on_server(), at(10), |progress| {
        tables.insert(progress.table);
    })
    .await
    .unwrap();
    assert!(moved.contains(&("notifications", 252)), "{moved:?}");
    assert!(tables.contains("dead_letters"), "{tables:?}");

    let store = scene.open().await.unwrap();
    assert_eq!(told(&store).await, before);
    // The next numbers are behind those that arrived.
    notify(&store, "afterwards").await;
    refresh(&store, 1).await;
    let on_server = told(&store).await;
    store.close().await;

    move_store(&scene.on_server(), &scene.in_file(), at(30), |_| {})
        .await
        .unwrap();
    let store = SqliteStore::open(&scene.file, at(40)).unwrap();
    assert_eq!(told(&store).await, on_server);
    store.close().await;
}

#[tokio::test]
async fn what_was_moved_is_not_opened_again() {
    if !server::is_there() {
        return;
    }
    let scene = Scene::new();
    full(&scene.file).await;
    scene.to_server().await.unwrap();
    assert!(!scene.file.exists());
    let again = scene.to_server().await.unwrap_err().to_string();
    assert!(again.contains("it was moved before"), "{again}");

    move_store(&scene.on_server(), &scene.in_file(), at(30), |_| {})
        .await
        .unwrap();
    let opened = scene.open().await.unwrap_err().to_string();
    assert!(opened.contains("what it held was moved to"), "{opened}");
}

#[tokio::test]
async fn a_target_that_holds_something_is_refused_and_the_source_stays() {
    if !server::is_there() {
        return;
    }
    let scene = Scene::new();
    full(&scene.file).await;
    let store = scene.open().await.unwrap();
    notify(&store, "was here before").await;
    store.close().await;
    let refused = scene.to_server().await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused(why) if why.contains("is not empty")),
        "{refused}"
    );
    SqliteStore::open(&scene.file, at(40)).unwrap().close().await;

    let back = move_store(&scene.on_server(), &scene.in_file(), at(30), |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(&back, StoreError::Refused(why) if why.contains("there is a store at")),
        "{back}"
    );
    scene.open().await.unwrap().close().await;
}

#[tokio::test]
async fn a_store_that_a_worker_uses_is_refused() {
    if !server::is_there() {
        return;
    }
    let scene = Scene::new();
    full(&scene.file).await;
    let worker = SqliteStore::open(&scene.file, at(5)).unwrap();
    assert!(matches!(scene.to_server().await, Err(StoreError::Held { .. })));
    worker.close().await;

    let worker = scene.open().await.unwrap();
    let refused = scene.to_server().await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused(why) if why.contains("a worker uses it")),
        "{refused}"
    );
    worker.close().await;
    scene.to_server().await.unwrap();
}

/// What ends a move in the middle.
struct Interrupted;

#[tokio::test]
async fn an_interrupted_move_goes_on_and_nobody_opens_what_is_half_there() {
    if !server::is_there() {
        return;
    }
    let scene = Scene::new();
    let before = full(&scene.file).await;
    let interrupted = tokio::task::spawn_blocking({
        let (from, to) = (scene.in_file(), scene.on_server());
        let runtime = tokio::runtime::Handle::current();
        move || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                runtime.block_on(move_store(&from, &to, at(10), |progress| {
                    if progress.table == "notifications" && progress.arrived >= 100 {
                        std::panic::resume_unwind(Box::new(Interrupted));
                    }
                }))
            }))
        }
    });
    assert!(interrupted.await.unwrap().is_err_and(|with| with.is::<Interrupted>()));

    let opened = scene.open().await.unwrap_err().to_string();
    assert!(
        opened.contains("is not finished; run the same `runs-worker move` again"),
        "{opened}"
    );
    scene.to_server().await.unwrap();
    let store = scene.open().await.unwrap();
    assert_eq!(told(&store).await, before);
    store.close().await;
}

#[tokio::test]
async fn every_table_and_column_of_both_is_moved() {
    if !server::is_there() {
        return;
    }
    let scene = Scene::new();
    SqliteStore::open(&scene.file, at(0)).unwrap().close().await;
    scene.open().await.unwrap().close().await;

    let sqlite = columns_in_file(&scene.file);
    let server = columns_on_server(&scene.schema.name).await;
    let moved: BTreeSet<String> = runs_store::moving::columns().collect();
    // Kept by triggers, or of one file; and what is said of the workers that are there.
    let stays = |name: &&String| {
        let (table, column) = name.split_once('.').unwrap();
        let is_counted = ["waiting", "dead_letters"].contains(&column);
        is_counted || ["counters", "sqlite_sequence", "workers", "pulse"].contains(&table)
    };
    let left: Vec<_> = sqlite.difference(&moved).filter(|name| !stays(name)).collect();
    assert!(left.is_empty(), "{left:?}");
    let of_workers = |name: &&String| {
        let table = name.split('.').next().unwrap();
        ["workers", "seats", "beats", "pulse", "runs_worker_schema"].contains(&table) || name.ends_with(".holder")
    };
    let left: Vec<_> = server.difference(&moved).filter(|name| !of_workers(name)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(moved.is_subset(&sqlite) && moved.is_subset(&server));
}

async fn columns_on_server(schema: &str) -> BTreeSet<String> {
    let (client, connection) = tokio_postgres::connect(&server::url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = $1";
    let rows = client.query(sql, &[&schema]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn columns_in_file(file: &Path) -> BTreeSet<String> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}
