// New Job: choose a type, fill in its form, see what would run, submit it.
//
// What was typed is kept while the page is open. One form has one Idempotency-Key, so that a second
// press after a lost response queues nothing twice.
import { Problem, send } from "../core/api.js";
import { freshId, h, setText } from "../core/dom.js";
import { faultText, notify } from "../core/notice.js";
import { go, link, route } from "../core/route.js";
import { duration } from "../core/time.js";
import { t } from "../i18n/text.js";
import { CommandPreview } from "../job_types/command-preview.js";
import { SchemaForm } from "../job_types/schema-form.js";
import { labelsOf } from "../jobs/labels.js";
import { schedulerState } from "../scheduler/scheduler-state.js";

/** @import { FieldFault, Job, JobTypeView, Params, Schema } from "../core/types.js" */

/** @typedef {"run_at" | "expires_at"} TimeName */
/** @typedef {{input: HTMLInputElement, element: HTMLElement}} TimeField */
/** @typedef {{type: JobTypeView, params: SchemaForm, options: SchemaForm, times: {[name in TimeName]: TimeField}}} Form */

/** @type {TimeName[]} */
const TIMES = ["run_at", "expires_at"];

/** @type {Map<string, {params: Params, options: Params, times: {[name in TimeName]: string}}>} by type */
const drafts = new Map();

export class NewJobView extends HTMLElement {
  #types = h("div", { class: "type-list", role: "radiogroup", "aria-labelledby": "new-title" });
  #element = h("form", { class: "job-form", novalidate: true });
  #preview = new CommandPreview();
  /** @type {Form | null} */
  #form = null;
  #fault = h("p", { class: "form-fault", role: "alert", hidden: true });
  #submit = h("button", { class: "button primary", type: "submit" }, t("new.submit"));
  #key = "";
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    this.replaceChildren(
      h("h1", { id: "new-title" }, t("nav.new")),
      h("div", { class: "new-columns" }, h("div", {}, this.#types, this.#element), this.#preview.element),
    );
    this.#element.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#form !== null) this.#send(this.#form);
    }, { signal });
    schedulerState.addEventListener("change", () => this.#showTypes(), { signal });
    window.addEventListener("hashchange", () => this.#showTypes(), { signal });
    this.#showTypes();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  #showTypes() {
    const { view, query } = route();
    const types = [...schedulerState.types.values()];
    const type = types.find(({ name }) => name === query.get("type")) ?? types[0];
    if (view !== "new" || type === undefined || this.#form?.type.name === type.name) return;
    this.#types.replaceChildren(...types.map((one) => typeChoice(one, one === type)));
    this.#showForm(type);
  }

  /** @param {JobTypeView} type */
  #showForm(type) {
    const changed = () => this.#changed();
    const form = {
      type, params: new SchemaForm(type.params_schema, changed), options: new SchemaForm(optionsSchema(type), changed),
      times: { run_at: timeField("run_at", changed), expires_at: timeField("expires_at", changed) },
    };
    const draft = drafts.get(type.name);
    if (draft) {
      form.params.write(draft.params);
      form.options.write(draft.options);
      for (const name of TIMES) form.times[name].input.value = draft.times[name];
    }
    this.#element.replaceChildren(
      h("fieldset", {}, h("legend", {}, t("new.params")),
        form.params.elements.length > 0 ? form.params.elements : h("p", { class: "dim" }, t("new.noParams"))),
      h("fieldset", {}, h("legend", {}, t("new.when")),
        h("div", { class: "field-row" }, TIMES.map((name) => form.times[name].element)), form.options.elements),
      this.#fault,
      h("div", { class: "form-actions" }, this.#submit),
    );
    this.#fault.hidden = true;
    this.#form = form;
    this.#changed();
  }

  #changed() {
    if (this.#form === null) return;
    this.#key = freshKey();
    const { type, params, options, times } = this.#form;
    const typed = { run_at: times.run_at.input.value, expires_at: times.expires_at.input.value };
    drafts.set(type.name, { params: params.read().params, options: options.read().params, times: typed });
    const { body, faults } = read(this.#form);
    this.#preview.show(body, faults.length === 0);
  }

  /** @param {Form} form */
  async #send(form) {
    this.#fault.hidden = true;
    const { body, faults, optionFaults } = read(form);
    form.options.show(optionFaults);
    form.params.show(faults);
    if (faults.length + optionFaults.length > 0) return;
    this.#submit.disabled = true;
    try {
      /** @type {Job} */
      const job = await send("POST", "/jobs", body, { headers: { "Idempotency-Key": this.#key } });
      drafts.delete(form.type.name);
      notify(t("new.queued"), { link: { href: link("new", { query: { type: job.type } }), text: t("new.another") } });
      go(link("jobs", { id: job.job_id }));
    } catch (error) {
      this.#showFault(form, error);
    } finally {
      this.#submit.disabled = false;
    }
  }

  /**
   * @param {Form} form
   * @param {unknown} error
   */
  #showFault(form, error) {
    const faults = error instanceof Problem ? error.faults : [];
    const { params, others } = faultsByForm(faults);
    const left = [...form.options.show(others), ...form.params.show(params)];
    if (faults.length > 0 && left.length === 0) return;
    setText(this.#fault, left.length > 0 ? left.map(({ name, message }) => `${name}: ${message}`).join("; ") : faultText(error));
    this.#fault.hidden = false;
  }
}

/**
 * @param {JobTypeView} type
 * @param {boolean} isChosen
 */
function typeChoice(type, isChosen) {
  const choose = () => go(link("new", { query: { type: type.name } }), { replace: true });
  const input = h("input", { type: "radio", name: "type", value: type.name, onchange: choose });
  input.checked = isChosen;
  return h("label", { class: "type-choice" }, input,
    h("span", {}, h("strong", {}, type.name), h("span", { class: "dim" }, type.description)));
}

/**
 * The body of `POST /jobs`, and what is wrong with the fields.
 * @param {Form} form
 */
function read({ type, params: paramsForm, options: optionsForm, times }) {
  const { params, faults } = paramsForm.read();
  const { params: options, faults: optionFaults } = optionsForm.read();
  /** @type {{type: string, params: Params, [option: string]: unknown}} */
  const body = { type: type.name, params, ...options };
  if (options.labels) body.labels = labelsOf(options.labels);
  for (const name of TIMES) {
    const { value } = times[name].input;
    if (value) body[name] = new Date(value).toISOString();
  }
  return { body, faults, optionFaults };
}

/**
 * Faults of a problem, divided into those of params and of the other fields.
 * @param {{pointer: string, message: string}[]} faults
 */
function faultsByForm(faults) {
  /** @type {FieldFault[]} */
  const params = [];
  /** @type {FieldFault[]} */
  const others = [];
  for (const { pointer, message } of faults) {
    const [, first, second] = pointer.split("/");
    if (first === "params" && second !== undefined) params.push({ name: second, message });
    else others.push({ name: first ?? "", message });
  }
  return { params, others };
}

/**
 * The fields of a Job beside its params, as a schema, so that they become a form in the same way.
 * @param {JobTypeView} type
 * @returns {Schema}
 */
function optionsSchema(type) {
  return {
    properties: {
      priority: { type: "integer", minimum: 0, maximum: 100, default: 0, title: t("job.priority"), description: t("new.priorityHelp") },
      name: { type: "string", maxLength: 200, title: t("job.name"), description: t("new.nameHelp") },
      labels: { type: "array", items: { type: "string" }, title: t("job.labels"), description: t("new.labelsHelp") },
      timeout_s: {
        type: "number", exclusiveMinimum: 0, maximum: type.timeout_s, title: t("job.timeout"),
        description: t("new.timeoutHelp", { duration: duration(type.timeout_s) }),
      },
    },
  };
}

/**
 * @param {TimeName} name
 * @param {() => void} onInput
 * @returns {TimeField}
 */
function timeField(name, onInput) {
  const id = freshId(name);
  const input = h("input", { type: "datetime-local", id, step: "1", name, "aria-describedby": `${id}-help`, oninput: onInput });
  const element = h("div", { class: "field" }, h("label", { for: id }, t(`job.${name}`)), input,
    h("p", { class: "help", id: `${id}-help` }, t(`new.${name}Help`)));
  return { input, element };
}

// There is no randomUUID without a secure origin.
function freshKey() {
  return crypto.randomUUID?.() ?? String(Math.random());
}

customElements.define("new-view", NewJobView);
