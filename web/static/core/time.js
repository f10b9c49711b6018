// Times and durations in the reader's language. `now` is the server's clock: a countdown must not
// depend on how well the reader's own is set.
import { language, t } from "../i18n/text.js";

/** @import { Time } from "./types.js" */

const SKEW_MS_MIN = 2_000; // the Date header counts in whole seconds
/** @type {[key: string, unit: string, seconds: number][]} */
const UNITS = [["time.d", "d", 86_400], ["time.h", "h", 3600], ["time.m", "m", 60], ["time.s", "s", 1]];
const FAR_S = 2 * 86_400;
let skewMs = 0;

/**
 * Compare the server's Date header with the clock of this machine.
 * @param {string | null} date
 */
export function noteServerTime(date) {
  const measured = Date.parse(date ?? "") - Date.now();
  if (!Number.isNaN(measured)) skewMs = Math.abs(measured) > SKEW_MS_MIN ? measured : 0;
}

/** Milliseconds since 1970 by the server's clock. */
export function now() {
  return Date.now() + skewMs;
}

/**
 * "12.3 s", "4 m 05 s", "2 h 03 m", "3 d 4 h"; a dash where there is none.
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s < 10) return t("time.s", { s: s < 0.005 ? 0 : s.toFixed(s < 0.095 ? 2 : 1) });
  if (s < 60) return t("time.s", { s: Math.floor(s) });
  if (s < 3600) return t("time.ms", { m: Math.floor(s / 60), s: twoDigits(s % 60) });
  if (s < 86_400) return t("time.hm", { h: Math.floor(s / 3600), m: twoDigits((s % 3600) / 60) });
  return t("time.dh", { d: Math.floor(s / 86_400), h: Math.floor((s % 86_400) / 3600) });
}

/**
 * The same in whole seconds, for a text that is written again every second.
 * @param {number} seconds
 */
export function ticking(seconds) {
  return seconds < 10 ? t("time.s", { s: Math.max(0, Math.floor(seconds)) }) : duration(seconds);
}

/**
 * Seconds from one time to another (null: now).
 * @param {Time} from
 * @param {Time | null} [to]
 */
export function secondsBetween(from, to = null) {
  return ((to === null ? now() : Date.parse(to)) - Date.parse(from)) / 1000;
}

/**
 * "in 3 m 20 s", "now"; a time that is more than two days away, by its date.
 * @param {Time} time
 */
export function countdown(time) {
  const left = -secondsBetween(time);
  if (left > FAR_S) return new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));
  return left > 0 ? t("time.in", { duration: ticking(left) }) : t("time.due");
}

/**
 * "4 m ago".
 * @param {Time} time
 */
export function ago(time) {
  const s = secondsBetween(time);
  if (s < 5) return t("time.justNow");
  const [key, unit, seconds] = UNITS.find(([, , size]) => s >= size) ?? UNITS[UNITS.length - 1];
  return t("time.ago", { duration: t(key, { [unit]: Math.floor(s / seconds) }) });
}

/**
 * The moment in full, in the reader's own time zone.
 * @param {Time | null} time
 */
export function moment(time) {
  if (!time) return "–";
  return new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));
}

/**
 * Hours and minutes; with `date`, also the day.
 * @param {Time | number} time
 */
export function clock(time, { date = false, seconds = false } = {}) {
  /** @type {Intl.DateTimeFormatOptions} */
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) options.second = "2-digit";
  if (date) Object.assign(options, { month: "short", day: "numeric" });
  return new Intl.DateTimeFormat(language(), options).format(new Date(time));
}

/**
 * Microseconds since 1970, as events carry them, in the form of the API's other times.
 * @param {number | null | undefined} us
 */
export function fromMicroseconds(us) {
  return us === null || us === undefined ? null : new Date(us / 1000).toISOString();
}

/**
 * A whole number with a leading zero.
 * @param {number} n
 */
export function twoDigits(n) {
  return String(Math.floor(n)).padStart(2, "0");
}
