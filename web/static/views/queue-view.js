// The queue: running Jobs, the filters, the table, and the actions on selected rows.
import { h, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { faultText } from "../core/notice.js";
import { go, last, link, route } from "../core/route.js";
import { live } from "../events/live-events.js";
import { number, t } from "../i18n/text.js";
import { FilterBar, filterOfUrl } from "../jobs/filter-bar.js";
import { cancel, possible, reprioritise, retry } from "../jobs/job-actions.js";
import { JobList } from "../jobs/job-list.js";
import { JobTable } from "../jobs/job-table.js";
import { RunningJobs } from "../jobs/running-jobs.js";

/** @import { Job } from "../core/types.js" */
/** @import { Place } from "../jobs/job-table.js" */

/** @typedef {"cancel" | "retry" | "change"} ActionName */
/** @typedef {{button: HTMLButtonElement, count: HTMLElement}} Action */

const KEPT_ROWS_MAX = 5_000;
/** @type {{filter: string, length: number, place: Place} | null} the view as it was left */
let left = null;

export class QueueView extends HTMLElement {
  #filters = new FilterBar();
  #table = new JobTable((jobId) => go(link("jobs", { id: jobId })));
  #bulk = h("div", { class: "bulk", hidden: true });
  #foot = h("div", { class: "table-foot", role: "status" });
  #empty = h("div", { class: "empty", hidden: true });
  #list = new JobList(filterOfUrl());
  #shown = "";
  /** @type {{selected: HTMLElement, actions: {[name in ActionName]: Action}} | null} */
  #bulkParts = null;
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    this.replaceChildren(
      h("h1", { class: "sr-only" }, t("nav.queue")),
      new RunningJobs(), this.#filters, this.#table, this.#empty, this.#foot, this.#bulk,
    );
    this.#table.addEventListener("selection", () => this.#showSelection(), { signal });
    window.addEventListener("hashchange", () => this.#follow(), { signal });
    live.onEvents((events) => this.#list.apply(events), signal);
    live.addEventListener("sync", () => this.#list.restart(), { signal });
    this.#follow();
  }

  disconnectedCallback() {
    this.#life.abort();
    left = { filter: this.#shown, length: this.#list.jobs.length, place: this.#table.place };
  }

  /**
   * @param {string} key
   * @param {KeyboardEvent} event
   */
  press(key, event) {
    const job = this.#table.activeJob;
    const chosen = this.#table.selected.size > 0 ? this.#table.selectedJobs() : [job].filter((one) => one !== null);
    if (key === "/") this.#filters.focusSearch();
    else if (key === "c" && chosen.length > 0) cancel(chosen);
    else if (key === "r" && chosen.length > 0) retry(chosen);
    else return this.#table.press(key, event);
    return true;
  }

  #follow() {
    if (route().view !== "queue") return;
    const filter = filterOfUrl();
    if (this.#shown === JSON.stringify(filter)) return;
    this.#shown = JSON.stringify(filter);
    this.#list = new JobList(filter);
    this.#list.addEventListener("change", () => {
      this.#showLength();
      this.#showSelection();
    });
    this.#table.list = this.#list;
    last.queue = location.hash || "#/";
    this.#read(this.#list);
  }

  /**
   * Read the list; a reader who comes back finds the same place in it.
   * @param {JobList} list
   */
  async #read(list) {
    const was = left?.filter === this.#shown ? left : null;
    left = null;
    await list.restart();
    if (was === null) return;
    while (list.jobs.length < Math.min(was.length, KEPT_ROWS_MAX) && !list.isComplete && list.error === null) {
      await list.more();
    }
    if (list === this.#list) this.#table.place = was.place;
  }

  #showLength() {
    const { jobs, isComplete, error } = this.#list;
    const text = isComplete ? t("queue.shown", { n: jobs.length }) : t("queue.loaded", { n: jobs.length });
    setText(this.#foot, error ? faultText(error) : jobs.length > 0 ? text : "");
    const isEmpty = jobs.length === 0 && isComplete && error === null;
    if (isEmpty) this.#showEmpty();
    this.#empty.hidden = !isEmpty;
    this.#table.hidden = isEmpty;
  }

  #showEmpty() {
    const isFiltered = [...route().query.keys()].some((name) => name !== "order");
    this.#empty.replaceChildren(
      h("p", { class: "empty-title" }, t(isFiltered ? "empty.filtered" : "empty.title")),
      h("p", { class: "dim" }, t(isFiltered ? "empty.filteredHint" : "empty.hint")),
      isFiltered
        ? h("a", { class: "button", href: link("queue") }, t("empty.all"))
        : h("a", { class: "button primary", href: link("new") }, icon("plus"), t("nav.new")),
    );
  }

  #buildBulk() {
    const action = (/** @type {string} */ name, /** @type {(jobs: Job[]) => unknown} */ work) => {
      const count = h("span", { class: "count" });
      const button = h("button", { class: "button", onclick: () => work(this.#table.selectedJobs()) }, t(name), count);
      return { button, count };
    };
    const actions = { cancel: action("action.cancel", cancel), retry: action("action.retry", retry), change: action("action.priority", reprioritise) };
    const selected = h("span", { role: "status" });
    this.#bulk.replaceChildren(selected, ...Object.values(actions).map((one) => one.button),
      h("button", { class: "tool", onclick: () => this.#table.clearSelection() }, t("bulk.clear")));
    return { selected, actions };
  }

  #showSelection() {
    const n = this.#table.selected.size;
    this.#bulk.hidden = n === 0;
    if (n === 0) return;
    this.#bulkParts ??= this.#buildBulk();
    setText(this.#bulkParts.selected, t("bulk.selected", { n }));
    const can = possible(this.#table.selectedJobs());
    /** @type {ActionName[]} */
    const names = ["cancel", "retry", "change"];
    for (const name of names) {
      const { button, count } = this.#bulkParts.actions[name];
      setText(count, number(can[name].length));
      button.disabled = can[name].length === 0;
    }
  }
}

customElements.define("queue-view", QueueView);
