// What the page says, in the reader's language: by the browser's choice until the reader chooses.
import en from "./en.js";
import ko from "./ko.js";

export const LANGUAGES = { en, ko };

/** "en" or "ko"; `first.js` has decided it. */
export function language() {
  return document.documentElement.lang === "ko" ? "ko" : "en";
}

/** Choose a language; whoever shows text builds it again at the event. */
export function setLanguage(code) {
  document.documentElement.lang = code;
  try {
    localStorage.setItem("headway.language", code);
  } catch {
    // Not kept, but used.
  }
  window.dispatchEvent(new Event("languagechosen"));
}

/** The text of a key; {name} is replaced by a value. A text for `n` may have a form per plural. */
export function t(key, values = {}) {
  const found = LANGUAGES[language()][key];
  if (found === undefined) return key;
  const text = typeof found === "string" ? found : plural(found, values.n);
  return text.replace(/\{(\w+)\}/g, (_, name) => format(values[name]));
}

/** Whether there is a text for the key: codes of the server may be newer than this page. */
export function has(key) {
  return key in LANGUAGES.en;
}

/** A whole number as it is written here. */
export function number(n) {
  return new Intl.NumberFormat(language()).format(n);
}

function format(value) {
  return typeof value === "number" ? number(value) : String(value);
}

function plural(forms, n) {
  return forms[new Intl.PluralRules(language()).select(n)] ?? forms.other;
}
