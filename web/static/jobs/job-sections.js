// The sections of a Job's page that show fields: its timeline, parameters and run.
import { copyButton } from "../core/copy-button.js";
import { h, textBlock } from "../core/dom.js";
import { link } from "../core/route.js";
import { bytes } from "../core/size.js";
import { duration, moment, secondsBetween } from "../core/time.js";
import { number, t } from "../i18n/text.js";
import { quoted } from "../job_types/command-line.js";
import { labelLines } from "./labels.js";

/** @import { Job, JobRun, Left, Params } from "../core/types.js" */

/**
 * Labels as chips that lead to all Jobs with the same one.
 * @param {{[name: string]: string}} labels
 */
export function labelChips(labels) {
  return labelLines(labels).map((label) => h("a", { class: "chip", href: link("queue", { query: [["label", label]] }) }, label));
}

/**
 * The times of a Job from its arrival to its end, with the durations between.
 * @param {Job} job
 */
export function timeline(job) {
  const known = timesOf(job);
  const items = known.map(({ name, time }, index) => {
    const before = known[index - 1]?.time;
    const tookS = name === "finished_at" ? job.duration_s : null; // the wall clock may have been set since
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

/** @param {Job} job */
function timesOf(job) {
  const { created_at, run_at, started_at, finished_at } = job;
  return Object.entries({ created_at, run_at, started_at, finished_at })
    .flatMap(([name, time]) => (time ? [{ name, time }] : []))
    .sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

/**
 * The parameters of a Job.
 * @param {Params} params
 */
export function paramsTable(params) {
  /** @type {[string, string][]} */
  const rows = Object.entries(params).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  return [h("h2", {}, t("job.params")), rows.length > 0 ? list(rows) : h("p", { class: "dim" }, t("job.noParams"))];
}

/**
 * The run of a Job: its command line, process and end.
 * @param {JobRun | null} run
 * @param {Job} job
 */
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

/**
 * How many processes outlived the program, and were ended after it.
 * @param {Left} left
 */
function leftText({ processes, killed }) {
  if (processes === 0) return null;
  return killed > 0 ? t("run.leftKilled", { n: processes, killed }) : t("run.leftEnded", { n: processes });
}

/** @param {[key: string, value: string | number | null][]} pairs - those without a value are left out */
function fieldList(pairs) {
  return list(pairs.flatMap(([key, value]) => (value === null || value === "" ? [] : [[t(key), String(value)]])));
}

/** @param {string[][]} pairs */
function list(pairs) {
  return h("dl", { class: "fields" }, pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, value)]));
}
