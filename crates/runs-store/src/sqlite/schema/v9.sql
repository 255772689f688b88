-- What a person calls a run by, and when a fetch of it was committed last; 0 if none was.
ALTER TABLE subjects ADD COLUMN name TEXT;
ALTER TABLE subjects ADD COLUMN template TEXT;
ALTER TABLE subjects ADD COLUMN template_name TEXT;
ALTER TABLE subjects ADD COLUMN status TEXT;
ALTER TABLE subjects ADD COLUMN fetched_at INTEGER NOT NULL DEFAULT 0;
UPDATE subjects
   SET fetched_at = shown.fetched_at, name = shown.body ->> '$.name', template = shown.body ->> '$.checklist_id',
       template_name = shown.body ->> '$.checklist_title', status = shown.body ->> '$.status'
  FROM (SELECT subject, fetched_at, iif(json_valid(CAST(body AS TEXT)), CAST(body AS TEXT), '{}') AS body FROM snapshots) AS shown
 WHERE shown.subject = subjects.key;
CREATE INDEX subjects_fetched ON subjects (fetched_at) WHERE kind = 'run';
CREATE INDEX subjects_failing ON subjects (failures) WHERE kind = 'run' AND (failures > 0 OR standing = 'no_access');

-- Fetches that have ended, the newest of each run. The number of the lease tells them apart.
CREATE TABLE fetches (
    subject     INTEGER NOT NULL REFERENCES subjects (key),
    fence       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    took        INTEGER NOT NULL,
    cause       TEXT    NOT NULL CHECK (cause IN ('webhook', 'retry', 'look', 'sweep', 'person')),
    outcome     TEXT    NOT NULL,
    changes     INTEGER NOT NULL,
    stale       INTEGER NOT NULL CHECK (stale IN (0, 1)),
    first_event INTEGER NOT NULL,
    events      INTEGER NOT NULL,
    reason      TEXT,
    again_at    INTEGER,
    worker      TEXT    NOT NULL,
    PRIMARY KEY (subject, fence)
) STRICT, WITHOUT ROWID;
CREATE INDEX fetches_at ON fetches (at);

-- Attempts that failed, the newest of each event and handler. The one that succeeded is in `outcomes`, to spare a row for
-- nearly every event, and comes here when a person has the event sent once more.
CREATE TABLE attempts (
    subject  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    handler  INTEGER NOT NULL REFERENCES handlers (key),
    fence    INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    took     INTEGER NOT NULL,
    -- 0 delivered, 1 failed, 2 given up.
    ended    INTEGER NOT NULL CHECK (ended BETWEEN 0 AND 2),
    reason   TEXT,
    again_at INTEGER,
    worker   TEXT    NOT NULL,
    PRIMARY KEY (subject, number, handler, fence),
    FOREIGN KEY (subject, number) REFERENCES events (subject, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The attempt that succeeded, where it was reported.
ALTER TABLE outcomes ADD COLUMN fence INTEGER;
ALTER TABLE outcomes ADD COLUMN attempt INTEGER;
ALTER TABLE outcomes ADD COLUMN told_at INTEGER;
ALTER TABLE outcomes ADD COLUMN took INTEGER;
ALTER TABLE outcomes ADD COLUMN worker TEXT;

CREATE INDEX dead_letters_latest ON dead_letters (at);
CREATE INDEX notifications_unrecognized ON notifications (received_at) WHERE subject IS NULL;

-- What people did, and what the worker noticed of itself.
CREATE TABLE journal (
    place   INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    org     TEXT,
    run     TEXT,
    handler TEXT,
    text    TEXT    NOT NULL
) STRICT;
CREATE INDEX journal_of_run ON journal (run) WHERE run IS NOT NULL;

CREATE TABLE workers (
    name       TEXT    PRIMARY KEY,
    version    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    -- JSON, which only the worker reads.
    report     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- What was done in each minute, by all workers.
CREATE TABLE pulse (
    minute INTEGER NOT NULL,
    what   TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (minute, what)
) STRICT, WITHOUT ROWID;
