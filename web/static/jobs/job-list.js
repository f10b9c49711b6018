// The Jobs of one filter: pages are read as they are needed, events keep the rows current. Event: "change".
//
// An event changes the row it is about without a request. Only what an event does not carry is fetched:
// new Jobs at the head, and those that a status filter now lets in, a few at a time.
import { get, withQuery } from "../core/api.js";
import { throttle } from "../core/dom.js";
import { listedJob } from "./job-request.js";
import { JobRows } from "./job-rows.js";

/** @import { Job, JobFilter, JobPage, ServerEvent } from "../core/types.js" */

const PAGE = 200;
const HEAD = 100;
const HEAD_MS = 500;
const GAP_PAGE = 500;
const GAP_PAGES_MAX = 10;
const ENTERING_MAX = 20;

export class JobList extends EventTarget {
  isLoading = false;
  /** @type {unknown} why the last page could not be read, or null */
  error = null;
  #filter;
  #rows;
  /** @type {Set<string>} Jobs to be read again */
  #entering = new Set();
  #fresh = throttle(() => this.#readFresh(), HEAD_MS);
  #life = 0; // grows with each restart: responses to earlier requests are dropped

  /** @param {JobFilter} filter */
  constructor(filter) {
    super();
    this.#filter = filter;
    this.#rows = new JobRows(filter);
  }

  get jobs() {
    return this.#rows.jobs;
  }

  get isComplete() {
    return this.#rows.isComplete;
  }

  /** @param {string} jobId */
  get(jobId) {
    return this.#rows.get(jobId);
  }

  /** Read from the beginning again; the rows stay until the response has come. */
  async restart() {
    this.#life += 1;
    this.isLoading = false;
    await this.#page(null, (page) => this.#rows.replace(page));
  }

  /** Read one page more. */
  async more() {
    if (this.isComplete || this.isLoading) return;
    await this.#page(this.#rows.cursor, (page) => this.#rows.append(page));
  }

  /**
   * Apply events to the rows.
   * @param {ServerEvent[]} events
   */
  apply(events) {
    const { changed, hasNew, toRead } = this.#rows.apply(events);
    for (const jobId of toRead) this.#entering.add(jobId);
    if (hasNew || toRead.length > 0) this.#fresh();
    if (changed) this.#changed();
  }

  async #readFresh() {
    const life = this.#life;
    const wanted = [...this.#entering];
    this.#entering.clear();
    try {
      if (wanted.length > ENTERING_MAX) return await this.restart();
      const page = this.#filter.order === "desc" ? await this.#head() : await this.#tail();
      const found = await Promise.all(wanted.map((id) => listedJob(id).catch(() => null)));
      if (life !== this.#life) return undefined;
      this.#merge(page, found.filter((job) => job !== null));
    } catch {
      // The connection is lost; `sync` reads everything again.
    }
    return undefined;
  }

  /**
   * @param {JobPage | null} page
   * @param {Job[]} found
   */
  #merge(page, found) {
    if (page !== null && this.#rows.hasGap(page)) this.#rows.replace(page);
    else this.#rows.merge([...(page?.jobs ?? []), ...found.filter((job) => this.#rows.accepts(job))]);
    this.#changed();
  }

  // The newest, back to one that is known, so that the reader keeps the place in the list after a burst.
  async #head() {
    const page = await this.#request({ limit: HEAD });
    for (let n = 0; this.#rows.hasGap(page) && n < GAP_PAGES_MAX; n += 1) {
      const next = await this.#request({ cursor: page.next_cursor, limit: GAP_PAGE });
      page.jobs.push(...next.jobs);
      page.next_cursor = next.next_cursor;
    }
    return page;
  }

  // Ascending order: new Jobs stand at the end, and only a list that is complete shows its end.
  async #tail() {
    return this.isComplete ? this.#request({ cursor: this.#rows.cursor, limit: GAP_PAGE }) : null;
  }

  /**
   * @param {string | null} cursor
   * @param {(page: JobPage) => void} use
   */
  async #page(cursor, use) {
    const life = this.#life;
    this.isLoading = true;
    try {
      const page = await this.#request({ cursor, limit: PAGE });
      if (life !== this.#life) return;
      this.error = null;
      use(page);
    } catch (error) {
      if (life === this.#life) this.error = error;
    } finally {
      if (life === this.#life) this.isLoading = false;
    }
    if (life === this.#life) this.#changed();
  }

  /**
   * @param {{cursor?: string | null, limit: number}} more
   * @returns {Promise<JobPage>}
   */
  #request(more) {
    return get(withQuery("/jobs", { ...this.#filter, ...more }));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
