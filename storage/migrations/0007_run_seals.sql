-- SHA-256 of each seal that a shim of the run was given, by commas: its exit record carries one.
ALTER TABLE job_runs ADD COLUMN seals TEXT NOT NULL DEFAULT '';
-- What was still alive when the program ended: how many processes, and how many took a KILL.
ALTER TABLE job_runs ADD COLUMN left_processes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_runs ADD COLUMN left_killed INTEGER NOT NULL DEFAULT 0;
