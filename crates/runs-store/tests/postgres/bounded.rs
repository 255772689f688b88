//! What a page asks for costs as much in a large store as in a small one: nothing counts or scans a table.

use std::iter::once;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use runs_store::moving::{Place, move_store};
use runs_store::sqlite::{Large, fill};
use runs_store::{
    After, Claim, HandlerName, InboxDesk as _, JournalQuery, Lanes, NewEvent, NewNotification, NotificationHead,
    OperatorDesk as _, OutboxDesk as _, PostgresSettings, PostgresStore, Query, Recipients, RefreshDesk as _,
    RefreshEnd, Refreshed, RunsOnly, RunsQuery, SchedulingTime, Settlement, SqliteStore, Standing, Store as _,
    StoryDesk as _, Subject,
};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::server::{self, Schema, is_there, session};

/// How many entries a page has.
const PAGE: usize = 50;

/// How many runs the small store knows, and the large one. In a smaller one the server finds it cheaper to read a whole table.
const SMALL: u32 = 4_000;
const LARGE: u32 = 8_000;

/// Where the index of what is rare is read as a whole, to have it in order; each further run may cost a row more there.
const RARE: &str = "runs that are held up";

fn wall() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn at() -> SchedulingTime {
    SchedulingTime::new(wall())
}

/// A way to ask; how many rows it got.
type Asked = for<'s> fn(&'s PostgresStore, &'s Middle) -> BoxFuture<'s, usize>;

/// What the pages ask for.
const ASKED: &[(&str, Asked)] = &[
    ("the runs", |store, _| all_runs(store, None).boxed()),
    ("runs that are due", |store, _| {
        all_runs(store, Some(RunsOnly::Due)).boxed()
    }),
    ("runs that fail", |store, _| {
        all_runs(store, Some(RunsOnly::Failing)).boxed()
    }),
    ("runs that are held up", |store, _| {
        all_runs(store, Some(RunsOnly::Blocked)).boxed()
    }),
    ("the story of a run", |store, _| story(store, "run7").boxed()),
    ("the events", |store, _| events(store, Query::default()).boxed()),
    ("events in the middle", |store, middle| {
        events(store, after(&middle.event)).boxed()
    }),
    ("what holds a handler up", |store, _| heads(store).boxed()),
    ("the dead letters", |store, _| letters(store, Query::default()).boxed()),
    ("the dead letters of a handler", |store, _| {
        letters(store, of_handler("erp", None)).boxed()
    }),
    ("the dead letters of a handler without any", |store, _| {
        letters(store, of_handler("archive", None)).boxed()
    }),
    ("dead letters in the middle", |store, middle| {
        letters(store, of_handler("erp", Some(middle.letter.clone()))).boxed()
    }),
    ("notifications that could not be read", |store, _| {
        notifications(store, unreadable(None)).boxed()
    }),
    ("more of them", |store, middle| {
        notifications(store, unreadable(Some(middle.unread.clone()))).boxed()
    }),
    ("the journal", |store, _| journal(store).boxed()),
];

async fn all_runs(store: &PostgresStore, only: Option<RunsOnly>) -> usize {
    let query = RunsQuery {
        only,
        ..RunsQuery::default()
    };
    store.runs(&query, None, PAGE).await.unwrap().runs.len()
}

async fn story(store: &PostgresStore, run: &str) -> usize {
    let (org, run) = (OrgId::new("northwind"), RunId::new(run));
    let story = store.story(&org, &run, None, PAGE).await.unwrap();
    story.map_or(0, |story| story.notifications.len())
}

async fn events(store: &PostgresStore, query: Query) -> usize {
    store.events(&query, PAGE).await.unwrap().len()
}

async fn heads(store: &PostgresStore) -> usize {
    let heads = store.heads(&HandlerName::new("erp"), None, PAGE).await.unwrap();
    heads.heads.len()
}

async fn letters(store: &PostgresStore, query: Query) -> usize {
    store.dead_letters(&query, PAGE).await.unwrap().len()
}

async fn notifications(store: &PostgresStore, query: Query) -> usize {
    store.notifications(&query, PAGE).await.unwrap().len()
}

async fn journal(store: &PostgresStore) -> usize {
    let entries = store.journal(&JournalQuery::default(), None, PAGE).await;
    entries.unwrap().len()
}

fn after(after: &After) -> Query {
    let mut query = Query::default();
    query.after = Some(after.clone());
    query
}

fn of_handler(handler: &str, after: Option<After>) -> Query {
    let mut query = Query::default();
    query.handler = Some(HandlerName::new(handler));
    query.after = after;
    query
}

fn unreadable(after: Option<After>) -> Query {
    let mut query = Query::default();
    query.unrecognized = true;
    query.after = after;
    query
}

/// Entries with as many before them as after them.
struct Middle {
    event: After,
    letter: After,
    unread: After,
}

impl Middle {
    async fn of(schema: &Schema) -> Self {
        Self {
            event: in_the_middle(schema, "events", "seq", None).await,
            letter: in_the_middle(
                schema,
                "events JOIN dead_letters USING (subject, number)",
                "at",
                Some("erp"),
            )
            .await,
            unread: in_the_middle(
                schema,
                "(SELECT * FROM notifications WHERE subject IS NULL) AS unread",
                "seq",
                None,
            )
            .await,
        }
    }
}

async fn in_the_middle(schema: &Schema, from: &str, by: &str, handler: Option<&str>) -> After {
    let session = session().await;
    let (path, count) = (
        format!("SET search_path TO {}", schema.name()),
        format!("SELECT count(*) / 2 FROM {from}"),
    );
    session.batch_execute(&path).await.unwrap();
    let sql = format!("SELECT id FROM {from} ORDER BY {by}, id LIMIT 1 OFFSET ({count})");
    After {
        id: session.query_one(&sql, &[]).await.unwrap().get(0),
        handler: handler.map(HandlerName::new),
    }
}

/// A store on the server that knows so many runs.
async fn filled(runs: u32) -> Schema {
    let schema = Schema::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    SqliteStore::open(&file, at()).unwrap().close().await;
    let large = Large {
        runs,
        notifications: 5,
        now: wall(),
    };
    fill(&file, large).unwrap();
    move_store(&Place::File(file), &Place::Server(schema.settings()), at(), |_| {})
        .await
        .unwrap();
    let session = session().await;
    session
        .batch_execute(&format!(
            "DO $$ DECLARE each text; BEGIN
                 FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = '{name}' LOOP
                     EXECUTE format('ANALYZE {name}.%I', each);
                 END LOOP;
             END $$",
            name = schema.name()
        ))
        .await
        .unwrap();
    schema
}

/// How many rows and entries of indexes were read in a schema so far by sessions that are over.
async fn read_so_far(schema: &Schema) -> u64 {
    counted(
        schema,
        "SELECT (SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE schemaname = $1)
              + (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE schemaname = $1)",
    )
    .await
}

/// What was counted in a schema so far, by sessions that are over: what one has read is counted when it ends.
async fn counted(schema: &Schema, sql: &str) -> u64 {
    let session = session().await;
    while session
        .query_one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1",
            &[&schema.name()],
        )
        .await
        .unwrap()
        .get::<_, i64>(0)
        > 0
    {}
    let counted: i64 = session.query_one(sql, &[&schema.name()]).await.unwrap().get(0);
    u64::try_from(counted).unwrap()
}

/// How a store is opened whose sessions have the name of its schema.
fn named(schema: &Schema) -> PostgresSettings {
    schema.settings_at(&format!("{}?application_name={}", server::url(), schema.name()))
}

/// How much the server reads for each of them, and how many rows there are.
async fn costs(runs: u32) -> Vec<(u64, usize)> {
    let schema = filled(runs).await;
    let middle = Middle::of(&schema).await;
    let settings = named(&schema);
    let mut costs = Vec::new();
    let mut before = read_so_far(&schema).await;
    // The first asks for nothing, and shows what opening costs.
    let asked = ASKED.iter().map(|(_, asked)| Some(asked));
    for asked in once(None).chain(asked) {
        let store = PostgresStore::open(&settings, &schema.worker(), at()).await.unwrap();
        let rows = match asked {
            Some(asked) => asked(&store, &middle).await,
            None => 0,
        };
        store.close().await;
        drop(store);
        let after = read_so_far(&schema).await;
        costs.push((after - before, rows));
        before = after;
    }
    let (opening, _) = costs.remove(0);
    costs
        .into_iter()
        .map(|(read, rows)| (read.saturating_sub(opening), rows))
        .collect()
}

#[tokio::test]
async fn no_page_costs_more_in_a_larger_store() {
    if !is_there() {
        return;
    }
    let (small, large) = (costs(SMALL).await, costs(LARGE).await);
    let mut grown = Vec::new();
    for (((what, _), small), large) in ASKED.iter().zip(small).zip(large) {
        assert!(small.1 > 0 || large.1 == 0, "{what}: the small store has none");
        let more = if *what == RARE { u64::from(LARGE - SMALL) } else { 0 };
        if large.0 > small.0 * 11 / 10 + 50 + more {
            grown.push(format!(
                "{what}: {} read for {} rows, then {} for {}",
                small.0, small.1, large.0, large.1
            ));
        }
    }
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}

/// Follows a run from its webhook to its delivery.
async fn follow_a_run(store: &PostgresStore) {
    let (org, handler) = (OrgId::new("org"), HandlerName::new("erp"));
    let notification = NewNotification {
        id: Uuid::now_v7(),
        org: org.clone(),
        subject: Some(Subject::Run("run".into())),
        head: NotificationHead::default(),
        dedupe_key: Some("key".to_owned()),
        received_at: wall(),
        body: Bytes::from_static(b"{}"),
    };
    store.append(notification, at()).await.unwrap();
    let claim = Claim {
        now: at(),
        lease: Duration::from_secs(60),
        limit: 10,
        in_flight: None,
    };
    let claimed = store.claim_due(&org, Lanes::All, claim).await.unwrap();
    let mut refreshed = Refreshed::new(Standing::Present, at());
    refreshed.events.push(NewEvent {
        id: Uuid::now_v7(),
        event_type: "com.tallyfy.run.changed.v1".to_owned(),
        created_at: wall(),
        body: Bytes::from_static(b"{}"),
        recipients: Recipients::All,
    });
    let ended = claimed.work.into_iter();
    let ended = ended.map(|due| (due.lease, RefreshEnd::Commit(refreshed.clone())).into());
    store
        .end_and_claim(ended.collect(), &org, Lanes::All, claim)
        .await
        .unwrap();
    let claimed = store.claim_deliveries(&handler, claim).await.unwrap();
    assert_eq!(claimed.work.len(), 1);
    let settled = claimed.work.into_iter();
    let settled = settled.map(|delivery| (delivery.lease, Settlement::Delivered).into());
    store
        .settle_and_claim(settled.collect(), &handler, claim)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_stages_read_no_table_as_a_whole() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let settings = named(&schema);
    let mut whole = Vec::new();
    for is_used in [false, false, true] {
        let store = PostgresStore::open(&settings, &schema.worker(), at()).await.unwrap();
        assert!(store.hears().await, "so it prepares its statements");
        store.set_handlers(&[HandlerName::new("erp")], at()).await.unwrap();
        if is_used {
            follow_a_run(&store).await;
        }
        store.close().await;
        drop(store);
        let read = "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables
                     WHERE schemaname = $1 AND relname NOT IN ('workers', 'runs_worker_schema')";
        whole.push(counted(&schema, read).await);
    }
    assert_eq!(
        whole[2] - whole[1],
        whole[1] - whole[0],
        "no more than by opening and closing"
    );
}
