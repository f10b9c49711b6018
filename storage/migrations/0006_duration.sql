-- How long a program ran, by the clock that counts from boot: setting the wall clock does not change
-- it. Null: it ended before this was measured, and its two wall-clock times say how long.
ALTER TABLE job_runs ADD COLUMN duration_us INTEGER CHECK (duration_us >= 0);
ALTER TABLE jobs ADD COLUMN duration_us INTEGER CHECK (duration_us >= 0);
-- When the program of a run that lasts began, in µs after the boot that `boot_id` names.
ALTER TABLE job_runs ADD COLUMN began_us INTEGER;
