-- All times are microseconds since 1970 (UTC). Ids are the API's texts, except our own UUIDs.
--
-- References are not declared as foreign keys: each would lock a row of the other table at every insert. What is
-- referred to is never deleted, or deleted in the same transaction; `verify` looks whether that holds.
--
-- A lease or an attempt is in no index: the update of a row that is claimed stays on its page (HOT), so that a backlog
-- does not bloat the indexes. The fill factors leave room for that, and dead rows are removed early.

-- Organization ids are in every index below; a number keeps those small.
CREATE TABLE orgs (
    key           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text   COLLATE "C" NOT NULL UNIQUE,
    -- Whether it is the turn of what the API has shown, before what may not exist.
    turn          boolean NOT NULL DEFAULT true,
    -- Since when it is watched.
    watched_since bigint,
    -- What of the request budget is used, as the worker writes it down.
    budget        text
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- What is refreshed: a run, or a task whose run is not known yet.
--
--   idle     due_at NULL      lease_until NULL      nothing to do
--   waiting  due_at set       lease_until NULL      to be claimed from due_at on
--   leased   due_at set       lease_until set       being worked on
--
-- Every request for a refresh takes the next ticket (wanted). A claim notes the newest one (claimed), the commit covers
-- the tickets up to that one (covered). While nobody fetches, claimed = covered.
CREATE TABLE subjects (
    key         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org         bigint   NOT NULL,
    kind        text     COLLATE "C" NOT NULL CHECK (kind IN ('run', 'task')),
    id          text     COLLATE "C" NOT NULL,
    -- For a task whose run is known: that run. What names the task goes there.
    run         bigint,
    wanted      bigint   NOT NULL DEFAULT 0,
    claimed     bigint   NOT NULL DEFAULT 0,
    covered     bigint   NOT NULL DEFAULT 0,
    -- 0 live, 1 retry, 2 sweep.
    lane        smallint NOT NULL DEFAULT 0 CHECK (lane BETWEEN 0 AND 2),
    -- While leased: the foremost lane that was asked for since the claim.
    next_lane   smallint CHECK (next_lane BETWEEN 0 AND 2),
    due_at      bigint,
    -- Whether it waits only to be looked at again: what is asked for meanwhile is due at once.
    looking     boolean  NOT NULL DEFAULT false,
    -- The next fetch starts no earlier: what arrives until then shares it.
    not_before  bigint   NOT NULL DEFAULT 0,
    lease_until bigint,
    -- Which worker works on it.
    holder      bigint,
    -- Grows with every claim; the row is never deleted, so a number never comes back.
    fence       bigint   NOT NULL DEFAULT 0,
    failures    integer  NOT NULL DEFAULT 0,
    -- Why it was last given back, for a person.
    reason      text,
    -- What the worker wants to know at the next claim: what it has told, and what is owed.
    memory      text,
    standing    text     COLLATE "C" NOT NULL DEFAULT 'unseen'
                         CHECK (standing IN ('unseen', 'present', 'gone', 'no_access')),
    -- How many events were made of it, which is the number of the newest one.
    events      bigint   NOT NULL DEFAULT 0,
    UNIQUE (org, kind, id),
    CHECK (covered <= claimed AND claimed <= wanted),
    CHECK (lease_until IS NULL OR due_at IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 1);

-- What the API has shown, and what may not exist, wait apart and take turns.
CREATE INDEX subjects_due ON subjects (org, lane, (standing = 'present'), due_at) WHERE due_at IS NOT NULL;

-- The run as it was last fetched. Apart from its subject, because a large value makes every change of its row dear.
CREATE TABLE snapshots (
    subject    bigint PRIMARY KEY,
    fetched_at bigint NOT NULL,
    body       bytea  NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
        toast.autovacuum_vacuum_scale_factor = 0.02);

-- How far each intake log was imported. Written in the transaction that imports, so that a crash imports nothing twice.
CREATE TABLE intake_logs (
    log      uuid   PRIMARY KEY,
    position bigint NOT NULL
) WITH (fillfactor = 50);

-- Webhook bodies as received. Pending while ticket > covered of its subject.
-- The event that covered one is the event of its subject with first_ticket <= ticket <= last_ticket.
CREATE TABLE notifications (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Unique, so that a notification may safely be appended again when nobody knows whether it was.
    id          uuid    NOT NULL UNIQUE,
    org         bigint  NOT NULL,
    -- NULL for an unreadable body.
    subject     bigint,
    ticket      bigint,
    kind        text    NOT NULL,
    event       text,
    run         text,
    task        text,
    announced   text    NOT NULL,
    dedupe_key  text    COLLATE "C",
    received_at bigint  NOT NULL,
    duplicates  integer NOT NULL DEFAULT 0,
    body        bytea   NOT NULL,
    CHECK ((subject IS NULL) = (ticket IS NULL))
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

CREATE UNIQUE INDEX notifications_twin ON notifications (org, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE UNIQUE INDEX notifications_ticket ON notifications (subject, ticket) WHERE subject IS NOT NULL;
CREATE INDEX notifications_unread ON notifications (seq) WHERE subject IS NULL;

-- What handlers get.
CREATE TABLE events (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           uuid   NOT NULL UNIQUE,
    subject      bigint NOT NULL,
    -- Its place among the events of its run, from 1.
    number       bigint NOT NULL,
    type         text   COLLATE "C" NOT NULL,
    created_at   bigint NOT NULL,
    -- The requests that the fetch behind it covered.
    first_ticket bigint NOT NULL,
    last_ticket  bigint NOT NULL,
    body         bytea  NOT NULL,
    UNIQUE (subject, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- A handler that is or was configured. New events are meant for the active ones.
CREATE TABLE handlers (
    key    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   text    COLLATE "C" NOT NULL UNIQUE,
    active boolean NOT NULL,
    -- Since when it is, or is no longer, active.
    since  bigint  NOT NULL,
    -- Whether a person has paused it: then nothing is claimed for it.
    paused boolean NOT NULL DEFAULT false
);

-- One row for each event and each handler that has not settled it yet. Rows, not a range of numbers: a handler that is
-- switched off for a while has gaps.
CREATE TABLE deliveries (
    handler bigint NOT NULL,
    subject bigint NOT NULL,
    number  bigint NOT NULL,
    -- Since when the handler should have had the event.
    since   bigint NOT NULL,
    -- The subject first, so that an event's deliveries are found from the event, too.
    PRIMARY KEY (subject, handler, number)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 1);

CREATE INDEX deliveries_oldest ON deliveries (handler, since);

-- The head of the line of one run for one handler. Only the head can be claimed, which is what keeps the order.
-- Idle, waiting and leased are told apart as for subjects.
CREATE TABLE cursors (
    handler     bigint  NOT NULL,
    subject     bigint  NOT NULL,
    -- The event at the head; while idle, the last one.
    number      bigint  NOT NULL,
    -- Attempts begun for that event.
    attempts    integer NOT NULL DEFAULT 0,
    due_at      bigint,
    lease_until bigint,
    holder      bigint,
    fence       bigint  NOT NULL DEFAULT 0,
    reason      text,
    -- Since when the delivery at the head is tried, and when it failed last; NULL before.
    tried_since bigint,
    failed_at   bigint,
    PRIMARY KEY (handler, subject),
    CHECK (lease_until IS NULL OR due_at IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 1);

CREATE INDEX cursors_due ON cursors (handler, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX cursors_failing ON cursors (handler, failed_at) WHERE failed_at IS NOT NULL;

-- How an event ended for a handler: kept back by a key of its filter, or handed over.
CREATE TABLE outcomes (
    handler      bigint NOT NULL,
    subject      bigint NOT NULL,
    number       bigint NOT NULL,
    at           bigint NOT NULL,
    -- NULL: the handler has it.
    kept_back_by text,
    PRIMARY KEY (subject, number, handler)
);

-- Deliveries that were given up.
CREATE TABLE dead_letters (
    handler  bigint  NOT NULL,
    subject  bigint  NOT NULL,
    number   bigint  NOT NULL,
    attempts integer NOT NULL,
    reason   text    NOT NULL,
    -- What the other side said last, bounded and without secrets.
    answer   text,
    at       bigint  NOT NULL,
    PRIMARY KEY (subject, number, handler)
);

-- What was seen of a run last: by a fetch, and by a sweep of the run list. Both are versions, which are compared only.
CREATE TABLE views (
    subject           bigint  PRIMARY KEY,
    org               bigint  NOT NULL,
    fetched           text,
    -- Whether no other state can have the version that was fetched.
    settled           boolean NOT NULL DEFAULT false,
    -- Whether a list of active runs would show it.
    active            boolean NOT NULL DEFAULT true,
    -- What the list showed; empty if the run was not in it, NULL if no list was looked at.
    listed            text,
    -- The ticket that the run was made due with for what the list showed; NULL if there was no need.
    marked            bigint,
    -- The sweep that looked at it last, and the one that was under way when it was fetched last.
    listed_in         bigint  NOT NULL DEFAULT 0,
    fetched_in        bigint  NOT NULL DEFAULT 0,
    -- How the list showed a run when it was recorded without an event; NULL if it never was.
    recorded_complete boolean,
    recorded_archived boolean
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE INDEX views_of_sweep ON views (org, listed_in);

-- The sweep of an organization that is under way, or else its last one.
CREATE TABLE sweeps (
    org            bigint  PRIMARY KEY,
    -- 0: there was none yet.
    number         bigint  NOT NULL DEFAULT 0,
    kind           text    COLLATE "C" NOT NULL DEFAULT 'sync' CHECK (kind IN ('sync', 'audit')),
    scope          text    COLLATE "C" NOT NULL DEFAULT 'all' CHECK (scope IN ('active', 'all')),
    backfill       boolean NOT NULL DEFAULT false,
    baseline       boolean NOT NULL DEFAULT false,
    started_at     bigint  NOT NULL DEFAULT 0,
    finished_at    bigint,
    pass           bigint  NOT NULL DEFAULT 1,
    -- The next page; 0 once the list was read.
    page           bigint  NOT NULL DEFAULT 1,
    -- How many of the known runs it should find in the list.
    expected       bigint  NOT NULL DEFAULT 0,
    total          bigint,
    listed         bigint  NOT NULL DEFAULT 0,
    new            bigint  NOT NULL DEFAULT 0,
    changed        bigint  NOT NULL DEFAULT 0,
    vanished       bigint  NOT NULL DEFAULT 0,
    pending        bigint  NOT NULL DEFAULT 0,
    -- The widest scope that was swept to the end.
    known_scope    text    COLLATE "C" CHECK (known_scope IN ('active', 'all')),
    -- What a person asked for.
    asked_kind     text    COLLATE "C" CHECK (asked_kind IN ('sync', 'audit')),
    asked_scope    text    COLLATE "C" CHECK (asked_scope IN ('active', 'all')),
    asked_backfill boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- What that sweep found.
CREATE TABLE findings (
    org  bigint NOT NULL,
    run  text   COLLATE "C" NOT NULL,
    what text   COLLATE "C" NOT NULL CHECK (what IN ('new', 'changed', 'vanished', 'pending')),
    PRIMARY KEY (org, run)
);

-- The workers that were seen, by the database's clock.
CREATE TABLE workers (
    key        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Kept with the worker's data folder, which one process holds at a time.
    id         uuid   NOT NULL UNIQUE,
    name       text   NOT NULL,
    host       text   NOT NULL,
    version    text   NOT NULL,
    started_at bigint NOT NULL,
    seen_at    bigint NOT NULL,
    -- The organizations that it would fetch for.
    wants      bigint[] NOT NULL DEFAULT '{}',
    -- When it ended in an orderly way; NULL while it runs, or if it did not.
    ended_at   bigint
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- Which worker fetches for an organization, until when by the database's clock.
CREATE TABLE seats (
    org    bigint PRIMARY KEY,
    -- 0 once it was given up.
    worker bigint NOT NULL,
    -- Grows whenever the seat goes to a worker anew; an old number has lost its right.
    term   bigint NOT NULL,
    -- Until when it is held, or since when it is free.
    until  bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);
