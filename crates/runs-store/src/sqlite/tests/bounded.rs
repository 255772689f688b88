//! What a page asks for costs as much in a large store as in a small one: nothing counts or scans a table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::desks::{After, HandlerName, JournalQuery, Query, RunsOnly, RunsQuery};
use crate::sqlite::failure::Failure;
use crate::sqlite::operator::{dead_letters, events, notifications};
use crate::sqlite::story::{heads, journal, runs, told, workers};
use crate::sqlite::writer::Transaction;
use crate::sqlite::{Large, connect, fill, stats, sweep, verify};

/// How many entries a page has.
const PAGE: usize = 50;

/// How many runs the small store knows, and the large one. Of the small one a page takes a part.
const SMALL: u32 = 2_000;
const LARGE: u32 = 8_000;

type Asked = fn(&Transaction<'_>, &Middle) -> Result<usize, Failure>;

/// How many steps more each further run may cost where the index of what is rare is read as a whole, to have it in order.
const RARE: [(&str, u64); 3] = [
    ("runs that are due", 1),
    ("runs that fail", 1),
    ("runs that are held up", 4),
];

/// What the pages ask for; how many rows they get.
const ASKED: &[(&str, Asked)] = &[
    ("the counts", |view, _| Ok(stats::stats(view, at(0), 0)?.handlers.len())),
    ("the workers", |view, _| Ok(workers::workers(view, wall(0))?.len())),
    ("what was done", |view, _| Ok(workers::pulse(view, wall(0))?.len())),
    ("the runs", |view, _| all_runs(view, None)),
    ("more runs", |view, _| {
        let first = runs::page(view, &RunsQuery::default(), None, PAGE)?;
        Ok(runs::page(view, &RunsQuery::default(), first.next, PAGE)?.runs.len())
    }),
    ("runs that are due", |view, _| all_runs(view, Some(RunsOnly::Due))),
    ("runs that fail", |view, _| all_runs(view, Some(RunsOnly::Failing))),
    ("runs that are held up", |view, _| {
        all_runs(view, Some(RunsOnly::Blocked))
    }),
    ("the story of a run", |view, _| story(view, "run7")),
    ("the story of a run with much", |view, _| story(view, "run1")),
    ("the events", |view, _| {
        Ok(events::newest(view, &Query::default(), PAGE)?.len())
    }),
    ("events in the middle", |view, middle| {
        let after = Query {
            after: Some(middle.event.clone()),
            ..Query::default()
        };
        Ok(events::newest(view, &after, PAGE)?.len())
    }),
    ("an event", |view, middle| {
        Ok(usize::from(events::whole(view, middle.event.id)?.is_some()))
    }),
    ("what holds a handler up", |view, _| {
        Ok(heads::page(view, &HandlerName::new("erp"), None, PAGE)?.heads.len())
    }),
    ("the dead letters", |view, _| {
        Ok(dead_letters::latest(view, &Query::default(), PAGE)?.len())
    }),
    ("the dead letters of a handler", |view, _| letters(view, "erp", None)),
    ("the dead letters of a handler without any", |view, _| {
        letters(view, "archive", None)
    }),
    ("dead letters in the middle", |view, middle| {
        letters(view, "erp", Some(middle.letter.clone()))
    }),
    ("notifications that could not be read", |view, _| unreadable(view, None)),
    ("more of them", |view, middle| {
        unreadable(view, Some(middle.unread.clone()))
    }),
    ("a notification", |view, middle| {
        Ok(usize::from(
            notifications::whole(view, middle.notification.id)?.is_some(),
        ))
    }),
    ("the sweeps", |view, _| {
        sweep::sweeps(view, &northwind())?;
        Ok(sweep::findings(view, &northwind(), PAGE)?.len())
    }),
    ("the journal", |view, _| {
        Ok(journal::entries(view, &JournalQuery::default(), None, PAGE)?.len())
    }),
];

fn northwind() -> OrgId {
    OrgId::new("northwind")
}

fn all_runs(view: &Transaction<'_>, only: Option<RunsOnly>) -> Result<usize, Failure> {
    let query = RunsQuery {
        only,
        ..RunsQuery::default()
    };
    Ok(runs::page(view, &query, None, PAGE)?.runs.len())
}

fn story(view: &Transaction<'_>, run: &str) -> Result<usize, Failure> {
    let story = told::story(view, &northwind(), &run.into(), None, PAGE)?;
    Ok(story.map_or(0, |story| story.notifications.len()))
}

fn letters(view: &Transaction<'_>, handler: &str, after: Option<After>) -> Result<usize, Failure> {
    let query = Query {
        handler: Some(HandlerName::new(handler)),
        after,
        ..Query::default()
    };
    Ok(dead_letters::latest(view, &query, PAGE)?.len())
}

fn unreadable(view: &Transaction<'_>, after: Option<After>) -> Result<usize, Failure> {
    let query = Query {
        unrecognized: true,
        after,
        ..Query::default()
    };
    Ok(notifications::newest(view, &query, PAGE)?.len())
}

/// Entries with as many before them as after them.
struct Middle {
    event: After,
    letter: After,
    notification: After,
    unread: After,
}

impl Middle {
    fn of(view: &Transaction<'_>) -> Self {
        let letters = "events JOIN dead_letters USING (subject, number)";
        let unread = "(SELECT id, seq FROM notifications WHERE subject IS NULL)";
        Self {
            event: in_the_middle(view, "events", None),
            letter: in_the_middle(view, letters, Some("erp")),
            notification: in_the_middle(view, "notifications", None),
            unread: in_the_middle(view, unread, None),
        }
    }
}

fn in_the_middle(view: &Transaction<'_>, table: &str, handler: Option<&str>) -> After {
    let sql = format!("SELECT id FROM {table} ORDER BY seq LIMIT 1 OFFSET (SELECT count(*) / 2 FROM {table})");
    let id: Option<Vec<u8>> = view.row(&sql, [], |row| row.get(0)).unwrap();
    After {
        id: Uuid::from_slice(&id.unwrap()).unwrap(),
        handler: handler.map(HandlerName::new),
    }
}

/// How many steps SQLite takes for each of them, and how many rows there are.
fn steps(runs: u32) -> Vec<(u64, usize)> {
    let place = Place::new();
    drop(place.open(0));
    let large = Large {
        runs,
        notifications: 5,
        now: wall(0),
    };
    fill(place.path(), large).unwrap();
    assert_eq!(verify(place.path()).unwrap().unwrap().findings, [""; 0]);
    let mut connection = connect::reading(&place.path()).unwrap();
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        false
    };
    connection.progress_handler(1, Some(count)).unwrap();
    let view = connection.unchecked_transaction().unwrap();
    let view = Transaction::on(&view);
    let middle = Middle::of(&view);
    let ask = |(_, asked): &(&str, Asked)| {
        steps.store(0, Ordering::Relaxed);
        let rows = asked(&view, &middle).unwrap();
        (steps.load(Ordering::Relaxed), rows)
    };
    ASKED.iter().map(ask).collect()
}

#[test]
fn no_page_costs_more_in_a_larger_store() {
    let (small, large) = (steps(SMALL), steps(LARGE));
    let mut grown = Vec::new();
    for (((what, _), small), large) in ASKED.iter().zip(small).zip(large) {
        assert!(small.1 > 0 || large.1 == 0, "{what}: the small store has none");
        let rare = RARE.iter().find(|(rare, _)| rare == what);
        let more = rare.map_or(0, |(_, steps)| steps * u64::from(LARGE - SMALL));
        if large.0 > small.0 * 3 / 2 + 200 + more {
            grown.push(format!(
                "{what}: {} steps for {} rows, then {} for {}",
                small.0, small.1, large.0, large.1
            ));
        }
    }
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}
