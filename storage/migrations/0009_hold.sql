-- Why a QUEUED Job may not start although a slot may be free: 'none' (it may), 'time' (its run_at has
-- not come). A reason more is one more word; storage/job_row.py has them all. A Job that has left the
-- queue has 'none'. Only Jobs that may start are in the index of dispatch.
ALTER TABLE jobs ADD COLUMN hold TEXT NOT NULL DEFAULT 'none';
UPDATE jobs SET hold = 'time' WHERE status = 'QUEUED' AND deferred = 1;

DROP TRIGGER jobs_count_insert;
DROP TRIGGER jobs_count_update;
ALTER TABLE job_counts RENAME TO former_counts;
CREATE TABLE job_counts (
    type   TEXT    NOT NULL,
    status TEXT    NOT NULL,
    hold   TEXT    NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (type, status, hold)
) STRICT, WITHOUT ROWID;
INSERT INTO job_counts
    SELECT type, status, iif(status = 'QUEUED' AND deferred = 1, 'time', 'none'), sum(n)
    FROM former_counts GROUP BY 1, 2, 3;
DROP TABLE former_counts;
CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO job_counts VALUES (new.type, new.status, new.hold, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER jobs_count_update AFTER UPDATE OF status, hold ON jobs
    WHEN old.status <> new.status OR old.hold <> new.hold BEGIN
    UPDATE job_counts SET n = n - 1
        WHERE type = old.type AND status = old.status AND hold = old.hold;
    INSERT INTO job_counts VALUES (new.type, new.status, new.hold, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

DROP INDEX jobs_eligible;
DROP INDEX jobs_run_at;
ALTER TABLE jobs DROP COLUMN deferred;
CREATE INDEX jobs_eligible ON jobs (type, priority DESC, position)
    WHERE status = 'QUEUED' AND hold = 'none';
CREATE INDEX jobs_run_at ON jobs (run_at) WHERE status = 'QUEUED' AND hold = 'time';
