// The line of a Job's retries: what it repeats, itself, and what repeats it, in order of arrival. Another
// retry of what it repeats is seen from there. Hidden while the Job stands alone.
import { get, listed, withQuery } from "../core/api.js";
import { h, throttle } from "../core/dom.js";
import { statusBadge, titleOf } from "./job-row.js";
import { live } from "../events/live-events.js";
import { link } from "../core/route.js";
import { t } from "../i18n/text.js";
import { moment } from "../core/time.js";

const EACH_WAY_MAX = 20;
const READ_MS = 400;

class RetryChain extends HTMLElement {
  jobId = "";
  #shown = "";
  #ids = new Set();
  #turn = 0;
  #life;

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.hidden = true;
    const read = throttle(() => this.#read(), READ_MS);
    live.addEventListener("sync", read, { signal });
    live.addEventListener("events", ({ detail }) => detail.some((event) => this.#concerns(event)) && read(), { signal });
    this.#read();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  // An event does not name what its Job is a retry of.
  #concerns({ kind, job_id: id, data }) {
    return kind === "job.submitted" ? data.origin === "retry" : kind !== "job.progress" && this.#ids.has(id);
  }

  async #read() {
    if (!this.isConnected) return;
    const turn = (this.#turn += 1);
    let chain;
    try {
      chain = await chainOf(this.jobId, this.#life.signal);
    } catch {
      return; // the next event asks again
    }
    if (turn !== this.#turn) return; // a later read was quicker
    this.#ids = new Set(chain.map((job) => job.job_id));
    const key = JSON.stringify(chain.map(({ job_id, name, status }) => [job_id, name, status]));
    if (key === this.#shown) return;
    this.#shown = key;
    this.hidden = chain.length < 2;
    this.replaceChildren(h("h2", {}, t("job.retries")), h("ol", { class: "chain" }, chain.map((job) => this.#item(job))));
  }

  #item(job) {
    const isThis = job.job_id === this.jobId;
    const title = h(isThis ? "strong" : "a", { href: isThis ? null : link("jobs", { id: job.job_id }), dir: "auto" }, titleOf(job));
    return h("li", { "aria-current": isThis ? "true" : null }, title, " ", statusBadge(job.status),
      isThis ? h("span", { class: "chip" }, t("job.thisOne")) : null, h("span", { class: "dim" }, moment(job.created_at)));
  }
}

/** The Jobs that this one repeats, itself, and those that repeat it, in order of arrival. */
async function chainOf(jobId, signal) {
  const own = await listed(jobId, { signal });
  const before = [];
  for (let id = own.retry_of; id && before.length < EACH_WAY_MAX; id = before[0].retry_of) {
    before.unshift(await listed(id, { signal }));
  }
  const from = [own];
  for (let at = 0; at < from.length && from.length <= EACH_WAY_MAX; at += 1) {
    const query = { retry_of: from[at].job_id, order: "asc", limit: EACH_WAY_MAX + 1 - from.length };
    from.push(...(await get(withQuery("/jobs", query), { signal })).jobs);
  }
  return [...before, ...from.sort((a, b) => a.position - b.position)];
}

customElements.define("retry-chain", RetryChain);
