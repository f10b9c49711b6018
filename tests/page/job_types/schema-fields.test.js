import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldsOf, inputOf, limitsOf, paramsOf, valueOf } from "../../../web/static/job_types/schema-fields.js";
import { readIn } from "../reader.js";

const SCHEMA = {
  required: ["text"],
  properties: {
    text: { type: "string", minLength: 3, maxLength: 40 },
    essay: { type: ["string", "null"], maxLength: 5_000 },
    count: { type: "integer", minimum: 1, maximum: 9, default: 4 },
    ratio: { type: "number", exclusiveMinimum: 0 },
    flag: { type: "boolean", default: false },
    sure: { type: "boolean" },
    colour: { enum: ["red", 2, null] },
    tags: { type: "array", items: { type: "string" } },
    sizes: { type: "array", items: { type: "integer" } },
    table: { type: "object" },
    rows: { type: "array", items: { type: "object" } },
    anything: {},
  },
};
const fields = new Map(fieldsOf(SCHEMA).map((field) => [field.name, field]));

test("a schema becomes a field of its kind for each property", () => {
  assert.deepEqual(Object.fromEntries([...fields].map(([name, { kind }]) => [name, kind])), {
    text: "text", essay: "longText", count: "number", ratio: "number", flag: "checkbox", sure: "checkbox", colour: "choice",
    tags: "lines", sizes: "lines", table: "json", rows: "json", anything: "json",
  });
  assert.deepEqual([...fields.values()].filter((field) => field.isRequired).map((field) => field.name), ["text"]);
  assert.deepEqual(fieldsOf({}), []);
});

test("what is typed becomes a value, and back", () => {
  for (const [name, input, value] of [
    ["text", "two words", "two words"], ["count", "7", 7], ["ratio", "0.5", 0.5], ["flag", true, true], ["colour", "1", 2],
    ["tags", "one\ntwo words", ["one", "two words"]], ["sizes", "1\n20", [1, 20]], ["rows", "[\n  {}\n]", [{}]], ["anything", "null", null],
  ]) {
    assert.deepEqual(valueOf(fields.get(name), input), value, name);
    assert.deepEqual(inputOf(fields.get(name), value), input, name);
  }
});

test("an empty field is left out", () => {
  for (const name of ["text", "essay", "count", "colour", "tags", "sizes", "table"]) {
    assert.equal(valueOf(fields.get(name), ""), undefined, name);
    assert.equal(inputOf(fields.get(name), undefined), "", name);
  }
  assert.equal(valueOf(fields.get("tags"), "\n\n"), undefined);
});

test("an unchecked box means no only where there is a default", () => {
  assert.equal(valueOf(fields.get("flag"), false), false);
  assert.equal(valueOf(fields.get("sure"), false), undefined);
  assert.equal(inputOf(fields.get("sure"), undefined), false);
});

test("params hold what differs from the defaults, and each fault its field", () => {
  const typed = { text: "abc", count: "4", flag: false, sure: true, sizes: "1\nx", table: "{" };
  const { params, faults } = paramsOf([...fields.values()], ({ name }) => typed[name] ?? "");
  assert.deepEqual(params, { text: "abc", sure: true });
  assert.deepEqual(faults, [
    { name: "sizes", message: "“x” is not a number" },
    { name: "table", message: "This is not valid JSON" },
  ]);
});

test("limits are written in the reader's language", () => {
  assert.equal(limitsOf(SCHEMA.properties.count), "1 to 9 · default 4");
  assert.equal(limitsOf(SCHEMA.properties.text), "at least 3 characters · at most 40 characters");
  assert.equal(limitsOf(SCHEMA.properties.ratio), "more than 0");
  assert.equal(limitsOf(SCHEMA.properties.tags), "one per line");
  assert.equal(limitsOf(SCHEMA.properties.flag), "");
  assert.equal(limitsOf({ type: "integer", minimum: 1000 }), "1,000 or more");
  readIn("ko");
  assert.equal(limitsOf(SCHEMA.properties.count), "1~9 · 기본값 4");
  readIn("en");
});
