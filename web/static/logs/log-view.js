// The log of a Job: its end at once, the rest on demand, new lines as they are written; search, follow,
// colours. At most LINES_MAX lines are on the page: the oldest are removed first.
import { Problem, request } from "../core/api.js";
import { debounce, h, setAttribute, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { t } from "../i18n/text.js";
import { jobPath } from "../jobs/job-request.js";
import { AnsiReader } from "./ansi.js";
import { logLine, runNodes } from "./log-line.js";
import { LogModel } from "./log-model.js";
import { LogSearch } from "./log-search.js";
import { LogStream } from "./log-stream.js";
import { LogTimes } from "./log-times.js";

/** @import { StreamState } from "./log-stream.js" */

const LINES_MAX = 20_000;
const EARLIER_BYTES = 256 * 1024;
const AT_END_PX = 24;
const SEARCH_MS = 150;

export class LogView extends HTMLElement {
  #jobId;
  #lines = h("div", { class: "log-lines" });
  #pane = h("div", { class: "log-pane", tabindex: "0", role: "log", "aria-live": "off", "aria-label": t("log.title") }, this.#lines);
  #follow = h("button", { class: "tool", "aria-pressed": "true" }, icon("down"), t("log.follow"));
  #earlier = h("button", { class: "tool", hidden: true }, t("log.earlier"));
  #wrap = h("button", { class: "tool", "aria-pressed": "true" }, t("log.wrap"));
  #searchInput = h("input", { type: "search", placeholder: t("log.search"), "aria-label": t("log.search") });
  #state = h("span", { class: "dim", role: "status" });
  #empty = h("p", { class: "dim log-empty" }, t("log.empty"));
  #life = new AbortController();
  #search = new LogSearch(this.#lines, this.#pane);
  #times;
  #model = new LogModel();
  #reader = new AnsiReader();
  #openReader = this.#reader; // as it was before the last line
  #frame = 0;
  #top = 0;

  /** @param {string} jobId */
  constructor(jobId) {
    super();
    this.#jobId = jobId;
    this.#times = new LogTimes(jobId, this.#lines, this.#life.signal);
  }

  connectedCallback() {
    const { signal } = this.#life;
    this.replaceChildren(
      h("div", { class: "log-bar" }, h("h2", {}, t("log.title")), this.#searchBox(), this.#follow, this.#wrap, this.#times.button, this.#earlier,
        h("a", { class: "tool", href: jobPath(this.#jobId, "log"), download: `${this.#jobId}.log` }, t("log.download")), this.#state),
      this.#pane, this.#empty);
    this.#follow.addEventListener("click", () => this.#setFollow(!this.#follows), { signal });
    this.#wrap.addEventListener("click", () => this.#toggleWrap(), { signal });
    this.#earlier.addEventListener("click", () => this.#readEarlier(), { signal });
    this.#pane.addEventListener("scroll", () => this.#scrolled(), { passive: true, signal });
    // Lines get their height only when they are seen; then the end moves.
    const grown = new ResizeObserver(() => this.#follows && this.#setFollow(true));
    grown.observe(this.#lines);
    signal.addEventListener("abort", () => grown.disconnect());
    const stream = new LogStream(this.#jobId, signal, {
      begin: (from) => this.#begin(from),
      piece: (piece) => {
        this.#model.append(piece);
        this.#frame ||= requestAnimationFrame(() => this.#paint());
      },
      state: (state) => this.#showState(state),
    });
    stream.run();
  }

  disconnectedCallback() {
    this.#life.abort();
    cancelAnimationFrame(this.#frame);
    this.#search.clear();
  }

  /** Put the cursor into the search. */
  focusSearch() {
    this.#searchInput.focus();
  }

  get #follows() {
    return this.#follow.getAttribute("aria-pressed") === "true";
  }

  #searchBox() {
    const count = h("span", { class: "dim", role: "status" });
    const input = this.#searchInput;
    const find = debounce(() => {
      this.#search.find(input.value);
      setText(count, this.#search.summary());
      if (this.#search.found > 0) this.#setFollow(false);
    }, SEARCH_MS);
    input.addEventListener("input", find);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      this.#search.step(event.shiftKey ? -1 : 1);
      setText(count, this.#search.summary());
    });
    return h("label", { class: "search-box" }, icon("search"), input, count);
  }

  /** @param {boolean} isOn */
  #setFollow(isOn) {
    setAttribute(this.#follow, "aria-pressed", isOn);
    if (isOn) this.#pane.scrollTop = this.#pane.scrollHeight;
  }

  #toggleWrap() {
    const isOn = this.#wrap.getAttribute("aria-pressed") !== "true";
    setAttribute(this.#wrap, "aria-pressed", isOn);
    this.#pane.classList.toggle("no-wrap", !isOn);
  }

  // Only a scroll upwards means that the reader wants to stay: the end also moves away by itself.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#pane;
    if (scrollHeight - scrollTop - clientHeight < AT_END_PX) setAttribute(this.#follow, "aria-pressed", true);
    else if (scrollTop < this.#top) setAttribute(this.#follow, "aria-pressed", false);
    this.#top = scrollTop;
  }

  /** @param {StreamState} state */
  #showState(state) {
    setText(this.#state, t(`log.${state}`));
    if (state !== "lost") this.#times.refresh();
    if (state === "ended") setText(this.#empty, t("log.nothing"));
  }

  /** @param {number} from */
  #begin(from) {
    this.#lines.replaceChildren();
    this.#model.begin(from);
    this.#reader = this.#openReader = new AnsiReader();
    this.#showEarlier();
  }

  #showEarlier() {
    this.#earlier.hidden = this.#model.earlier(EARLIER_BYTES) === null;
  }

  #paint() {
    this.#frame = 0;
    this.#empty.hidden = true;
    const { continues, lines } = this.#model.take();
    if (continues) {
      this.#lines.lastElementChild?.remove();
      this.#reader = this.#openReader;
    }
    const made = document.createDocumentFragment();
    for (const [index, line] of lines.entries()) {
      if (index === lines.length - 1) this.#openReader = this.#reader.copy();
      const element = logLine(this.#reader.line(line.text));
      this.#times.note(element, line);
      made.append(element);
    }
    this.#lines.append(made);
    while (this.#lines.childElementCount > LINES_MAX) {
      this.#lines.firstElementChild?.remove();
      this.#model.forgetFirst();
    }
    this.#showEarlier();
    this.#search.refresh();
    if (this.#follows) this.#setFollow(true);
  }

  async #readEarlier() {
    const range = this.#model.earlier(EARLIER_BYTES);
    if (range === null) return;
    try {
      const headers = { Range: `bytes=${range.from}-${range.to - 1}`, Accept: "text/plain" };
      const response = await request("GET", jobPath(this.#jobId, "log"), { headers });
      this.#prepend(await response.text(), range);
    } catch (error) {
      if (error instanceof Problem) setText(this.#state, error.message);
    }
  }

  /**
   * @param {string} text
   * @param {{from: number, to: number}} range
   */
  #prepend(text, range) {
    const fromEnd = this.#pane.scrollHeight - this.#pane.scrollTop;
    const first = this.#lines.firstElementChild;
    const { lines, rest } = this.#model.prepend(text, range);
    const reader = new AnsiReader();
    const made = lines.map((line) => {
      const element = logLine(reader.line(line.text));
      this.#times.note(element, line);
      return element;
    });
    if (first !== null && rest !== null) {
      first.prepend(...runNodes(reader.line(rest.text)));
      this.#times.note(first, rest);
    }
    this.#lines.prepend(...made);
    this.#pane.scrollTop = this.#pane.scrollHeight - fromEnd;
    this.#showEarlier();
    this.#search.refresh();
  }
}

customElements.define("log-view", LogView);
