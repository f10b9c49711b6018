// Small charts in SVG: areas, lines, stacked bars over time. Each has a summary in words and its figures as
// a table, for readers who do not see it; the pointer or the arrow keys read values.
import { t } from "../i18n/text.js";
import { linesOf, scaleOf, SIZE } from "./chart-scale.js";
import { freshId, h, setText, svg } from "./dom.js";
import { clock } from "./time.js";

/** @import { ChartKind, Scale, Series } from "./chart-scale.js" */

/** @typedef {(value: number) => string} Format */
/**
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {string} summary
 * @property {ChartKind} kind
 * @property {number[]} times - ms since 1970, one for each value of a series
 * @property {Series[]} series
 * @property {Format} format
 * @property {Format} [formatAxis] - a shorter form
 * @property {boolean} [isTime] - values are seconds
 * @property {number} stepS - the width of one point
 */

const TICKS = 4;
/** @type {{[key: string]: number}} */
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

/**
 * Make a chart.
 * @param {ChartOptions} options
 */
export function chart({ title, summary, kind, times, series, format, formatAxis = format, isTime = false, stepS }) {
  const titleId = freshId("chart");
  const tip = h("div", { class: "chart-tip", hidden: true });
  const scale = scaleOf({ kind, times, series, stepS, isTime });
  const marker = svg("line", { class: "chart-marker", y1: SIZE.top, y2: SIZE.height - SIZE.bottom, visibility: "hidden" });
  const picture = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, class: "chart", role: "img", "aria-labelledby": titleId, tabindex: "0" },
    svg("title", { id: titleId }, `${title}. ${summary}`), grid(scale, times, formatAxis), drawing(kind, times, series, scale), marker);
  const box = h("div", { class: "chart-box" }, picture, tip);
  makeReadable(box, picture, { times, series, format, scale, tip, marker });
  return h("figure", { class: "chart-figure" },
    h("figcaption", {}, h("h2", {}, title), h("p", { class: "dim" }, summary), legend(series)),
    box, h("details", { class: "chart-table" }, h("summary", {}, t("chart.table")), table(title, times, series, format)));
}

/**
 * @param {Scale} scale
 * @param {number[]} times
 * @param {Format} format
 */
function grid(scale, times, format) {
  const lines = Array.from({ length: TICKS + 1 }, (_, i) => {
    const value = (scale.top * i) / TICKS;
    const y = scale.y(value);
    return [
      svg("line", { class: i === 0 ? "chart-axis" : "chart-line", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y, y2: y }),
      svg("text", { class: "chart-text", x: SIZE.left - 6, y: y + 4, "text-anchor": "end" }, format(value)),
    ];
  });
  const isLong = scale.last - scale.first > 2 * 86_400_000;
  const marks = times.length < 2 ? [] : [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const time = scale.first + (scale.last - scale.first) * share;
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    return svg("text", { class: "chart-text", x: scale.x(time), y: SIZE.height - 6, "text-anchor": anchor }, clock(time, { date: isLong }));
  });
  return svg("g", { "aria-hidden": "true" }, lines.flat(), marks);
}

/**
 * @param {ChartKind} kind
 * @param {number[]} times
 * @param {Series[]} series
 * @param {Scale} scale
 */
function drawing(kind, times, series, scale) {
  if (kind === "bars") return bars(times, series, scale);
  return svg("g", { "aria-hidden": "true" }, series.map((one) =>
    linesOf(times, one.values).flatMap((points) => strokes(points, one.color, kind === "area", scale))));
}

/**
 * @param {[time: number, value: number][]} points
 * @param {string} color
 * @param {boolean} isArea
 * @param {Scale} scale
 */
function strokes(points, color, isArea, scale) {
  const line = points.map(([time, v], i) => `${i ? "L" : "M"}${round(scale.x(time))} ${round(scale.y(v))}`).join("");
  const [from, to] = [round(scale.x(points[0][0])), round(scale.x(points[points.length - 1][0]))];
  const base = round(scale.y(0));
  return [
    isArea ? svg("path", { class: `chart-area ${color}`, d: `${line}L${to} ${base}L${from} ${base}Z` }) : null,
    points.length > 1
      ? svg("path", { class: `chart-stroke ${color}`, d: line })
      : svg("circle", { class: `chart-dot ${color}`, cx: from, cy: round(scale.y(points[0][1])), r: 2.5 }),
  ];
}

/**
 * @param {number[]} times
 * @param {Series[]} series
 * @param {Scale} scale
 */
function bars(times, series, scale) {
  const width = times.length > 1 ? scale.x(times[1]) - scale.x(times[0]) : 8;
  const gap = width > 4 ? 1 : 0;
  return svg("g", { "aria-hidden": "true" }, times.map((time, i) => {
    let below = 0;
    return series.map((one) => {
      const value = one.values[i] ?? 0;
      if (value === 0) return null;
      const [y, base] = [scale.y(below + value), scale.y(below)];
      below += value;
      return svg("rect", { class: `chart-bar ${one.color}`, x: round(scale.x(time)), y: round(y), width: round(Math.max(1, width - gap)), height: round(base - y) });
    });
  }));
}

/** @param {Series[]} series */
function legend(series) {
  if (series.length < 2) return null;
  return h("ul", { class: "legend" }, series.map((one) => h("li", { class: one.color }, one.name)));
}

/**
 * @param {HTMLElement} box
 * @param {SVGElement} picture
 * @param {{times: number[], series: Series[], format: Format, scale: Scale, tip: HTMLElement, marker: SVGElement}} chart
 */
function makeReadable(box, picture, { times, series, format, scale, tip, marker }) {
  let at = times.length - 1;
  const show = (/** @type {number} */ index) => {
    if (times.length === 0) return;
    at = Math.min(times.length - 1, Math.max(0, index));
    const x = String(scale.x(times[at]));
    marker.setAttribute("x1", x);
    marker.setAttribute("x2", x);
    marker.setAttribute("visibility", "visible");
    const values = series.map((one) => `${one.name}: ${shownValue(one.values[at], format)}`);
    setText(tip, `${clock(times[at], { date: true })} · ${values.join(" · ")}`);
    tip.hidden = false;
  };
  const hide = () => {
    tip.hidden = true;
    marker.setAttribute("visibility", "hidden");
  };
  box.addEventListener("pointermove", (event) => {
    const { left, width } = picture.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * SIZE.width;
    const share = (x - scale.x(times[0] ?? 0)) / Math.max(1, scale.x(times.at(-1) ?? 1) - scale.x(times[0] ?? 0));
    show(Math.round(share * (times.length - 1)));
  });
  box.addEventListener("pointerleave", hide);
  picture.addEventListener("blur", hide);
  picture.addEventListener("keydown", (event) => {
    const by = STEPS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show(at + by);
  });
}

/**
 * @param {string} title
 * @param {number[]} times
 * @param {Series[]} series
 * @param {Format} format
 */
function table(title, times, series, format) {
  const rows = times.map((time, i) => ({ i, time })).filter(({ i }) => series.some((one) => one.values[i]));
  return h("table", {}, h("caption", { class: "sr-only" }, title),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("chart.time")), series.map((one) => h("th", { scope: "col" }, one.name)))),
    h("tbody", {}, rows.map(({ i, time }) => h("tr", {}, h("th", { scope: "row" }, clock(time, { date: true })),
      series.map((one) => h("td", {}, shownValue(one.values[i], format)))))));
}

/**
 * @param {number | null} value
 * @param {Format} format
 */
function shownValue(value, format) {
  return value === null ? "–" : format(value);
}

/** @param {number} n */
function round(n) {
  return Math.round(n * 10) / 10;
}
