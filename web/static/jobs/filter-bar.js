// The filters of the queue: a chip with its count for each status, type, labels, text, order. They are kept
// in the URL, so that they can be bookmarked and shared, and the back button undoes them.
import { debounce, h, setAttribute, setText } from "../core/dom.js";
import { icon, statusIcon } from "../core/icon.js";
import { go, link, route } from "../core/route.js";
import { number, t } from "../i18n/text.js";
import { schedulerState } from "../scheduler/scheduler-state.js";

const TYPING_MS = 200;
import { STATUSES } from "./job-event.js";
import { filterOf, queryOf } from "./job-filter.js";

/** @import { JobFilter, JobStatus } from "../core/types.js" */

/** The filter in the URL. */
export function filterOfUrl() {
  return filterOf(route().query);
}

export class FilterBar extends HTMLElement {
  /** @type {Map<JobStatus | "", {button: HTMLButtonElement, count: HTMLElement}>} */
  #chips = new Map();
  #search = h("input", { type: "search", class: "search", placeholder: t("filter.search"), "aria-label": t("filter.searchLabel") });
  #types = h("select", { "aria-label": t("filter.type") });
  #labels = h("div", { class: "label-chips" });
  #order = h("button", { class: "tool", onclick: () => this.#reverse() });
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    const write = debounce(() => this.#change({ q: this.#search.value.trim() }, true), TYPING_MS);
    this.#search.addEventListener("input", write, { signal });
    this.#types.addEventListener("change", () => this.#change({ type: this.#types.value ? [this.#types.value] : [] }), { signal });
    this.replaceChildren(
      h("div", { class: "status-chips", role: "group", "aria-label": t("filter.status") }, this.#statusChips()),
      h("div", { class: "filter-line" }, h("label", { class: "search-box" }, icon("search"), this.#search),
        this.#types, this.#labels, this.#order),
    );
    schedulerState.addEventListener("change", () => this.#count(), { signal });
    window.addEventListener("hashchange", () => this.#show(), { signal });
    this.#count();
    this.#show();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  /** Put the cursor into the search. */
  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  #statusChips() {
    /** @type {(JobStatus | "")[]} */
    const choices = ["", ...STATUSES];
    return choices.map((status) => {
      const count = h("span", { class: "count" });
      const button = h("button", { class: "status-chip", "data-status": status || null, onclick: () => this.#toggleStatus(status) },
        status ? statusIcon(status) : null, h("span", {}, t(status ? `status.${status}` : "filter.all")), count);
      this.#chips.set(status, { button, count });
      return button;
    });
  }

  /** @param {JobStatus | ""} status - empty: all */
  #toggleStatus(status) {
    const chosen = new Set(filterOfUrl().status);
    if (status === "") chosen.clear();
    else if (!chosen.delete(status)) chosen.add(status);
    this.#change({ status: STATUSES.filter((one) => chosen.has(one)) });
  }

  #reverse() {
    this.#change({ order: filterOfUrl().order === "desc" ? "asc" : "desc" });
  }

  /** @param {Partial<JobFilter>} change */
  #change(change, replace = false) {
    go(link("queue", { query: queryOf({ ...filterOfUrl(), ...change }) }), { replace });
  }

  #count() {
    const counts = schedulerState.counts;
    if (counts !== null) {
      const all = STATUSES.reduce((sum, status) => sum + counts[status], 0);
      for (const [status, { count }] of this.#chips) setText(count, number(status ? counts[status] : all));
    }
    const known = [...schedulerState.types.keys()];
    const shown = [...this.#types.options].slice(1).map((option) => option.value);
    if (known.join() !== shown.join()) this.#show();
  }

  #show() {
    const filter = filterOfUrl();
    for (const [status, { button }] of this.#chips) {
      const isOn = status ? filter.status.includes(status) : filter.status.length === 0;
      setAttribute(button, "aria-pressed", isOn);
    }
    if (document.activeElement !== this.#search) this.#search.value = filter.q;
    const types = new Set([...schedulerState.types.keys(), ...filter.type]);
    this.#types.replaceChildren(h("option", { value: "" }, t("filter.anyType")), ...[...types].map((name) => h("option", { value: name }, name)));
    this.#types.value = filter.type[0] ?? "";
    setText(this.#order, t(filter.order === "desc" ? "filter.newest" : "filter.oldest"));
    this.#showLabels(filter);
  }

  /** @param {JobFilter} filter */
  #showLabels(filter) {
    const chips = filter.label.map((label) =>
      h("button", {
        class: "chip removable", "aria-label": t("filter.removeLabel", { label }),
        onclick: () => this.#change({ label: filter.label.filter((one) => one !== label) }),
      }, label, " ×"));
    const input = h("input", { type: "text", class: "label-input", placeholder: t("filter.label"), "aria-label": t("filter.labelLabel") });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      const label = input.value.trim();
      if (!/^[^=]+=/.test(label)) {
        input.setCustomValidity(t("filter.labelForm"));
        input.reportValidity();
        return;
      }
      this.#change({ label: [...new Set([...filter.label, label])] });
    });
    input.addEventListener("input", () => input.setCustomValidity(""));
    this.#labels.replaceChildren(...chips, input);
  }
}

customElements.define("filter-bar", FilterBar);
