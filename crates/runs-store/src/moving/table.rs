//! The tables that both databases have, with the same names and columns, and a row on its way between them.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 64 bits.
    Long,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    Flag,
    Text,
    Bytes,
    Uuid,
}

/// A value in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of the columns of a table, in their order.
pub(crate) type Row = Vec<Value>;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The primary key, which is among the first columns.
    pub(crate) key: &'static [&'static str],
    /// Whether the database numbers the rows by itself, in the key.
    pub(crate) numbered: bool,
    /// How many rows go together.
    pub(crate) rows: usize,
    pub(crate) columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// The names of the columns, for a statement.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// The values of the key in a row, with their kinds.
    pub(crate) fn key_of<'r>(&self, row: &'r [Value]) -> Vec<(&'r Value, Kind)> {
        let of_key = |name: &&str| {
            let place = self.columns.iter().position(|(column, _)| column == name)?;
            Some((row.get(place)?, self.columns[place].1))
        };
        self.key.iter().filter_map(of_key).collect()
    }
}

use Kind::{Bytes, Flag, Int, Long, Short, Text, Uuid};

/// Rows that hold bodies, which may be large.
const WITH_BODIES: usize = 100;
const SMALL: usize = 1000;

/// All of them; what a row refers to is in a table before its own.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "orgs",
        key: &["key"],
        numbered: true,
        rows: SMALL,
        columns: &[
            ("key", Long),
            ("name", Text),
            ("turn", Flag),
            ("watched_since", Long),
            ("budget", Text),
        ],
    },
    Table {
        name: "subjects",
        key: &["key"],
        numbered: true,
        rows: SMALL,
        columns: &[
            ("key", Long),
            ("org", Long),
            ("kind", Text),
            ("id", Text),
            ("run", Long),
            ("wanted", Long),
            ("claimed", Long),
            ("covered", Long),
            ("lane", Short),
            ("next_lane", Short),
            ("due_at", Long),
            ("looking", Flag),
            ("not_before", Long),
            ("lease_until", Long),
            ("fence", Long),
            ("failures", Int),
            ("reason", Text),
            ("memory", Text),
            ("standing", Text),
            ("events", Long),
            ("name", Text),
            ("template", Text),
            ("template_name", Text),
            ("status", Text),
            ("fetched_at", Long),
        ],
    },
    Table {
        name: "snapshots",
        key: &["subject"],
        numbered: false,
        rows: WITH_BODIES,
        columns: &[("subject", Long), ("fetched_at", Long), ("body", Bytes)],
    },
    Table {
        name: "intake_logs",
        key: &["log"],
        numbered: false,
        rows: SMALL,
        columns: &[("log", Uuid), ("position", Long)],
    },
    Table {
        name: "notifications",
        key: &["seq"],
        numbered: true,
        rows: WITH_BODIES,
        columns: &[
            ("seq", Long),
            ("id", Uuid),
            ("org", Long),
            ("subject", Long),
            ("ticket", Long),
            ("kind", Text),
            ("event", Text),
            ("run", Text),
            ("task", Text),
            ("announced", Text),
            ("dedupe_key", Text),
            ("received_at", Long),
            ("duplicates", Int),
            ("body", Bytes),
        ],
    },
    Table {
        name: "events",
        key: &["seq"],
        numbered: true,
        rows: WITH_BODIES,
        columns: &[
            ("seq", Long),
            ("id", Uuid),
            ("subject", Long),
            ("number", Long),
            ("type", Text),
            ("created_at", Long),
            ("first_ticket", Long),
            ("last_ticket", Long),
            ("body", Bytes),
        ],
    },
    Table {
        name: "handlers",
        key: &["key"],
        numbered: true,
        rows: SMALL,
        columns: &[
            ("key", Long),
            ("name", Text),
            ("active", Flag),
            ("since", Long),
            ("paused", Flag),
        ],
    },
    Table {
        name: "deliveries",
        key: &["subject", "handler", "number"],
        numbered: false,
        rows: SMALL,
        columns: &[("subject", Long), ("handler", Long), ("number", Long), ("since", Long)],
    },
    Table {
        name: "cursors",
        key: &["handler", "subject"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("handler", Long),
            ("subject", Long),
            ("number", Long),
            ("attempts", Int),
            ("due_at", Long),
            ("lease_until", Long),
            ("fence", Long),
            ("reason", Text),
            ("tried_since", Long),
            ("failed_at", Long),
        ],
    },
    Table {
        name: "outcomes",
        key: &["subject", "number", "handler"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("subject", Long),
            ("number", Long),
            ("handler", Long),
            ("at", Long),
            ("kept_back_by", Text),
            ("fence", Long),
            ("attempt", Int),
            ("told_at", Long),
            ("took", Long),
            ("worker", Text),
        ],
    },
    Table {
        name: "attempts",
        key: &["subject", "number", "handler", "fence"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("subject", Long),
            ("number", Long),
            ("handler", Long),
            ("fence", Long),
            ("attempt", Int),
            ("at", Long),
            ("took", Long),
            ("ended", Short),
            ("reason", Text),
            ("again_at", Long),
            ("worker", Text),
        ],
    },
    Table {
        name: "fetches",
        key: &["subject", "fence"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("subject", Long),
            ("fence", Long),
            ("at", Long),
            ("took", Long),
            ("cause", Text),
            ("outcome", Text),
            ("changes", Long),
            ("stale", Flag),
            ("first_event", Long),
            ("events", Long),
            ("reason", Text),
            ("again_at", Long),
            ("worker", Text),
        ],
    },
    Table {
        name: "journal",
        key: &["place"],
        numbered: true,
        rows: SMALL,
        columns: &[
            ("place", Long),
            ("at", Long),
            ("who", Text),
            ("kind", Text),
            ("org", Text),
            ("run", Text),
            ("handler", Text),
            ("text", Text),
        ],
    },
    Table {
        name: "dead_letters",
        key: &["subject", "number", "handler"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("subject", Long),
            ("number", Long),
            ("handler", Long),
            ("attempts", Int),
            ("reason", Text),
            ("answer", Text),
            ("at", Long),
        ],
    },
    Table {
        name: "views",
        key: &["subject"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("subject", Long),
            ("org", Long),
            ("fetched", Text),
            ("settled", Flag),
            ("active", Flag),
            ("listed", Text),
            ("marked", Long),
            ("listed_in", Long),
            ("fetched_in", Long),
            ("recorded_complete", Flag),
            ("recorded_archived", Flag),
        ],
    },
    Table {
        name: "sweeps",
        key: &["org"],
        numbered: false,
        rows: SMALL,
        columns: &[
            ("org", Long),
            ("number", Long),
            ("kind", Text),
            ("scope", Text),
            ("backfill", Flag),
            ("baseline", Flag),
            ("started_at", Long),
            ("finished_at", Long),
            ("pass", Long),
            ("page", Long),
            ("expected", Long),
            ("total", Long),
            ("listed", Long),
            ("new", Long),
            ("changed", Long),
            ("vanished", Long),
            ("pending", Long),
            ("known_scope", Text),
            ("asked_kind", Text),
            ("asked_scope", Text),
            ("asked_backfill", Flag),
        ],
    },
    Table {
        name: "findings",
        key: &["org", "run"],
        numbered: false,
        rows: SMALL,
        columns: &[("org", Long), ("run", Text), ("what", Text)],
    },
];

/// What tells two states of a store apart, besides the numbers of rows: each of them is a query for one number.
pub(crate) const MOVEMENT: &[&str] = &[
    "SELECT coalesce(max(seq), 0) FROM notifications",
    "SELECT coalesce(max(seq), 0) FROM events",
    "SELECT CAST(coalesce(sum(wanted + fence), 0) AS bigint) FROM subjects",
    "SELECT CAST(coalesce(sum(fence), 0) AS bigint) FROM cursors",
];
