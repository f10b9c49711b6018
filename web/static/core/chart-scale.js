// The arithmetic of a chart: its scale, round axis values, and lines with gaps. Draws nothing.

export const SIZE = { width: 720, height: 200, left: 48, right: 12, top: 10, bottom: 24 };

/** @typedef {"line" | "area" | "bars"} ChartKind Bars are stacked. */
/** @typedef {{name: string, color: string, values: (number | null)[]}} Series A null was not measured. */
/** @typedef {{top: number, first: number, last: number, x: (time: number) => number, y: (value: number) => number}} Scale */

/**
 * Map times (ms) and values to the coordinates of the picture.
 * @param {{kind: ChartKind, times: number[], series: Series[], stepS: number, isTime: boolean}} chart
 * @returns {Scale}
 */
export function scaleOf({ kind, times, series, stepS, isTime }) {
  const first = times[0] ?? 0;
  const last = (times.at(-1) ?? 1) + (kind === "bars" ? stepS * 1000 : 0);
  const totals = kind === "bars"
    ? times.map((_, i) => series.reduce((sum, one) => sum + (one.values[i] ?? 0), 0))
    : series.flatMap((one) => one.values.filter((value) => value !== null));
  const top = niceTop(Math.max(0, ...totals), isTime);
  const wide = SIZE.width - SIZE.left - SIZE.right;
  const high = SIZE.height - SIZE.top - SIZE.bottom;
  return {
    top, first, last,
    x: (time) => SIZE.left + (wide * (time - first)) / Math.max(1, last - first),
    y: (value) => SIZE.top + high * (1 - value / top),
  };
}

/**
 * The smallest round number that is not less and has round quarters: of counts whole ones, of times
 * (seconds) those that are round in minutes or hours.
 * @param {number} value
 * @param {boolean} isTime
 * @returns {number}
 */
export function niceTop(value, isTime) {
  if (value <= 0 || (value <= 4 && !isTime)) return 4;
  if (isTime && value > 40) {
    const unit = value > 2400 ? 3600 : 60;
    return unit * niceTop(Math.max(4, value / unit), false);
  }
  const power = 10 ** Math.floor(Math.log10(value));
  const tops = [1, 1.2, 2, 4, 8, 10, 12].map((step) => step * power);
  return tops.find((top) => top >= value && (isTime || top % 4 === 0)) ?? 20 * power;
}

/**
 * The points of a line between its gaps: a null was not measured, which is not zero.
 * @param {number[]} times
 * @param {(number | null)[]} values
 */
export function linesOf(times, values) {
  /** @type {[time: number, value: number][][]} */
  const lines = [];
  let isOpen = false;
  values.forEach((value, i) => {
    if (value !== null) {
      if (isOpen) lines[lines.length - 1].push([times[i], value]);
      else lines.push([[times[i], value]]);
    }
    isOpen = value !== null;
  });
  return lines;
}
