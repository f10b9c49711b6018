// The log of a Job: its end at once, the rest on demand, new lines as they are written; search, follow,
// colours. At most LINES_MAX lines stand on the page, the oldest go first.
import { ask, jobPath, Problem } from "../core/api.js";
import { AnsiReader } from "./ansi.js";
import { debounce, h, setAttribute, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { LogSearch } from "./log-search.js";
import { LogStream } from "./log-stream.js";
import { LogTimes } from "./log-times.js";
import { t } from "../i18n/text.js";

const LINES_MAX = 20_000;
const AT_END_PX = 24;
const SEARCH_MS = 150;

class LogView extends HTMLElement {
  #jobId;
  #lines = h("div", { class: "log-lines" });
  #pane = h("div", { class: "log-pane", tabindex: "0", role: "log", "aria-live": "off", "aria-label": t("log.title") }, this.#lines);
  #follow = h("button", { class: "tool", "aria-pressed": "true" }, icon("down"), t("log.follow"));
  #earlier = h("button", { class: "tool", hidden: true }, t("log.earlier"));
  #wrap = h("button", { class: "tool", "aria-pressed": "true" }, t("log.wrap"));
  #state = h("span", { class: "dim", role: "status" });
  #empty = h("p", { class: "dim log-empty" }, t("log.empty"));
  #search;
  #times;
  #reader = new AnsiReader();
  #open = null; // the last line, while its newline is missing: {element, text, reader}
  #pending = "";
  #frame = 0;
  #life;
  #stream;

  /** Show the log of this Job; before it is put on the page. */
  of(jobId) {
    this.#jobId = jobId;
    return this;
  }

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.#search = new LogSearch(this.#lines, this.#pane);
    this.#times = new LogTimes(this.#jobId, this.#lines, signal);
    this.replaceChildren(
      h("div", { class: "log-bar" }, h("h2", {}, t("log.title")), this.#searchBox(), this.#follow, this.#wrap, this.#times.button, this.#earlier,
        h("a", { class: "tool", href: jobPath(this.#jobId, "log"), download: `${this.#jobId}.log` }, t("log.download")), this.#state),
      this.#pane, this.#empty);
    this.#follow.addEventListener("click", () => this.#setFollow(!this.#follows), { signal });
    this.#wrap.addEventListener("click", () => this.#toggleWrap(), { signal });
    this.#earlier.addEventListener("click", () => this.#readEarlier(), { signal });
    this.#pane.addEventListener("scroll", () => this.#scrolled(), { passive: true, signal });
    // Lines get their height only when they are seen; then the end is elsewhere.
    const grown = new ResizeObserver(() => this.#follows && this.#setFollow(true));
    grown.observe(this.#lines);
    signal.addEventListener("abort", () => grown.disconnect());
    this.#stream = new LogStream(this.#jobId, signal, {
      begin: (from) => this.#begin(from),
      piece: (piece) => this.#take(piece),
      state: (state) => this.#tell(state),
    });
    this.#stream.run();
  }

  disconnectedCallback() {
    this.#life.abort();
    cancelAnimationFrame(this.#frame);
    this.#search.clear();
  }

  /** Put the cursor into the search. */
  focusSearch() {
    this.querySelector("input[type=search]").focus();
  }

  get #follows() {
    return this.#follow.getAttribute("aria-pressed") === "true";
  }

  #searchBox() {
    const count = h("span", { class: "dim", role: "status" });
    const input = h("input", { type: "search", placeholder: t("log.search"), "aria-label": t("log.search") });
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

  #setFollow(isOn) {
    setAttribute(this.#follow, "aria-pressed", isOn);
    if (isOn) this.#pane.scrollTop = this.#pane.scrollHeight;
  }

  #toggleWrap() {
    const isOn = this.#wrap.getAttribute("aria-pressed") !== "true";
    setAttribute(this.#wrap, "aria-pressed", isOn);
    this.#pane.classList.toggle("no-wrap", !isOn);
  }

  // Only a scroll upwards is the reader's wish to stay: that the end moves away below is not.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#pane;
    if (scrollHeight - scrollTop - clientHeight < AT_END_PX) setAttribute(this.#follow, "aria-pressed", true);
    else if (scrollTop < this.#top) setAttribute(this.#follow, "aria-pressed", false);
    this.#top = scrollTop;
  }

  #top = 0;

  #tell(state) {
    setText(this.#state, t(`log.${state}`));
    if (state !== "lost") this.#times.refresh();
    if (state === "ended") setText(this.#empty, t("log.nothing"));
  }

  // From this byte on; a beginning in the middle of a log begins in the middle of a line.
  #begin(from) {
    this.#lines.replaceChildren();
    this.#times.begin();
    this.#reader = new AnsiReader();
    this.#open = null;
    this.#pending = "";
    this.#from = from;
    this.#earlier.hidden = from === 0;
  }

  #from = 0;

  #take(piece) {
    this.#times.take(piece);
    this.#pending += piece.text;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#append(this.#pending);
      this.#pending = "";
    });
  }

  #append(text) {
    this.#empty.hidden = true;
    const lines = text.split("\n");
    const made = document.createDocumentFragment();
    let before = null;
    const add = (line) => {
      const element = lineOf(this.#reader.line(line));
      this.#times.mark(element, before);
      before = null;
      made.append(element);
      return element;
    };
    if (this.#open !== null) {
      lines[0] = this.#open.text + lines[0];
      this.#reader = this.#open.reader;
      before = this.#open.element;
      before.remove();
      this.#open = null;
    }
    const last = lines.pop();
    lines.forEach(add);
    if (last !== "") {
      const reader = this.#reader.copy();
      this.#open = { element: add(last), text: last, reader };
    }
    this.#lines.append(made);
    while (this.#lines.childElementCount > LINES_MAX) {
      this.#lines.firstElementChild.remove();
      this.#earlier.hidden = true; // what would come before is no longer known by its byte
    }
    this.#search.refresh();
    if (this.#follows) this.#setFollow(true);
  }

  async #readEarlier() {
    const length = Math.min(this.#from, 256 * 1024);
    const from = this.#from - length;
    try {
      const range = `bytes=${from}-${this.#from - 1}`;
      const response = await ask("GET", jobPath(this.#jobId, "log"), { headers: { Range: range, Accept: "text/plain" } });
      const parts = (await response.text()).split("\n");
      const reader = new AnsiReader();
      const before = this.#pane.scrollHeight - this.#pane.scrollTop;
      const first = this.#lines.firstElementChild;
      const made = parts.slice(0, -1).map((line) => lineOf(reader.line(line)));
      const rest = parts.at(-1);
      if (first !== null && rest !== "") first.prepend(...reader.line(rest));
      this.#lines.prepend(...made);
      this.#times.place(first !== null && rest !== "" ? [...made, first] : made, parts, from, this.#from);
      this.#pane.scrollTop = this.#pane.scrollHeight - before;
      this.#from = from;
      this.#earlier.hidden = from === 0;
      this.#search.refresh();
    } catch (error) {
      if (error instanceof Problem) setText(this.#state, error.message);
    }
  }
}

function lineOf(pieces) {
  return h("div", { class: "log-line", dir: "auto" }, pieces.length > 0 ? pieces : "\u200b");
}

customElements.define("log-view", LogView);
