// Charts of the last hour, day or week, from the server's history: the length of the queue, the results of
// Jobs, how long they waited and ran.
import { get, isAbort } from "../core/api.js";
import { chart } from "../core/chart.js";
import { h, setAttribute, throttle } from "../core/dom.js";
import { faultText } from "../core/notice.js";
import { go, link, route } from "../core/route.js";
import { duration } from "../core/time.js";
import { live } from "../events/live-events.js";
import { number, t } from "../i18n/text.js";

/** @import { ChartOptions } from "../core/chart.js" */
/** @import { History, HistoryPoint } from "../core/types.js" */

/** @typedef {Omit<ChartOptions, "times" | "stepS">} ChartPart */

const SPANS = ["hour", "day", "week"];
/** @type {["completed" | "failed" | "skipped" | "cancelled", string][]} */
const OUTCOMES = [["completed", "good"], ["failed", "bad"], ["skipped", "quiet"], ["cancelled", "dim"]];
/** @type {["p50" | "p95" | "p99", string][]} */
const QUANTILES = [["p50", "accent"], ["p95", "quiet"], ["p99", "bad"]];
const READ_MS = 5_000;

export class ChartsView extends HTMLElement {
  #charts = h("div", { class: "charts" });
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  #shown = "";
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    for (const span of SPANS) {
      this.#buttons.set(span, h("button", { class: "tool", onclick: () => go(link("charts", { query: { span } })) }, t(`chart.${span}`)));
    }
    this.replaceChildren(
      h("div", { class: "charts-head" }, h("h1", {}, t("nav.charts")),
        h("div", { class: "segmented", role: "group", "aria-label": t("chart.span") }, [...this.#buttons.values()])),
      this.#charts);
    const read = throttle(() => this.#read(), READ_MS);
    window.addEventListener("hashchange", () => this.#read(), { signal });
    live.onEvents(read, signal);
    live.addEventListener("sync", read, { signal });
    this.#read();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  async #read() {
    const { view, query } = route();
    if (view !== "charts") return;
    const span = SPANS.find((one) => one === query.get("span")) ?? "hour";
    for (const [name, button] of this.#buttons) setAttribute(button, "aria-pressed", name === span);
    if (this.#isBeingRead(span)) return;
    try {
      /** @type {History} */
      const history = await get(`/scheduler/history?span=${span}`, { signal: this.#life.signal });
      if (!this.#isBeingRead(span)) this.#show(history, span);
    } catch (error) {
      if (!isAbort(error)) this.#charts.replaceChildren(h("p", { class: "form-fault" }, faultText(error)));
    }
  }

  /**
   * Whether the reader is in a chart or table, which must not be replaced then.
   * @param {string} span
   */
  #isBeingRead(span) {
    return this.#charts.contains(document.activeElement) && this.#charts.dataset.span === span;
  }

  /**
   * @param {History} history
   * @param {string} span
   */
  #show(history, span) {
    const key = JSON.stringify(history.points);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#charts.dataset.span = span;
    const { points, step_s: stepS } = history;
    const common = { times: points.map((point) => Date.parse(point.at)), stepS };
    this.#charts.replaceChildren(
      chart({ ...common, ...queueChart(points) }),
      // The bar of a step begins where the step does, and fills it.
      chart({ ...common, times: common.times.map((_, i) => common.times[0] + (i - 1) * stepS * 1000), ...outcomeChart(points) }),
      chart({ ...common, ...timesChart(points, "wait_s") }),
      chart({ ...common, ...timesChart(points, "run_s") }));
  }
}

/**
 * @param {HistoryPoint[]} points
 * @returns {ChartPart}
 */
function queueChart(points) {
  const values = points.map((point) => point.queue_length);
  const most = Math.max(0, ...values);
  return {
    title: t("chart.queue"), kind: "area", format: count,
    summary: t("chart.queueSummary", { now: values.at(-1) ?? 0, most }),
    series: [{ name: t("chart.queued"), color: "accent", values }],
  };
}

/**
 * @param {HistoryPoint[]} points
 * @returns {ChartPart}
 */
function outcomeChart(points) {
  const series = OUTCOMES.map(([name, color]) => ({ name: t(`figure.${name === "completed" ? "succeeded" : name}`), color, values: points.map((point) => point[name]) }));
  const sums = series.map((one) => one.values.reduce((sum, n) => sum + n, 0));
  return {
    title: t("chart.outcome"), kind: "bars", format: count, series,
    summary: t("chart.outcomeSummary", { completed: sums[0], failed: sums[1], skipped: sums[2], cancelled: sums[3] }),
  };
}

/**
 * @param {HistoryPoint[]} points
 * @param {"wait_s" | "run_s"} name
 * @returns {ChartPart}
 */
function timesChart(points, name) {
  const series = QUANTILES.map(([quantile, color]) => ({
    name: quantile, color, values: points.map((point) => point[name]?.[quantile] ?? null),
  }));
  const [p50, , p99] = series.map(({ values }) => values.findLast((value) => value !== null) ?? null);
  const summary = p50 === null ? t("chart.nothing") : t("chart.timesSummary", { p50: duration(p50), p99: duration(p99) });
  return { title: t(name === "wait_s" ? "chart.wait" : "chart.run"), kind: "line", isTime: true, format: duration, formatAxis: axisDuration, series, summary };
}

/** @param {number} n */
function count(n) {
  return Number.isInteger(n) ? number(n) : "";
}

/**
 * As short as an axis needs it: "30 s", "1.5 m", "2 h".
 * @param {number} s
 */
function axisDuration(s) {
  const short = (/** @type {number} */ n) => number(Math.round(n * 100) / 100);
  if (s === 0) return "0";
  if (s < 60) return t("time.s", { s: short(s) });
  return s < 3600 ? t("time.m", { m: short(s / 60) }) : t("time.h", { h: short(s / 3600) });
}

customElements.define("charts-view", ChartsView);
