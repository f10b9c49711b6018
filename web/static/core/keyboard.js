// Shortcuts of a single key. They are off while the reader types, and can be turned off altogether (WCAG 2.1.4).
import { t } from "../i18n/text.js";
import { showDialog } from "./dialog.js";
import { h } from "./dom.js";
import { go, link } from "./route.js";

const STORED = "headway.keys";
const TEXT_INPUTS = new Set(["text", "search", "number", "email", "url", "date", "time", "datetime-local", "password"]);
const LISTED = [
  ["/", "keys.search"],
  ["j  k", "keys.move"],
  ["x", "keys.select"],
  ["Enter", "keys.open"],
  ["Esc", "keys.escape"],
  ["g  G", "keys.ends"],
  ["c", "keys.cancel"],
  ["r", "keys.retry"],
  ["n", "keys.new"],
  ["1 – 4", "keys.views"],
  ["?", "keys.help"],
];
/** @type {{[key: string]: string}} */
const VIEWS = { 1: "queue", 2: "new", 3: "scheduler", 4: "charts" };

/** @typedef {Element & {press?: (key: string, event: KeyboardEvent) => boolean}} View */

/**
 * Handle keys. A view with a method `press(key)` comes first; it returns true if it used the key.
 * @param {() => View | null} currentView
 */
export function listenForKeys(currentView) {
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (isTyping(target)) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const isNamed = event.key.length > 1;
    if (!isNamed && !areOn()) return;
    if (isNamed && target.closest("a, button, summary, select")) return;
    if (currentView()?.press?.(event.key, event) || press(event.key)) event.preventDefault();
  });
}

/** Show the list of shortcuts, and the switch that turns them off. */
export function showHelp() {
  const box = h("input", { type: "checkbox", id: "keys-on" });
  box.checked = areOn();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(STORED, box.checked ? "on" : "off");
    } catch {
      // Storage may be forbidden: they stay on.
    }
  });
  const rows = LISTED.map(([keys, text]) => [h("dt", {}, ...keys.split("  ").map((k) => h("kbd", {}, k))), h("dd", {}, t(text))]);
  return showDialog(t("keys.title"), [
    h("dl", { class: "keys" }, rows.flat()),
    h("label", { class: "check" }, box, t("keys.on")),
    h("p", { class: "dim" }, h("a", { href: "/docs" }, t("help.api"))),
  ]);
}

/** @param {string} key */
function press(key) {
  if (key === "?") showHelp();
  else if (key === "n") go(link("new"));
  else if (key in VIEWS) go(link(VIEWS[key]));
  else return false;
  return true;
}

/** @param {HTMLElement} target */
function isTyping(target) {
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && TEXT_INPUTS.has(target.type);
}

function areOn() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}
