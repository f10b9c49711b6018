// Small charts in SVG, by hand: areas, lines, stacked bars over time. Each says in words what it shows,
// and holds its figures as a table for whoever does not see it; the pointer or the arrow keys read values.
import { freshId, h, setText, svg } from "./dom.js";
import { t } from "../i18n/text.js";
import { clock } from "./time.js";

const SIZE = { width: 720, height: 200, left: 48, right: 12, top: 10, bottom: 24 };
const TICKS = 4;

/**
 * A chart. `series`: [{name, color, values: [number | null]}] along `times`; `kind`: "line", "area" or
 * "bars" (stacked); `format` writes a value, `formatAxis` a short one; `isTime`: values are seconds;
 * `stepS` is the width of one point.
 */
export function chart({ title, summary, kind, times, series, format, formatAxis = format, isTime = false, stepS }) {
  const titleId = freshId("chart");
  const tip = h("div", { class: "chart-tip", hidden: true });
  const scale = scaleOf({ kind, times, series, stepS, isTime });
  const marker = svg("line", { class: "chart-marker", y1: SIZE.top, y2: SIZE.height - SIZE.bottom, visibility: "hidden" });
  const picture = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, class: "chart", role: "img", "aria-labelledby": titleId, tabindex: "0" },
    svg("title", { id: titleId }, `${title}. ${summary}`), grid(scale, times, formatAxis), drawing(kind, times, series, scale), marker);
  const box = h("div", { class: "chart-box" }, picture, tip);
  readable(box, picture, { times, series, format, scale, tip, marker });
  return h("figure", { class: "chart-figure" },
    h("figcaption", {}, h("h2", {}, title), h("p", { class: "dim" }, summary), legend(series)),
    box, h("details", { class: "chart-table" }, h("summary", {}, t("chart.table")), table(title, times, series, format)));
}

function scaleOf({ kind, times, series, stepS, isTime }) {
  const first = times[0] ?? 0;
  const last = (times.at(-1) ?? 1) + (kind === "bars" ? stepS * 1000 : 0);
  const totals = kind === "bars"
    ? times.map((_, i) => series.reduce((sum, one) => sum + (one.values[i] ?? 0), 0))
    : series.flatMap((one) => one.values.filter((v) => v !== null));
  const top = niceTop(Math.max(0, ...totals), isTime);
  const wide = SIZE.width - SIZE.left - SIZE.right;
  const high = SIZE.height - SIZE.top - SIZE.bottom;
  return {
    top, first, last,
    x: (time) => SIZE.left + (wide * (time - first)) / Math.max(1, last - first),
    y: (value) => SIZE.top + high * (1 - value / top),
  };
}

// The smallest round number that is not less and has round quarters: of counts whole ones, of times
// those that are round in minutes or hours.
function niceTop(value, isTime) {
  if (value <= 0 || (value <= 4 && !isTime)) return 4;
  if (isTime && value > 40) {
    const unit = value > 2400 ? 3600 : 60;
    return unit * niceTop(Math.max(4, value / unit), false);
  }
  const power = 10 ** Math.floor(Math.log10(value));
  const tops = [1, 1.2, 2, 4, 8, 10, 12].map((step) => step * power);
  return tops.find((top) => top >= value && (isTime || top % 4 === 0));
}

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
  return svg("g", { "aria-hidden": "true" }, lines, marks);
}

function drawing(kind, times, series, scale) {
  if (kind === "bars") return bars(times, series, scale);
  return svg("g", { "aria-hidden": "true" }, series.map((one) => {
    const runs = pieces(times, one.values);
    return runs.map((points) => {
      const line = points.map(([time, v], i) => `${i ? "L" : "M"}${round(scale.x(time))} ${round(scale.y(v))}`).join("");
      const [from, to] = [round(scale.x(points[0][0])), round(scale.x(points.at(-1)[0]))];
      const base = round(scale.y(0));
      return [
        kind === "area" ? svg("path", { class: `chart-area ${one.color}`, d: `${line}L${to} ${base}L${from} ${base}Z` }) : null,
        points.length > 1
          ? svg("path", { class: `chart-stroke ${one.color}`, d: line })
          : svg("circle", { class: `chart-dot ${one.color}`, cx: from, cy: round(scale.y(points[0][1])), r: 2.5 }),
      ];
    });
  }));
}

// A null is a gap: nothing was measured there, which is not nought.
function pieces(times, values) {
  const runs = [];
  let open = null;
  values.forEach((value, i) => {
    if (value === null) open = null;
    else if (open === null) runs.push((open = [[times[i], value]]));
    else open.push([times[i], value]);
  });
  return runs;
}

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

function legend(series) {
  if (series.length < 2) return null;
  return h("ul", { class: "legend" }, series.map((one) => h("li", { class: one.color }, one.name)));
}

function readable(box, picture, { times, series, format, scale, tip, marker }) {
  let at = times.length - 1;
  const show = (index) => {
    if (times.length === 0) return;
    at = Math.min(times.length - 1, Math.max(0, index));
    const x = scale.x(times[at]);
    marker.setAttribute("x1", x);
    marker.setAttribute("x2", x);
    marker.setAttribute("visibility", "visible");
    const values = series.map((one) => `${one.name}: ${one.values[at] === null ? "–" : format(one.values[at])}`);
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
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show(at + by);
  });
}

function table(title, times, series, format) {
  const rows = times.map((time, i) => [i, time]).filter(([i]) => series.some((one) => one.values[i]));
  return h("table", {}, h("caption", { class: "sr-only" }, title),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("chart.time")), series.map((one) => h("th", { scope: "col" }, one.name)))),
    h("tbody", {}, rows.map(([i, time]) => h("tr", {}, h("th", { scope: "row" }, clock(time, { date: true })),
      series.map((one) => h("td", {}, one.values[i] === null ? "–" : format(one.values[i])))))));
}

function round(n) {
  return Math.round(n * 10) / 10;
}
