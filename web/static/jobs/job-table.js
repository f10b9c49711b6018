// The table of Jobs: only the rows that can be seen are elements, however long the list is.
//
// The focus stays on the table itself and names its active row (aria-activedescendant), so that it
// survives rows that are added and removed. Event: "selection".
import { h, setAttribute } from "../core/dom.js";
import { t } from "../i18n/text.js";
import { JobList } from "./job-list.js";
import { COLUMNS, JobRow } from "./job-row.js";

/** @import { Job } from "../core/types.js" */

/** @typedef {{top: number, active: string | null}} Place */

const OVERSCAN = 8;
const AHEAD_ROWS = 120; // the next page is read before its rows are needed
const ROW_HEIGHT_PX = 36; // until the style is known
const NO_JOBS = new JobList({ status: [], type: [], label: [], q: "", order: "desc" });

export class JobTable extends HTMLElement {
  /** @type {Set<string>} */
  selected = new Set();
  #list = NO_JOBS;
  #onOpen;
  /** @type {Map<string, JobRow>} */
  #rows = new Map();
  /** @type {JobRow[]} rows that are out of sight */
  #unused = [];
  /** @type {string | null} */
  #active = null;
  /** @type {string | null} where a range of selected rows begins */
  #anchor = null;
  /** @type {string | null} the row at the top edge */
  #first = null;
  #top = 0;
  #paintedTop = 0;
  #body = h("div", { role: "rowgroup", class: "rows" });
  #head = h("div", { role: "rowgroup", class: "head" });
  #grid = h("div", { role: "grid", class: "grid", tabindex: "0", "aria-label": t("queue.table"), "aria-multiselectable": "true" },
    this.#head, this.#body);
  #all = h("input", { type: "checkbox", tabindex: "-1", "aria-label": t("queue.selectAll") });
  #rowHeight = ROW_HEIGHT_PX;
  #life = new AbortController();
  #frame = 0;
  #onChange = () => this.#schedule();

  /** @param {(jobId: string) => void} onOpen */
  constructor(onOpen) {
    super();
    this.#onOpen = onOpen;
  }

  connectedCallback() {
    const { signal } = this.#life;
    this.#head.replaceChildren(this.#header());
    this.replaceChildren(this.#grid);
    this.#grid.addEventListener("scroll", () => this.#schedule(), { passive: true, signal });
    this.#body.addEventListener("click", (event) => this.#click(event), { signal });
    const resized = new ResizeObserver(() => this.#schedule());
    resized.observe(this.#grid);
    const clock = setInterval(() => this.#tick(), 1000);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      clearInterval(clock);
      cancelAnimationFrame(this.#frame);
      this.#list.removeEventListener("change", this.#onChange);
    });
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  /** The list that is shown. @param {JobList} list */
  set list(list) {
    this.#list.removeEventListener("change", this.#onChange);
    this.#list = list;
    this.#grid.scrollTop = 0;
    this.clearSelection();
    list.addEventListener("change", this.#onChange);
    this.#schedule();
  }

  /** Jobs that are selected and still in the list. */
  selectedJobs() {
    return [...this.selected].map((id) => this.#list.get(id)).filter((job) => job !== undefined);
  }

  clearSelection() {
    this.selected.clear();
    this.#selectionChanged();
  }

  /**
   * Handle a key of the view; true if the table uses it.
   * @param {string} key
   * @param {KeyboardEvent} [event]
   */
  press(key, event) {
    const { jobs } = this.#list;
    const at = this.#active === null ? -1 : jobs.findIndex((job) => job.job_id === this.#active);
    const page = Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowHeight) - 2);
    /** @type {{[key: string]: number}} */
    const moves = {
      j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: page, PageUp: -page,
      g: -Infinity, Home: -Infinity, G: Infinity, End: Infinity,
    };
    if (key in moves) this.#move(at, moves[key], event?.shiftKey === true && key.startsWith("Arrow"));
    else if ((key === "x" || key === " ") && at >= 0) this.#toggle(jobs[at].job_id);
    else if (key === "Enter" && at >= 0) this.#onOpen(jobs[at].job_id);
    else if (key === "Escape" && this.selected.size > 0) this.clearSelection();
    else return false;
    return true;
  }

  /** The place in the list that the reader looks at. @returns {Place} */
  get place() {
    return { top: this.#top, active: this.#active };
  }

  set place({ top, active }) {
    this.#active = active;
    this.#body.style.height = `${this.#list.jobs.length * this.#rowHeight}px`;
    this.#grid.scrollTop = top;
    this.#schedule();
  }

  /** The Job of the active row. */
  get activeJob() {
    return this.#active === null ? null : this.#list.get(this.#active) ?? null;
  }

  /**
   * @param {number} at
   * @param {number} by
   * @param {boolean} isSelecting
   */
  async #move(at, by, isSelecting) {
    if (by === Infinity) await this.#readAll();
    const { jobs } = this.#list;
    if (jobs.length === 0) return;
    const index = Math.min(jobs.length - 1, Math.max(0, at < 0 && Number.isFinite(by) ? 0 : at + by));
    this.#active = jobs[index].job_id;
    if (isSelecting) this.selected.add(this.#active);
    this.#grid.focus({ preventScroll: true });
    this.#reveal(index);
    this.#selectionChanged();
  }

  async #readAll() {
    const list = this.#list;
    this.#grid.setAttribute("aria-busy", "true");
    while (!list.isComplete && list === this.#list && list.error === null) {
      await (list.isLoading ? new Promise((resolve) => setTimeout(resolve, 30)) : list.more());
    }
    this.#grid.removeAttribute("aria-busy");
  }

  /** @param {number} index */
  #reveal(index) {
    const head = this.#body.offsetTop;
    const top = index * this.#rowHeight;
    const { scrollTop, clientHeight } = this.#grid;
    // The spacer must be as long as the list before it can be scrolled to its end.
    this.#body.style.height = `${this.#list.jobs.length * this.#rowHeight}px`;
    if (top < scrollTop) this.#grid.scrollTop = top;
    else if (top + this.#rowHeight + head > scrollTop + clientHeight) {
      this.#grid.scrollTop = top + this.#rowHeight + head - clientHeight;
    }
  }

  #header() {
    this.#all.addEventListener("change", () => {
      this.selected = new Set(this.#all.checked ? this.#list.jobs.map((job) => job.job_id) : []);
      this.#selectionChanged();
    });
    return h(
      "div",
      { role: "row", class: "row header", "aria-rowindex": "1" },
      h("span", { role: "columnheader", class: "cell-box" }, this.#all),
      COLUMNS.map((column) => h("span", { role: "columnheader", class: `cell-${column}` }, t(`queue.${column}`))),
    );
  }

  /** @param {MouseEvent} event */
  #click(event) {
    if (!(event.target instanceof Element)) return;
    const row = event.target.closest(".row");
    if (row === null) return;
    const jobId = row.id.slice("row-".length);
    this.#active = jobId;
    if (event.target.closest(".cell-box")) {
      // The cell is easier to hit than the box; either way the rows are painted from `selected`.
      if (event.shiftKey && this.#anchor !== null) this.#selectRange(this.#anchor, jobId);
      else this.#toggle(jobId);
      this.#anchor = jobId;
    } else if (!event.target.closest("a")) {
      this.#onOpen(jobId);
    }
  }

  /**
   * @param {string} from
   * @param {string} to
   */
  #selectRange(from, to) {
    const ids = this.#list.jobs.map((job) => job.job_id);
    const [a, b] = [ids.indexOf(from), ids.indexOf(to)].sort((x, y) => x - y);
    for (const id of ids.slice(Math.max(0, a), b + 1)) this.selected.add(id);
    this.#selectionChanged();
  }

  /** @param {string} jobId */
  #toggle(jobId) {
    if (!this.selected.delete(jobId)) this.selected.add(jobId);
    this.#anchor = jobId;
    this.#selectionChanged();
  }

  #selectionChanged() {
    this.dispatchEvent(new Event("selection"));
    this.#schedule();
  }

  #tick() {
    for (const row of this.#rows.values()) row.tick();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #paint() {
    const { jobs } = this.#list;
    this.#keepPlace(jobs);
    this.#rowHeight = parseFloat(getComputedStyle(this.#grid).getPropertyValue("--row-height")) || ROW_HEIGHT_PX;
    this.#body.style.height = `${jobs.length * this.#rowHeight}px`;
    const { scrollTop, clientHeight } = this.#grid;
    this.#top = scrollTop;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - OVERSCAN);
    const last = Math.min(jobs.length, Math.ceil((scrollTop + clientHeight) / this.#rowHeight) + OVERSCAN);
    this.#fill(jobs, first, last);
    setAttribute(this.#grid, "aria-rowcount", this.#list.isComplete ? jobs.length + 1 : -1);
    setAttribute(this.#grid, "aria-activedescendant", this.#active !== null && this.#rows.has(this.#active) ? `row-${this.#active}` : null);
    this.#all.checked = jobs.length > 0 && this.selected.size >= jobs.length;
    this.#all.indeterminate = this.selected.size > 0 && !this.#all.checked;
    if (last + AHEAD_ROWS > jobs.length && jobs.length > 0) this.#list.more();
  }

  /**
   * @param {Job[]} jobs
   * @param {number} first
   * @param {number} last - the index after it
   */
  #fill(jobs, first, last) {
    const wanted = new Set();
    for (let index = first; index < last; index += 1) wanted.add(jobs[index].job_id);
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      this.#rows.delete(id);
      this.#unused.push(row);
    }
    for (let index = first; index < last; index += 1) {
      const job = jobs[index];
      let row = this.#rows.get(job.job_id);
      if (row === undefined) {
        row = this.#unused.pop() ?? new JobRow();
        this.#rows.set(job.job_id, row);
        if (!row.element.isConnected) this.#body.append(row.element);
      }
      const isActive = job.job_id === this.#active;
      row.paint(job, { index, top: index * this.#rowHeight, isActive, isSelected: this.selected.has(job.job_id) });
    }
    for (const row of this.#unused.splice(0)) row.element.remove();
    this.#first = jobs[Math.floor(this.#grid.scrollTop / this.#rowHeight)]?.job_id ?? null;
  }

  /**
   * New Jobs are inserted above: a reader who has scrolled down still sees the same rows.
   * @param {Job[]} jobs
   */
  #keepPlace(jobs) {
    const { scrollTop } = this.#grid;
    if (scrollTop < this.#rowHeight || this.#first === null) return;
    const was = Math.floor(scrollTop / this.#rowHeight);
    if (jobs[was]?.job_id === this.#first || this.#paintedTop !== scrollTop) {
      this.#paintedTop = scrollTop;
      return;
    }
    const is = jobs.findIndex((job) => job.job_id === this.#first);
    if (is < 0) return;
    this.#body.style.height = `${jobs.length * this.#rowHeight}px`;
    this.#grid.scrollTop = scrollTop + (is - was) * this.#rowHeight;
    this.#paintedTop = this.#grid.scrollTop;
  }
}

customElements.define("job-table", JobTable);
