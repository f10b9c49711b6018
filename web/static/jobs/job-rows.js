// The rows of a list of Jobs that have been read so far: in order of arrival, each Job once, and only Jobs of
// the filter. Pages and events are merged into it; it sends no requests.
import { applyEvent, statusAfter } from "./job-event.js";

/** @import { Job, JobFilter, JobPage, ServerEvent } from "../core/types.js" */

/** @typedef {{changed: boolean, hasNew: boolean, toRead: string[]}} Effect */

export class JobRows {
  /** @type {Job[]} */
  jobs = [];
  /** Whether the last Job of the filter has been read. */
  isComplete = false;
  /** @type {string | null} the cursor of the page after the last one read */
  cursor = null;
  /** @type {Map<string, Job>} */
  #byId = new Map();
  #filter;

  /** @param {JobFilter} filter */
  constructor(filter) {
    this.#filter = filter;
  }

  /** @param {string} jobId */
  get(jobId) {
    return this.#byId.get(jobId);
  }

  /**
   * Begin again with the first page.
   * @param {JobPage} page
   */
  replace(page) {
    this.#byId = new Map(page.jobs.map((job) => [job.job_id, job]));
    this.jobs = [...page.jobs];
    this.cursor = page.next_cursor;
    this.isComplete = page.next_cursor === null;
  }

  /**
   * Add the page after the last one.
   * @param {JobPage} page
   */
  append(page) {
    this.cursor = page.next_cursor ?? this.cursor;
    this.isComplete = page.next_cursor === null;
    this.merge(page.jobs);
  }

  /**
   * Add Jobs or replace them by newer versions, wherever they belong.
   * @param {Job[]} found
   */
  merge(found) {
    for (const job of found) {
      const known = this.#byId.get(job.job_id);
      if (known === undefined || known.version <= job.version) this.#put(job);
    }
    const sign = this.#filter.order === "desc" ? -1 : 1;
    this.jobs.sort((a, b) => sign * (a.position - b.position));
  }

  /**
   * Apply events to the rows they are about. What an event does not carry must be read: `hasNew` new Jobs
   * of the filter, `toRead` Jobs that may have come into it.
   * @param {ServerEvent[]} events
   * @returns {Effect}
   */
  apply(events) {
    const effect = { changed: false, hasNew: false, toRead: /** @type {string[]} */ ([]) };
    for (const event of events) {
      if (event.job_id === null) continue;
      const job = this.#byId.get(event.job_id);
      if (event.kind === "job.submitted") {
        effect.hasNew ||= this.#wants("type", event.data.type) && this.#wants("status", "QUEUED");
      } else if (job === undefined) {
        if (this.#mayEnter(event)) effect.toRead.push(event.job_id);
      } else {
        if (event.data.fields?.some((/** @type {string} */ name) => name === "name" || name === "labels")) effect.toRead.push(event.job_id);
        const changed = applyEvent(job, event);
        if (changed !== job) this.#put(changed);
        effect.changed ||= changed !== job;
      }
    }
    return effect;
  }

  /**
   * Whether Jobs between this newest page and the rows are missing.
   * @param {JobPage} page
   */
  hasGap(page) {
    if (this.#filter.order !== "desc" || page.next_cursor === null) return false;
    return this.jobs.length > 0 && !page.jobs.some((job) => this.#byId.has(job.job_id));
  }

  /**
   * Whether a Job that was read by itself belongs among the rows: the filter of the server, within what was read.
   * @param {Job} job
   */
  accepts(job) {
    const { label, q } = this.#filter;
    const text = q.toLowerCase();
    return (
      this.#isWithin(job) &&
      this.#wants("type", job.type) &&
      label.every((one) => Object.entries(job.labels).some(([name, value]) => `${name}=${value}` === one)) &&
      [job.name ?? "", job.job_id, job.type].some((one) => one.toLowerCase().includes(text))
    );
  }

  /** @param {ServerEvent} event */
  #mayEnter(event) {
    const status = this.#filter.status.length === 0 ? null : statusAfter(event);
    return status !== null && this.#wants("status", status);
  }

  /** @param {Job} job */
  #isWithin(job) {
    const end = this.jobs.at(-1)?.position;
    if (this.isComplete || end === undefined) return true;
    return this.#filter.order === "desc" ? job.position > end : job.position < end;
  }

  /** @param {Job} job */
  #put(job) {
    const isKnown = this.#byId.has(job.job_id);
    const isWanted = this.#wants("status", job.status);
    if (isKnown) {
      const index = this.jobs.findIndex((one) => one.job_id === job.job_id);
      if (isWanted) this.jobs[index] = job;
      else this.jobs.splice(index, 1);
    } else if (isWanted) {
      this.jobs.push(job);
    }
    if (isWanted) this.#byId.set(job.job_id, job);
    else this.#byId.delete(job.job_id);
  }

  /**
   * @param {"status" | "type"} name
   * @param {string} value
   */
  #wants(name, value) {
    return this.#filter[name].length === 0 || this.#filter[name].includes(value);
  }
}
