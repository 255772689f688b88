//! Where a line begins, where much is dead before it.
//!
//! What was claimed leaves an entry in its index until no transaction may see it any more. While somebody keeps a transaction
//! open, all of those entries stay at the front of the line, and each look passes over them. So a worker that finds that
//! remembers how early the first live entry is, and begins there. Now and then it looks at the whole line, for what was made
//! due earlier than that: by a worker whose clock is behind, or in a transaction that took long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Row;

use super::column::Columns as _;
use super::failure::Failure;
use super::params::params;
use super::session::Transaction;
use crate::time::SchedulingTime;

/// A look that takes longer may have passed over dead entries.
const SLOW: Duration = Duration::from_millis(2);
/// From how many dead rows of a table on that is taken for the reason.
const DEAD: i64 = 2000;
/// The part of the time that looks at whole lines may take: one of so many.
const SHARE: u32 = 20;
/// And how long at most one is put off.
const PUT_OFF: Duration = Duration::from_secs(10);
/// How much later than one that began after it a transaction may commit, usually: in microseconds.
const MARGIN: i64 = 100_000;

/// The whole line.
const WHOLE: i64 = i64::MIN;

/// A line, of which a look may be at several.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Line {
    /// Runs of an organization, by its key.
    Runs { org: i64, lane: i16, is_known: bool },
    /// The deliveries of a handler, by its key.
    Deliveries { handler: i64 },
}

impl Line {
    fn table(self) -> &'static str {
        match self {
            Self::Runs { .. } => "subjects",
            Self::Deliveries { .. } => "cursors",
        }
    }
}

struct Front {
    /// The scheduling time in microseconds.
    at: i64,
    /// When the whole line is to be looked at again.
    until: Instant,
}

/// The fronts of the lines that begin with many dead entries.
#[derive(Default)]
pub(super) struct Fronts(Mutex<HashMap<Line, Front>>);

/// A look at lines.
pub(super) struct Look {
    lines: Vec<Line>,
    /// The earliest time that it looks at, of each line.
    pub(super) from: Vec<i64>,
    begun: Instant,
}

impl Fronts {
    fn lines(&self) -> MutexGuard<'_, HashMap<Line, Front>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a claim begins.
    pub(super) fn of(&self, lines: impl IntoIterator<Item = Line>) -> Vec<i64> {
        let fronts = self.lines();
        let of_line = |line| fronts.get(&line).map_or(WHOLE, |front| front.at);
        lines.into_iter().map(of_line).collect()
    }

    /// Begins a look for what is next in these lines.
    pub(super) fn look(&self, lines: Vec<Line>) -> Look {
        let begun = Instant::now();
        let fronts = self.lines();
        let of_line = |line: &Line| match fronts.get(line) {
            Some(front) if begun < front.until => front.at,
            _ => WHOLE,
        };
        let from = lines.iter().map(of_line).collect();
        Look { lines, from, begun }
    }

    /// Where a claim of one line begins.
    pub(super) fn of_one(&self, line: Line) -> i64 {
        self.lines().get(&line).map_or(WHOLE, |front| front.at)
    }

    /// Ends a look that found this: the first that waits, or the first lease that ends.
    pub(super) async fn end(
        &self,
        view: &Transaction,
        look: &Look,
        found: &[Row],
    ) -> Result<Option<SchedulingTime>, Failure> {
        let first = found.iter().map(|row| row.at(FIRST)).collect::<Result<_, _>>()?;
        self.note(view, look, first).await?;
        let mut next = None;
        for row in found {
            let times = [row.due_if_any(WAITS)?, row.due_if_any(ENDS)?];
            next = times.into_iter().chain([next]).flatten().min();
        }
        Ok(next)
    }

    /// Notes the first live entries of the lines, leased or not.
    async fn note(&self, view: &Transaction, look: &Look, first: Vec<Option<i64>>) -> Result<(), Failure> {
        let (now, took) = (Instant::now(), look.begun.elapsed());
        let has_dead = took > SLOW && look.from.contains(&WHOLE) && has_dead(view, look).await?;
        let mut fronts = self.lines();
        for ((line, from), first) in look.lines.iter().zip(&look.from).zip(first) {
            let known = fronts.get(line).map_or(WHOLE, |front| front.at);
            let at = first.map_or(known, |first| first.saturating_sub(MARGIN));
            if *from != WHOLE {
                fronts.entry(*line).and_modify(|front| front.at = at);
            } else if has_dead {
                let until = now + took.saturating_mul(SHARE).min(PUT_OFF);
                fronts.insert(*line, Front { at, until });
            } else {
                fronts.remove(line);
            }
        }
        Ok(())
    }
}

/// Whether many rows of the table are dead.
async fn has_dead(view: &Transaction, look: &Look) -> Result<bool, Failure> {
    let Some(line) = look.lines.first() else {
        return Ok(false);
    };
    let count = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = $1";
    let dead: Option<i64> = view
        .row(count, params![line.table()])
        .await?
        .map(|row| row.at(0))
        .transpose()?;
    Ok(dead.is_some_and(|dead| dead >= DEAD))
}

/// How many entries of each line are looked at, for what waits behind what is leased.
pub(super) const SOME: i64 = 100;
pub(super) const ALL: i64 = i64::MAX;

/// The columns of what is next in lines: the first entry, the first that is not leased, the first lease that ends, and how
/// many entries were looked at.
const FIRST: usize = 0;
const WAITS: usize = 1;
const ENDS: usize = 2;
const SEEN: usize = 3;

/// What is next in lines, of at most `$2` entries of each. What is leased was due before what waits: there is no more of it
/// than is being worked on.
pub(super) fn next_in(lines: &str, entries: &str) -> String {
    format!(
        "SELECT s.first, s.waits, s.ends, s.seen
           FROM {lines},
        LATERAL (SELECT min(due_at) AS first, min(due_at) FILTER (WHERE lease_until IS NULL) AS waits,
                        min(lease_until) AS ends, count(*) AS seen
                   FROM (SELECT due_at, lease_until FROM {entries} AND due_at >= line.since
                          ORDER BY due_at LIMIT $2) e) s
          ORDER BY line.place"
    )
}

/// Whether something may wait behind those of so many that were looked at.
pub(super) fn hides_more(found: &[Row], most: i64) -> Result<bool, Failure> {
    for row in found {
        let (waits, seen): (Option<i64>, i64) = (row.at(WAITS)?, row.at(SEEN)?);
        if waits.is_none() && seen == most {
            return Ok(true);
        }
    }
    Ok(false)
}
