// Finds text in the lines of a log, and marks it without touching them (CSS Custom Highlight API); where
// a browser has none, the line of the current hit is marked.
import { t } from "../i18n/text.js";

const HITS_MAX = 2_000;

export class LogSearch {
  found = 0;
  #lines;
  #pane;
  #text = "";
  /** @type {Range[]} */
  #hits = [];
  #at = -1;

  /**
   * @param {Element} lines - the parent of the lines
   * @param {Element} pane
   */
  constructor(lines, pane) {
    this.#lines = lines;
    this.#pane = pane;
  }

  /**
   * Mark each place of this text, and go to the last one, which is the newest.
   * @param {string} text
   */
  find(text) {
    this.#text = text.toLowerCase();
    this.#collect();
    this.#at = this.#hits.length;
    if (this.found > 0) this.step(-1);
    else this.#mark();
  }

  /** Mark again after lines were added or removed; the current hit stays. */
  refresh() {
    if (this.#text === "") return;
    this.#collect();
    this.#at = Math.min(this.#at, this.#hits.length - 1);
    this.#mark();
  }

  /**
   * Go to the next hit (1) or the one before (-1).
   * @param {1 | -1} by
   */
  step(by) {
    if (this.found === 0) return;
    this.#at = (this.#at + by + this.#hits.length) % this.#hits.length;
    this.#hits[this.#at].startContainer.parentElement?.scrollIntoView({ block: "center" });
    this.#mark();
  }

  /** "3 of 17". */
  summary() {
    if (this.#text === "") return "";
    return this.found === 0 ? t("log.none") : t("log.hits", { at: this.#at + 1, n: this.found });
  }

  /** Remove the marks. */
  clear() {
    globalThis.CSS?.highlights?.delete("log-hit");
    globalThis.CSS?.highlights?.delete("log-hit-now");
  }

  #collect() {
    this.#hits = [];
    this.found = 0;
    if (this.#text === "") return;
    const walker = document.createTreeWalker(this.#lines, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null && this.#hits.length < HITS_MAX; node = walker.nextNode()) {
      const length = node.nodeValue?.length ?? 0;
      const text = (node.nodeValue ?? "").toLowerCase();
      for (let at = text.indexOf(this.#text); at >= 0; at = text.indexOf(this.#text, at + this.#text.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, Math.min(length, at + this.#text.length));
        this.#hits.push(range);
      }
    }
    this.found = this.#hits.length;
  }

  #mark() {
    const now = this.#hits[this.#at];
    if (globalThis.CSS?.highlights && globalThis.Highlight) {
      CSS.highlights.set("log-hit", new Highlight(...this.#hits));
      CSS.highlights.set("log-hit-now", new Highlight(...(now ? [now] : [])));
      return;
    }
    this.#pane.querySelector(".log-line.now")?.classList.remove("now");
    now?.startContainer.parentElement?.closest(".log-line")?.classList.add("now");
  }
}
