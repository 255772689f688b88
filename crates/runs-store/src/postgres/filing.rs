//! Notifications are filed under their subjects, many in one transaction.
//!
//! Everything is read and locked first; then it is decided, without the database, which are new, which are duplicates and
//! which tickets they take; then each table is written by one statement.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tallyfy_model::{OrgId, RunId, TaskId};
use uuid::Uuid;

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::params::{params, text};
use super::session::Transaction;
use super::subjects::{self, Locked, NO_SUBJECT, Name};
use crate::desks::{Appended, Lane, NewNotification};
use crate::time::SchedulingTime;
use crate::torture;

/// A notification that has the dedupe key of another one.
#[derive(Clone, Copy)]
struct Twin {
    id: Uuid,
    /// The subject and the ticket that it has there.
    place: Option<(i64, i64)>,
    row: TwinRow,
}

/// Where a twin is.
#[derive(Clone, Copy)]
enum TwinRow {
    /// In the table.
    Stored(i64),
    /// Among those that are filed now.
    New(usize),
}

/// A notification that is to be written.
struct NewRow {
    /// Which of the batch.
    position: usize,
    org: i64,
    place: Option<(i64, i64)>,
    dedupe_key: Option<String>,
    duplicates: i32,
}

/// What is known and decided.
#[derive(Default)]
struct Filing {
    orgs: HashMap<OrgId, i64>,
    named: BTreeMap<Name, i64>,
    subjects: HashMap<i64, Locked>,
    twins: HashMap<(i64, String), Twin>,
    /// How many tickets are taken of each subject.
    tickets: BTreeMap<i64, i64>,
    new: Vec<NewRow>,
    /// How many duplicates of each stored notification there are.
    duplicates: BTreeMap<i64, i32>,
    /// Stored notifications that lose their dedupe key to one that can be read.
    released: Vec<i64>,
}

/// Files notifications, and makes each subject due once, however many there are. What became of each, in their order.
pub(super) async fn file(
    transaction: &Transaction,
    batch: &[NewNotification],
    now: SchedulingTime,
) -> Result<Vec<Appended>, Failure> {
    let (stored, orgs) = tokio::try_join!(biased; stored_ids(transaction, batch), orgs(transaction, batch))?;
    let mut filing = Filing {
        orgs,
        ..Filing::default()
    };
    let fresh: Vec<(usize, &NewNotification)> = fresh(batch, &stored);
    filing.read(transaction, &fresh).await?;
    let mut appended: Vec<Appended> = batch
        .iter()
        .map(|known| Appended::Duplicate {
            of: known.id,
            due_again: false,
        })
        .collect();
    for (position, notification) in fresh {
        let outcome = filing.decide(position, notification)?;
        if let Some(place) = appended.get_mut(position) {
            *place = outcome;
        }
    }
    filing.write(transaction, batch, now).await?;
    torture::point("postgres.filed");
    Ok(appended)
}

/// The ids that are stored already: not another announcement, but the same one appended again, by a caller that could not
/// know how it ended.
async fn stored_ids(transaction: &Transaction, batch: &[NewNotification]) -> Result<HashSet<Uuid>, Failure> {
    let ids: Vec<Uuid> = batch.iter().map(|notification| notification.id).collect();
    let found = transaction
        .rows("SELECT id FROM notifications WHERE id = ANY ($1)", params![; ids])
        .await?;
    found.iter().map(|row| row.at(0)).collect()
}

/// The keys of the organizations.
async fn orgs(transaction: &Transaction, batch: &[NewNotification]) -> Result<HashMap<OrgId, i64>, Failure> {
    let mut keys = HashMap::new();
    for NewNotification { org, .. } in batch {
        if !keys.contains_key(org) {
            keys.insert(org.clone(), subjects::org_key(transaction, org).await?);
        }
    }
    Ok(keys)
}

/// Those that are not stored, each once.
fn fresh<'b>(batch: &'b [NewNotification], stored: &HashSet<Uuid>) -> Vec<(usize, &'b NewNotification)> {
    let mut seen = stored.clone();
    let is_new = |(_, notification): &(usize, &NewNotification)| seen.insert(notification.id);
    batch.iter().enumerate().filter(is_new).collect()
}

impl Filing {
    /// Locks the subjects and then, as they are sent in this order, reads the twins: who stores one at the same time has the
    /// subject locked. One that is missed all the same is met by the insert, which then is a conflict.
    async fn read(&mut self, transaction: &Transaction, fresh: &[(usize, &NewNotification)]) -> Result<(), Failure> {
        let mut names = BTreeSet::new();
        for (_, notification) in fresh {
            if let Some(subject) = &notification.subject {
                names.insert(subjects::name(self.org(&notification.org)?, subject));
            }
        }
        let (locked, twins) = tokio::try_join!(
            biased;
            subjects::lock_named(transaction, &names),
            self.twins(transaction, fresh)
        )?;
        for (name, locked) in locked {
            self.named.insert(name, locked.run.unwrap_or(locked.key));
            self.subjects.insert(locked.key, locked);
        }
        self.twins = twins;
        let twins: Vec<i64> = self.twins.values().filter_map(|twin| Some(twin.place?.0)).collect();
        let runs = |filing: &Self| {
            filing
                .subjects
                .values()
                .filter_map(|subject| subject.run)
                .collect::<Vec<_>>()
        };
        for keys in [twins, runs(self)] {
            self.lock(transaction, keys).await?;
        }
        // The runs of the twins' tasks.
        self.lock(transaction, runs(self)).await
    }

    async fn lock(&mut self, transaction: &Transaction, keys: Vec<i64>) -> Result<(), Failure> {
        let missing = keys
            .into_iter()
            .filter(|key| !self.subjects.contains_key(key))
            .collect();
        for locked in subjects::lock(transaction, missing).await? {
            self.subjects.insert(locked.key, locked);
        }
        Ok(())
    }

    async fn twins(
        &self,
        transaction: &Transaction,
        fresh: &[(usize, &NewNotification)],
    ) -> Result<HashMap<(i64, String), Twin>, Failure> {
        let (mut orgs, mut keys) = (Vec::new(), Vec::new());
        for (_, notification) in fresh {
            if let Some(key) = &notification.dedupe_key {
                orgs.push(self.org(&notification.org)?);
                keys.push(text(key));
            }
        }
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let found = transaction
            .rows(
                "SELECT n.org, n.dedupe_key, n.seq, n.id, n.subject, n.ticket
                   FROM unnest($1, $2) AS k (org, dedupe_key)
                   JOIN notifications n ON n.org = k.org AND n.dedupe_key = k.dedupe_key",
                params![; orgs, keys],
            )
            .await?;
        let twins = found.iter().map(|row| {
            let twin = Twin {
                id: row.at(3)?,
                place: row.at::<Option<i64>>(4)?.zip(row.at(5)?),
                row: TwinRow::Stored(row.at(2)?),
            };
            Ok(((row.at(0)?, row.at(1)?), twin))
        });
        twins.collect()
    }

    fn org(&self, org: &OrgId) -> Result<i64, Failure> {
        self.orgs.get(org).copied().ok_or(Failure::Conflict)
    }

    /// What becomes of one.
    fn decide(&mut self, position: usize, notification: &NewNotification) -> Result<Appended, Failure> {
        let org = self.org(&notification.org)?;
        let key = notification.dedupe_key.as_deref().map(text);
        if let Some(key) = &key
            && let Some(twin) = self.twins.get(&(org, key.clone())).copied()
        {
            if twin.place.is_some() || notification.subject.is_none() {
                return self.note_duplicate(twin);
            }
            // The twin was unreadable and nothing was fetched for it, but this one can be read: it takes the key over.
            match twin.row {
                TwinRow::Stored(seq) => self.released.push(seq),
                TwinRow::New(at) => {
                    if let Some(row) = self.new.get_mut(at) {
                        row.dedupe_key = None;
                    }
                }
            }
        }
        let place = match &notification.subject {
            Some(subject) => {
                let subject = self
                    .named
                    .get(&subjects::name(org, subject))
                    .copied()
                    .ok_or(NO_SUBJECT)?;
                Some((subject, self.take_ticket(subject)?))
            }
            None => None,
        };
        if let Some(key) = &key {
            let twin = Twin {
                id: notification.id,
                place,
                row: TwinRow::New(self.new.len()),
            };
            self.twins.insert((org, key.clone()), twin);
        }
        self.new.push(NewRow {
            position,
            org,
            place,
            dedupe_key: key,
            duplicates: 0,
        });
        Ok(match place {
            Some(_) => Appended::Stored,
            None => Appended::Unrecognized,
        })
    }

    fn note_duplicate(&mut self, twin: Twin) -> Result<Appended, Failure> {
        match twin.row {
            TwinRow::Stored(seq) => *self.duplicates.entry(seq).or_default() += 1,
            TwinRow::New(at) => {
                if let Some(row) = self.new.get_mut(at) {
                    row.duplicates += 1;
                }
            }
        }
        let again = twin.place.and_then(|place| self.due_for_twin(place));
        if let Some(subject) = again {
            self.take_ticket(subject)?;
        }
        Ok(Appended::Duplicate {
            of: twin.id,
            due_again: again.is_some(),
        })
    }

    /// The subject that becomes due once more for a duplicate, because a fetch that covers its twin has started already.
    fn due_for_twin(&self, (subject, ticket): (i64, i64)) -> Option<i64> {
        let locked = self.subjects.get(&subject)?;
        match locked.run {
            // It ended with the task, before the task's run was known.
            Some(run) => Some(run),
            None => (ticket <= locked.claimed).then_some(subject),
        }
    }

    /// Takes a subject's next ticket.
    fn take_ticket(&mut self, subject: i64) -> Result<i64, Failure> {
        let locked = self.subjects.get(&subject).ok_or(Failure::Conflict)?;
        let taken = self.tickets.entry(subject).or_default();
        *taken += 1;
        Ok(locked.wanted + *taken)
    }

    async fn write(
        self,
        transaction: &Transaction,
        batch: &[NewNotification],
        now: SchedulingTime,
    ) -> Result<(), Failure> {
        // A key is free before another row takes it.
        if !self.released.is_empty() {
            let release = "UPDATE notifications SET dedupe_key = NULL WHERE seq = ANY ($1)";
            transaction.execute(release, params![; self.released]).await?;
        }
        if !self.duplicates.is_empty() {
            let seqs: Vec<i64> = self.duplicates.keys().copied().collect();
            let counts: Vec<i32> = self.duplicates.values().copied().collect();
            transaction
                .execute(
                    "UPDATE notifications n SET duplicates = n.duplicates + d.count
                       FROM unnest($1, $2) AS d (seq, count) WHERE n.seq = d.seq",
                    params![; seqs, counts],
                )
                .await?;
        }
        tokio::try_join!(
            biased;
            subjects::want(transaction, &self.tickets, Lane::Live, now),
            insert(transaction, &self.new, batch),
        )?;
        Ok(())
    }
}

/// Writes notifications. One whose id or dedupe key another worker has stored meanwhile is a conflict.
async fn insert(transaction: &Transaction, new: &[NewRow], batch: &[NewNotification]) -> Result<(), Failure> {
    let rows: Vec<(&NewRow, &NewNotification)> = new
        .iter()
        .filter_map(|row| Some((row, batch.get(row.position)?)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rows.iter().map(|(_, new)| new.id).collect();
    let orgs: Vec<i64> = rows.iter().map(|(row, _)| row.org).collect();
    let subjects: Vec<Option<i64>> = rows.iter().map(|(row, _)| Some(row.place?.0)).collect();
    let tickets: Vec<Option<i64>> = rows.iter().map(|(row, _)| Some(row.place?.1)).collect();
    let kinds: Vec<String> = rows.iter().map(|(_, new)| text(&new.head.kind)).collect();
    let events: Vec<Option<String>> = rows
        .iter()
        .map(|(_, new)| new.head.event.as_deref().map(text))
        .collect();
    let runs: Vec<Option<String>> = rows
        .iter()
        .map(|(_, new)| new.head.run.as_ref().map(RunId::as_str).map(text))
        .collect();
    let tasks: Vec<Option<String>> = rows
        .iter()
        .map(|(_, new)| new.head.task.as_ref().map(TaskId::as_str).map(text))
        .collect();
    let announced: Vec<String> = rows.iter().map(|(_, new)| announced(new)).collect::<Result<_, _>>()?;
    let keys: Vec<Option<&str>> = rows.iter().map(|(row, _)| row.dedupe_key.as_deref()).collect();
    let received: Vec<i64> = rows.iter().map(|(_, new)| micros(new.received_at)).collect();
    let duplicates: Vec<i32> = rows.iter().map(|(row, _)| row.duplicates).collect();
    let bodies: Vec<&[u8]> = rows.iter().map(|(_, new)| new.body.as_ref()).collect();
    let written = transaction
        .execute(
            "INSERT INTO notifications
                (id, org, subject, ticket, kind, event, run, task, announced, dedupe_key, received_at, duplicates, body)
             SELECT id, org, subject, ticket, kind, event, run, task, announced, dedupe_key, received_at, duplicates, body
               FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) WITH ORDINALITY
                 AS n (id, org, subject, ticket, kind, event, run, task, announced, dedupe_key, received_at, duplicates,
                       body, place)
              ORDER BY place
             ON CONFLICT DO NOTHING",
            params![;
                ids, orgs, subjects, tickets, kinds, events, runs, tasks, announced, keys, received, duplicates, bodies
            ],
        )
        .await?;
    if written < rows.len() as u64 {
        return Err(Failure::Conflict);
    }
    Ok(())
}

/// What a notification announced, in a column.
pub(super) fn announced(notification: &NewNotification) -> Result<String, Failure> {
    let json = serde_json::to_string(&notification.head.announced);
    // JSON text holds no NUL character: it is escaped there.
    json.map_err(|error| Failure::Unfitting(error.to_string()))
}
