// Short notices at the edge of the page, read out by screen readers, removed after a while.
import { has, t } from "../i18n/text.js";
import { Problem, Unreachable } from "./api.js";
import { h } from "./dom.js";

const SHOWN_MS = { plain: 5_000, fault: 12_000 };
const area = h("div", { class: "notices", role: "status", "aria-live": "polite" });

/** The element that holds the notices; the shell puts it on the page. */
export function noticeArea() {
  return area;
}

/**
 * Show a notice.
 * @param {string} text
 * @param {{isFault?: boolean, link?: {href: string, text: string} | null}} [options]
 */
export function notify(text, { isFault = false, link = null } = {}) {
  const close = h("button", { class: "icon-button", "aria-label": t("action.close") }, "×");
  const notice = h("div", { class: isFault ? "notice fault" : "notice" }, h("span", {}, text), close);
  if (link) close.before(h("a", { href: link.href }, link.text));
  const timer = setTimeout(() => notice.remove(), isFault ? SHOWN_MS.fault : SHOWN_MS.plain);
  close.addEventListener("click", () => {
    clearTimeout(timer);
    notice.remove();
  });
  area.append(notice);
}

/**
 * Show why something could not be done.
 * @param {unknown} error
 */
export function notifyFault(error) {
  notify(faultText(error), { isFault: true });
}

/**
 * An error in the reader's language, with the server's own sentence.
 * @param {unknown} error
 */
export function faultText(error) {
  if (error instanceof Unreachable) return t("request.unreachable");
  if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
  const key = `fault.${error.code}`;
  const detail = error.faults.map((fault) => `${fault.pointer}: ${fault.message}`).join("; ") || error.message;
  return has(key) ? `${t(key)} (${detail})` : detail;
}
