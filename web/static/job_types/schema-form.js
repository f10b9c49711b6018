// A form from the JSON Schema of a type's parameters: each with its limits and its help. What is left
// empty is left out, so the type's own default holds. What has no simple input is given as JSON.
import { freshId, h, setAttribute, setText } from "../core/dom.js";
import { number, t } from "../i18n/text.js";

const LONG_TEXT = 300;

export class SchemaForm {
  #fields = new Map(); // name → {read, write, input, fault}

  /** `schema`: of the whole params object. `onInput` is called after every change. */
  constructor(schema, onInput) {
    const required = new Set(schema.required ?? []);
    for (const [name, one] of Object.entries(schema.properties ?? {})) {
      this.#fields.set(name, field(name, one, required.has(name), onInput));
    }
    this.elements = [...this.#fields.values()].map((one) => one.element);
  }

  /** {params, faults: [{name, message}]}. */
  read() {
    const params = {};
    const faults = [];
    for (const [name, { read, input, fallback, isDefault }] of this.#fields) {
      try {
        const value = read();
        // The server fills in the default itself; what was not changed need not be said.
        if (value !== undefined && !(isDefault && sameValue(value, fallback))) params[name] = value;
        if (!input.checkValidity()) faults.push({ name, message: input.validationMessage });
      } catch (error) {
        faults.push({ name, message: error.message });
      }
    }
    return { params, faults };
  }

  /** Fill in; names that are not given stay as they are. */
  write(params) {
    for (const [name, value] of Object.entries(params)) this.#fields.get(name)?.write(value);
  }

  /** Show these faults beside their fields, and no others; those that belong to no field come back. */
  show(faults) {
    for (const one of this.#fields.values()) one.showFault(null);
    const left = faults.filter(({ name, message }) => !this.#fields.get(name)?.showFault(message));
    const first = faults.find(({ name }) => this.#fields.has(name));
    if (first) this.#fields.get(first.name).input.focus();
    return left;
  }
}

function field(name, schema, isRequired, onInput) {
  const id = freshId("field");
  const made = inputFor(schema, isRequired);
  const { input } = made;
  const help = h("p", { class: "help", id: `${id}-help` }, [schema.description, limits(schema)].filter(Boolean).join(" · "));
  const fault = h("p", { class: "field-fault", id: `${id}-fault`, hidden: true });
  setAttribute(input, "id", id);
  setAttribute(input, "name", name);
  setAttribute(input, "aria-describedby", `${id}-help ${id}-fault`);
  input.addEventListener("input", () => {
    showFault(null);
    onInput();
  });
  const label = h("label", { for: id }, schema.title ?? name, isRequired ? h("span", { class: "required" }, t("form.required")) : null);
  const element = input.type === "checkbox"
    ? h("div", { class: "field" }, h("div", { class: "check" }, input, label), help, fault)
    : h("div", { class: "field" }, label, input, help, fault);
  const showFault = (message) => {
    setText(fault, message ?? "");
    fault.hidden = message === null;
    setAttribute(input, "aria-invalid", message === null ? null : "true");
    return true;
  };
  return { ...made, element, showFault, fallback: schema.default, isDefault: "default" in schema };
}

function sameValue(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

// ---- one input per kind of value ----------------------------------------------------------------

function inputFor(schema, isRequired) {
  const type = [schema.type].flat().find((one) => one !== "null");
  if (schema.enum) return choice(schema, isRequired);
  if (type === "boolean") return box(schema);
  if (type === "integer" || type === "number") return numeric(schema, type, isRequired);
  if (type === "string") return text(schema, isRequired);
  const items = [schema.items?.type].flat()[0];
  if (type === "array" && ["string", "integer", "number"].includes(items)) return lines(schema, items);
  return json(schema);
}

function choice(schema, isRequired) {
  const options = schema.enum.map((value, index) => h("option", { value: String(index) }, String(value)));
  const input = h("select", { required: isRequired }, isRequired ? null : h("option", { value: "" }, t("form.leaveOut")), options);
  const write = (value) => {
    const index = schema.enum.indexOf(value);
    input.value = index < 0 ? "" : String(index);
  };
  write(schema.default);
  return { input, write, read: () => (input.value === "" ? undefined : schema.enum[Number(input.value)]) };
}

function box(schema) {
  const input = h("input", { type: "checkbox" });
  const write = (value) => {
    input.checked = value === true;
  };
  write(schema.default);
  // An unchecked box says "no" only where there is a default to differ from.
  return { input, write, read: () => (input.checked ? true : "default" in schema ? false : undefined) };
}

function numeric(schema, type, isRequired) {
  const step = type === "integer" ? schema.multipleOf ?? 1 : "any";
  const input = h("input", {
    type: "number", step, required: isRequired, min: schema.minimum ?? schema.exclusiveMinimum, max: schema.maximum ?? schema.exclusiveMaximum,
    inputmode: type === "integer" ? "numeric" : "decimal",
  });
  const write = (value) => {
    input.value = value ?? "";
  };
  write(schema.default);
  return { input, write, read: () => (input.value === "" ? undefined : Number(input.value)) };
}

function text(schema, isRequired) {
  const type = { date: "date", email: "email", uri: "url" }[schema.format] ?? "text";
  const bounds = { required: isRequired, maxlength: schema.maxLength, minlength: schema.minLength };
  const isLong = type === "text" && (schema.maxLength ?? 0) > LONG_TEXT;
  const input = isLong ? h("textarea", { rows: "4", ...bounds }) : h("input", { type, ...bounds, autocomplete: "off" });
  const write = (value) => {
    input.value = value ?? "";
  };
  write(schema.default);
  return { input, write, read: () => (input.value === "" ? undefined : input.value) };
}

function lines(schema, items) {
  const input = h("textarea", { rows: "3" });
  const write = (value) => {
    input.value = (value ?? []).join("\n");
  };
  write(schema.default);
  const read = () => {
    const given = input.value.split("\n").filter((line) => line !== "");
    if (given.length === 0) return undefined;
    return items === "string" ? given : given.map(numberOf);
  };
  return { input, write, read };
}

function numberOf(line) {
  const value = Number(line);
  if (line.trim() === "" || Number.isNaN(value)) throw new Error(t("form.notANumber", { line }));
  return value;
}

function json(schema) {
  const input = h("textarea", { rows: "3", class: "code", spellcheck: "false" });
  const write = (value) => {
    input.value = value === undefined ? "" : JSON.stringify(value, null, 2);
  };
  write(schema.default);
  const read = () => {
    if (input.value.trim() === "") return undefined;
    try {
      return JSON.parse(input.value);
    } catch {
      throw new Error(t("form.notJson"));
    }
  };
  return { input, write, read };
}

function limits(schema) {
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  const said = [];
  if (minimum !== undefined && maximum !== undefined) said.push(t("limit.between", { min: minimum, max: maximum }));
  else if (minimum !== undefined) said.push(t("limit.min", { min: minimum }));
  else if (maximum !== undefined) said.push(t("limit.max", { max: maximum }));
  if (above !== undefined) said.push(t("limit.above", { min: above }));
  if (below !== undefined) said.push(t("limit.below", { max: below }));
  if (schema.minLength > 1) said.push(t("limit.minLength", { n: schema.minLength }));
  if (schema.maxLength !== undefined) said.push(t("limit.maxLength", { n: schema.maxLength }));
  if (schema.pattern !== undefined) said.push(t("limit.pattern", { pattern: schema.pattern }));
  if (schema.type === "array") said.push(t("limit.lines"));
  if (schema.default !== undefined && schema.default !== false) {
    said.push(t("limit.default", { value: typeof schema.default === "number" ? number(schema.default) : JSON.stringify(schema.default) }));
  }
  return said.join(" · ");
}
