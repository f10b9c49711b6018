// What runs now, one strip per Job: progress, time, and when it will probably be done, by the
// program's own report or else by the server's estimate.
import { listed } from "../core/api.js";
import { board } from "../scheduler/scheduler-state.js";
import { h, setAttribute, setText } from "../core/dom.js";
import { Ending } from "./job-ending.js";
import { applyEvent } from "./job-event.js";
import { titleOf } from "./job-row.js";
import { live } from "../events/live-events.js";
import { link } from "../core/route.js";
import { t } from "../i18n/text.js";
import { secondsBetween, ticking } from "../core/time.js";

const SHOWN_MAX = 8;
const TRUSTED_FRACTION = 0.05; // before, a program's report says little about its end

class RunningBar extends HTMLElement {
  #strips = new Map(); // job id → {job, element, …}
  #life;

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.setAttribute("aria-label", t("running.label"));
    this.setAttribute("role", "region");
    board.addEventListener("change", () => this.#follow(), { signal });
    live.addEventListener("events", ({ detail }) => this.#apply(detail), { signal });
    const clock = setInterval(() => this.#tick(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#follow();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  async #follow() {
    const ids = (board.status?.running_job_ids ?? []).slice(0, SHOWN_MAX);
    for (const [id, strip] of this.#strips) {
      if (ids.includes(id)) continue;
      strip.element.remove();
      this.#strips.delete(id);
    }
    for (const id of ids.filter((one) => !this.#strips.has(one))) {
      const job = await listed(id).catch(() => null);
      if (job?.status !== "RUNNING" || this.#strips.has(id) || !this.isConnected) continue;
      const strip = build(job);
      this.#strips.set(id, strip);
      this.append(strip.element);
    }
    this.hidden = this.#strips.size === 0;
    this.#tick();
  }

  #apply(events) {
    for (const event of events) {
      const strip = this.#strips.get(event.job_id);
      if (strip !== undefined) strip.job = applyEvent(strip.job, event);
    }
    this.#tick();
  }

  #tick() {
    for (const strip of this.#strips.values()) paint(strip);
  }
}

function build(job) {
  const fill = h("span", { class: "bar-fill" });
  const bar = h("span", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": t("running.progress") }, fill);
  const message = h("span", { class: "strip-message", dir: "auto" });
  const time = h("span", { class: "strip-time" });
  const element = h("div", { class: "strip" },
    h("a", { href: link("jobs", { id: job.job_id }), class: "strip-name", dir: "auto" }, titleOf(job)), message, time, bar);
  return { job, ending: new Ending(job.job_id), element, fill, bar, message, time };
}

function paint({ job, ending, fill, bar, message, time }) {
  const { share, leftS } = progressOf(job, ending);
  setText(message, job.progress?.message ?? job.type);
  const spent = ticking(secondsBetween(job.started_at));
  setText(time, leftS === null ? spent : t("running.left", { spent, left: ticking(leftS) }));
  bar.classList.toggle("unknown", share === null);
  setAttribute(bar, "aria-valuenow", share === null ? null : Math.round(share * 100));
  fill.style.width = share === null ? "" : `${share * 100}%`;
}

/** How far a running Job is (null: unknown), and the seconds that are probably left (null: unknown). */
export function progressOf(job, ending) {
  const spentS = secondsBetween(job.started_at);
  const reported = job.progress?.fraction ?? null;
  if (reported !== null) {
    const share = Math.min(1, Math.max(0, reported));
    return { share, leftS: share >= TRUSTED_FRACTION ? (spentS / share) * (1 - share) : null };
  }
  const leftS = ending.leftS();
  return { share: leftS === null ? null : spentS / (spentS + leftS), leftS };
}

customElements.define("running-bar", RunningBar);
