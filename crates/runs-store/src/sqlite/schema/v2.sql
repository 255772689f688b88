-- What the other side said last, bounded and without secrets.
ALTER TABLE dead_letters ADD COLUMN answer TEXT;

-- What was seen of a run last: by a fetch, and by a sweep of the run list. Both are versions, which are compared only.
CREATE TABLE views (
    subject    INTEGER PRIMARY KEY REFERENCES subjects (key),
    org        INTEGER NOT NULL REFERENCES orgs (key),
    fetched    TEXT,
    -- Whether no other state can have the version that was fetched.
    settled    INTEGER NOT NULL DEFAULT 0,
    -- Whether a list of active runs would show it.
    active     INTEGER NOT NULL DEFAULT 1,
    -- What the list showed; empty if the run was not in it, NULL if no list was looked at.
    listed     TEXT,
    -- The ticket that the run was made due with for what the list showed; NULL if there was no need.
    marked     INTEGER,
    -- The sweep that looked at it last, and the one that was under way when it was fetched last.
    listed_in  INTEGER NOT NULL DEFAULT 0,
    fetched_in INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX views_of_sweep ON views (org, listed_in);

-- What was fetched before there were versions is looked at by the first sweep.
INSERT INTO views (subject, org) SELECT key, org FROM subjects WHERE kind = 'run' AND standing <> 'unseen';

-- The sweep of an organization that is under way, or else its last one.
CREATE TABLE sweeps (
    org            INTEGER PRIMARY KEY REFERENCES orgs (key),
    -- 0: there was none yet.
    number         INTEGER NOT NULL DEFAULT 0,
    kind           TEXT    NOT NULL DEFAULT 'sync' CHECK (kind IN ('sync', 'audit')),
    scope          TEXT    NOT NULL DEFAULT 'all' CHECK (scope IN ('active', 'all')),
    backfill       INTEGER NOT NULL DEFAULT 0,
    baseline       INTEGER NOT NULL DEFAULT 0,
    started_at     INTEGER NOT NULL DEFAULT 0,
    finished_at    INTEGER,
    pass           INTEGER NOT NULL DEFAULT 1,
    -- The next page; 0 once the list was read.
    page           INTEGER NOT NULL DEFAULT 1,
    total          INTEGER,
    listed         INTEGER NOT NULL DEFAULT 0,
    new            INTEGER NOT NULL DEFAULT 0,
    changed        INTEGER NOT NULL DEFAULT 0,
    vanished       INTEGER NOT NULL DEFAULT 0,
    pending        INTEGER NOT NULL DEFAULT 0,
    -- The widest scope that was swept to the end.
    known_scope    TEXT    CHECK (known_scope IN ('active', 'all')),
    -- What a person asked for.
    asked_kind     TEXT    CHECK (asked_kind IN ('sync', 'audit')),
    asked_scope    TEXT    CHECK (asked_scope IN ('active', 'all')),
    asked_backfill INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What that sweep found.
CREATE TABLE findings (
    org  INTEGER NOT NULL REFERENCES orgs (key),
    run  TEXT    NOT NULL,
    what TEXT    NOT NULL CHECK (what IN ('new', 'changed', 'vanished', 'pending')),
    PRIMARY KEY (org, run)
) STRICT, WITHOUT ROWID;

-- What the API has shown, and what may not exist, wait apart and take turns: whoever has learnt the webhook's address and
-- makes runs up must not keep the real ones from being fetched.
-- 1: it is the turn of what is known.
ALTER TABLE orgs ADD COLUMN turn INTEGER NOT NULL DEFAULT 1 CHECK (turn IN (0, 1));
DROP INDEX subjects_waiting;
CREATE INDEX subjects_waiting ON subjects (org, lane, (standing = 'present'), due_at)
    WHERE due_at IS NOT NULL AND lease_until IS NULL;
