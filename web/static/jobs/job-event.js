// How events change the Job that is shown.
import { fromMicroseconds } from "../core/time.js";

/** @import { Job, JobStatus, ServerEvent } from "../core/types.js" */

/** Statuses that are final. @type {Set<string>} */
export const ENDED = new Set(["COMPLETED", "FAILED", "SKIPPED", "CANCELLED"]);

/** Every status, in the order in which they are shown. @type {JobStatus[]} */
export const STATUSES = ["QUEUED", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"];

/**
 * The Job after the event; the same object if the event changes nothing that is shown.
 * @param {Job} job
 * @param {ServerEvent} event
 * @returns {Job}
 */
export function applyEvent(job, event) {
  const change = changeOf(event);
  return change === null ? job : { ...job, ...change };
}

/**
 * The status that the event leaves its Job in; null: it does not change it.
 * @param {ServerEvent} event
 */
export function statusAfter(event) {
  return changeOf(event)?.status ?? null;
}

/**
 * @param {ServerEvent} event
 * @returns {Partial<Job> | null}
 */
function changeOf({ kind, at, data }) {
  switch (kind) {
    case "run.started":
      return { status: "RUNNING", started_at: at };
    case "run.finished":
      return { status: data.status, finished_at: fromMicroseconds(data.finished_at) ?? at, duration_s: data.duration_s };
    case "job.cancelled":
      return { status: "CANCELLED", finished_at: at };
    case "job.skipped":
      return { status: "SKIPPED", finished_at: at, reason: data.reason };
    case "job.progress":
      return { progress: { fraction: data.fraction, message: data.message } };
    case "job.updated":
      return { priority: data.priority, run_at: fromMicroseconds(data.run_at) };
    case "job.due":
      return {};
    default:
      return null;
  }
}
