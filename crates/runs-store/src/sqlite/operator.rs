//! A person at work beside the worker.
//!
//! SQLite lets another process read and write in transactions of its own, so this takes no lock: that one is about two
//! *workers*. The worker finds what was changed here when it looks for it next.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior, params};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::column::Column;
use super::connect::identify;
use super::failure::{Failure, store_error};
use super::writer::Transaction;
use super::{file, inbox, schema, stats, sweep};
use crate::desks::{DeadLetter, EventSummary, NotificationSummary, Query, Whole};
use crate::desks::{Finding, SweepOrder, Sweeps};
use crate::desks::{HandlerName, Lane, NewNotification, Stats};
use crate::error::StoreError;

/// How many events are put in line in one transaction: the worker writes in between.
const BATCH: usize = 500;

/// The columns of an event, and where they are from.
const EVENT: &str = "
    SELECT events.id, orgs.name, subjects.id, events.number, events.type, events.created_at,
           (SELECT group_concat(handlers.name) FROM deliveries JOIN handlers ON handlers.key = deliveries.handler
             WHERE deliveries.subject = events.subject AND deliveries.number = events.number),
           (SELECT group_concat(handlers.name) FROM dead_letters JOIN handlers ON handlers.key = dead_letters.handler
             WHERE dead_letters.subject = events.subject AND dead_letters.number = events.number)
      FROM events JOIN subjects ON subjects.key = events.subject JOIN orgs ON orgs.key = subjects.org";

/// A store that is opened beside its worker, or while none runs, to look at it and to set things right.
///
/// Every verb is one transaction, or several of some hundred rows. They block.
#[derive(Debug)]
pub struct SqliteOperator {
    connection: Connection,
    path: PathBuf,
}

impl SqliteOperator {
    /// Opens the store in this file. It is neither made nor migrated.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`](super::SqliteStore::open), but that somebody holds it is none. A store with an older
    /// schema is [`StoreError::Unavailable`] until a worker has brought it up to date.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = file::resolve(path.as_ref())?;
        let file::Found::File(size) = file::look(&path)? else {
            return Err(file::not_a_store(
                &path,
                "there is nothing; the worker makes it when it first starts",
            ));
        };
        let opening = |error| store_error(error, &path, &format!("opening {}", path.display()));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(opening)?;
        if identify(&connection, &path, size)? != schema::VERSION {
            return Err(StoreError::Unavailable {
                context: format!("opening {}", path.display()),
                source: "its schema is older; start the worker once, which brings it up to date".into(),
            });
        }
        for (pragma, value) in [
            ("busy_timeout", "10000"),
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
        ] {
            connection.pragma_update(None, pragma, value).map_err(opening)?;
        }
        Ok(Self { connection, path })
    }

    /// Events, the newest first, at most so many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn events(&self, query: &Query, limit: usize) -> Result<Vec<EventSummary>, StoreError> {
        let sql = format!(
            "{EVENT}
              WHERE (?1 IS NULL OR subjects.id = ?1)
                AND (?2 IS NULL OR events.created_at >= ?2) AND (?3 IS NULL OR events.created_at < ?3)
                AND (?4 = '' OR instr(?4, hex(events.id)) > 0)
              ORDER BY events.seq DESC LIMIT ?5"
        );
        let params = params![run_of(query), since(query), until(query), ids(query), limit as i64];
        self.rows("listing events", &sql, params, |row| event(row, 0))
    }

    /// An event with its body.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn event(&self, id: Uuid) -> Result<Option<Whole<EventSummary>>, StoreError> {
        let mut query = Query::default();
        query.ids.push(id);
        let Some(summary) = self.events(&query, 1)?.pop() else {
            return Ok(None);
        };
        let body = self.rows(
            "reading an event",
            "SELECT body FROM events WHERE id = ?",
            [Column(id)],
            body,
        )?;
        Ok(body.into_iter().next().map(|body| Whole::new(summary, body)))
    }

    /// Notifications, the newest first, at most so many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn notifications(&self, query: &Query, limit: usize) -> Result<Vec<NotificationSummary>, StoreError> {
        let sql = "
            SELECT notifications.id, orgs.name, notifications.kind, notifications.event, notifications.run,
                   notifications.task, notifications.received_at, notifications.duplicates,
                   coalesce(notifications.ticket <= subjects.covered, 0)
              FROM notifications JOIN orgs ON orgs.key = notifications.org
                   LEFT JOIN subjects ON subjects.key = notifications.subject
             WHERE (?1 IS NULL OR notifications.run = ?1)
               AND (?2 IS NULL OR notifications.received_at >= ?2) AND (?3 IS NULL OR notifications.received_at < ?3)
               AND (?4 = '' OR instr(?4, hex(notifications.id)) > 0)
               AND (NOT ?5 OR notifications.subject IS NULL)
             ORDER BY notifications.seq DESC LIMIT ?6";
        let params = params![
            run_of(query),
            since(query),
            until(query),
            ids(query),
            query.unrecognized,
            limit as i64
        ];
        self.rows("listing notifications", sql, params, |row| {
            Ok(NotificationSummary {
                id: row.get::<_, Column<Uuid>>(0)?.0,
                org: OrgId::new(row.get::<_, String>(1)?),
                kind: row.get(2)?,
                event: row.get(3)?,
                run: row.get(4)?,
                task: row.get(5)?,
                received_at: row.get::<_, Column<Timestamp>>(6)?.0,
                duplicates: row.get(7)?,
                covered: row.get(8)?,
            })
        })
    }

    /// A notification with its body, as it came.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn notification(&self, id: Uuid) -> Result<Option<Whole<NotificationSummary>>, StoreError> {
        let mut query = Query::default();
        query.ids.push(id);
        let Some(summary) = self.notifications(&query, 1)?.pop() else {
            return Ok(None);
        };
        let body = self.rows(
            "reading a notification",
            "SELECT body FROM notifications WHERE id = ?",
            [Column(id)],
            body,
        )?;
        Ok(body.into_iter().next().map(|body| Whole::new(summary, body)))
    }

    /// Files a notification that nobody could read, now that somebody can: `read` is what was made of its body. Its subject
    /// is due then. Whether it was there and unrecognized.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recognize(&mut self, read: &NewNotification, now: Timestamp) -> Result<bool, StoreError> {
        self.write("recognizing a notification", |transaction| {
            inbox::recognize(transaction, read, now)
        })
    }

    /// Deliveries that were given up, the latest first, at most so many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_letters(&self, query: &Query, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let event_columns = EVENT.trim_start().trim_start_matches("SELECT");
        let sql = format!(
            "SELECT given_up_for.name, given_up.attempts, given_up.reason, given_up.at, given_up.answer, {event_columns}
                    JOIN dead_letters AS given_up
                      ON given_up.subject = events.subject AND given_up.number = events.number
                    JOIN handlers AS given_up_for ON given_up_for.key = given_up.handler
              WHERE (?1 IS NULL OR subjects.id = ?1) AND (?2 IS NULL OR given_up_for.name = ?2)
                AND (?3 IS NULL OR given_up.at >= ?3) AND (?4 IS NULL OR given_up.at < ?4)
                AND (?5 = '' OR instr(?5, hex(events.id)) > 0)
              ORDER BY given_up.at DESC LIMIT ?6"
        );
        let params = params![
            run_of(query),
            handler_of(query),
            since(query),
            until(query),
            ids(query),
            limit as i64
        ];
        self.rows("listing dead letters", &sql, params, |row| {
            Ok(DeadLetter {
                handler: HandlerName::new(row.get::<_, String>(0)?),
                attempts: row.get(1)?,
                reason: row.get(2)?,
                at: row.get::<_, Column<Timestamp>>(3)?.0,
                answer: row.get(4)?,
                event: event(row, 5)?,
            })
        })
    }

    /// Puts deliveries that were given up back into their lines, and says how many. Each is the next of its run for its
    /// handler, before what waits there: what is delivered after it was made later.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn retry_dead_letters(&mut self, query: &Query, now: Timestamp) -> Result<u64, StoreError> {
        self.for_each_dead_letter(query, |transaction, handler, subject, number| {
            put_back(transaction, handler, subject, number, now)
        })
    }

    /// Forgets deliveries that were given up, and says how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_dead_letters(&mut self, query: &Query) -> Result<u64, StoreError> {
        self.for_each_dead_letter(query, |_, _, _, _| Ok(()))
    }

    /// Hands events out again to a handler, in their order and with their ids, and says how many. What waits for it comes
    /// after those of its run. The handler must have been configured once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn replay(&mut self, query: &Query, handler: &HandlerName, now: Timestamp) -> Result<u64, StoreError> {
        let key = self.rows(
            "looking for a handler",
            "SELECT key FROM handlers WHERE name = ?",
            [handler.as_str()],
            |row| row.get::<_, i64>(0),
        )?;
        let Some(key) = key.first().copied() else {
            return Err(StoreError::Unavailable {
                context: "replaying events".to_owned(),
                source: format!("no handler was ever called `{handler}`; configure it and start the worker once")
                    .into(),
            });
        };
        let mut replayed = 0;
        let mut after = 0_i64;
        loop {
            let batch: Vec<(i64, i64, i64)> = self.rows(
                "listing events",
                "SELECT events.seq, events.subject, events.number
                   FROM events JOIN subjects ON subjects.key = events.subject
                  WHERE events.seq > ?1 AND (?2 IS NULL OR subjects.id = ?2)
                    AND (?3 IS NULL OR events.created_at >= ?3) AND (?4 IS NULL OR events.created_at < ?4)
                    AND (?5 = '' OR instr(?5, hex(events.id)) > 0)
                  ORDER BY events.seq LIMIT ?6",
                params![
                    after,
                    run_of(query),
                    since(query),
                    until(query),
                    ids(query),
                    BATCH as i64
                ],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let Some((last, _, _)) = batch.last().copied() else {
                return Ok(replayed);
            };
            after = last;
            replayed += batch.len() as u64;
            self.write("replaying events", |transaction| {
                for (_, subject, number) in &batch {
                    put_back(transaction, key, *subject, *number, now)?;
                }
                Ok(())
            })?;
        }
    }

    /// Forgets what waits for a handler that is not configured any more, and says how many events that were. What was
    /// given up for it stays among the dead letters.
    ///
    /// # Errors
    /// [`StoreError`]; a handler that the worker has, or had when it last ran, is refused.
    pub fn drop_waiting(&mut self, handler: &HandlerName) -> Result<u64, StoreError> {
        self.write("dropping what waits", |transaction| {
            let found = transaction.row(
                "SELECT key, active FROM handlers WHERE name = ?",
                [handler.as_str()],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
            )?;
            let key = match found {
                Some((_, true)) => return Err(Failure::Refused("the handler is configured")),
                Some((key, false)) => key,
                None => return Err(Failure::Refused("there is no such handler")),
            };
            transaction.execute(
                "UPDATE cursors SET due_at = NULL, lease_until = NULL, attempts = 0, reason = NULL WHERE handler = ?",
                [key],
            )?;
            let dropped = transaction.execute("DELETE FROM deliveries WHERE handler = ?", [key])?;
            Ok(dropped as u64)
        })
    }

    /// Counts what is waiting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stats(&self, now: Timestamp) -> Result<Stats, StoreError> {
        stats::stats(&self.connection, now).map_err(|error| store_error(error, &self.path, "counting what waits"))
    }

    /// Makes a run due, ahead of everything but webhooks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn request_refresh(&mut self, org: &OrgId, run: &RunId, now: Timestamp) -> Result<(), StoreError> {
        let subject = crate::desks::Subject::Run(run.clone());
        self.write("requesting a refresh", |transaction| {
            inbox::request_refresh(transaction, org, &subject, Lane::Live, now)
        })
    }

    fn for_each_dead_letter(
        &mut self,
        query: &Query,
        each: impl Fn(&Transaction<'_>, i64, i64, i64) -> Result<(), Failure>,
    ) -> Result<u64, StoreError> {
        let mut done = 0;
        loop {
            let batch = self.write("settling dead letters", |transaction| {
                let batch = transaction.rows(
                    "SELECT dead_letters.handler, dead_letters.subject, dead_letters.number
                       FROM dead_letters JOIN handlers ON handlers.key = dead_letters.handler
                            JOIN subjects ON subjects.key = dead_letters.subject
                            JOIN events ON events.subject = dead_letters.subject AND events.number = dead_letters.number
                      WHERE (?1 IS NULL OR subjects.id = ?1) AND (?2 IS NULL OR handlers.name = ?2)
                        AND (?3 IS NULL OR dead_letters.at >= ?3) AND (?4 IS NULL OR dead_letters.at < ?4)
                        AND (?5 = '' OR instr(?5, hex(events.id)) > 0)
                      LIMIT ?6",
                    params![
                        run_of(query),
                        handler_of(query),
                        since(query),
                        until(query),
                        ids(query),
                        BATCH as i64
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )?;
                for (handler, subject, number) in &batch {
                    each(transaction, *handler, *subject, *number)?;
                    transaction.execute(
                        "DELETE FROM dead_letters WHERE handler = ? AND subject = ? AND number = ?",
                        [handler, subject, number],
                    )?;
                }
                Ok(batch.len())
            })?;
            done += batch as u64;
            if batch < BATCH {
                return Ok(done);
            }
        }
    }

    /// How an organization stands with its sweeps.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sweeps(&mut self, org: &OrgId) -> Result<Sweeps, StoreError> {
        self.write("looking at sweeps", |transaction| sweep::sweeps(transaction, org))
    }

    /// Asks for a sweep, which the worker begins when the one that is under way has ended. Its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ask_for_sweep(&mut self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError> {
        self.write("asking for a sweep", |transaction| sweep::ask(transaction, org, order))
    }

    /// What the latest sweep found, at most so many, by run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn findings(&mut self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        self.write("listing what a sweep found", |transaction| {
            sweep::findings(transaction, org, limit)
        })
    }

    fn rows<T, P: rusqlite::Params>(
        &self,
        doing: &str,
        sql: &str,
        params: P,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params, read)?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        all().map_err(|error: rusqlite::Error| store_error(error, &self.path, doing))
    }

    fn write<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let all = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = work(&Transaction::on(&transaction))?;
            transaction.commit()?;
            Ok(outcome)
        };
        all().map_err(|failure: Failure| failure.into_store_error(&self.path, doing))
    }
}

/// Puts an event at the head of its run's line for a handler, unless an earlier one is there; if the head is out for
/// delivery, it is the next.
fn put_back(
    transaction: &Transaction<'_>,
    handler: i64,
    subject: i64,
    number: i64,
    now: Timestamp,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO deliveries (handler, subject, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [handler, subject, number],
    )?;
    transaction.execute(
        "INSERT INTO cursors (handler, subject, number, due_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (handler, subject) DO UPDATE
            SET number = excluded.number, due_at = excluded.due_at, attempts = 0, reason = NULL
          WHERE cursors.due_at IS NULL OR (cursors.lease_until IS NULL AND excluded.number < cursors.number)",
        params![handler, subject, number, Column(now)],
    )?;
    Ok(())
}

fn event(row: &Row<'_>, first: usize) -> rusqlite::Result<EventSummary> {
    let names = |text: Option<String>| -> Vec<HandlerName> {
        text.iter()
            .flat_map(|text| text.split(','))
            .map(HandlerName::new)
            .collect()
    };
    Ok(EventSummary {
        id: row.get::<_, Column<Uuid>>(first)?.0,
        org: OrgId::new(row.get::<_, String>(first + 1)?),
        run: RunId::new(row.get::<_, String>(first + 2)?),
        number: row.get(first + 3)?,
        event_type: row.get(first + 4)?,
        created_at: row.get::<_, Column<Timestamp>>(first + 5)?.0,
        waiting: names(row.get(first + 6)?),
        dead: names(row.get(first + 7)?),
    })
}

fn body(row: &Row<'_>) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(0).map(Bytes::from)
}

fn run_of(query: &Query) -> Option<&str> {
    query.run.as_ref().map(RunId::as_str)
}

fn handler_of(query: &Query) -> Option<&str> {
    query.handler.as_ref().map(HandlerName::as_str)
}

fn since(query: &Query) -> Option<Column<Timestamp>> {
    query.since.map(Column)
}

fn until(query: &Query) -> Option<Column<Timestamp>> {
    query.until.map(Column)
}

/// As `hex` writes them, one after another with something in between.
fn ids(query: &Query) -> String {
    let ids: Vec<String> = query.ids.iter().map(|id| format!("{:X}", id.simple())).collect();
    ids.join(" ")
}
