-- How far each intake log was imported. Written in the transaction that imports, so that a crash imports nothing twice.
CREATE TABLE intake_logs (
    log      BLOB    PRIMARY KEY CHECK (length(log) = 16),
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
