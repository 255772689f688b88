//! The server has committed, and its answer gets lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runs_store::{
    Claim, HandlerName, Lane, Lanes, OutboxDesk as _, PostgresStore, RefreshDesk as _, SchedulingTime, Store as _,
    StoreError,
};
use tallyfy_model::{OrgId, RunId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::TcpStream;

use super::server::{Schema, administer, is_there, way_to_the_server};

/// A way to the server. Once it is asked to, it passes the next commit of what was written on, and then loses the answer and
/// the connection.
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
        let back = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await.map(|_| from_server) });
        let (mut piece, mut writes) = (vec![0; 64 * 1024], false);
        while let Ok(length @ 1..) = from_client.read(&mut piece).await {
            let said = &piece[..length];
            let says = |text: &[u8]| said.windows(text.len()).any(|words| words == text);
            writes = says(b"READ WRITE") || writes && !says(b"READ ONLY");
            if writes && says(b"COMMIT\0") && self.0.swap(false, Ordering::Relaxed) {
                back.abort();
                to_server.write_all(said).await.unwrap();
                // The server ends the connection when it has done what it was told.
                to_server.shutdown().await.unwrap();
                return;
            }
            to_server.write_all(said).await.unwrap();
        }
    }

    fn lose_the_next(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn now() -> SchedulingTime {
    SchedulingTime::by_wall_clock()
}

fn claim() -> Claim {
    Claim {
        now: now(),
        lease: std::time::Duration::from_secs(3600),
        limit: 10,
        in_flight: None,
    }
}

#[tokio::test]
async fn what_a_lost_claim_has_leased_is_handed_out_by_the_next_one() {
    if !is_there() {
        return;
    }
    let (schema, way) = (Schema::new(), Way::default());
    let settings = schema.settings_at(&way.open().await);
    let store = PostgresStore::open(&settings, &schema.worker(), now()).await.unwrap();
    let (org, handler) = (OrgId::new("org"), HandlerName::new("h"));
    store.set_handlers(std::slice::from_ref(&handler), now()).await.unwrap();
    store
        .request_refresh(&org, &RunId::new("run"), Lane::Live, now())
        .await
        .unwrap();

    way.lose_the_next();
    let lost = store.claim_due(&org, Lanes::All, claim()).await;
    assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    // Before the end of the lease, as soon as the server has done what it was told.
    let found = loop {
        let mut found = store.claim_due(&org, Lanes::All, claim()).await.unwrap();
        if let Some(due) = found.work.pop() {
            break due;
        }
    };
    assert_eq!(found.failures, 0, "nobody has tried it");
    let name = schema.name();
    administer(&format!(
        "DO $$ BEGIN ASSERT (SELECT fence FROM {name}.subjects) = 2; END $$"
    ))
    .await;

    administer(&format!(
        "INSERT INTO {name}.events (id, subject, number, type, created_at, first_ticket, last_ticket, body)
         SELECT gen_random_uuid(), key, 1, 'type', 0, 1, 1, '{{}}' FROM {name}.subjects;
         INSERT INTO {name}.deliveries (handler, subject, number, since)
         SELECT h.key, s.key, 1, 0 FROM {name}.handlers h, {name}.subjects s;
         INSERT INTO {name}.cursors (handler, subject, number, due_at)
         SELECT h.key, s.key, 1, 0 FROM {name}.handlers h, {name}.subjects s"
    ))
    .await;
    way.lose_the_next();
    let lost = store.claim_deliveries(&handler, claim()).await;
    assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
    let found = loop {
        let mut found = store.claim_deliveries(&handler, claim()).await.unwrap();
        if let Some(delivery) = found.work.pop() {
            break delivery;
        }
    };
    assert_eq!(found.attempt, 1, "nobody has tried it");
    administer(&format!(
        "DO $$ BEGIN ASSERT (SELECT fence FROM {name}.cursors) = 2; END $$"
    ))
    .await;
    store.close().await;
}
