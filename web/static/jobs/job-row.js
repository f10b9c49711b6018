// One row of the table of Jobs. A row is built once and painted many times, also for other Jobs.
import { h, setAttribute, setText } from "../core/dom.js";
import { statusIcon } from "../core/icon.js";
import { link } from "../core/route.js";
import { ago, countdown, duration, moment, secondsBetween, ticking } from "../core/time.js";
import { has, number, t } from "../i18n/text.js";
import { ENDED } from "./job-event.js";
import { labelLines } from "./labels.js";

/** @import { Job } from "../core/types.js" */

const LABELS_SHOWN = 2;

/** Names of the columns, in order. */
export const COLUMNS = /** @type {const} */ (["status", "name", "type", "labels", "priority", "when", "took"]);
/** @type {("created_at" | "run_at" | "started_at" | "finished_at")[]} */
const TIMES = ["created_at", "run_at", "started_at", "finished_at"];

/**
 * A status as icon and word.
 * @param {string} status
 */
export function statusBadge(status) {
  return h("span", { class: "status", "data-status": status }, statusIcon(status), h("span", {}, t(`status.${status}`)));
}

/**
 * The title of a Job: its name, or its type and the end of its id.
 * @param {Job} job
 */
export function titleOf(job) {
  return job.name || `${job.type} ${job.job_id.slice(-6)}`;
}

export class JobRow {
  /** @type {Job | null} */
  job = null;
  #cells = cells();
  #box = h("input", { type: "checkbox", tabindex: "-1" });
  #name = h("a", { tabindex: "-1", dir: "auto" });
  #fill = h("span", { class: "mini-fill" });
  #bar = h("span", { class: "mini-bar" }, this.#fill);
  #when = h("span", {});

  constructor() {
    this.element = h("div", { role: "row", class: "row" }, h("span", { role: "gridcell", class: "cell-box" }, this.#box));
    this.#cells.name.append(this.#name);
    this.#cells.when.append(this.#bar, this.#when);
    this.element.append(...COLUMNS.map((column) => this.#cells[column]));
  }

  /**
   * Show this Job at this index.
   * @param {Job} job
   * @param {{index: number, top: number, isActive: boolean, isSelected: boolean}} place
   */
  paint(job, { index, top, isActive, isSelected }) {
    if (this.job !== job) this.#paintJob(job);
    this.element.style.transform = `translateY(${top}px)`;
    setAttribute(this.element, "aria-rowindex", index + 2); // the header is the first
    setAttribute(this.element, "aria-selected", isSelected);
    this.element.classList.toggle("active", isActive);
    this.#box.checked = isSelected;
    this.tick();
  }

  /** Show the time that has passed. */
  tick() {
    if (this.job === null) return;
    setText(this.#when, whenText(this.job));
    setText(this.#cells.took, tookText(this.job));
  }

  /** @param {Job} job */
  #paintJob(job) {
    const before = this.job;
    this.job = job;
    this.element.id = `row-${job.job_id}`;
    if (before?.status !== job.status) {
      this.#cells.status.replaceChildren(statusBadge(job.status));
      this.element.dataset.status = job.status;
    }
    const title = titleOf(job);
    setText(this.#name, title);
    setAttribute(this.#name, "href", link("jobs", { id: job.job_id }));
    setAttribute(this.#cells.name, "title", job.reason ? `${title}\n${job.reason}` : title);
    setAttribute(this.#box, "aria-label", t("queue.select", { name: title }));
    setText(this.#cells.type, job.type);
    setText(this.#cells.priority, job.priority ? number(job.priority) : "");
    setAttribute(this.#cells.priority, "aria-label", t("queue.priorityIs", { n: job.priority }));
    this.#paintLabels(job);
    this.#paintProgress(job);
    const times = TIMES.filter((name) => job[name]);
    setAttribute(this.#cells.when, "title", times.map((name) => `${t(`job.${name}`)}: ${moment(job[name])}`).join("\n"));
  }

  /** @param {Job} job */
  #paintLabels(job) {
    const all = labelLines(job.labels);
    const chips = all.slice(0, LABELS_SHOWN).map((text) => h("span", { class: "chip", title: text }, text));
    if (all.length > LABELS_SHOWN) chips.push(h("span", { class: "dim" }, `+${all.length - LABELS_SHOWN}`));
    this.#cells.labels.replaceChildren(...chips);
  }

  /** @param {Job} job */
  #paintProgress(job) {
    const fraction = job.status === "RUNNING" ? job.progress?.fraction ?? null : null;
    this.#bar.hidden = fraction === null;
    if (fraction !== null) this.#fill.style.width = `${Math.min(1, Math.max(0, fraction)) * 100}%`;
  }
}

function cells() {
  const made = COLUMNS.map((column) => [column, h("span", { role: "gridcell", class: `cell-${column}` })]);
  return /** @type {{[column in typeof COLUMNS[number]]: HTMLSpanElement}} */ (Object.fromEntries(made));
}

/** @param {Job} job */
function whenText(job) {
  if (job.status === "QUEUED") {
    if (job.run_at && secondsBetween(job.run_at) < 0) return countdown(job.run_at);
    return t("queue.waits", { duration: ticking(secondsBetween(job.run_at ?? job.created_at)) });
  }
  if (job.status === "RUNNING") {
    const { fraction = null, message = null } = job.progress ?? {};
    if (message) return message;
    return fraction === null ? t("queue.runs") : `${Math.round(fraction * 100)} %`;
  }
  return job.finished_at ? ago(job.finished_at) : "";
}

/** @param {Job} job */
function tookText(job) {
  if (!job.started_at) return "";
  if (ENDED.has(job.status)) return duration(job.duration_s ?? secondsBetween(job.started_at, job.finished_at));
  return ticking(secondsBetween(job.started_at));
}

/**
 * The reason of a Job in the reader's language, if the page knows it.
 * @param {string} reason
 */
export function reasonText(reason) {
  const key = `reason.${reason}`;
  return has(key) ? t(key) : reason;
}
