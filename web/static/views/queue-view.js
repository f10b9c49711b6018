// The queue: what runs, the filters, the table, and what can be done with the rows that are selected.
import "../jobs/filter-bar.js";
import "../jobs/job-table.js";
import "../jobs/running-jobs.js";
import { h, setText } from "../core/dom.js";
import { filterOfUrl } from "../jobs/filter-bar.js";
import { icon } from "../core/icon.js";
import { cancel, possible, reprioritise, retry } from "../jobs/job-actions.js";
import { JobList } from "../jobs/job-list.js";
import { live } from "../events/live-events.js";
import { faultText } from "../core/notice.js";
import { go, last, link, route } from "../core/route.js";
import { number, t } from "../i18n/text.js";

const KEPT_ROWS_MAX = 5_000;
let left = null; // where the reader was when he left: {filter, length, place}

class QueueView extends HTMLElement {
  #filters = document.createElement("filter-bar");
  #table = document.createElement("job-table");
  #bulk = h("div", { class: "bulk", hidden: true });
  #foot = h("div", { class: "table-foot", role: "status" });
  #empty = h("div", { class: "empty", hidden: true });
  #list = null;
  #shown = "";
  #bulkParts = null;
  #life;

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.replaceChildren(
      h("h1", { class: "sr-only" }, t("nav.queue")),
      document.createElement("running-bar"), this.#filters, this.#table, this.#empty, this.#foot, this.#bulk,
    );
    this.#table.addEventListener("open", ({ detail }) => go(link("jobs", { id: detail.jobId })), { signal });
    this.#table.addEventListener("selection", () => this.#tellSelection(), { signal });
    window.addEventListener("hashchange", () => this.#follow(), { signal });
    live.addEventListener("events", ({ detail }) => this.#list.apply(detail), { signal });
    live.addEventListener("sync", () => this.#list.restart(), { signal });
    this.#follow();
  }

  disconnectedCallback() {
    this.#life.abort();
    left = { filter: this.#shown, length: this.#list.jobs.length, place: this.#table.place };
  }

  press(key, event) {
    const job = this.#table.activeJob;
    const chosen = this.#table.selected.size > 0 ? this.#table.selectedJobs() : [job].filter(Boolean);
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
      this.#tellLength();
      this.#tellSelection();
    });
    this.#table.list = this.#list;
    last.queue = location.hash || "#/";
    this.#read(this.#list);
  }

  // Whoever comes back finds the row that he left.
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

  #tellLength() {
    const { jobs, isComplete, error } = this.#list;
    const text = isComplete ? t("queue.shown", { n: jobs.length }) : t("queue.loaded", { n: jobs.length });
    setText(this.#foot, error ? faultText(error) : jobs.length > 0 ? text : "");
    const isEmpty = jobs.length === 0 && isComplete && error === null;
    if (isEmpty) this.#tellEmpty();
    this.#empty.hidden = !isEmpty;
    this.#table.hidden = isEmpty;
  }

  #tellEmpty() {
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
    const action = (name, work) => {
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

  #tellSelection() {
    const n = this.#table.selected.size;
    this.#bulk.hidden = n === 0;
    if (n === 0) return;
    this.#bulkParts ??= this.#buildBulk();
    setText(this.#bulkParts.selected, t("bulk.selected", { n }));
    const can = possible(this.#table.selectedJobs());
    for (const [name, { button, count }] of Object.entries(this.#bulkParts.actions)) {
      setText(count, number(can[name].length));
      button.disabled = can[name].length === 0;
    }
  }
}

customElements.define("queue-view", QueueView);
