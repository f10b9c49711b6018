-- The retries of a Job are looked up by it; most Jobs are none, and are not in here.
CREATE INDEX jobs_retry_of ON jobs (retry_of) WHERE retry_of IS NOT NULL;
