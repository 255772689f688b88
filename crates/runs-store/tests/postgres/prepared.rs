//! What was prepared on a connection is not there any more, or no longer fits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runs_store::{Claim, Lane, Lanes, PostgresStore, RefreshDesk as _, SchedulingTime, Store as _};
use tallyfy_model::{OrgId, RunId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::TcpStream;

use super::server::{Schema, administer, is_there, way_to_the_server};

/// A statement at the beginning of each transaction, and one of the same length after which nothing is prepared any more.
const SAID: &[u8] = b"SET LOCAL lock_timeout TO 10000";
const INSTEAD: &[u8] = b"DEALLOCATE ALL                 ";

/// A way to the server that, once it is asked to, makes each session forget what was prepared in it: to a store, this looks
/// as if each transaction reached another one.
#[derive(Clone, Default)]
struct Way(Arc<AtomicBool>);

impl Way {
    /// The server's URL by this way.
    async fn open(&self) -> String {
        let way = self.clone();
        way_to_the_server(move |client, server| way.clone().pass(client, server)).await
    }

    async fn pass(self, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut piece).await {
            let said = &mut piece[..length];
            let place = said.windows(SAID.len()).position(|words| words == SAID);
            if let Some(place) = place.filter(|_| self.0.load(Ordering::Relaxed)) {
                said[place..place + SAID.len()].copy_from_slice(INSTEAD);
            }
            to_server.write_all(said).await.unwrap();
        }
    }
}

fn now() -> SchedulingTime {
    SchedulingTime::by_wall_clock()
}

/// How many runs are due.
async fn claim(store: &PostgresStore) -> usize {
    let claim = Claim {
        now: now(),
        lease: Duration::from_secs(3600),
        limit: 10,
        in_flight: None,
    };
    let claimed = store.claim_due(&OrgId::new("org"), Lanes::All, claim).await.unwrap();
    claimed.work.len()
}

async fn ask_for(store: &PostgresStore, run: &str) {
    let (org, run) = (OrgId::new("org"), RunId::new(run));
    store.request_refresh(&org, &run, Lane::Live, now()).await.unwrap();
}

#[tokio::test]
async fn a_store_goes_on_when_what_it_prepared_is_gone() {
    if !is_there() {
        return;
    }
    let (schema, way) = (Schema::new(), Way::default());
    let settings = schema.settings_at(&way.open().await);
    let store = PostgresStore::open(&settings, &schema.worker(), now()).await.unwrap();
    assert!(store.hears().await);
    for run in ["first", "second"] {
        ask_for(&store, run).await;
        assert_eq!(claim(&store).await, 1);
    }
    way.0.store(true, Ordering::Relaxed);
    for run in ["third", "fourth"] {
        ask_for(&store, run).await;
        assert_eq!(claim(&store).await, 1);
    }
    store.close().await;
}

#[tokio::test]
async fn a_store_goes_on_when_the_tables_were_changed() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let store = schema.open(now()).await;
    assert!(store.hears().await);
    // On every connection that there is.
    for number in 0..10 {
        ask_for(&store, &format!("run {number}")).await;
        assert_eq!(claim(&store).await, 1);
    }
    let name = schema.name();
    administer(&format!("ALTER TABLE {name}.subjects ALTER COLUMN memory TYPE varchar")).await;
    ask_for(&store, "another run").await;
    assert_eq!(claim(&store).await, 1);
    store.close().await;
}
