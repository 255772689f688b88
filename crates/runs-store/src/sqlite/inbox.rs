//! Notifications come in, and make subjects due.
//!
//! Waiting work is never sent back. A notification for a run that waits for a retry makes it no earlier and no later: the
//! backoff of a failing API stands, and so does the place in the queue. It does move the run ahead of retries and sweeps.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use rusqlite::params;
use tallyfy_model::OrgId;
use uuid::Uuid;

use super::column::Column;
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{Appended, LONGEST_PAUSE, Lane, NewNotification, Subject};
use crate::time::SchedulingTime;
use crate::torture;

/// Stores one notification.
pub(super) fn append(
    transaction: &Transaction<'_>,
    notification: &NewNotification,
    now: SchedulingTime,
) -> Result<Appended, Failure> {
    let id = notification.id;
    let known = transaction.row("SELECT 1 FROM notifications WHERE id = ?", [Column(id)], |_| Ok(()))?;
    if known.is_some() {
        // Not another announcement, but the same one appended again, by somebody who could not know how it ended.
        return Ok(Appended::Duplicate {
            of: id,
            due_again: false,
        });
    }
    Filing::one(transaction, notification, now)
}

/// Files notifications under their subjects, and makes each subject due once, however many there are.
pub(super) struct Filing<'t> {
    transaction: &'t Transaction<'t>,
    now: SchedulingTime,
    orgs: HashMap<OrgId, i64>,
    subjects: HashMap<(i64, Subject), i64>,
    /// By subject: the newest ticket before this filing, and how many were taken since.
    tickets: BTreeMap<i64, (i64, i64)>,
}

impl<'t> Filing<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>, now: SchedulingTime) -> Self {
        Self {
            transaction,
            now,
            orgs: HashMap::new(),
            subjects: HashMap::new(),
            tickets: BTreeMap::new(),
        }
    }

    /// A filing of a single notification.
    pub(super) fn one(
        transaction: &'t Transaction<'t>,
        notification: &NewNotification,
        now: SchedulingTime,
    ) -> Result<Appended, Failure> {
        let mut filing = Self::new(transaction, now);
        let appended = filing.add(notification)?;
        filing.finish()?;
        Ok(appended)
    }

    pub(super) fn add(&mut self, notification: &NewNotification) -> Result<Appended, Failure> {
        let org = self.org(&notification.org)?;
        if let Some(key) = &notification.dedupe_key
            && let Some(twin) = find_twin(self.transaction, org, key)?
        {
            if twin.place.is_some() || notification.subject.is_none() {
                return self.note_duplicate(&twin);
            }
            // The twin could not be read and nothing was fetched for it, but this one can: it takes the key over.
            let release = "UPDATE notifications SET dedupe_key = NULL WHERE seq = ?";
            self.transaction.execute(release, [twin.seq])?;
        }
        let place = match &notification.subject {
            Some(subject) => {
                let subject = self.subject(org, subject)?;
                Some((subject, self.ticket(subject)?))
            }
            None => None,
        };
        torture::point("inbox.wanted");
        insert(self.transaction, org, place, notification)?;
        Ok(match place {
            Some(_) => Appended::Stored,
            None => Appended::Unrecognized,
        })
    }

    /// Makes the subjects due.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for (subject, (_, taken)) in self.tickets {
            want(self.transaction, subject, Lane::Live, taken, self.now)?;
        }
        Ok(())
    }

    fn note_duplicate(&mut self, twin: &Twin) -> Result<Appended, Failure> {
        let count = "UPDATE notifications SET duplicates = duplicates + 1 WHERE seq = ?";
        self.transaction.execute(count, [twin.seq])?;
        let again = match twin.place {
            Some(place) => due_for_twin(self.transaction, place)?,
            None => None,
        };
        if let Some(subject) = again {
            self.ticket(subject)?;
        }
        Ok(Appended::Duplicate {
            of: twin.id,
            due_again: again.is_some(),
        })
    }

    fn org(&mut self, org: &OrgId) -> Result<i64, Failure> {
        if let Some(key) = self.orgs.get(org) {
            return Ok(*key);
        }
        let key = org_key(self.transaction, org)?;
        self.orgs.insert(org.clone(), key);
        Ok(key)
    }

    fn subject(&mut self, org: i64, subject: &Subject) -> Result<i64, Failure> {
        let place = (org, subject.clone());
        if let Some(key) = self.subjects.get(&place) {
            return Ok(*key);
        }
        let key = subject_key(self.transaction, org, subject)?;
        self.subjects.insert(place, key);
        Ok(key)
    }

    /// Takes a subject's next ticket.
    fn ticket(&mut self, subject: i64) -> Result<i64, Failure> {
        let (before, taken) = match self.tickets.entry(subject) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let wanted = "SELECT wanted FROM subjects WHERE key = ?";
                let wanted = self.transaction.row(wanted, [subject], |row| row.get(0))?;
                new.insert((wanted.ok_or(NO_SUBJECT)?, 0))
            }
        };
        *taken += 1;
        Ok(*before + *taken)
    }
}

const NO_SUBJECT: Failure = Failure::Refused("there is no such subject");

fn insert(
    transaction: &Transaction<'_>,
    org: i64,
    place: Option<(i64, i64)>,
    notification: &NewNotification,
) -> Result<(), Failure> {
    let head = &notification.head;
    transaction.execute(
        "INSERT INTO notifications
            (id, org, subject, ticket, kind, event, run, task, announced, dedupe_key, received_at, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Column(notification.id),
            org,
            place.map(|(subject, _)| subject),
            place.map(|(_, ticket)| ticket),
            head.kind,
            head.event,
            head.run.as_ref().map(tallyfy_model::RunId::as_str),
            head.task.as_ref().map(tallyfy_model::TaskId::as_str),
            Column(&head.announced),
            notification.dedupe_key,
            Column(notification.received_at),
            notification.body.as_ref(),
        ],
    )?;
    Ok(())
}

/// Files a notification that was kept because nobody could read it, as it would be filed now. Whether it was there.
pub(super) fn recognize(
    transaction: &Transaction<'_>,
    read: &NewNotification,
    now: SchedulingTime,
) -> Result<bool, Failure> {
    let Some(subject) = &read.subject else { return Ok(false) };
    let seq = transaction.row(
        "SELECT seq FROM notifications WHERE id = ? AND subject IS NULL",
        [Column(read.id)],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(seq) = seq else { return Ok(false) };
    let org = org_key(transaction, &read.org)?;
    let subject = subject_key(transaction, org, subject)?;
    let ticket = want(transaction, subject, Lane::Live, 1, now)?;
    let twin = match &read.dedupe_key {
        Some(key) => find_twin(transaction, org, key)?.filter(|twin| twin.seq != seq),
        None => None,
    };
    let head = &read.head;
    transaction.execute(
        "UPDATE notifications
            SET subject = ?, ticket = ?, kind = ?, event = ?, run = ?, task = ?, announced = ?, dedupe_key = ?
          WHERE seq = ?",
        params![
            subject,
            ticket,
            head.kind,
            head.event,
            head.run.as_ref().map(tallyfy_model::RunId::as_str),
            head.task.as_ref().map(tallyfy_model::TaskId::as_str),
            Column(&head.announced),
            read.dedupe_key.as_ref().filter(|_| twin.is_none()),
            seq,
        ],
    )?;
    transaction.execute("UPDATE counters SET value = value - 1 WHERE name = 'unrecognized'", [])?;
    Ok(true)
}

struct Twin {
    seq: i64,
    id: Uuid,
    /// The subject and the ticket that it has there.
    place: Option<(i64, i64)>,
}

fn find_twin(transaction: &Transaction<'_>, org: i64, key: &str) -> Result<Option<Twin>, Failure> {
    transaction.row(
        "SELECT seq, id, subject, ticket FROM notifications INDEXED BY notifications_twin
          WHERE org = ? AND dedupe_key = ?",
        params![org, key],
        |row| {
            Ok(Twin {
                seq: row.get(0)?,
                id: row.get::<_, Column<Uuid>>(1)?.0,
                place: row.get::<_, Option<i64>>(2)?.zip(row.get(3)?),
            })
        },
    )
}

/// The subject that becomes due once more for a duplicate, because a fetch that covers its twin has started already.
fn due_for_twin(transaction: &Transaction<'_>, (subject, ticket): (i64, i64)) -> Result<Option<i64>, Failure> {
    let state = transaction.row("SELECT claimed, run FROM subjects WHERE key = ?", [subject], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    Ok(match state {
        // It ended with the task, before the task's run was known.
        Some((_, Some(run))) => Some(run),
        Some((claimed, None)) => (ticket <= claimed).then_some(subject),
        None => None,
    })
}

pub(super) fn request_refresh(
    transaction: &Transaction<'_>,
    org: &OrgId,
    subject: &Subject,
    lane: Lane,
    now: SchedulingTime,
) -> Result<(), Failure> {
    let org = org_key(transaction, org)?;
    let subject = subject_key(transaction, org, subject)?;
    want(transaction, subject, lane, 1, now)?;
    if lane == Lane::Live {
        transaction.execute(
            "UPDATE subjects SET due_at = min(due_at, max(?1, iif(not_before > ?2, 0, not_before)))
              WHERE key = ?3 AND lease_until IS NULL",
            params![Column(now), Column(now.after(LONGEST_PAUSE)), subject],
        )?;
    }
    Ok(())
}

/// Takes so many of a subject's next tickets and makes it due; the last of them.
///
/// What waits already goes on waiting until the same time, in the foremost of the lanes that were asked for: neither
/// may a notification cut short a postponement, nor lose the place of those before it. What waits only to be looked at
/// again is due at once. What is leased becomes due when the lease ends.
pub(super) fn want(
    transaction: &Transaction<'_>,
    subject: i64,
    lane: Lane,
    tickets: i64,
    now: SchedulingTime,
) -> Result<i64, Failure> {
    transaction.wake_due();
    // A `not_before` that is absurdly far away was set by a clock that has been set back since.
    let ticket = transaction.row(
        "UPDATE subjects
            SET wanted = wanted + ?5,
                due_at = iif(due_at IS NULL OR (looking AND due_at > ?1), max(?1, iif(not_before > ?2, 0, not_before)), due_at),
                lane = CASE WHEN due_at IS NULL THEN ?3 WHEN lease_until IS NULL THEN min(lane, ?3) ELSE lane END,
                looking = 0,
                next_lane = CASE WHEN lease_until IS NOT NULL THEN min(coalesce(next_lane, ?3), ?3) END
          WHERE key = ?4
      RETURNING wanted",
        params![
            Column(now),
            Column(now.after(LONGEST_PAUSE)),
            Column(lane),
            subject,
            tickets
        ],
        |row| row.get(0),
    )?;
    ticket.ok_or(NO_SUBJECT)
}

/// Notes since when an organization is watched.
pub(super) fn watch(transaction: &Transaction<'_>, org: &OrgId, since: Timestamp) -> Result<(), Failure> {
    let org = org_key(transaction, org)?;
    transaction.execute(
        "UPDATE orgs SET watched_since = ? WHERE key = ? AND watched_since IS NULL",
        params![Column(since), org],
    )?;
    Ok(())
}

pub(super) fn budget(view: &Transaction<'_>, org: &OrgId) -> Result<Option<String>, Failure> {
    let budget = view.row("SELECT budget FROM orgs WHERE name = ?", [org.as_str()], |row| {
        row.get(0)
    })?;
    Ok(budget.flatten())
}

pub(super) fn keep_budget(transaction: &Transaction<'_>, org: &OrgId, budget: &str) -> Result<(), Failure> {
    let org = org_key(transaction, org)?;
    transaction.execute("UPDATE orgs SET budget = ? WHERE key = ?", params![budget, org])?;
    Ok(())
}

/// The key of an organization, which is entered if it is new.
pub(super) fn org_key(transaction: &Transaction<'_>, org: &OrgId) -> Result<i64, Failure> {
    if let Some(key) = known_org(transaction, org)? {
        return Ok(key);
    }
    transaction.execute("INSERT INTO orgs (name) VALUES (?)", [org.as_str()])?;
    Ok(transaction.inserted())
}

pub(super) fn known_org(transaction: &Transaction<'_>, org: &OrgId) -> Result<Option<i64>, Failure> {
    transaction.row("SELECT key FROM orgs WHERE name = ?", [org.as_str()], |row| row.get(0))
}

/// The key of a subject, which is entered if it is new; that of the run for a task whose run is known.
pub(super) fn subject_key(transaction: &Transaction<'_>, org: i64, subject: &Subject) -> Result<i64, Failure> {
    let (kind, id) = match subject {
        Subject::Run(run) => ("run", run.as_str()),
        Subject::Task(task) => ("task", task.as_str()),
    };
    let known = transaction.row(
        "SELECT coalesce(run, key) FROM subjects WHERE org = ? AND kind = ? AND id = ?",
        params![org, kind, id],
        |row| row.get(0),
    )?;
    if let Some(key) = known {
        return Ok(key);
    }
    transaction.execute(
        "INSERT INTO subjects (org, kind, id) VALUES (?, ?, ?)",
        params![org, kind, id],
    )?;
    Ok(transaction.inserted())
}
