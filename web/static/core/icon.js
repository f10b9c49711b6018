// The icons of the page, as strokes on a 16 by 16 field in the colour of the text.
import { svg } from "./dom.js";

/** @typedef {keyof typeof PATHS} IconName */

const PATHS = {
  queue: "M3 4h10M3 8h10M3 12h6",
  plus: "M8 3v10M3 8h10",
  sliders: "M3 5h5M12 5h1M3 11h1M8 11h5M10 3v4M6 9v4",
  chart: "M2.5 13.5h11M4.5 11V8M8 11V4M11.5 11V6.5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3l3.2 3.2",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.500z",
  auto: "M8 2.500a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M8 2.500v11M8 5l3.5 0M8 8h5M8 11h3.5",
  help: "M5.8 6a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.600M8 12.300v.2",
  play: "M5 3.500v9l7-4.500z",
  pause: "M5.5 3.500v9M10.5 3.500v9",
  stop: "M4.5 4.500h7v7h-7z",
  retry: "M12.5 6A5 5 0 1 0 13 8.500M13 3v3.200h-3.2",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3.5 8.500l3 3 6-7",
  skip: "M4 4l4 4-4 4M9 4l4 4-4 4",
  ban: "M8 2.500a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M4.2 4.200l7.6 7.6",
  clock: "M8 2.500a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M8 5v3.200l2 1.3",
  down: "M8 3v9M4.5 8.500L8 12l3.5-3.5",
  copy: "M5.5 5.500h7v7h-7zM3.5 10.500v-7h7",
  edit: "M3 13l.8-3L11 2.800l2.2 2.200L6 12.200z",
  flag: "M4 14V2.500h8l-2 3 2 3H4",
  bolt: "M9 1.500L3.5 9H8l-1 5.500L12.5 7H8z",
  circle: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3",
  half: "M8 3a5 5 0 1 1-5 5",
};

/**
 * A picture without a text of its own: what it means must stand beside it, or in the label of its button.
 * @param {IconName} name
 */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}

/** @type {{[status: string]: IconName}} */
const BY_STATUS = {
  QUEUED: "circle",
  RUNNING: "half",
  COMPLETED: "check",
  FAILED: "close",
  SKIPPED: "skip",
  CANCELLED: "ban",
};

/**
 * The icon of a Job's status.
 * @param {string} status
 */
export function statusIcon(status) {
  return icon(BY_STATUS[status] ?? "circle");
}
