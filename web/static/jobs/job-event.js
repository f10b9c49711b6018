// What an event of /events makes of a Job.
import { fromMicroseconds } from "../core/time.js";

/** Statuses that nothing leaves. */
export const ENDED = new Set(["COMPLETED", "FAILED", "SKIPPED", "CANCELLED"]);

/** Every status, in the order in which they are shown. */
export const STATUSES = ["QUEUED", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"];

/** The Job after the event; the same object if the event changes nothing that is shown. */
export function applyEvent(job, event) {
  const change = changeOf(event);
  return change === null ? job : { ...job, ...change };
}

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
