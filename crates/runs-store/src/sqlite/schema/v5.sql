-- How an event ended for a handler: kept back by a key of its filter, or handed over. What waits or was given up is in
-- `deliveries` and `dead_letters`; events from before this step have none.
CREATE TABLE outcomes (
    handler      INTEGER NOT NULL REFERENCES handlers (key),
    subject      INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    -- NULL: the handler has it.
    kept_back_by TEXT,
    PRIMARY KEY (subject, number, handler),
    FOREIGN KEY (subject, number) REFERENCES events (subject, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
