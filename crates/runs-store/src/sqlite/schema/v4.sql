-- Since when the delivery at the head is tried, and when it failed last; NULL before.
ALTER TABLE cursors ADD COLUMN tried_since INTEGER;
ALTER TABLE cursors ADD COLUMN failed_at INTEGER;
CREATE INDEX cursors_failing ON cursors (handler, failed_at) WHERE failed_at IS NOT NULL;

-- Whether a person has paused it: then nothing is claimed for it.
ALTER TABLE handlers ADD COLUMN paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1));

-- Since when a handler should have had an event.
ALTER TABLE deliveries ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries
   SET since = (SELECT created_at FROM events WHERE events.subject = deliveries.subject AND events.number = deliveries.number);
CREATE INDEX deliveries_oldest ON deliveries (handler, since);
