// A button that copies a text.
import { t } from "../i18n/text.js";
import { h, setText } from "./dom.js";
import { icon } from "./icon.js";

const RESULT_MS = 1_500;

/**
 * Make the button; `read` returns the text at the moment it is pressed.
 * @param {() => string} read
 */
export function copyButton(read, label = t("action.copy")) {
  const text = h("span", {}, label);
  const button = h("button", { class: "tool", type: "button" }, icon("copy"), text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(read());
      setText(text, t("action.copied"));
    } catch {
      // There is no clipboard without a secure origin: the text can still be selected.
      setText(text, t("action.notCopied"));
    }
    setTimeout(() => setText(text, label), RESULT_MS);
  });
  return button;
}
