// The Jobs that run now, one strip each: progress, time, and when it will probably end.
import { h } from "../core/dom.js";
import { link } from "../core/route.js";
import { live } from "../events/live-events.js";
import { t } from "../i18n/text.js";
import { schedulerState } from "../scheduler/scheduler-state.js";
import { applyEvent } from "./job-event.js";
import { JobProgress } from "./job-progress.js";
import { listedJob } from "./job-request.js";
import { titleOf } from "./job-row.js";

/** @import { Job, ServerEvent } from "../core/types.js" */

/** @typedef {{job: Job, progress: JobProgress}} Strip */

const SHOWN_MAX = 8;

export class RunningJobs extends HTMLElement {
  /** @type {Map<string, Strip>} */
  #strips = new Map();
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    this.setAttribute("aria-label", t("running.label"));
    this.setAttribute("role", "region");
    schedulerState.addEventListener("change", () => this.#update(), { signal });
    live.onEvents((events) => this.#apply(events), signal);
    const clock = setInterval(() => this.#tick(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#update();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  async #update() {
    const ids = (schedulerState.status?.running_job_ids ?? []).slice(0, SHOWN_MAX);
    for (const [id, strip] of this.#strips) {
      if (ids.includes(id)) continue;
      strip.progress.element.remove();
      this.#strips.delete(id);
    }
    for (const id of ids.filter((one) => !this.#strips.has(one))) {
      const job = await listedJob(id).catch(() => null);
      if (job?.status !== "RUNNING" || this.#strips.has(id) || !this.isConnected) continue;
      const title = h("a", { href: link("jobs", { id }), class: "strip-name", dir: "auto" }, titleOf(job));
      const strip = { job, progress: new JobProgress(id, title) };
      this.#strips.set(id, strip);
      this.append(strip.progress.element);
    }
    this.hidden = this.#strips.size === 0;
    this.#tick();
  }

  /** @param {ServerEvent[]} events */
  #apply(events) {
    for (const event of events) {
      const strip = this.#strips.get(event.job_id ?? "");
      if (strip !== undefined) strip.job = applyEvent(strip.job, event);
    }
    this.#tick();
  }

  #tick() {
    for (const { job, progress } of this.#strips.values()) progress.paint(job, job.type);
  }
}

customElements.define("running-bar", RunningJobs);
