-- What happened to each run, so that it can be told. All of it is new, or may be empty: the version before goes on.

-- What a person calls a run by, and when a fetch of it was committed last; 0 if none was.
ALTER TABLE subjects ADD COLUMN name text;
ALTER TABLE subjects ADD COLUMN template text;
ALTER TABLE subjects ADD COLUMN template_name text;
ALTER TABLE subjects ADD COLUMN status text;
ALTER TABLE subjects ADD COLUMN fetched_at bigint NOT NULL DEFAULT 0;
CREATE INDEX subjects_fetched ON subjects (fetched_at, key) WHERE kind = 'run';
CREATE INDEX subjects_failing ON subjects (key) WHERE kind = 'run' AND (failures > 0 OR standing = 'no_access');

-- Fetches that have ended, the newest of each run. The number of the lease tells them apart.
CREATE TABLE fetches (
    subject     bigint  NOT NULL,
    fence       bigint  NOT NULL,
    at          bigint  NOT NULL,
    took        bigint  NOT NULL,
    cause       text    COLLATE "C" NOT NULL CHECK (cause IN ('webhook', 'retry', 'look', 'sweep', 'person')),
    outcome     text    NOT NULL,
    changes     bigint  NOT NULL,
    stale       boolean NOT NULL,
    first_event bigint  NOT NULL,
    events      bigint  NOT NULL,
    reason      text,
    again_at    bigint,
    worker      text    NOT NULL,
    PRIMARY KEY (subject, fence)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX fetches_at ON fetches (at);

-- Attempts that failed, the newest of each event and handler. The one that succeeded is in `outcomes`, to spare a row for
-- nearly every event, and comes here when a person has the event sent once more.
CREATE TABLE attempts (
    subject  bigint   NOT NULL,
    number   bigint   NOT NULL,
    handler  bigint   NOT NULL,
    fence    bigint   NOT NULL,
    attempt  integer  NOT NULL,
    at       bigint   NOT NULL,
    took     bigint   NOT NULL,
    -- 0 delivered, 1 failed, 2 given up.
    ended    smallint NOT NULL CHECK (ended BETWEEN 0 AND 2),
    reason   text,
    again_at bigint,
    worker   text     NOT NULL,
    PRIMARY KEY (subject, number, handler, fence)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- The attempt that succeeded, where it was reported.
ALTER TABLE outcomes ADD COLUMN fence bigint;
ALTER TABLE outcomes ADD COLUMN attempt integer;
ALTER TABLE outcomes ADD COLUMN told_at bigint;
ALTER TABLE outcomes ADD COLUMN took bigint;
ALTER TABLE outcomes ADD COLUMN worker text;

CREATE INDEX dead_letters_latest ON dead_letters (at);

-- What people did, and what the workers noticed of themselves.
CREATE TABLE journal (
    place   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      bigint NOT NULL,
    who     text   NOT NULL,
    kind    text   NOT NULL,
    org     text   COLLATE "C",
    run     text   COLLATE "C",
    handler text   COLLATE "C",
    text    text   NOT NULL
);
CREATE INDEX journal_of_run ON journal (run) WHERE run IS NOT NULL;

-- How each worker stands, as it says itself.
CREATE TABLE beats (
    name       text   COLLATE "C" PRIMARY KEY,
    version    text   NOT NULL,
    started_at bigint NOT NULL,
    seen_at    bigint NOT NULL,
    -- JSON, which only the worker reads.
    report     text   NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- What each worker did in each minute: a row of its own for each, so that no two update the same.
CREATE TABLE pulse (
    minute bigint NOT NULL,
    what   text   COLLATE "C" NOT NULL,
    worker text   COLLATE "C" NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (minute, what, worker)
) WITH (fillfactor = 70);
