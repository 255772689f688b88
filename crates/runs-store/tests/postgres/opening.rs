//! What can be opened, and what a person has to mend first.

use runs_store::{OperatorDesk as _, PostgresStore, SchedulingTime, Store as _, StoreError};

use super::server::{Schema, administer, is_there, url};

async fn open(schema: &Schema, url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(
        &schema.settings_at(url),
        &schema.another_worker(),
        SchedulingTime::by_wall_clock(),
    )
    .await
}

/// Why it cannot be opened.
async fn refusal(schema: &Schema, url: &str) -> String {
    match open(schema, url).await {
        Err(
            error @ (StoreError::Misconfigured { .. } | StoreError::NotAStore { .. } | StoreError::NewerSchema { .. }),
        ) => error.to_string(),
        other => unreachable!("{other:?}"),
    }
}

/// The server, as seen by this user.
fn url_of(user: &str) -> String {
    let (scheme, rest) = url()
        .split_once("://")
        .map(|(scheme, rest)| (scheme.to_owned(), rest.to_owned()))
        .unwrap();
    let host = rest.rsplit_once('@').map_or(rest.clone(), |(_, host)| host.to_owned());
    format!("{scheme}://{user}@{host}")
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_said_in_a_sentence() {
    let schema = Schema::new();
    for (url, said) in [
        ("mysql://host/database", "does not begin with postgres://"),
        ("postgres://host/database?sslmode=perhaps", "sslmode=perhaps"),
        (
            "postgres://host/database?options=-csearch_path%3D'x'",
            "may only name the schema",
        ),
        ("postgres:///database", "names no host"),
        ("postgres://host:many/database", "cannot be read"),
    ] {
        let refusal = match PostgresStore::open_beside(&runs_store::PostgresSettings::new(url)).await {
            Err(StoreError::Misconfigured { reason }) => reason,
            other => unreachable!("{url}: {other:?}"),
        };
        assert!(refusal.contains(said), "{url}: {refusal}");
    }
    let away = open(&schema, "postgres://s3cret:s3cret@127.0.0.1:1/database").await;
    assert!(
        matches!(away, Err(StoreError::Unavailable { .. })),
        "it may come back: {away:?}"
    );
    assert!(!format!("{away:?} {:?}", schema.settings_at("postgres://u:s3cret@h/d")).contains("s3cret"));
}

#[tokio::test]
async fn a_database_or_a_role_that_does_not_do_is_named() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let other = url_of("postgres")
        .rsplit_once('/')
        .map(|(server, _)| format!("{server}/no_such_database"))
        .unwrap();
    assert!(
        refusal(&schema, &other)
            .await
            .contains("there is no database no_such_database")
    );
    let role = format!("{}_role", schema.name());
    administer(&format!("CREATE ROLE {role} LOGIN")).await;
    let lacking = refusal(&schema, &url_of(&role)).await;
    administer(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await;
    let read_only = refusal(&schema, &url_of(&role)).await;
    administer(&format!("DROP ROLE {role}")).await;
    assert!(lacking.contains(&format!("user {role} lacks rights")), "{lacking}");
    assert!(
        lacking.contains("CREATE SCHEMA"),
        "what an administrator has to say: {lacking}"
    );
    assert!(read_only.contains("read only"), "{read_only}");
}

#[tokio::test]
async fn a_role_that_owns_its_schema_needs_no_other_right() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let role = format!("{}_owner", schema.name());
    administer(&format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA {} AUTHORIZATION {role}",
        schema.name()
    ))
    .await;
    let opened = open(&schema, &url_of(&role)).await;
    if let Ok(store) = &opened {
        store.close().await;
    }
    administer(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    opened.unwrap();
}

#[tokio::test]
async fn tables_of_another_program_and_of_a_newer_version_are_left_alone() {
    if !is_there() {
        return;
    }
    let (schema, url) = (Schema::new(), url());
    let name = schema.name();
    administer(&format!(
        "CREATE SCHEMA {name}; CREATE TABLE {name}.customers (id integer)"
    ))
    .await;
    assert!(refusal(&schema, &url).await.contains("tables of another program"));
    administer(&format!("DROP TABLE {name}.customers")).await;
    open(&schema, &url).await.unwrap().close().await;

    // A newer version that this one may still use, and one that it may not.
    administer(&format!("UPDATE {name}.runs_worker_schema SET version = 1000")).await;
    open(&schema, &url).await.unwrap().close().await;
    administer(&format!("UPDATE {name}.runs_worker_schema SET usable_from = 1000")).await;
    assert!(refusal(&schema, &url).await.contains("schema version 1000"));
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made_beside_its_workers() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let beside = PostgresStore::open_beside(&schema.settings()).await;
    assert!(matches!(beside, Err(StoreError::Missing { .. })), "{beside:?}");
}

#[tokio::test]
async fn workers_that_start_at_the_same_time_make_the_tables_once() {
    if !is_there() {
        return;
    }
    let (schema, url) = (Schema::new(), url());
    let opened = tokio::join!(open(&schema, &url), open(&schema, &url), open(&schema, &url));
    for store in [opened.0, opened.1, opened.2] {
        let store = store.unwrap();
        assert!(store.hears().await, "and hear each other");
        store.close().await;
    }
}

#[tokio::test]
async fn a_store_goes_on_when_the_server_has_closed_its_connections() {
    if !is_there() {
        return;
    }
    let schema = Schema::new();
    let name = schema.name();
    let store = open(&schema, &format!("{}?application_name={name}", url()))
        .await
        .unwrap();
    for _ in 0..3 {
        tokio::join!(store.probe(), store.probe()).0.unwrap();
        administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
        ))
        .await;
        store.probe().await.unwrap();
    }
    store.close().await;
}
