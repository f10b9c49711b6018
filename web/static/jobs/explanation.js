// Why a queued Job waits, and when it will probably start: the server's own reasons and estimate.
import { get } from "../core/api.js";
import { h, setText, throttle } from "../core/dom.js";
import { link } from "../core/route.js";
import { clock, countdown, moment, now } from "../core/time.js";
import { live } from "../events/live-events.js";
import { has, t } from "../i18n/text.js";
import { jobPath } from "./job-request.js";

const READ_MS = 1_500;
const AGAIN_MS = 15_000;

/** @import { Estimate, Explanation, Reason } from "../core/types.js" */

export class ExplainBox extends HTMLElement {
  #jobId;
  /** @type {Explanation | null} */
  #explanation = null;
  #estimate = h("p", { "aria-live": "off" });
  #life = new AbortController();

  /** @param {string} jobId */
  constructor(jobId) {
    super();
    this.#jobId = jobId;
  }

  connectedCallback() {
    const { signal } = this.#life;
    this.setAttribute("aria-live", "polite");
    const read = throttle(() => this.#read(), READ_MS);
    live.onEvents(read, signal);
    live.addEventListener("sync", read, { signal });
    const timers = [setInterval(read, AGAIN_MS), setInterval(() => this.#tick(), 1000)];
    signal.addEventListener("abort", () => timers.forEach((timer) => clearInterval(timer)));
    this.#read();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  #tick() {
    if (this.#explanation !== null) setText(this.#estimate, estimateText(this.#explanation.estimate));
  }

  async #read() {
    if (!this.isConnected || this.parentElement?.hidden) return;
    /** @type {Explanation} */
    let explanation;
    try {
      explanation = await get(jobPath(this.#jobId, "explain"), { signal: this.#life.signal });
    } catch {
      return; // the next event reads again
    }
    if (explanation.status !== "QUEUED") return;
    const key = JSON.stringify(explanation);
    if (key === this.dataset.shown) return;
    this.dataset.shown = key;
    this.replaceChildren(
      h("h2", {}, t("explain.title")),
      h("ul", {}, explanation.waiting.map((reason) => h("li", {}, reasonText(reason), reason.code === "scheduler_stopped" ? startLink() : null))),
      this.#estimate,
    );
    this.#explanation = explanation;
    this.#tick();
  }
}

/** @param {Reason} reason */
function reasonText({ code, message, count, until }) {
  const key = `waiting.${code}`;
  return has(key) ? t(key, { n: count ?? 0, until: until ? moment(until) : "", message }) : message;
}

function startLink() {
  return [" ", h("a", { href: link("scheduler") }, t("explain.toScheduler"))];
}

/** @param {Estimate | null} estimate */
function estimateText(estimate) {
  if (!estimate) return t("explain.unknown");
  const { start_at: at, earliest, latest } = estimate;
  const isFar = Date.parse(latest) - now() > 20 * 3600 * 1000;
  const [from, to] = [earliest, latest].map((time) => clock(time, { seconds: !isFar, date: isFar }));
  if (Date.parse(at) <= now()) return t("explain.soon", { to });
  const range = from === to ? "" : t("explain.between", { from, to });
  return `${t("explain.start", { in: countdown(at) })} ${range}`.trim();
}

customElements.define("explain-box", ExplainBox);
