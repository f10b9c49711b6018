// The scheduler: start and stop, warnings, how many Jobs run at once, reservations, a direct run.
import { get, send } from "../core/api.js";
import { confirmed } from "../core/dialog.js";
import { freshId, h, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { notify, notifyFault } from "../core/notice.js";
import { live } from "../events/live-events.js";
import { number, t } from "../i18n/text.js";
import { ReservationList } from "../reservations/reservation-list.js";
import { DirectRunForm } from "../runs/direct-run.js";
import { schedulerState } from "../scheduler/scheduler-state.js";
import { ServerWarnings } from "../scheduler/server-warnings.js";

/** @import { SchedulerConfig, SchedulerStatus } from "../core/types.js" */

const LIMITING = new Set(["scheduler.configured", "server.reloaded"]);

export class SchedulerView extends HTMLElement {
  #switch = h("section", { class: "panel switch-panel" });
  #figures = h("dl", { class: "figures" });
  #limits = h("section", { class: "panel" });
  #shown = "";
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    this.replaceChildren(
      h("h1", {}, t("nav.scheduler")),
      new ServerWarnings(), this.#switch, this.#figures,
      h("div", { class: "panels" }, this.#limits, new ReservationList(), new DirectRunForm()),
    );
    schedulerState.addEventListener("change", () => this.#show(), { signal });
    live.addEventListener("sync", () => this.#readLimits(), { signal });
    live.onEvents((events) => events.some((event) => LIMITING.has(event.kind)) && this.#readLimits(), signal);
    this.#show();
    this.#readLimits();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  #show() {
    const { status } = schedulerState;
    if (status === null) return;
    const { scheduler_running: isOn, running_job_ids: running, queue_length: queued } = status;
    const key = `${isOn} ${running.length} ${queued}`;
    if (key !== this.#shown) this.#showSwitch(isOn, running.length, queued);
    this.#shown = key;
    this.#showFigures(status);
  }

  /** @param {SchedulerStatus} status */
  #showFigures({ running_job_ids: running, queue_length: queued, deferred, cumulative_stats: stats }) {
    /** @type {[string, number][]} */
    const figures = [
      ["figure.queued", queued], ["figure.deferred", deferred], ["figure.running", running.length], ["figure.executed", stats.total_executed],
      ["figure.succeeded", stats.succeeded], ["figure.failed", stats.failed], ["figure.skipped", stats.skipped], ["figure.cancelled", stats.cancelled],
    ];
    if (this.#figures.childElementCount === 0) {
      this.#figures.append(...figures.map(([key]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}))));
    }
    figures.forEach(([, n], index) => {
      const value = this.#figures.children[index].lastChild;
      if (value !== null) setText(value, number(n));
    });
  }

  /**
   * @param {boolean} isOn
   * @param {number} running
   * @param {number} queued
   */
  #showSwitch(isOn, running, queued) {
    const focused = this.#switch.contains(document.activeElement);
    const button = isOn
      ? h("button", { class: "button", onclick: () => this.#stop() }, icon("pause"), t("scheduler.stop"))
      : h("button", { class: "button primary", onclick: () => this.#start() }, icon("play"), t("scheduler.start"));
    const text = isOn ? t("scheduler.onText", { running, queued }) : t("scheduler.offText", { running, queued });
    this.#switch.replaceChildren(
      h("span", { class: "lamp", "data-state": isOn ? "on" : "off" }),
      h("div", { role: "status" }, h("strong", {}, t(isOn ? "scheduler.on" : "scheduler.off")), h("p", { class: "dim" }, text)),
      button);
    if (focused) button.focus();
  }

  async #stop() {
    if (schedulerState.status === null) return;
    const { running_job_ids: running, queue_length: queued } = schedulerState.status;
    const lines = [t("stop.nothingNew"), running.length > 0 ? t("stop.running", { n: running.length }) : t("stop.noneRuns"), t("stop.queued", { n: queued })];
    if (!(await confirmed({ title: t("stop.title"), lines, action: t("scheduler.stop") }))) return;
    await attempt(() => send("POST", "/scheduler/stop", {}));
  }

  #start() {
    return attempt(() => send("POST", "/scheduler/start"));
  }

  async #readLimits() {
    /** @type {SchedulerConfig} */
    let config;
    try {
      config = await get("/scheduler/config");
    } catch {
      return;
    }
    const focused = document.activeElement;
    const at = [...this.#limits.querySelectorAll(".limit")].findIndex((form) => form.contains(focused));
    if (at >= 0 && focused instanceof HTMLInputElement) return; // the reader is typing
    const all = limitField(t("limits.all"), config.concurrency, config.overridden.includes("concurrency"), (n) => changeLimits({ concurrency: n }));
    const types = Object.entries(config.types).map(([name, limit]) =>
      limitField(name, limit, config.overridden.includes(`types.${name}`), (n) => changeLimits({ types: { [name]: n } })));
    this.#limits.replaceChildren(h("h2", {}, t("limits.title")), h("p", { class: "dim" }, t("limits.help")), all, h("h3", {}, t("limits.types")), ...types);
    // The focus was on a button of a form that has been built again.
    if (at < 0) return;
    const input = this.#limits.querySelectorAll(".limit input")[at];
    if (input instanceof HTMLElement) input.focus();
  }
}

/**
 * @param {string} name
 * @param {number | null} value
 * @param {boolean} isChanged - it is not the configured one
 * @param {(limit: number | null) => void} change - null: as configured
 */
function limitField(name, value, isChanged, change) {
  const id = freshId("limit");
  const input = h("input", { id, type: "number", min: "1", max: "1024", value: value ?? "", placeholder: t("limits.none") });
  const save = h("button", { class: "tool", disabled: true }, t("action.save"));
  input.addEventListener("input", () => {
    save.disabled = input.value === "" || !input.checkValidity() || Number(input.value) === value;
  });
  const form = h("form", { class: "limit" }, h("label", { for: id }, name), input, save);
  if (isChanged) form.append(h("button", { class: "tool", type: "button", onclick: () => change(null) }, t("limits.reset")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    change(Number(input.value));
  });
  return form;
}

/** @param {{concurrency?: number | null, types?: {[type: string]: number | null}}} patch */
async function changeLimits(patch) {
  if (await attempt(() => send("PATCH", "/scheduler/config", patch))) notify(t("limits.saved"));
}

/** @param {() => Promise<unknown>} work */
async function attempt(work) {
  try {
    await work();
    await schedulerState.read();
    return true;
  } catch (error) {
    notifyFault(error);
    return false;
  }
}

customElements.define("scheduler-view", SchedulerView);
