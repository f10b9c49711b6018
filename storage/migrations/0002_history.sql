-- What the charts show: the facts, added up by the minute in the transaction that leaves them
-- (storage/rollup.py), so that a week is drawn without reading a million facts.

CREATE TABLE history (
    minute    INTEGER PRIMARY KEY, -- minutes since 1970-01-01 UTC
    queued    INTEGER NOT NULL,    -- Jobs that came into the queue, less those that left it
    completed INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    skipped   INTEGER NOT NULL,
    cancelled INTEGER NOT NULL
) STRICT;

-- How long the runs that ended in a minute, and in an hour, had waited, and ran: a histogram whose
-- buckets grow by a tenth each, so a percentile read from it is at most 5 % off. The hours save a
-- chart of a week half a million rows.
CREATE TABLE history_times (
    step_s  INTEGER NOT NULL CHECK (step_s IN (60, 3600)),
    step    INTEGER NOT NULL, -- steps since 1970-01-01 UTC
    measure TEXT    NOT NULL CHECK (measure IN ('wait', 'run')),
    bucket  INTEGER NOT NULL, -- whole part of log(µs, base 1.1); -1: no time at all
    n       INTEGER NOT NULL,
    PRIMARY KEY (step_s, step, measure, bucket)
) STRICT, WITHOUT ROWID;

-- The facts that are there already.
INSERT INTO history
    SELECT at / 60000000,
        sum((kind = 'job.submitted') - (kind IN ('job.cancelled', 'job.skipped'))
            - (kind = 'run.started' AND job_id IS NOT NULL)),
        sum(kind = 'run.finished' AND data ->> 'status' = 'COMPLETED'),
        sum(kind = 'run.finished' AND data ->> 'status' = 'FAILED'),
        sum(kind = 'job.skipped' OR kind = 'run.finished' AND data ->> 'status' = 'SKIPPED'),
        sum(kind = 'job.cancelled' OR kind = 'run.finished' AND data ->> 'status' = 'CANCELLED')
    FROM events
    WHERE kind IN ('job.submitted', 'job.cancelled', 'job.skipped', 'run.started', 'run.finished')
    GROUP BY 1;

INSERT INTO history_times
    SELECT step_s, at / 1000000 / step_s, measure,
        iif(us < 1, -1, CAST(ln(us) * 10.492058687257063 AS INTEGER)), count(*)
    FROM (
        SELECT at, 'wait' AS measure, CAST(round((data ->> 'waited_s') * 1e6) AS INTEGER) AS us
        FROM events WHERE kind = 'run.finished'
        UNION ALL
        SELECT at, 'run', CAST(round((data ->> 'duration_s') * 1e6) AS INTEGER)
        FROM events WHERE kind = 'run.finished'
    ), (SELECT 60 AS step_s UNION ALL SELECT 3600)
    GROUP BY 1, 2, 3, 4;
