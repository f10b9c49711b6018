// The parts of a Job's page that only show: its timeline, parameters and run.
import { copyButton } from "../core/copy-button.js";
import { quoted } from "../job_types/command-preview.js";
import { h, textBlock } from "../core/dom.js";
import { link } from "../core/route.js";
import { number, t } from "../i18n/text.js";
import { duration, moment, secondsBetween } from "../core/time.js";

/** Labels as chips that lead to all Jobs with the same one. */
export function labelChips(labels) {
  return Object.entries(labels).map(([key, value]) => {
    const label = `${key}=${value}`;
    return h("a", { class: "chip", href: link("queue", { query: [["label", label]] }) }, label);
  });
}

/** From its arrival to its end, with the time between. */
export function timeline(job) {
  const steps = [["created_at", job.created_at], ["run_at", job.run_at], ["started_at", job.started_at], ["finished_at", job.finished_at]];
  const known = steps.filter(([, time]) => time).sort((a, b) => Date.parse(a[1]) - Date.parse(b[1]));
  const items = known.map(([name, time], index) => {
    const before = known[index - 1]?.[1];
    const tookS = name === "finished_at" ? job.duration_s : null; // the wall clock may have been set meanwhile
    return h("li", { class: `step step-${name}` }, h("span", { class: "step-name" }, t(`job.${name}`)),
      h("time", { datetime: time }, moment(time)),
      before ? h("span", { class: "dim" }, `+${duration(tookS ?? secondsBetween(before, time))}`) : null);
  });
  return [
    h("h2", {}, t("job.timeline")),
    h("ol", { class: "timeline" }, items),
    fieldList([
      ["job.priority", number(job.priority)],
      ["job.position", number(job.position)],
      ["job.expires_at", job.expires_at && moment(job.expires_at)],
      ["job.timeout", job.timeout_s && duration(job.timeout_s)],
      ["job.origin", t(`origin.${job.origin}`)],
    ]),
  ];
}

/** What it was asked. */
export function paramsTable(params) {
  const rows = Object.entries(params).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  return [h("h2", {}, t("job.params")), rows.length > 0 ? list(rows) : h("p", { class: "dim" }, t("job.noParams"))];
}

/** The one attempt: its command line, process and end. */
export function runFields(run, job) {
  if (run === null) return null;
  const command = run.argv.map(quoted).join(" ");
  return [
    h("h2", {}, t("job.run")),
    textBlock("code-block", t("preview.command"), command),
    copyButton(() => command),
    fieldList([
      ["run.status", run.status !== job.status ? t(`status.${run.status}`) : null],
      ["run.pid", run.pid && String(run.pid)],
      ["run.exit_code", run.exit_code === null ? null : String(run.exit_code)],
      ["run.signal", run.signal === null ? null : String(run.signal)],
      ["run.left", leftText(run.left)],
      ["run.duration", run.duration_s === null ? null : duration(run.duration_s)],
      ["run.log", run.finished_at && `${bytes(run.log.bytes)}${run.log.truncated ? ` (${t("run.truncated")})` : ""}`],
      ["run.id", run.run_id],
    ]),
  ];
}

/** What was still alive when the program ended, and was ended then. */
function leftText({ processes, killed }) {
  if (processes === 0) return null;
  return killed > 0 ? t("run.leftKilled", { n: processes, killed }) : t("run.leftEnded", { n: processes });
}

/** "12.3 MB". */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [n, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function fieldList(pairs) {
  return list(pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([key, value]) => [t(key), value]));
}

function list(pairs) {
  return h("dl", { class: "fields" }, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, value)]));
}
