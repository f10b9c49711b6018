// When the lines of a log were written: a switch, and an attribute that CSS shows beside the line, so that
// neither a search nor a copy contains it and a line stays one node. Offsets count bytes, as the server does;
// while the switch is off, a line costs only the note of where it begins.
import { get, Problem } from "../core/api.js";
import { h, setAttribute } from "../core/dom.js";
import { twoDigits } from "../core/time.js";
import { t } from "../i18n/text.js";
import { jobPath } from "../jobs/job-request.js";

/** @import { LogTimeList } from "../core/types.js" */

/** @typedef {{offset: number, ms: number}} Beginning where a line begins; by when it was written, or 0 */

const STORED = "headway.logTimes";

export class LogTimes {
  button = h("button", { class: "tool log-times" }, t("log.times"));
  #jobId;
  #lines;
  #signal;
  /** @type {Beginning[]} samples of the server: up to the next one, written by then */
  #samples = [];
  /** @type {WeakMap<Element, Beginning>} */
  #beginnings = new WeakMap();

  /**
   * @param {string} jobId
   * @param {HTMLElement} lines - the parent of the lines
   * @param {AbortSignal} signal
   */
  constructor(jobId, lines, signal) {
    this.#jobId = jobId;
    this.#lines = lines;
    this.#signal = signal;
    this.button.addEventListener("click", () => this.#choose(!this.#isOn), { signal });
    this.#set(stored() === "on");
  }

  /**
   * Note where the line of this element begins.
   * @param {Element} line
   * @param {Beginning} beginning
   */
  note(line, { offset, ms }) {
    this.#beginnings.set(line, { offset, ms });
    if (this.#isOn) this.#stamp(line);
  }

  /** Read the server's samples again, if times are shown. */
  async refresh() {
    if (!this.#isOn) return;
    /** @type {LogTimeList} */
    let list;
    try {
      list = await get(jobPath(this.#jobId, "log/times"), { signal: this.#signal });
    } catch (error) {
      if (error instanceof Problem) this.#set(false);
      return; // the server did not respond: when the stream is back, this is called again
    }
    this.#samples = list.times.map(({ offset, at }) => ({ offset, ms: Date.parse(at) }));
    const isToday = this.#samples.length === 0 || new Date(this.#samples[0].ms).toDateString() === new Date().toDateString();
    this.#lines.classList.toggle("with-dates", !isToday);
    for (const line of this.#lines.children) this.#stamp(line);
  }

  get #isOn() {
    return this.button.getAttribute("aria-pressed") === "true";
  }

  /** @param {boolean} isOn */
  #choose(isOn) {
    this.#set(isOn);
    try {
      localStorage.setItem(STORED, isOn ? "on" : "off");
    } catch {
      // Storage may be forbidden: the choice holds until the page is closed.
    }
    this.refresh();
  }

  /** @param {boolean} isOn */
  #set(isOn) {
    setAttribute(this.button, "aria-pressed", isOn);
    this.#lines.classList.toggle("with-times", isOn);
  }

  /** @param {Element} line */
  #stamp(line) {
    const beginning = this.#beginnings.get(line);
    if (beginning === undefined) return;
    const ms = Math.max(beginning.ms, writtenBy(this.#samples, beginning.offset));
    setAttribute(line, "data-at", ms === 0 ? null : this.#shown(ms));
  }

  /** @param {number} ms */
  #shown(ms) {
    const at = new Date(ms);
    const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
    return this.#lines.classList.contains("with-dates") ? `${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())} ${time}` : time;
  }
}

/**
 * By when the byte at this offset had been written, according to samples in order of offset; 0: unknown.
 * @param {Beginning[]} samples
 * @param {number} offset
 */
export function writtenBy(samples, offset) {
  let [low, high] = [0, samples.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (samples[middle].offset <= offset) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : samples[low - 1].ms;
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}
