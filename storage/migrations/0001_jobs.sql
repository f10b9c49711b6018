-- Times are whole microseconds since 1970-01-01 UTC. JSON is kept as text.

CREATE TABLE jobs (
    position    INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival; never reused
    job_id      TEXT    NOT NULL UNIQUE,
    type        TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN
                    ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'SKIPPED', 'CANCELLED')),
    params      TEXT    NOT NULL,
    priority    INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 100),
    deferred    INTEGER NOT NULL CHECK (deferred IN (0, 1)), -- 1: run_at is not yet due
    name        TEXT,
    labels      TEXT    NOT NULL,
    run_at      INTEGER,
    expires_at  INTEGER,
    timeout_s   REAL,
    retry_of    TEXT,
    origin      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    progress    TEXT,
    reason      TEXT,
    version     INTEGER NOT NULL
) STRICT;

-- Dispatch: the head of one type's queue is one step down this tree, however long the queue.
CREATE INDEX jobs_eligible ON jobs (type, priority DESC, position)
    WHERE status = 'QUEUED' AND deferred = 0;
CREATE INDEX jobs_run_at ON jobs (run_at) WHERE status = 'QUEUED' AND deferred = 1;
CREATE INDEX jobs_expires_at ON jobs (expires_at)
    WHERE status = 'QUEUED' AND expires_at IS NOT NULL;
-- Listing: a page by status or by type is one walk along the order of arrival.
CREATE INDEX jobs_status ON jobs (status, position);
CREATE INDEX jobs_type ON jobs (type, position);

CREATE TABLE job_labels (
    label    TEXT    NOT NULL, -- 'key=value'
    position INTEGER NOT NULL REFERENCES jobs (position) ON DELETE CASCADE,
    PRIMARY KEY (label, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_runs (
    run_id          TEXT NOT NULL PRIMARY KEY,
    job_id          TEXT UNIQUE REFERENCES jobs (job_id), -- null: a direct run
    type            TEXT NOT NULL,
    lane            TEXT NOT NULL CHECK (lane IN ('queue', 'direct', 'legacy')),
    status          TEXT NOT NULL CHECK (status IN
                        ('RUNNING', 'COMPLETED', 'FAILED', 'SKIPPED', 'CANCELLED')),
    params_snapshot TEXT NOT NULL,
    argv            TEXT NOT NULL, -- for people: secret parameters are masked
    timeout_s       REAL NOT NULL,
    boot_id         TEXT NOT NULL, -- the boot of the host in which the run was claimed
    server_id       TEXT NOT NULL, -- the life of the server in which it was claimed
    stop_reason     TEXT CHECK (stop_reason IN ('cancel', 'timeout', 'output_limit', 'shutdown')),
    pid             INTEGER,
    eligible_at     INTEGER NOT NULL, -- when waiting began: arrival, or run_at
    started_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    exit_code       INTEGER,
    signal          INTEGER,
    error_code      TEXT,
    error_message   TEXT,
    result          TEXT,
    artifacts       TEXT NOT NULL DEFAULT '[]',
    log_bytes       INTEGER NOT NULL DEFAULT 0,
    log_truncated   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX job_runs_running ON job_runs (lane, type) WHERE status = 'RUNNING';
CREATE INDEX job_runs_finished ON job_runs (type, finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE reservations (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    reservation_id TEXT    NOT NULL UNIQUE,
    kind           TEXT    NOT NULL CHECK (kind IN ('direct', 'hold')),
    state          TEXT    NOT NULL CHECK (state IN ('WAITING', 'HELD', 'ENDED')),
    run_id         TEXT, -- the run that a direct reservation becomes
    type           TEXT,
    params         TEXT,
    server_id      TEXT    NOT NULL, -- a direct reservation ends with the life that made it
    ttl_s          REAL,
    created_at     INTEGER NOT NULL,
    held_at        INTEGER,
    expires_at     INTEGER,
    ended_at       INTEGER,
    end_reason     TEXT
) STRICT;

CREATE INDEX reservations_state ON reservations (state, position);

-- Every committed change, in order, without a gap: seq is the largest one plus one, and no row
-- is ever taken away.
CREATE TABLE events (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    job_id TEXT,
    run_id TEXT,
    data   TEXT    NOT NULL
) STRICT;

CREATE INDEX events_job ON events (job_id, seq) WHERE job_id IS NOT NULL;

CREATE TABLE idempotency (
    key        TEXT    NOT NULL PRIMARY KEY,
    request    BLOB    NOT NULL, -- SHA-256 of method, path and body
    response   BLOB    NOT NULL,
    location   TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_created_at ON idempotency (created_at);

CREATE TABLE scheduler (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    running     INTEGER NOT NULL CHECK (running IN (0, 1)), -- the operator's last start or stop
    concurrency INTEGER  -- null: as configured
) STRICT;
INSERT INTO scheduler (one, running) VALUES (1, 1);

CREATE TABLE type_limits (
    type        TEXT    NOT NULL PRIMARY KEY,
    concurrency INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts are kept, not counted: these triggers are the only writers of the two tables below, so
-- whatever changes a Job or a run changes its count in the same transaction.
CREATE TABLE job_counts (
    type     TEXT    NOT NULL,
    status   TEXT    NOT NULL,
    deferred INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (type, status, deferred)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO job_counts VALUES (new.type, new.status, new.deferred, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER jobs_count_update AFTER UPDATE OF status, deferred ON jobs
    WHEN old.status <> new.status OR old.deferred <> new.deferred BEGIN
    UPDATE job_counts SET n = n - 1
        WHERE type = old.type AND status = old.status AND deferred = old.deferred;
    INSERT INTO job_counts VALUES (new.type, new.status, new.deferred, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TABLE run_counts (
    status TEXT    NOT NULL PRIMARY KEY,
    n      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER job_runs_count AFTER UPDATE OF status ON job_runs WHEN old.status <> new.status BEGIN
    INSERT INTO run_counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
