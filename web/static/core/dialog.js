// Dialogs: the question before an action that cannot be undone, and small forms. The browser's
// own <dialog> keeps the focus inside and returns it.
import { t } from "../i18n/text.js";
import { freshId, h } from "./dom.js";

/**
 * Ask before an action. `lines` describe its effect; true if the reader confirms.
 * @param {{title: string, lines: string[], action: string, isDangerous?: boolean}} question
 */
export async function confirmed({ title, lines, action, isDangerous = true }) {
  const button = h("button", { class: isDangerous ? "button danger" : "button primary", value: "yes" }, action);
  return (await open(title, lines.map((line) => h("p", {}, line)), button)) === "yes";
}

/**
 * Show a form of `fields`; true if it was submitted. The caller reads its own inputs afterwards.
 * @param {{title: string, fields: Node[], action: string}} form
 */
export async function submitted({ title, fields, action }) {
  const button = h("button", { class: "button primary", value: "yes" }, action);
  return (await open(title, fields, button)) === "yes";
}

/**
 * Show something to read.
 * @param {string} title
 * @param {Node[]} content
 */
export async function showDialog(title, content) {
  await open(title, content, null);
}

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {HTMLButtonElement | null} button
 * @returns {Promise<string>}
 */
function open(title, content, button) {
  const id = freshId("dialog");
  const close = h("button", { class: "button", value: "no" }, t(button ? "action.keep" : "action.close"));
  // The first button of a form is what Enter presses: in a form that is the action; in a question
  // about something destructive nothing is pressed by accident, since "keep" has the focus.
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id }, title),
      h("div", { class: "dialog-body" }, content),
      h("div", { class: "dialog-actions" }, button, close),
    ),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close("no");
    });
    dialog.showModal();
    /** @type {HTMLElement | null} */
    const first = dialog.querySelector(".dialog-body input, .dialog-body select, .dialog-body textarea");
    (first ?? close).focus();
  });
}
