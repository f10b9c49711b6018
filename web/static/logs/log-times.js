// When the lines of a log were written: a switch, and an attribute that CSS shows beside the line, so that
// neither a search nor a copy meets it and a line stays one node. Offsets count bytes, as the server does;
// while the switch is off, a line costs only the note of where it begins.
import { get, jobPath, Problem } from "../core/api.js";
import { h, setAttribute } from "../core/dom.js";
import { t } from "../i18n/text.js";

const STORED = "headway.logTimes";
const encoder = new TextEncoder();

export class LogTimes {
  button = h("button", { class: "tool log-times" }, t("log.times"));
  #jobId;
  #lines;
  #signal;
  #kept = []; // {offset, ms}: from this byte on, written by then
  #begun = []; // beginnings of lines that have come, and are not on the page yet
  #isBegun = false; // the last of them still lacks its newline
  #beginnings = new WeakMap(); // line → {offset, ms}, ms as the stream said, or 0

  constructor(jobId, lines, signal) {
    [this.#jobId, this.#lines, this.#signal] = [jobId, lines, signal];
    this.button.addEventListener("click", () => this.#choose(!this.#isOn), { signal });
    this.#set(stored() === "on");
  }

  /** The log begins anew. */
  begin() {
    this.#begun = [];
    this.#isBegun = false;
  }

  /** A piece of the log has come. */
  take({ text, offset, end, at }) {
    const parts = text.split("\n");
    const offsets = offsetsOf(parts, offset, end);
    const rest = parts.pop();
    const ms = Date.parse(at) || 0;
    const count = parts.length + (rest === "" ? 0 : 1);
    for (let index = this.#isBegun ? 1 : 0; index < count; index += 1) this.#begun.push({ offset: offsets[index], ms });
    this.#isBegun = rest !== "" || (this.#isBegun && parts.length === 0);
  }

  /** This line is the next that has come; or it stands for `before`, and is longer. */
  mark(line, before = null) {
    this.#beginnings.set(line, before === null ? this.#begun.shift() : this.#beginnings.get(before));
    if (this.#isOn) this.#stamp(line);
  }

  /** These lines begin where these parts of the log, from `offset` to `end`, do. */
  place(lines, parts, offset, end) {
    const offsets = offsetsOf(parts, offset, end);
    lines.forEach((line, index) => this.#beginnings.set(line, { offset: offsets[index], ms: 0 }));
    if (this.#isOn) lines.forEach((line) => this.#stamp(line));
  }

  /** Ask the server again, if times are shown: it has seen more of the log meanwhile. */
  async refresh() {
    if (!this.#isOn) return;
    let times;
    try {
      ({ times } = await get(jobPath(this.#jobId, "log/times"), { signal: this.#signal }));
    } catch (error) {
      if (error instanceof Problem) this.#set(false);
      return; // without an answer: the stream comes back, and then this is asked again
    }
    this.#kept = times.map(({ offset, at }) => ({ offset, ms: Date.parse(at) }));
    const isToday = times.length === 0 || new Date(this.#kept[0].ms).toDateString() === new Date().toDateString();
    this.#lines.classList.toggle("with-dates", !isToday);
    for (const line of this.#lines.children) this.#stamp(line);
  }

  get #isOn() {
    return this.button.getAttribute("aria-pressed") === "true";
  }

  #choose(isOn) {
    this.#set(isOn);
    try {
      localStorage.setItem(STORED, isOn ? "on" : "off");
    } catch {
      // Not kept, but used.
    }
    this.refresh();
  }

  #set(isOn) {
    setAttribute(this.button, "aria-pressed", isOn);
    this.#lines.classList.toggle("with-times", isOn);
  }

  #stamp(line) {
    const { offset, ms } = this.#beginnings.get(line);
    const known = Math.max(ms, this.#keptAt(offset));
    setAttribute(line, "data-at", known === 0 ? null : this.#shown(known));
  }

  // By when what stands at this byte had been written, as far as it was sampled; 0: it was not.
  #keptAt(offset) {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#kept[middle].offset <= offset) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#kept[low - 1].ms;
  }

  #shown(ms) {
    const at = new Date(ms);
    const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
    return this.#lines.classList.contains("with-dates") ? `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}` : time;
  }
}

// A byte that was no UTF-8 is shown by a sign of three: what follows it in the same piece seems to be later.
function offsetsOf(parts, offset, end) {
  const isAscii = parts.reduce((sum, part) => sum + part.length + 1, -1) === end - offset;
  let at = offset;
  return parts.map((part) => {
    const begin = Math.min(at, end);
    at += 1 + (isAscii ? part.length : encoder.encode(part).length);
    return begin;
  });
}

function two(n) {
  return String(n).padStart(2, "0");
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}
