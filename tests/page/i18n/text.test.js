import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { has, LANGUAGES, number, t } from "../../../web/static/i18n/text.js";
import { readIn } from "../reader.js";

afterEach(() => readIn("en"));

function placeholders(text) {
  const forms = typeof text === "string" ? [text] : Object.values(text);
  return [...new Set(forms.flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();
}

test("both languages have the same keys, in the same order", () => {
  assert.deepEqual(Object.keys(LANGUAGES.ko), Object.keys(LANGUAGES.en));
});

test("both languages use the same values, and plurals where the other does", () => {
  for (const [key, text] of Object.entries(LANGUAGES.en)) {
    assert.deepEqual(placeholders(LANGUAGES.ko[key]), placeholders(text), key);
    assert.equal(typeof LANGUAGES.ko[key], typeof text, key);
  }
});

test("a plural text has each form of its language and no other", () => {
  for (const [language, forms] of [["en", ["one", "other"]], ["ko", ["other"]]]) {
    assert.deepEqual(new Intl.PluralRules(language).resolvedOptions().pluralCategories.sort(), forms);
    for (const [key, text] of Object.entries(LANGUAGES[language])) {
      if (typeof text !== "string") assert.deepEqual(Object.keys(text).sort(), forms, `${language} ${key}`);
    }
  }
});

test("n chooses the form", () => {
  assert.equal(t("queue.shown", { n: 1 }), "1 job");
  assert.equal(t("queue.shown", { n: 0 }), "0 jobs");
  assert.equal(t("queue.shown", { n: 5_000 }), "5,000 jobs");
  readIn("ko");
  assert.equal(t("queue.shown", { n: 1 }), "Job 1개");
});

test("values are put in as they are, whatever they hold", () => {
  assert.equal(t("queue.select", { name: "$& {n} <b>" }), "Select $& {n} <b>");
});

test("an unknown key stands for itself", () => {
  assert.equal(t("error.of_tomorrow"), "error.of_tomorrow");
  assert.equal(has("error.of_tomorrow"), false);
  assert.equal(has("error.timeout"), true);
});

test("numbers are written as in the language", () => {
  assert.equal(number(1_234_567), "1,234,567");
});
