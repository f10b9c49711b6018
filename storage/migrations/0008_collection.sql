-- What of a run's artifacts is still to come, after its end: 0 nothing, 1 all, 2 all but their list.
-- The reason says why the rest will not come.
ALTER TABLE job_runs ADD COLUMN collecting INTEGER NOT NULL DEFAULT 0
    CHECK (collecting IN (0, 1, 2));
ALTER TABLE job_runs ADD COLUMN collection_reason TEXT;
CREATE INDEX job_runs_collecting ON job_runs (finished_at, run_id) WHERE collecting <> 0;
