// The chain of a Job's retries: the Jobs that it repeats, itself, and its own retries, in order of arrival.
// Other retries of a Job that it repeats are shown there. Hidden while there are none.
import { get, withQuery } from "../core/api.js";
import { h, throttle } from "../core/dom.js";
import { link } from "../core/route.js";
import { moment } from "../core/time.js";
import { live } from "../events/live-events.js";
import { t } from "../i18n/text.js";
import { listedJob } from "./job-request.js";
import { statusBadge, titleOf } from "./job-row.js";

const EACH_WAY_MAX = 20;
const READ_MS = 400;

/** @import { Job, JobPage, ServerEvent } from "../core/types.js" */

export class RetryChain extends HTMLElement {
  #jobId;
  #shown = "";
  /** @type {Set<string | null>} */
  #ids = new Set();
  #turn = 0;
  #life = new AbortController();

  /** @param {string} jobId */
  constructor(jobId) {
    super();
    this.#jobId = jobId;
  }

  connectedCallback() {
    const { signal } = this.#life;
    this.hidden = true;
    const read = throttle(() => this.#read(), READ_MS);
    live.addEventListener("sync", read, { signal });
    live.onEvents((events) => events.some((event) => this.#concerns(event)) && read(), signal);
    this.#read();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  /**
   * An event does not name the Job that its Job is a retry of.
   * @param {ServerEvent} event
   */
  #concerns({ kind, job_id: id, data }) {
    return kind === "job.submitted" ? data.origin === "retry" : kind !== "job.progress" && this.#ids.has(id);
  }

  async #read() {
    if (!this.isConnected) return;
    const turn = (this.#turn += 1);
    /** @type {Job[]} */
    let chain;
    try {
      chain = await chainOf(this.#jobId, this.#life.signal);
    } catch {
      return; // the next event reads again
    }
    if (turn !== this.#turn) return; // a later read was faster
    this.#ids = new Set(chain.map((job) => job.job_id));
    const key = JSON.stringify(chain.map(({ job_id, name, status }) => [job_id, name, status]));
    if (key === this.#shown) return;
    this.#shown = key;
    this.hidden = chain.length < 2;
    this.replaceChildren(h("h2", {}, t("job.retries")), h("ol", { class: "chain" }, chain.map((job) => this.#item(job))));
  }

  /** @param {Job} job */
  #item(job) {
    const isThis = job.job_id === this.#jobId;
    const title = h(isThis ? "strong" : "a", { href: isThis ? null : link("jobs", { id: job.job_id }), dir: "auto" }, titleOf(job));
    return h("li", { "aria-current": isThis ? "true" : null }, title, " ", statusBadge(job.status),
      isThis ? h("span", { class: "chip" }, t("job.thisOne")) : null, h("span", { class: "dim" }, moment(job.created_at)));
  }
}

/**
 * The Jobs that this one repeats, itself, and those that repeat it, in order of arrival.
 * @param {string} jobId
 * @param {AbortSignal} signal
 */
async function chainOf(jobId, signal) {
  const own = await listedJob(jobId, { signal });
  /** @type {Job[]} */
  const before = [];
  for (let id = own.retry_of; id && before.length < EACH_WAY_MAX; id = before[0].retry_of) {
    before.unshift(await listedJob(id, { signal }));
  }
  const from = [own];
  for (let at = 0; at < from.length && from.length <= EACH_WAY_MAX; at += 1) {
    const query = { retry_of: from[at].job_id, order: "asc", limit: EACH_WAY_MAX + 1 - from.length };
    /** @type {JobPage} */
    const page = await get(withQuery("/jobs", query), { signal });
    from.push(...page.jobs);
  }
  return [...before, ...from.sort((a, b) => a.position - b.position)];
}

customElements.define("retry-chain", RetryChain);
