// New Job: choose a type, fill in its form, see what would run, send it.
//
// What was typed is kept while the page is open. One form has one Idempotency-Key, so that a second
// press after a lost answer queues nothing twice.
import { Problem, send } from "../core/api.js";
import { board } from "../scheduler/scheduler-state.js";
import { CommandPreview } from "../job_types/command-preview.js";
import { freshId, h, setText } from "../core/dom.js";
import { faultText, say } from "../core/notice.js";
import { go, link, route } from "../core/route.js";
import { SchemaForm } from "../job_types/schema-form.js";
import { t } from "../i18n/text.js";
import { duration } from "../core/time.js";

const drafts = new Map(); // type → what was typed

class NewView extends HTMLElement {
  #types = h("div", { class: "type-list", role: "radiogroup", "aria-labelledby": "new-title" });
  #form = h("form", { class: "job-form", novalidate: true });
  #preview = new CommandPreview();
  #type = null;
  #params = null;
  #envelope = null;
  #fault = h("p", { class: "form-fault", role: "alert", hidden: true });
  #key = crypto.randomUUID?.() ?? String(Math.random());
  #life;

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.replaceChildren(
      h("h1", { id: "new-title" }, t("nav.new")),
      h("div", { class: "new-columns" }, h("div", {}, this.#types, this.#form), this.#preview.element),
    );
    this.#form.addEventListener("submit", (event) => this.#send(event), { signal });
    board.addEventListener("change", () => this.#showTypes(), { signal });
    window.addEventListener("hashchange", () => this.#showTypes(), { signal });
    this.#showTypes();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  #showTypes() {
    if (route().view !== "new" || board.types.size === 0) return;
    const wanted = route().query.get("type");
    const type = board.types.get(wanted) ?? [...board.types.values()][0];
    if (this.#type?.name === type.name) return;
    this.#type = type;
    this.#types.replaceChildren(...[...board.types.values()].map((one) => this.#typeChoice(one)));
    this.#showForm();
  }

  #typeChoice(type) {
    const choose = () => go(link("new", { query: { type: type.name } }), { replace: true });
    const input = h("input", { type: "radio", name: "type", value: type.name, onchange: choose });
    input.checked = type.name === this.#type.name;
    return h("label", { class: "type-choice" }, input,
      h("span", {}, h("strong", {}, type.name), h("span", { class: "dim" }, type.description)));
  }

  #showForm() {
    this.#params = new SchemaForm(this.#type.params_schema, () => this.#changed());
    this.#envelope = new SchemaForm(envelopeSchema(this.#type), () => this.#changed());
    const times = { run_at: timeField("run_at"), expires_at: timeField("expires_at") };
    for (const { input } of Object.values(times)) input.addEventListener("input", () => this.#changed());
    this.#times = times;
    const draft = drafts.get(this.#type.name);
    if (draft) {
      this.#params.write(draft.params);
      this.#envelope.write(draft.envelope);
      for (const [name, { input }] of Object.entries(times)) input.value = draft.times[name];
    }
    this.#form.replaceChildren(
      h("fieldset", {}, h("legend", {}, t("new.params")),
        this.#params.elements.length > 0 ? this.#params.elements : h("p", { class: "dim" }, t("new.noParams"))),
      h("fieldset", {}, h("legend", {}, t("new.when")),
        h("div", { class: "field-row" }, times.run_at.element, times.expires_at.element), this.#envelope.elements),
      this.#fault,
      h("div", { class: "form-actions" }, h("button", { class: "button primary", type: "submit" }, t("new.submit"))),
    );
    this.#fault.hidden = true;
    this.#changed();
  }

  #times = {};

  #changed() {
    this.#key = crypto.randomUUID?.() ?? String(Math.random());
    const times = Object.fromEntries(Object.entries(this.#times).map(([name, { input }]) => [name, input.value]));
    drafts.set(this.#type.name, { params: this.#params.read().params, envelope: this.#envelope.read().params, times });
    const { body, faults } = this.#body();
    this.#preview.show(body, faults.length === 0);
  }

  #body() {
    const { params, faults } = this.#params.read();
    const envelope = this.#envelope.read();
    const body = { type: this.#type.name, params, ...envelope.params };
    if (body.labels) body.labels = Object.fromEntries(body.labels.map((line) => split(line)));
    for (const [name, { input }] of Object.entries(this.#times)) {
      if (input.value) body[name] = new Date(input.value).toISOString();
    }
    return { body, faults, envelopeFaults: envelope.faults };
  }

  async #send(event) {
    event.preventDefault();
    this.#fault.hidden = true;
    const { body, faults, envelopeFaults } = this.#body();
    this.#envelope.show(envelopeFaults);
    this.#params.show(faults);
    if (faults.length + envelopeFaults.length > 0) return;
    const button = this.#form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const job = await send("POST", "/jobs", body, { headers: { "Idempotency-Key": this.#key } });
      drafts.delete(this.#type.name);
      say(t("new.queued"), { link: { href: link("new", { query: { type: job.type } }), text: t("new.another") } });
      go(link("jobs", { id: job.job_id }));
    } catch (error) {
      this.#showFault(error);
    } finally {
      button.disabled = false;
    }
  }

  #showFault(error) {
    const faults = error instanceof Problem ? error.faults : [];
    const split_ = faults.map(({ pointer, message }) => ({ path: pointer.split("/").slice(1), message }));
    const forParams = split_.filter(({ path }) => path[0] === "params" && path.length > 1);
    const others = split_.filter((one) => !forParams.includes(one));
    const left = [
      ...this.#envelope.show(others.map(({ path, message }) => ({ name: path[0], message }))),
      ...this.#params.show(forParams.map(({ path, message }) => ({ name: path[1], message }))),
    ];
    if (faults.length > 0 && left.length === 0) return;
    setText(this.#fault, left.length > 0 ? left.map(({ name, message }) => `${name}: ${message}`).join("; ") : faultText(error));
    this.#fault.hidden = false;
  }
}

// Everything of a Job beside its params, as a schema, so that it becomes fields in the same way.
function envelopeSchema(type) {
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

function timeField(name) {
  const id = freshId(name);
  const input = h("input", { type: "datetime-local", id, step: "1", name, "aria-describedby": `${id}-help` });
  const element = h("div", { class: "field" }, h("label", { for: id }, t(`job.${name}`)), input,
    h("p", { class: "help", id: `${id}-help` }, t(`new.${name}Help`)));
  return { input, element };
}

function split(line) {
  const at = line.indexOf("=");
  return at < 0 ? [line.trim(), ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}

customElements.define("new-view", NewView);
