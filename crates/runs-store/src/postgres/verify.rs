//! A look at a store from outside, and a whole examination of it: what this crate promises of its rows.

use serde::de::IgnoredAny;

use super::column::Columns as _;
use super::connect::{self, explain};
use super::failure::Failure;
use super::params::params;
use super::schema::{self, Found};
use super::session::{Access, Transaction};
use super::settings::{PostgresSettings, Target};
use crate::error::StoreError;
use crate::location::{Inspection, Verification};

/// How many findings of one kind are told.
const TOLD: usize = 5;
/// How many bodies are read at a time.
const BODIES: i64 = 200;

/// What holds in every store between two transactions. Each query names what it does not hold for.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "was announced and is not due, so that nobody would ever fetch it",
        "SELECT kind || ' ' || id FROM subjects WHERE wanted > covered AND due_at IS NULL",
    ),
    (
        "has a ticket that its subject never gave out",
        "SELECT 'notification ' || n.id FROM notifications n JOIN subjects s ON s.key = n.subject WHERE n.ticket > s.wanted",
    ),
    (
        "has other numbers of events than it counts",
        "SELECT kind || ' ' || id FROM subjects s
          WHERE s.events < coalesce((SELECT max(e.number) FROM events e WHERE e.subject = s.key), 0)",
    ),
    (
        "covers notifications that were never asked for",
        "SELECT 'event ' || e.id FROM events e JOIN subjects s ON s.key = e.subject WHERE e.last_ticket > s.covered",
    ),
    (
        "waits in no line, so that nobody would ever get it",
        "SELECT 'event ' || d.number || ' of ' || s.id || ' for handler ' || h.name
           FROM deliveries d
           JOIN subjects s ON s.key = d.subject
           JOIN handlers h ON h.key = d.handler
           LEFT JOIN cursors c ON c.handler = d.handler AND c.subject = d.subject
          WHERE c.due_at IS NULL",
    ),
    (
        "is at the head of a line and waits for nobody",
        "SELECT 'event ' || c.number || ' of ' || s.id || ' for handler ' || h.name
           FROM cursors c
           JOIN subjects s ON s.key = c.subject
           JOIN handlers h ON h.key = c.handler
          WHERE c.due_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM deliveries d
                             WHERE d.handler = c.handler AND d.subject = c.subject AND d.number = c.number)",
    ),
    (
        "refers to something that is not there",
        "SELECT 'a delivery of event ' || d.number FROM deliveries d
          WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.subject = d.subject AND e.number = d.number)
          UNION ALL
         SELECT 'a dead letter of event ' || d.number FROM dead_letters d
          WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.subject = d.subject AND e.number = d.number)
          UNION ALL
         SELECT 'event ' || e.id FROM events e WHERE NOT EXISTS (SELECT 1 FROM subjects s WHERE s.key = e.subject)
          UNION ALL
         SELECT 'notification ' || n.id FROM notifications n
          WHERE n.subject IS NOT NULL AND NOT EXISTS (SELECT 1 FROM subjects s WHERE s.key = n.subject)
          UNION ALL
         SELECT s.kind || ' ' || s.id FROM subjects s WHERE NOT EXISTS (SELECT 1 FROM orgs o WHERE o.key = s.org)",
    ),
];

/// Bodies that have to be JSON, a page at a time: a key, what it is, and the body.
const JSON: [&str; 2] = [
    "SELECT e.seq, 'event ' || e.id, e.body FROM events e WHERE e.seq > $1 ORDER BY e.seq LIMIT $2",
    "SELECT p.subject, 'the snapshot of run ' || s.id, p.body FROM snapshots p JOIN subjects s ON s.key = p.subject
      WHERE p.subject > $1 ORDER BY p.subject LIMIT $2",
];

const COUNTS: &str = "
SELECT (SELECT count(*) FROM subjects),
       (SELECT count(*) FROM notifications),
       (SELECT count(*) FROM notifications n JOIN subjects s ON s.key = n.subject WHERE n.ticket > s.covered),
       (SELECT count(*) FROM events),
       (SELECT count(*) FROM deliveries),
       (SELECT count(*) FROM dead_letters)";

/// Looks whether there is a store, and of which version. Changes nothing.
pub async fn inspect(settings: &PostgresSettings) -> Result<Inspection, StoreError> {
    let target = Target::read(settings)?;
    let pool = connect::pool(&target, connect::tls(&target)?)?;
    connect::examine(&target, &pool).await?;
    Ok(match schema::inspect(&target, &pool).await? {
        Found::Store { version, .. } => Inspection::Present {
            schema: version,
            supported: schema::VERSION,
            held_by: None,
            damage: Vec::new(),
        },
        Found::Nothing | Found::Foreign => Inspection::Absent,
    })
}

/// Examines a store, changing nothing: what holds for its rows, from one view of everything, whatever workers do meanwhile.
/// `None` if there is none. Whether the server's pages are whole is for the server to find out.
pub async fn verify(settings: &PostgresSettings) -> Result<Option<Verification>, StoreError> {
    let target = Target::read(settings)?;
    let pool = connect::pool(&target, connect::tls(&target)?)?;
    connect::examine(&target, &pool).await?;
    if !matches!(schema::inspect(&target, &pool).await?, Found::Store { .. }) {
        return Ok(None);
    }
    let examined = async {
        let view = Transaction::begin(&pool, &target.schema, Access::Read).await?;
        // This takes as long as it takes.
        view.batch("SET LOCAL statement_timeout TO 0; SET LOCAL idle_in_transaction_session_timeout TO 0")
            .await?;
        let examined = examine(&view).await;
        view.roll_back().await;
        examined
    };
    examined.await.map(Some).map_err(|failure| explain(&target, failure))
}

async fn examine(view: &Transaction) -> Result<Verification, Failure> {
    let mut findings = Vec::new();
    for (says, query) in INVARIANTS {
        for row in view.rows(&format!("{query} LIMIT {TOLD}"), &[]).await? {
            findings.push(format!("{} {says}", row.at::<&str>(0)?));
        }
    }
    for query in JSON {
        findings.extend(not_json(view, query).await?);
    }
    let counts = view.row(COUNTS, &[]).await?.ok_or(Failure::Conflict)?;
    Ok(Verification {
        held_by: None,
        findings,
        subjects: counts.count(0)?,
        notifications: counts.count(1)?,
        pending: counts.count(2)?,
        events: counts.count(3)?,
        deliveries: counts.count(4)?,
        dead_letters: counts.count(5)?,
    })
}

async fn not_json(view: &Transaction, query: &str) -> Result<Vec<String>, Failure> {
    let (mut findings, mut after) = (Vec::new(), 0_i64);
    loop {
        let page = view.rows(query, params![after, BODIES]).await?;
        for row in &page {
            after = row.at(0)?;
            let body: &[u8] = row.at(2)?;
            if findings.len() < TOLD && serde_json::from_slice::<IgnoredAny>(body).is_err() {
                findings.push(format!("{} is no JSON any more", row.at::<&str>(1)?));
            }
        }
        if page.is_empty() {
            return Ok(findings);
        }
    }
}
