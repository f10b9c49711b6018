// Single keys. They are silent while the reader types, and can be turned off altogether (WCAG 2.1.4).
import { shown } from "./dialog.js";
import { h } from "./dom.js";
import { go, link } from "./route.js";
import { t } from "../i18n/text.js";

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
const VIEWS = { 1: "queue", 2: "new", 3: "scheduler", 4: "charts" };

/** Listen. A view that has a method `press(key)` is asked first; it answers true if it knew the key. */
export function listen(currentView) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const isNamed = event.key.length > 1;
    if (!isNamed && !areOn()) return;
    if (isNamed && event.target.closest("a, button, summary, select")) return;
    if (currentView()?.press?.(event.key, event) || press(event.key)) event.preventDefault();
  });
}

/** Show what there is, and the switch. */
export function showHelp() {
  const box = h("input", { type: "checkbox", id: "keys-on" });
  box.checked = areOn();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(STORED, box.checked ? "on" : "off");
    } catch {
      // They stay on.
    }
  });
  const rows = LISTED.map(([keys, text]) => [h("dt", {}, ...keys.split("  ").map((k) => h("kbd", {}, k))), h("dd", {}, t(text))]);
  return shown(t("keys.title"), [
    h("dl", { class: "keys" }, rows),
    h("label", { class: "check" }, box, t("keys.on")),
    h("p", { class: "dim" }, h("a", { href: "/docs" }, t("help.api"))),
  ]);
}

function press(key) {
  if (key === "?") showHelp();
  else if (key === "n") go(link("new"));
  else if (key in VIEWS) go(link(VIEWS[key]));
  else return false;
  return true;
}

function isTyping(target) {
  if (target.isContentEditable || target.tagName === "TEXTAREA" || target.tagName === "SELECT") return true;
  return target.tagName === "INPUT" && TEXT_INPUTS.has(target.type);
}

function areOn() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}
