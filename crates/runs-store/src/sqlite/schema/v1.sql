-- All times are microseconds since 1970 (UTC). Ids are the API's texts, except our own UUIDs, which are 16 bytes.

-- Names a store of the runs worker: "RUNS" in ASCII.
PRAGMA application_id = 1381322323;

-- Organization ids are in every index below; a number keeps those small.
CREATE TABLE orgs (
    key  INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What is refreshed: a run, or a task whose run is not known yet.
--
--   idle     due_at NULL      lease_until NULL      nothing to do
--   waiting  due_at set       lease_until NULL      to be claimed from due_at on
--   leased   due_at set       lease_until set       being worked on
--
-- Every request for a refresh takes the next ticket (wanted). A claim notes the newest one (claimed), the commit covers
-- the tickets up to that one (covered). While nobody fetches, claimed = covered.
CREATE TABLE subjects (
    key         INTEGER PRIMARY KEY,
    org         INTEGER NOT NULL REFERENCES orgs (key),
    kind        TEXT    NOT NULL CHECK (kind IN ('run', 'task')),
    id          TEXT    NOT NULL,
    -- For a task whose run is known: that run. What names the task goes there.
    run         INTEGER REFERENCES subjects (key),
    wanted      INTEGER NOT NULL DEFAULT 0,
    claimed     INTEGER NOT NULL DEFAULT 0,
    covered     INTEGER NOT NULL DEFAULT 0,
    -- 0 live, 1 retry, 2 sweep.
    lane        INTEGER NOT NULL DEFAULT 0 CHECK (lane BETWEEN 0 AND 2),
    -- While leased: the foremost lane that was asked for since the claim.
    next_lane   INTEGER CHECK (next_lane BETWEEN 0 AND 2),
    due_at      INTEGER,
    -- The next fetch starts no earlier: what arrives until then shares it.
    not_before  INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    -- Grows with every claim; the row is never deleted, so a number never comes back.
    fence       INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    stale_reads INTEGER NOT NULL DEFAULT 0,
    -- Why it was last given back, for a person.
    reason      TEXT,
    standing    TEXT    NOT NULL DEFAULT 'unseen' CHECK (standing IN ('unseen', 'present', 'gone', 'no_access')),
    -- How many events were made of it, which is the number of the newest one.
    events      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (org, kind, id),
    CHECK (covered <= claimed AND claimed <= wanted),
    CHECK (lease_until IS NULL OR due_at IS NOT NULL)
) STRICT;

-- A claim reads the first entries of each lane; how many others wait does not matter.
CREATE INDEX subjects_waiting ON subjects (org, lane, due_at) WHERE due_at IS NOT NULL AND lease_until IS NULL;
CREATE INDEX subjects_leased ON subjects (org, lease_until) WHERE lease_until IS NOT NULL;

-- The run as it was last fetched. Apart from its subject, because a large value makes every change of its row dear.
CREATE TABLE snapshots (
    subject    INTEGER PRIMARY KEY REFERENCES subjects (key),
    fetched_at INTEGER NOT NULL,
    body       BLOB    NOT NULL
) STRICT;

-- Webhook bodies as received. Pending while ticket > covered of its subject.
-- The event that covered one is the event of its subject with first_ticket <= ticket <= last_ticket.
CREATE TABLE notifications (
    seq         INTEGER PRIMARY KEY,
    -- Unique, so that a notification may safely be appended again when nobody knows whether it was.
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    org         INTEGER NOT NULL REFERENCES orgs (key),
    -- NULL for a body that nobody could read.
    subject     INTEGER REFERENCES subjects (key),
    ticket      INTEGER,
    kind        TEXT    NOT NULL,
    event       TEXT,
    run         TEXT,
    task        TEXT,
    announced   TEXT    NOT NULL,
    dedupe_key  TEXT,
    received_at INTEGER NOT NULL,
    duplicates  INTEGER NOT NULL DEFAULT 0,
    body        BLOB    NOT NULL,
    CHECK ((subject IS NULL) = (ticket IS NULL))
) STRICT;

CREATE UNIQUE INDEX notifications_twin ON notifications (org, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE UNIQUE INDEX notifications_ticket ON notifications (subject, ticket) WHERE subject IS NOT NULL;

-- What handlers get.
CREATE TABLE events (
    seq          INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    subject      INTEGER NOT NULL REFERENCES subjects (key),
    -- Its place among the events of its run, from 1.
    number       INTEGER NOT NULL,
    type         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- The requests that the fetch behind it covered.
    first_ticket INTEGER NOT NULL,
    last_ticket  INTEGER NOT NULL,
    body         BLOB    NOT NULL,
    UNIQUE (subject, number)
) STRICT;

-- The two counts are kept by triggers, because counting a long backlog would read all of it.
CREATE TABLE handlers (
    key          INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    active       INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- Since when it is, or is no longer, active.
    since        INTEGER NOT NULL,
    waiting      INTEGER NOT NULL DEFAULT 0,
    dead_letters INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row for each event and each handler that has not settled it yet. Rows, not a range of numbers: a handler that is
-- switched off for a while has gaps.
CREATE TABLE deliveries (
    handler INTEGER NOT NULL REFERENCES handlers (key),
    subject INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    -- The subject first, so that an event's deliveries are found from the event, too.
    PRIMARY KEY (subject, handler, number),
    FOREIGN KEY (subject, number) REFERENCES events (subject, number)
) STRICT, WITHOUT ROWID;

-- The head of the line of one run for one handler. Only the head can be claimed, which is what keeps the order.
-- Idle, waiting and leased are told apart as for subjects.
CREATE TABLE cursors (
    handler     INTEGER NOT NULL REFERENCES handlers (key),
    subject     INTEGER NOT NULL REFERENCES subjects (key),
    -- The event at the head; while idle, the last one.
    number      INTEGER NOT NULL,
    -- Attempts begun for that event.
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,
    lease_until INTEGER,
    fence       INTEGER NOT NULL DEFAULT 0,
    reason      TEXT,
    PRIMARY KEY (handler, subject),
    CHECK (lease_until IS NULL OR due_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX cursors_waiting ON cursors (handler, due_at) WHERE due_at IS NOT NULL AND lease_until IS NULL;
CREATE INDEX cursors_leased ON cursors (handler, lease_until) WHERE lease_until IS NOT NULL;

-- Deliveries that were given up.
CREATE TABLE dead_letters (
    handler  INTEGER NOT NULL REFERENCES handlers (key),
    subject  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (subject, number, handler),
    FOREIGN KEY (subject, number) REFERENCES events (subject, number)
) STRICT, WITHOUT ROWID;

-- Counts that would be slow to count.
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('due', 0), ('unrecognized', 0), ('probes', 0);

CREATE TRIGGER subject_inserted_due AFTER INSERT ON subjects WHEN NEW.due_at IS NOT NULL BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'due';
END;
CREATE TRIGGER subject_became_due AFTER UPDATE OF due_at ON subjects WHEN OLD.due_at IS NULL AND NEW.due_at IS NOT NULL BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'due';
END;
CREATE TRIGGER subject_became_idle AFTER UPDATE OF due_at ON subjects WHEN OLD.due_at IS NOT NULL AND NEW.due_at IS NULL BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'due';
END;
CREATE TRIGGER notification_unrecognized AFTER INSERT ON notifications WHEN NEW.subject IS NULL BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'unrecognized';
END;
CREATE TRIGGER notification_forgotten AFTER DELETE ON notifications WHEN OLD.subject IS NULL BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'unrecognized';
END;
CREATE TRIGGER delivery_added AFTER INSERT ON deliveries BEGIN
    UPDATE handlers SET waiting = waiting + 1 WHERE key = NEW.handler;
END;
CREATE TRIGGER delivery_settled AFTER DELETE ON deliveries BEGIN
    UPDATE handlers SET waiting = waiting - 1 WHERE key = OLD.handler;
END;
CREATE TRIGGER dead_letter_added AFTER INSERT ON dead_letters BEGIN
    UPDATE handlers SET dead_letters = dead_letters + 1 WHERE key = NEW.handler;
END;
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letters BEGIN
    UPDATE handlers SET dead_letters = dead_letters - 1 WHERE key = OLD.handler;
END;
