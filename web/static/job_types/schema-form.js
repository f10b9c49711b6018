// A form from the JSON Schema of a type's parameters: each with its limits and its help.
import { freshId, h, setAttribute, setText } from "../core/dom.js";
import { t } from "../i18n/text.js";
import { fieldsOf, inputOf, limitsOf, paramsOf, typeOf } from "./schema-fields.js";

/** @import { FieldFault, Params, Schema } from "../core/types.js" */
/** @import { Field } from "./schema-fields.js" */

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */
/** @typedef {{control: Control, element: HTMLElement, showFault: (message: string | null) => void}} FormField */

/** @type {{[format: string]: string}} */
const INPUT_TYPES = { date: "date", email: "email", uri: "url" };

export class SchemaForm {
  #fields;
  /** @type {Map<string, FormField>} */
  #made = new Map();

  /**
   * @param {Schema} schema - of the whole params object
   * @param {() => void} onInput - called after every change
   */
  constructor(schema, onInput) {
    this.#fields = fieldsOf(schema);
    for (const field of this.#fields) this.#made.set(field.name, formField(field, onInput));
    this.elements = [...this.#made.values()].map((one) => one.element);
  }

  /** The params as they are typed, and what is wrong with them. */
  read() {
    const { params, faults } = paramsOf(this.#fields, ({ name }) => inputIn(this.#control(name)));
    for (const { name } of this.#fields) {
      const control = this.#control(name);
      const isFaulty = faults.some((fault) => fault.name === name);
      if (!isFaulty && !control.checkValidity()) faults.push({ name, message: control.validationMessage });
    }
    return { params, faults };
  }

  /**
   * Fill in; names that are not given stay as they are.
   * @param {Params} params
   */
  write(params) {
    for (const field of this.#fields) {
      if (field.name in params) setInput(this.#control(field.name), inputOf(field, params[field.name]));
    }
  }

  /**
   * Show these faults beside their fields, and no others. Returns those that belong to no field.
   * @param {FieldFault[]} faults
   */
  show(faults) {
    for (const one of this.#made.values()) one.showFault(null);
    const own = faults.filter(({ name }) => this.#made.has(name));
    for (const { name, message } of own) this.#made.get(name)?.showFault(message);
    if (own.length > 0) this.#control(own[0].name).focus();
    return faults.filter(({ name }) => !this.#made.has(name));
  }

  /** @param {string} name */
  #control(name) {
    return /** @type {FormField} */ (this.#made.get(name)).control;
  }
}

/**
 * @param {Field} field
 * @param {() => void} onInput
 * @returns {FormField}
 */
function formField(field, onInput) {
  const { name, schema, isRequired } = field;
  const id = freshId("field");
  const control = controlOf(field);
  setInput(control, inputOf(field, schema.default));
  const help = h("p", { class: "help", id: `${id}-help` }, [schema.description, limitsOf(schema)].filter(Boolean).join(" · "));
  const fault = h("p", { class: "field-fault", id: `${id}-fault`, hidden: true });
  setAttribute(control, "id", id);
  setAttribute(control, "name", name);
  setAttribute(control, "aria-describedby", `${id}-help ${id}-fault`);
  const showFault = (/** @type {string | null} */ message) => {
    setText(fault, message ?? "");
    fault.hidden = message === null;
    setAttribute(control, "aria-invalid", message === null ? null : "true");
  };
  control.addEventListener("input", () => {
    showFault(null);
    onInput();
  });
  const label = h("label", { for: id }, schema.title ?? name, isRequired ? [" ", h("span", { class: "required" }, t("form.required"))] : null);
  const element = field.kind === "checkbox"
    ? h("div", { class: "field" }, h("div", { class: "check" }, control, label), help, fault)
    : h("div", { class: "field" }, label, control, help, fault);
  return { control, element, showFault };
}

/**
 * @param {Field} field
 * @returns {Control}
 */
function controlOf({ kind, schema, isRequired }) {
  const bounds = { required: isRequired, maxlength: schema.maxLength, minlength: schema.minLength };
  switch (kind) {
    case "choice": {
      const options = (schema.enum ?? []).map((value, index) => h("option", { value: String(index) }, String(value)));
      return h("select", { required: isRequired }, isRequired ? null : h("option", { value: "" }, t("form.leaveOut")), options);
    }
    case "checkbox":
      return h("input", { type: "checkbox" });
    case "number":
      return numberInput(schema, isRequired);
    case "text":
      return h("input", { type: INPUT_TYPES[schema.format ?? ""] ?? "text", ...bounds, autocomplete: "off" });
    case "longText":
      return h("textarea", { rows: "4", ...bounds });
    case "lines":
      return h("textarea", { rows: "3" });
    case "json":
      return h("textarea", { rows: "3", class: "code", spellcheck: "false" });
  }
}

/**
 * @param {Schema} schema
 * @param {boolean} isRequired
 */
function numberInput(schema, isRequired) {
  const isInteger = typeOf(schema) === "integer";
  return h("input", {
    type: "number", step: isInteger ? schema.multipleOf ?? 1 : "any", required: isRequired,
    min: schema.minimum ?? schema.exclusiveMinimum, max: schema.maximum ?? schema.exclusiveMaximum, inputmode: isInteger ? "numeric" : "decimal",
  });
}

/** @param {Control} control */
function inputIn(control) {
  return control.type === "checkbox" && control instanceof HTMLInputElement ? control.checked : control.value;
}

/**
 * @param {Control} control
 * @param {string | boolean} input
 */
function setInput(control, input) {
  if (typeof input === "string") control.value = input;
  else if (control instanceof HTMLInputElement) control.checked = input;
}
