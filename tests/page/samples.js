// Jobs, pages and events for the tests.

/** A queued Job at this position. */
export function job(position, fields = {}) {
  return {
    job_id: `job-${position}`, type: "ok", status: "QUEUED", params: {}, priority: 0, position, name: `Job ${position}`,
    labels: {}, run_at: null, expires_at: null, timeout_s: null, retry_of: null, origin: "api",
    created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null, duration_s: null, progress: null,
    reason: null, version: 1, ...fields,
  };
}

/** A page of these Jobs; without a cursor it is the last. */
export function page(jobs, nextCursor = null) {
  return { jobs, next_cursor: nextCursor, counts: {} };
}

/** An event of the Job at this position. */
export function event(kind, position, data = {}, at = "2026-01-01T00:00:00Z") {
  return { kind, at, job_id: position === null ? null : `job-${position}`, run_id: null, data };
}

/** The positions of Jobs. */
export function positions(jobs) {
  return jobs.map((one) => one.position);
}

/** A filter that lets every Job in. */
export const ALL = { status: [], type: [], label: [], q: "", order: "desc" };
