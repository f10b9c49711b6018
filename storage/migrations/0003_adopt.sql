-- 0: the run's program was started without the shim, so no later server can learn how it ended.
ALTER TABLE job_runs ADD COLUMN adopt INTEGER NOT NULL DEFAULT 1 CHECK (adopt IN (0, 1));
