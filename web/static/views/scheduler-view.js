// The scheduler: start and stop, how much runs at once, what holds the next slot, a direct run.
import "../runs/direct-run.js";
import "../reservations/reservation-list.js";
import { get, send } from "../core/api.js";
import { board } from "../scheduler/scheduler-state.js";
import { confirmed } from "../core/dialog.js";
import { freshId, h, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { live } from "../events/live-events.js";
import { say, sayFault } from "../core/notice.js";
import { number, t } from "../i18n/text.js";

class SchedulerView extends HTMLElement {
  #switch = h("section", { class: "panel switch-panel" });
  #figures = h("dl", { class: "figures" });
  #limits = h("section", { class: "panel" });
  #shown = "";
  #life;

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.replaceChildren(
      h("h1", {}, t("nav.scheduler")),
      this.#switch, this.#figures,
      h("div", { class: "panels" }, this.#limits, document.createElement("reservation-list"), document.createElement("direct-run")),
    );
    board.addEventListener("change", () => this.#show(), { signal });
    live.addEventListener("sync", () => this.#readLimits(), { signal });
    const limiting = new Set(["scheduler.configured", "server.reloaded"]);
    live.addEventListener("events", ({ detail }) => detail.some((event) => limiting.has(event.kind)) && this.#readLimits(), { signal });
    this.#show();
    this.#readLimits();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  #show() {
    const { status } = board;
    if (status === null) return;
    const { scheduler_running: isOn, running_job_ids: running, queue_length: queued } = status;
    const key = `${isOn} ${running.length} ${queued}`;
    if (key !== this.#shown) this.#showSwitch(isOn, running.length, queued);
    this.#shown = key;
    const { cumulative_stats: stats } = status;
    const figures = [
      ["figure.queued", queued], ["figure.deferred", status.deferred], ["figure.running", running.length], ["figure.executed", stats.total_executed],
      ["figure.succeeded", stats.succeeded], ["figure.failed", stats.failed], ["figure.skipped", stats.skipped], ["figure.cancelled", stats.cancelled],
    ];
    if (this.#figures.childElementCount === 0) {
      this.#figures.append(...figures.map(([key_]) => h("div", {}, h("dt", {}, t(key_)), h("dd", {}))));
    }
    figures.forEach(([, n], index) => setText(this.#figures.children[index].lastChild, number(n)));
  }

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
    const { running_job_ids: running, queue_length: queued } = board.status;
    const lines = [t("stop.nothingNew"), running.length > 0 ? t("stop.running", { n: running.length }) : t("stop.noneRuns"), t("stop.queued", { n: queued })];
    if (!(await confirmed({ title: t("stop.title"), lines, action: t("scheduler.stop") }))) return;
    await attempt(() => send("POST", "/scheduler/stop", {}));
  }

  #start() {
    return attempt(() => send("POST", "/scheduler/start"));
  }

  async #readLimits() {
    let config;
    try {
      config = await get("/scheduler/config");
    } catch {
      return;
    }
    const focused = document.activeElement;
    const at = [...this.#limits.querySelectorAll(".limit")].findIndex((form) => form.contains(focused));
    if (at >= 0 && focused.tagName === "INPUT") return; // somebody is typing
    const all = limitField(t("limits.all"), config.concurrency, config.overridden.includes("concurrency"), (n) => change({ concurrency: n }));
    const types = Object.entries(config.types).map(([name, limit]) =>
      limitField(name, limit, config.overridden.includes(`types.${name}`), (n) => change({ types: { [name]: n } })));
    this.#limits.replaceChildren(h("h2", {}, t("limits.title")), h("p", { class: "dim" }, t("limits.help")), all, h("h3", {}, t("limits.types")), ...types);
    // Whoever pressed a button of a form that was built again goes on from there.
    if (at >= 0) this.#limits.querySelectorAll(".limit input")[at]?.focus();
  }
}

function limitField(name, value, isChanged, change_) {
  const id = freshId("limit");
  const input = h("input", { id, type: "number", min: "1", max: "1024", value: value ?? "", placeholder: t("limits.none") });
  const save = h("button", { class: "tool", disabled: true }, t("action.save"));
  input.addEventListener("input", () => {
    save.disabled = input.value === "" || !input.checkValidity() || Number(input.value) === value;
  });
  const form = h("form", { class: "limit" }, h("label", { for: id }, name), input, save);
  if (isChanged) form.append(h("button", { class: "tool", type: "button", onclick: () => change_(null) }, t("limits.reset")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.activeElement.blur();
    change_(Number(input.value));
  });
  return form;
}

async function change(patch) {
  await attempt(() => send("PATCH", "/scheduler/config", patch));
  say(t("limits.saved"));
}

async function attempt(work) {
  try {
    await work();
    await board.read();
  } catch (error) {
    sayFault(error);
  }
}

customElements.define("scheduler-view", SchedulerView);
