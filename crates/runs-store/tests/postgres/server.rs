//! A schema of its own for each test, dropped afterwards.

use std::env;
use std::thread;

use runs_store::{PostgresSettings, PostgresStore, SchedulingTime, WorkerIdentity};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const VARIABLE: &str = "RUNS_STORE_POSTGRES_URL";
/// Names the same server through a pooler in transaction mode.
const POOLED: &str = "RUNS_STORE_PGBOUNCER_URL";

/// Whether there is a server to test on. In CI there has to be one.
pub(crate) fn is_there() -> bool {
    names_a_server(VARIABLE)
}

/// Whether there is a pooler before it. In CI there has to be one.
pub(crate) fn pooler_is_there() -> bool {
    names_a_server(POOLED)
}

#[expect(clippy::print_stderr, reason = "a person has to see that nothing was tested")]
fn names_a_server(variable: &str) -> bool {
    let is_there = env::var_os(variable).is_some();
    if !is_there {
        assert!(env::var_os("CI").is_none(), "{variable} has to name a server in CI");
        eprintln!("SKIPPED: nothing was tested on PostgreSQL, because {variable} names no server");
    }
    is_there
}

/// The server through the pooler.
pub(crate) fn pooled_url() -> String {
    env::var(POOLED).unwrap()
}

/// The server.
pub(crate) fn url() -> String {
    env::var(VARIABLE).unwrap()
}

/// A way to the server on which somebody stands between; its URL.
pub(crate) async fn way_to_the_server<P>(pass: impl Fn(TcpStream, TcpStream) -> P + Send + 'static) -> String
where
    P: Future<Output = ()> + Send + 'static,
{
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = door.local_addr().unwrap().port();
    let server: tokio_postgres::Config = url().parse().unwrap();
    let user = server.get_user().unwrap_or("postgres").to_owned();
    let database = server.get_dbname().unwrap_or("postgres").to_owned();
    let server = server.get_ports().first().copied().unwrap_or(5432);
    tokio::spawn(async move {
        while let Ok((client, _)) = door.accept().await {
            let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            tokio::spawn(pass(client, server));
        }
    });
    format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable")
}

/// A session of an administrator.
pub(crate) async fn session() -> Client {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs statements as an administrator.
pub(crate) async fn administer(sql: &str) {
    session().await.batch_execute(sql).await.unwrap();
}

/// A schema that is dropped in the end.
pub(crate) struct Schema {
    /// What it is called.
    pub(crate) name: String,
    worker: Uuid,
}

impl Schema {
    /// One that is not there yet.
    pub(crate) fn new() -> Self {
        Self {
            name: format!("test_{}", Uuid::now_v7().simple()),
            worker: Uuid::now_v7(),
        }
    }

    /// How a store in it is opened.
    pub(crate) fn settings(&self) -> PostgresSettings {
        self.settings_at(&url())
    }

    /// The same at another URL.
    pub(crate) fn settings_at(&self, url: &str) -> PostgresSettings {
        let separator = if url.contains('?') { '&' } else { '?' };
        let mut settings = PostgresSettings::new(format!("{url}{separator}options=-csearch_path%3D{}", self.name));
        settings.connections = 4;
        settings
    }

    /// A store in it.
    pub(crate) async fn open(&self, now: SchedulingTime) -> PostgresStore {
        PostgresStore::open(&self.settings(), &self.worker(), now)
            .await
            .unwrap()
    }

    /// Does what a later version may do as long as this one is to go on working: it adds what may be empty.
    pub(crate) async fn make_newer(&self) {
        let name = &self.name;
        administer(&format!(
            "DO $$ DECLARE each text; BEGIN
                 FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = '{name}' LOOP
                     EXECUTE format('ALTER TABLE {name}.%I ADD COLUMN later text', each);
                 END LOOP;
             END $$;
             UPDATE {name}.runs_worker_schema SET version = 1000"
        ))
        .await;
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Who opens it.
    pub(crate) fn worker(&self) -> WorkerIdentity {
        WorkerIdentity::new(self.worker, "test", "0.0.0")
    }
}

impl Schema {
    /// Somebody else who opens it.
    pub(crate) fn another_worker(&self) -> WorkerIdentity {
        WorkerIdentity::new(Uuid::now_v7(), "another", "0.0.0")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let name = self.name.clone();
        // The test's own runtime is busy with dropping this.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url(), tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                client
                    .batch_execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE"))
                    .await
                    .unwrap();
            });
        });
        dropping.join().unwrap();
    }
}
