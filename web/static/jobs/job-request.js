// Requests for one Job.
import { get, Problem, withQuery } from "../core/api.js";

/** @import { RequestOptions } from "../core/api.js" */
/** @import { Job, JobPage } from "../core/types.js" */

/**
 * The path of a Job, or of something that belongs to it: `jobPath(id, "artifacts", "a/b.txt")`.
 * @param {string} jobId
 * @param {...string} rest
 */
export function jobPath(jobId, ...rest) {
  const steps = rest.flatMap((step) => step.split("/"));
  return `/jobs/${[jobId, ...steps].map(encodeURIComponent).join("/")}`;
}

/**
 * The Job as a list has it: without long params.
 * @param {string} jobId
 * @param {RequestOptions} [options]
 * @returns {Promise<Job>}
 */
export async function listedJob(jobId, options) {
  /** @type {JobPage} */
  const { jobs } = await get(withQuery("/jobs", { q: jobId, limit: 1 }), options);
  if (jobs[0]?.job_id !== jobId) throw new Problem(404, {});
  return jobs[0];
}
