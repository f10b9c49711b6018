// A direct run: ahead of the queue, without a Job. Its request lasts as long as the page, also while another
// view is shown. Closing the page, or Stop, cancels the run, as the API documents.
import { isAbort, send } from "../core/api.js";
import { confirmed } from "../core/dialog.js";
import { freshId, h, setText, textBlock } from "../core/dom.js";
import { faultText } from "../core/notice.js";
import { duration, ticking } from "../core/time.js";
import { t } from "../i18n/text.js";
import { SchemaForm } from "../job_types/schema-form.js";
import { statusBadge } from "../jobs/job-row.js";
import { schedulerState } from "../scheduler/scheduler-state.js";

/** @import { DirectRun, Params } from "../core/types.js" */

/** @typedef {{abort: AbortController, type: string, since: number, run: DirectRun | null, fault: string | null}} Current */

/** @type {Current | null} outlives the element */
let current = null;
const changed = new EventTarget();

/**
 * @param {string} type
 * @param {Params} params
 */
async function start(type, params) {
  const abort = new AbortController();
  /** @type {Current} */
  const mine = { abort, type, since: Date.now(), run: null, fault: null };
  current = mine;
  changed.dispatchEvent(new Event("change"));
  try {
    mine.run = await send("POST", `/direct/${encodeURIComponent(type)}`, { params }, { signal: abort.signal });
  } catch (error) {
    mine.fault = isAbort(error) ? t("direct.stopped") : faultText(error);
  }
  changed.dispatchEvent(new Event("change"));
}

function isPending() {
  return current !== null && current.run === null && current.fault === null;
}

window.addEventListener("beforeunload", (event) => isPending() && event.preventDefault());

export class DirectRunForm extends HTMLElement {
  #select = h("select", { id: "direct-type" });
  #fields = h("div", {});
  #state = h("div", { class: "direct-state", role: "status" });
  /** @type {SchemaForm | null} */
  #form = null;
  #clock = h("span", { class: "clock", "aria-live": "off" });
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    this.className = "panel";
    const run = h("button", { class: "button", type: "submit" }, t("direct.run"));
    const form = h("form", { novalidate: true }, h("div", { class: "field" }, h("label", { for: "direct-type" }, t("job.type")), this.#select), this.#fields, run);
    this.replaceChildren(h("h2", {}, t("direct.title")), h("p", { class: "dim" }, t("direct.help")), form, this.#state);
    form.addEventListener("submit", (event) => this.#send(event), { signal });
    this.#select.addEventListener("change", () => this.#showFields(), { signal });
    schedulerState.addEventListener("change", () => this.#showTypes(), { signal });
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
    const names = [...schedulerState.types.keys()];
    if (names.join() === [...this.#select.options].map((one) => one.value).join()) return;
    this.#select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    this.#showFields();
  }

  #showFields() {
    const type = schedulerState.types.get(this.#select.value);
    if (type === undefined) return;
    this.#form = new SchemaForm(type.params_schema, () => {});
    this.#fields.replaceChildren(...this.#form.elements);
  }

  /** @param {Event} event */
  async #send(event) {
    event.preventDefault();
    if (this.#form === null) return;
    const { params, faults } = this.#form.read();
    this.#form.show(faults);
    if (faults.length > 0) return;
    if (isPending()) return;
    start(this.#select.value, params);
  }

  #showState() {
    if (current === null) return;
    const { run, fault, type } = current;
    if (fault !== null) {
      this.#state.replaceChildren(h("p", { class: "form-fault" }, fault));
    } else if (run === null) {
      this.#state.replaceChildren(
        h("p", {}, t("direct.waiting", { type }), " ", this.#clock),
        h("button", { class: "button danger", id: freshId("stop"), onclick: () => stop() }, t("direct.stop")));
      this.#tick();
    } else {
      this.#state.replaceChildren(
        h("p", {}, statusBadge(run.status), " ", run.duration_s === null ? "" : duration(run.duration_s), " ", run.error ? run.error.message : ""),
        textBlock("artifact-text", t("log.title"), run.log_tail || t("log.nothing")));
    }
  }

  #tick() {
    if (current !== null) setText(this.#clock, ticking((Date.now() - current.since) / 1000));
  }
}

async function stop() {
  const sure = await confirmed({ title: t("direct.stopTitle"), lines: [t("direct.stopText")], action: t("direct.stop") });
  if (sure) current?.abort.abort();
}

customElements.define("direct-run", DirectRunForm);
