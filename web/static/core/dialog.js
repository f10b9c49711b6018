// Dialogs: the question before something that cannot be taken back, and small forms. The browser's
// own <dialog> keeps the focus inside and gives it back.
import { freshId, h } from "./dom.js";
import { t } from "../i18n/text.js";

/** Ask. `lines` say what will happen; true if the reader wants it. */
export async function confirmed({ title, lines, action, isDangerous = true }) {
  const button = h("button", { class: isDangerous ? "button danger" : "button primary", value: "yes" }, action);
  const answer = await open(title, lines.map((line) => h("p", {}, line)), button);
  return answer === "yes";
}

/** Show a form of `fields`; true if it was sent. The caller reads its own inputs afterwards. */
export async function asked({ title, fields, action }) {
  const button = h("button", { class: "button primary", value: "yes" }, action);
  return (await open(title, fields, button)) === "yes";
}

/** Show something that only wants to be read. */
export async function shown(title, content) {
  await open(title, content, null);
}

function open(title, content, button) {
  const id = freshId("dialog");
  const close = h("button", { class: "button", value: "no" }, t(button ? "action.keep" : "action.close"));
  // The first button of a form is what Enter presses: in a form that is the action, in a question
  // about something destructive nothing is pressed by accident, since "keep" has the focus.
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id }, title),
      h("div", { class: "dialog-body" }, ...[content].flat()),
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
    const first = dialog.querySelector(".dialog-body input, .dialog-body select, .dialog-body textarea");
    (first ?? close).focus();
  });
}
