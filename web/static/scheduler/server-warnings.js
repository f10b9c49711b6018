// The warnings of /ready: the server works, but its operator should act. Hidden while there are none.
import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { live } from "../events/live-events.js";
import { t } from "../i18n/text.js";
import { schedulerState } from "./scheduler-state.js";

/** @import { Ready } from "../core/types.js" */

const AGAIN_MS = 60_000; // most of them come without an event

export class ServerWarnings extends HTMLElement {
  #life = new AbortController();
  #unconfigured = "";

  connectedCallback() {
    const { signal } = this.#life;
    this.className = "panel warnings";
    this.hidden = true;
    schedulerState.addEventListener("change", () => this.#statusChanged(), { signal });
    live.addEventListener("sync", () => this.#read(), { signal });
    live.onEvents((events) => events.some((event) => event.kind === "server.reloaded") && this.#read(), signal);
    const again = setInterval(() => this.#read(), AGAIN_MS);
    signal.addEventListener("abort", () => clearInterval(again));
    this.#statusChanged();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  // Types that are not configured are among the warnings, and in the status.
  #statusChanged() {
    const unconfigured = JSON.stringify(schedulerState.status?.unconfigured);
    if (unconfigured === undefined || unconfigured === this.#unconfigured) return;
    this.#unconfigured = unconfigured;
    this.#read();
  }

  // While the host lets no Job start, /ready is a problem, and a banner shows the reason.
  async #read() {
    if (schedulerState.status === null || schedulerState.status.host_condition !== null) return;
    try {
      /** @type {Ready} */
      const { warnings } = await get("/ready", { signal: this.#life.signal });
      this.hidden = warnings.length === 0;
      this.replaceChildren(h("h2", {}, t("warnings.title")), h("ul", {}, warnings.map((text) => h("li", {}, text))));
    } catch {
      // The server is starting or shutting down, or it does not respond: `sync` reads again.
    }
  }
}

customElements.define("server-warnings", ServerWarnings);
