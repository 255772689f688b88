-- What has gathered in a store after months, made up from the numbers alone, so that it is the same each time.
-- Handler 1 is away now and then, handler 2 wants few events.

INSERT INTO orgs (key, name, watched_since) VALUES (1, 'northwind', 1);
INSERT INTO handlers (key, name, active, since) VALUES (1, 'erp', 1, 1), (2, 'archive', 1, 1);

-- Each twentieth is due, each fortieth could not be fetched.
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, wanted WHERE i < runs)
INSERT INTO subjects (key, org, kind, id, wanted, claimed, covered, lane, due_at, failures, reason, standing, events,
                      name, template, template_name, status, fetched_at)
SELECT i, 1, 'run', 'run' || i, each_notified + (i % 20 = 0), each_notified, each_notified, i % 3,
       iif(i % 20 = 0, now + 3600000000 + i, NULL), iif(i % 40 = 0, 3, 0), iif(i % 40 = 0, 'the API answered 500', NULL),
       'present', 3, 'Onboarding of customer ' || i, 'template' || (i % 40), 'Template ' || (i % 40),
       iif(i % 5, 'active', 'complete'), now - (runs - i) * 1000000
  FROM n, wanted;

WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n, wanted WHERE i < runs * each_notified - 1)
INSERT INTO notifications (seq, id, org, subject, ticket, kind, event, run, task, announced, dedupe_key, received_at, body)
SELECT i + 1, unhex(printf('%016x%016x', i * 2654435761 % 4294967296, i)), 1, i % runs + 1, i / runs + 1, 'task',
       'task.completed', 'run' || (i % runs + 1), 'task' || i, '{}', 'key' || i, now - (runs * each_notified - i) * 100000,
       CAST('{"event":"task.completed","task":{"id":"task' || i || '","name":"' || printf('%.*c', 200, 'x') || '"}}' AS BLOB)
  FROM n, wanted;

-- A few could not be read.
INSERT INTO notifications (id, org, kind, announced, received_at, body)
SELECT unhex(printf('ff%030x', key)), 1, 'unrecognized', '{}', now - key, x'6e6f' FROM subjects, wanted WHERE key % 20 = 1 ORDER BY key;

WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n, wanted WHERE i < runs * 3 - 1)
INSERT INTO events (seq, id, subject, number, type, created_at, first_ticket, last_ticket, body)
SELECT i + 1, unhex(printf('%016x%016x', i * 40503 % 65536, i)), i % runs + 1, i / runs + 1, 'com.tallyfy.run.changed.v1',
       now - (runs * 3 - i) * 300000, i / runs + 1, i / runs + 1,
       CAST('{"data":{"changes":[{"kind":"progress","from":1,"to":2}],"run":{"id":"run' || (i % runs + 1) || '","name":"'
            || printf('%.*c', 300, 'x') || '"}}}' AS BLOB)
  FROM n, wanted;

-- The newest event of a run: in the line of handler 1 for each tenth run, given up for each tenth, else delivered.
INSERT INTO outcomes (handler, subject, number, at, kept_back_by, fence, attempt, told_at, took, worker)
SELECT 1, subject, number, created_at, NULL, number, 1, created_at, 15000, 'worker' FROM events
 WHERE number < 3 OR subject % 10 NOT IN (1, 2);
INSERT INTO outcomes (handler, subject, number, at, kept_back_by)
SELECT 2, subject, number, created_at, 'events' FROM events;
INSERT INTO deliveries (handler, subject, number, since)
SELECT 1, subject, number, created_at FROM events WHERE number = 3 AND subject % 10 = 1;
INSERT INTO dead_letters (handler, subject, number, attempts, reason, at, answer)
SELECT 1, subject, number, 7, 'answered 422', created_at, 'unknown' FROM events WHERE number = 3 AND subject % 10 = 2;
INSERT INTO cursors (handler, subject, number, attempts, due_at, reason, tried_since, failed_at)
SELECT 1, key, 3, iif(key % 10 = 1, 4, 0), iif(key % 10 = 1, now + 3600000000, NULL),
       iif(key % 10 = 1, 'answered 503', NULL), iif(key % 10 = 1, now, NULL), iif(key % 10 = 1, now + key, NULL)
  FROM subjects, wanted;
INSERT INTO cursors (handler, subject, number) SELECT 2, key, 3 FROM subjects;
INSERT INTO attempts (subject, number, handler, fence, attempt, at, took, ended, reason, again_at, worker)
SELECT subject, number, 1, tries.value, tries.value, created_at + tries.value, 9000, 1, 'answered 503', created_at + 2, 'worker'
  FROM events, json_each('[1, 2, 3, 4]') AS tries WHERE number = 3 AND subject % 10 IN (1, 2);

INSERT INTO snapshots (subject, fetched_at, body)
SELECT key, fetched_at, CAST('{"id":"' || id || '","name":"' || printf('%.*c', 300, 'x') || '"}' AS BLOB) FROM subjects;
INSERT INTO views (subject, org, fetched, listed_in) SELECT key, 1, 'v', 1 FROM subjects;
INSERT INTO fetches (subject, fence, at, took, cause, outcome, changes, stale, first_event, events, worker)
SELECT subject, number, created_at, 8000, 'webhook', 'changed', 1, 0, number, 1, 'worker' FROM events;
INSERT INTO sweeps (org, number, started_at, finished_at, listed, changed) SELECT 1, 1, now, now, runs, runs / 10 FROM wanted;
INSERT INTO findings (org, run, what) SELECT 1, id, 'changed' FROM subjects WHERE key % 10 = 0;

-- The journal is as long as it may be in a store of some size.
INSERT INTO journal (at, who, kind, org, run, text)
SELECT now, 'Ada', 'person', 'northwind', id, 'asked for a fetch' FROM subjects, wanted WHERE key <= min(runs, 10000);

-- One run of which much is known: what is told of a run is bounded, too.
UPDATE subjects SET wanted = wanted + runs / 5, claimed = claimed + runs / 5, covered = covered + runs / 5, events = 3 + runs / 50
  FROM wanted WHERE key = 1;
INSERT INTO notifications (id, org, subject, ticket, kind, event, run, announced, received_at, body)
SELECT unhex(printf('fe%030x', key)), 1, 1, each_notified + key, 'task', 'task.completed', 'run1', '{}', now + key, x'7b7d'
  FROM subjects, wanted WHERE key <= runs / 5;
INSERT INTO events (id, subject, number, type, created_at, first_ticket, last_ticket, body)
SELECT unhex(printf('fd%030x', key)), 1, 3 + key, 'com.tallyfy.run.changed.v1', now + key * 10,
       each_notified + key * 10 - 9, each_notified + key * 10, x'7b7d'
  FROM subjects, wanted WHERE key <= runs / 50;
INSERT INTO outcomes (handler, subject, number, at, fence, attempt, told_at, took, worker)
SELECT 1, 1, number, created_at, number, 1, created_at, 15000, 'worker' FROM events WHERE subject = 1 AND number > 3;
