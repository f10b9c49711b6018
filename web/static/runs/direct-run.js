// A direct run: ahead of the queue, without a Job. The request lives as long as the page: whoever leaves
// this view finds it again; to leave the page, or to stop, cancels it, as the API says.
import { send } from "../core/api.js";
import { board } from "../scheduler/scheduler-state.js";
import { confirmed } from "../core/dialog.js";
import { freshId, h, textBlock } from "../core/dom.js";
import { statusBadge } from "../jobs/job-row.js";
import { faultText } from "../core/notice.js";
import { SchemaForm } from "../job_types/schema-form.js";
import { t } from "../i18n/text.js";
import { duration, ticking } from "../core/time.js";

// What outlives the element: {abort, type, since, run, fault}.
let current = null;
const changed = new EventTarget();

async function start(type, params) {
  const abort = new AbortController();
  const mine = { abort, type, since: Date.now(), run: null, fault: null };
  current = mine;
  changed.dispatchEvent(new Event("change"));
  try {
    mine.run = await send("POST", `/direct/${encodeURIComponent(type)}`, { params }, { signal: abort.signal });
  } catch (error) {
    mine.fault = error.name === "AbortError" ? t("direct.stopped") : faultText(error);
  }
  changed.dispatchEvent(new Event("change"));
}

window.addEventListener("beforeunload", (event) => {
  if (current !== null && current.run === null && current.fault === null) event.preventDefault();
});

class DirectRun extends HTMLElement {
  #select = h("select", { id: "direct-type" });
  #fields = h("div", {});
  #state = h("div", { class: "direct-state", role: "status" });
  #form = null;
  #life;

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.className = "panel";
    const run = h("button", { class: "button", type: "submit" }, t("direct.run"));
    const form = h("form", { novalidate: true }, h("div", { class: "field" }, h("label", { for: "direct-type" }, t("job.type")), this.#select), this.#fields, run);
    this.replaceChildren(h("h2", {}, t("direct.title")), h("p", { class: "dim" }, t("direct.help")), form, this.#state);
    form.addEventListener("submit", (event) => this.#send(event), { signal });
    this.#select.addEventListener("change", () => this.#showFields(), { signal });
    board.addEventListener("change", () => this.#showTypes(), { signal });
    changed.addEventListener("change", () => this.#showState(), { signal });
    const clock = setInterval(() => this.#tick(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#showTypes();
    this.#showState();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  #showTypes() {
    const names = [...board.types.keys()];
    if (names.join() === [...this.#select.options].map((one) => one.value).join()) return;
    this.#select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    this.#showFields();
  }

  #showFields() {
    const type = board.types.get(this.#select.value);
    if (type === undefined) return;
    this.#form = new SchemaForm(type.params_schema, () => {});
    this.#fields.replaceChildren(...this.#form.elements);
  }

  async #send(event) {
    event.preventDefault();
    const { params, faults } = this.#form.read();
    this.#form.show(faults);
    if (faults.length > 0) return;
    if (current !== null && current.run === null && current.fault === null) return;
    start(this.#select.value, params);
  }

  #showState() {
    if (current === null) return;
    const { run, fault, type } = current;
    if (fault !== null) {
      this.#state.replaceChildren(h("p", { class: "form-fault" }, fault));
    } else if (run === null) {
      this.#state.replaceChildren(
        h("p", {}, t("direct.waiting", { type }), " ", h("span", { class: "clock", "aria-live": "off" })),
        h("button", { class: "button danger", id: freshId("stop"), onclick: () => stop() }, t("direct.stop")));
      this.#tick();
    } else {
      this.#state.replaceChildren(
        h("p", {}, statusBadge(run.status), " ", run.duration_s === null ? "" : duration(run.duration_s), " ", run.error ? run.error.message : ""),
        textBlock("artifact-text", t("log.title"), run.log_tail || t("log.nothing")));
    }
  }

  #tick() {
    const clock = this.#state.querySelector(".clock");
    if (clock !== null) clock.textContent = ticking((Date.now() - current.since) / 1000);
  }
}

async function stop() {
  const sure = await confirmed({ title: t("direct.stopTitle"), lines: [t("direct.stopText")], action: t("direct.stop") });
  if (sure) current?.abort.abort();
}

customElements.define("direct-run", DirectRun);
