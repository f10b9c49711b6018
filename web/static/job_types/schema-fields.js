// The fields of a form, from the JSON Schema of a type's parameters: their kind, their limits in words, and
// what is typed as values. A field that is left empty is left out, so the type's own default holds. A value
// that has no simple input is typed as JSON.
import { number, t } from "../i18n/text.js";

/** @import { FieldFault, Params, Schema } from "../core/types.js" */

/** @typedef {"choice" | "checkbox" | "number" | "text" | "longText" | "lines" | "json"} Kind */
/** @typedef {string | boolean} Input What an input holds: a checkbox true or false, all others a text. */
/** @typedef {{name: string, schema: Schema, isRequired: boolean, kind: Kind}} Field */

const LONG_TEXT = 300;
const LINE_TYPES = ["string", "integer", "number"];

/**
 * The fields of a params object.
 * @param {Schema} schema
 * @returns {Field[]}
 */
export function fieldsOf(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, one]) => ({ name, schema: one, isRequired: required.has(name), kind: kindOf(one) }));
}

/**
 * The type of a schema, if it has one beside null.
 * @param {Schema | undefined} schema
 */
export function typeOf(schema) {
  return [schema?.type].flat().find((one) => one !== "null");
}

/**
 * @param {Schema} schema
 * @returns {Kind}
 */
function kindOf(schema) {
  if (schema.enum) return "choice";
  switch (typeOf(schema)) {
    case "boolean":
      return "checkbox";
    case "integer":
    case "number":
      return "number";
    case "string":
      return (schema.maxLength ?? 0) > LONG_TEXT && schema.format === undefined ? "longText" : "text";
    case "array":
      return LINE_TYPES.includes(typeOf(schema.items) ?? "") ? "lines" : "json";
    default:
      return "json";
  }
}

/**
 * The input that stands for a value.
 * @param {Field} field
 * @param {any} value - undefined: none
 * @returns {Input}
 */
export function inputOf({ kind, schema }, value) {
  if (kind === "checkbox") return value === true;
  if (kind === "choice") {
    const index = schema.enum?.indexOf(value) ?? -1;
    return index < 0 ? "" : String(index);
  }
  if (value === undefined) return "";
  if (kind === "json") return JSON.stringify(value, null, 2);
  if (value === null) return "";
  return kind === "lines" ? value.join("\n") : String(value);
}

/**
 * The value of an input; undefined: it is left out.
 * @param {Field} field
 * @param {Input} input
 * @throws {Error} it is no value of this kind; with the reason
 */
export function valueOf({ kind, schema }, input) {
  // An unchecked box means "no" only where there is a default to differ from.
  if (typeof input === "boolean") return input ? true : "default" in schema ? false : undefined;
  if (kind === "lines") return linesOf(input, typeOf(schema.items));
  if (kind === "json") return jsonOf(input);
  if (input === "") return undefined;
  if (kind === "choice") return schema.enum?.[Number(input)];
  return kind === "number" ? Number(input) : input;
}

/**
 * The params of a form, and what is wrong with its fields. The server fills in defaults itself: a value that
 * is the default is left out.
 * @param {Field[]} fields
 * @param {(field: Field) => Input} read
 */
export function paramsOf(fields, read) {
  /** @type {Params} */
  const params = {};
  /** @type {FieldFault[]} */
  const faults = [];
  for (const field of fields) {
    try {
      const value = valueOf(field, read(field));
      const isDefault = "default" in field.schema && JSON.stringify(value) === JSON.stringify(field.schema.default);
      if (value !== undefined && !isDefault) params[field.name] = value;
    } catch (error) {
      faults.push({ name: field.name, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return { params, faults };
}

/**
 * The limits of a value in words.
 * @param {Schema} schema
 */
export function limitsOf(schema) {
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  const limits = [];
  if (minimum !== undefined && maximum !== undefined) limits.push(t("limit.between", { min: minimum, max: maximum }));
  else if (minimum !== undefined) limits.push(t("limit.min", { min: minimum }));
  else if (maximum !== undefined) limits.push(t("limit.max", { max: maximum }));
  if (above !== undefined) limits.push(t("limit.above", { min: above }));
  if (below !== undefined) limits.push(t("limit.below", { max: below }));
  if (schema.minLength !== undefined && schema.minLength > 1) limits.push(t("limit.minLength", { n: schema.minLength }));
  if (schema.maxLength !== undefined) limits.push(t("limit.maxLength", { n: schema.maxLength }));
  if (schema.pattern !== undefined) limits.push(t("limit.pattern", { pattern: schema.pattern }));
  if (kindOf(schema) === "lines") limits.push(t("limit.lines"));
  if (schema.default !== undefined && schema.default !== false) {
    limits.push(t("limit.default", { value: typeof schema.default === "number" ? number(schema.default) : JSON.stringify(schema.default) }));
  }
  return limits.join(" · ");
}

/**
 * @param {string} input
 * @param {string | undefined} type
 */
function linesOf(input, type) {
  const lines = input.split("\n").filter((line) => line !== "");
  if (lines.length === 0) return undefined;
  return type === "string" ? lines : lines.map(numberOf);
}

/** @param {string} line */
function numberOf(line) {
  const value = Number(line);
  if (line.trim() === "" || Number.isNaN(value)) throw new Error(t("form.notANumber", { line }));
  return value;
}

/** @param {string} input */
function jsonOf(input) {
  if (input.trim() === "") return undefined;
  try {
    return JSON.parse(input);
  } catch {
    throw new Error(t("form.notJson"));
  }
}
