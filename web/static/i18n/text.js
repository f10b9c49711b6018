// The texts of the page in the reader's language: that of the browser until the reader chooses one.
import en from "./en.js";
import ko from "./ko.js";

/** @typedef {string | {one?: string, other: string}} Text A text for `n` has a form per plural category. */
/** @typedef {"en" | "ko"} Language */
/** @typedef {{[name: string]: string | number}} Values */

/** @type {{[language in Language]: {[key: string]: Text}}} */
export const LANGUAGES = { en, ko };

/**
 * The language of the page; `first.js` has decided it.
 * @returns {Language}
 */
export function language() {
  return document.documentElement.lang === "ko" ? "ko" : "en";
}

/**
 * Choose a language. Everything that shows text is built again at the event "languagechosen".
 * @param {Language} code
 */
export function setLanguage(code) {
  document.documentElement.lang = code;
  try {
    localStorage.setItem("headway.language", code);
  } catch {
    // Storage may be forbidden: the choice holds until the page is closed.
  }
  window.dispatchEvent(new Event("languagechosen"));
}

/**
 * The text of a key; {name} is replaced by a value, `n` chooses the plural. An unknown key stands for itself.
 * @param {string} key
 * @param {Values} [values]
 */
export function t(key, values = {}) {
  const found = LANGUAGES[language()][key];
  if (found === undefined) return key;
  const text = typeof found === "string" ? found : plural(found, Number(values.n));
  return text.replace(/\{(\w+)\}/g, (_, name) => format(values[name]));
}

/**
 * Whether there is a text for the key: codes of the server may be newer than this page.
 * @param {string} key
 */
export function has(key) {
  return key in LANGUAGES.en;
}

/**
 * A number with the separators of the language.
 * @param {number} n
 */
export function number(n) {
  return new Intl.NumberFormat(language()).format(n);
}

/** @param {string | number | undefined} value */
function format(value) {
  return typeof value === "number" ? number(value) : String(value);
}

/**
 * @param {{one?: string, other: string}} forms
 * @param {number} n
 */
function plural(forms, n) {
  return (new Intl.PluralRules(language()).select(n) === "one" ? forms.one : undefined) ?? forms.other;
}
