// The Jobs of one filter, in order of arrival: pages as they are wanted, and kept true by events.
//
// An event changes the row it is about without a request. Only what an event does not carry is fetched:
// new Jobs at the head, and those that a status filter now lets in, a few at a time.
import { get, listed, withQuery } from "../core/api.js";
import { throttle } from "../core/dom.js";
import { applyEvent } from "./job-event.js";

const PAGE = 200;
const HEAD = 100;
const HEAD_MS = 500;
const GAP_PAGE = 500;
const GAP_PAGES_MAX = 10;
const ENTERING_MAX = 20;

export class JobList extends EventTarget {
  jobs = [];
  isComplete = false;
  isLoading = false;
  error = null;
  #byId = new Map();
  #filter;
  #cursor = null; // of the page after the last
  #entering = new Set();
  #fresh = throttle(() => this.#readFresh(), HEAD_MS);
  #life = 0;

  /** `filter`: {status: [], type: [], label: [], q: "", order: "desc" | "asc"}. */
  constructor(filter) {
    super();
    this.#filter = filter;
  }

  get(jobId) {
    return this.#byId.get(jobId);
  }

  /** Read from the beginning again; what is shown stays until the answer is there. */
  async restart() {
    this.#life += 1;
    this.isLoading = false;
    await this.#page(null, (page) => this.#replace(page));
  }

  /** Read one page more. */
  async more() {
    if (this.isComplete || this.isLoading) return;
    await this.#page(this.#cursor, (page) => {
      this.#cursor = page.next_cursor ?? this.#cursor;
      this.isComplete = page.next_cursor === null;
      this.#merge(page.jobs);
    });
  }

  /** Take what has happened into the rows. */
  apply(events) {
    let changed = false;
    for (const event of events) {
      if (event.job_id === null) continue;
      if (event.kind === "job.submitted") {
        if (this.#wants("type", event.data.type) && this.#wants("status", "QUEUED")) this.#fresh();
        continue;
      }
      const job = this.#byId.get(event.job_id);
      if (job === undefined) this.#maybeEnters(event);
      else changed = this.#patch(job, event) || changed;
    }
    if (changed) this.#tell();
  }

  #patch(job, event) {
    const patched = applyEvent(job, event);
    if (event.data.fields?.some((name) => name === "name" || name === "labels")) {
      this.#entering.add(job.job_id);
      this.#fresh();
    }
    if (patched === job) return false;
    this.#put(patched);
    return true;
  }

  #maybeEnters(event) {
    if (this.#filter.status.length === 0) return;
    const after = applyEvent({ status: "" }, event).status;
    if (after === "" || !this.#wants("status", after)) return;
    this.#entering.add(event.job_id);
    this.#fresh();
  }

  async #readFresh() {
    const life = this.#life;
    const wanted = [...this.#entering];
    this.#entering.clear();
    try {
      if (wanted.length > ENTERING_MAX) return await this.restart();
      const page = this.#filter.order === "desc" ? await this.#head() : await this.#tail();
      const found = await Promise.all(wanted.map((id) => listed(id).catch(() => null)));
      if (life !== this.#life) return undefined;
      if (this.#hasGap(page)) return this.#replace(page);
      this.#merge([...(page?.jobs ?? []), ...found.filter((job) => job !== null && this.#accepts(job))]);
    } catch {
      // The connection is gone; `sync` reads everything again.
    }
    return undefined;
  }

  // The newest, back to one that is known: a burst must not cost the reader his place.
  async #head() {
    const page = await this.#request({ limit: HEAD });
    for (let n = 0; this.#hasGap(page) && n < GAP_PAGES_MAX; n += 1) {
      const next = await this.#request({ cursor: page.next_cursor, limit: GAP_PAGE });
      page.jobs.push(...next.jobs);
      page.next_cursor = next.next_cursor;
    }
    return page;
  }

  // Ascending order: what is new stands at the end, and only a list that is whole shows its end.
  async #tail() {
    return this.isComplete ? this.#request({ cursor: this.#cursor, limit: 500 }) : null;
  }

  #hasGap(page) {
    if (page === null || this.#filter.order !== "desc" || page.next_cursor === null) return false;
    return this.jobs.length > 0 && !page.jobs.some((job) => this.#byId.has(job.job_id));
  }

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
    if (life === this.#life) this.#tell();
  }

  #request(more) {
    return get(withQuery("/jobs", { ...this.#filter, ...more }));
  }

  #replace(page) {
    this.#byId = new Map(page.jobs.map((job) => [job.job_id, job]));
    this.jobs = page.jobs;
    this.#cursor = page.next_cursor;
    this.isComplete = page.next_cursor === null;
    this.#tell();
  }

  #merge(found) {
    for (const job of found) {
      const known = this.#byId.get(job.job_id);
      if (known !== undefined && known.version > job.version) continue;
      this.#put(job);
    }
    const sign = this.#filter.order === "desc" ? -1 : 1;
    this.jobs.sort((a, b) => sign * (a.position - b.position));
    this.#tell();
  }

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

  // The same questions that the server asks, for Jobs that come one by one.
  #accepts(job) {
    const { label, q } = this.#filter;
    const text = q.toLowerCase();
    const within = this.isComplete || this.jobs.length === 0 || this.#isBeforeEnd(job);
    return (
      within &&
      this.#wants("type", job.type) &&
      label.every((one) => Object.entries(job.labels).some(([k, v]) => `${k}=${v}` === one)) &&
      [job.name ?? "", job.job_id, job.type].some((one) => one.toLowerCase().includes(text))
    );
  }

  #isBeforeEnd(job) {
    const end = this.jobs.at(-1).position;
    return this.#filter.order === "desc" ? job.position > end : job.position < end;
  }

  #wants(name, value) {
    return this.#filter[name].length === 0 || this.#filter[name].includes(value);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
