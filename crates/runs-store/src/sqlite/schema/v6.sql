-- What the worker wants to know of a subject at its next claim: what it has told, and what is owed.
ALTER TABLE subjects ADD COLUMN memory TEXT;
-- Whether it waits only to be looked at again: what is asked for meanwhile is due at once.
ALTER TABLE subjects ADD COLUMN looking INTEGER NOT NULL DEFAULT 0 CHECK (looking IN (0, 1));
ALTER TABLE subjects DROP COLUMN stale_reads;

-- Since when an organization is watched.
ALTER TABLE orgs ADD COLUMN watched_since INTEGER;
UPDATE orgs SET watched_since = unixepoch() * 1000000;

-- How the list showed a run when it was recorded without an event; NULL if it never was.
ALTER TABLE views ADD COLUMN recorded_complete INTEGER CHECK (recorded_complete IN (0, 1));
ALTER TABLE views ADD COLUMN recorded_archived INTEGER CHECK (recorded_archived IN (0, 1));
UPDATE views SET recorded_complete = NOT active, recorded_archived = NOT active
 WHERE marked IS NULL AND listed IS NOT NULL AND subject IN (SELECT key FROM subjects WHERE standing = 'unseen');
