// Changes a queued Job: priority, time, name, labels. The server rejects it if the Job has changed since.
import { send } from "../core/api.js";
import { submitted } from "../core/dialog.js";
import { freshId, h } from "../core/dom.js";
import { notify, notifyFault } from "../core/notice.js";
import { t } from "../i18n/text.js";
import { jobPath } from "./job-request.js";
import { labelLines, labelsOf } from "./labels.js";

/** @import { Job } from "../core/types.js" */

/**
 * Ask for the new values, and send those that differ.
 * @param {Job} job
 * @param {() => void} onDone
 */
export async function editJob(job, onDone) {
  const priority = h("input", { type: "number", min: "0", max: "100", required: true, value: String(job.priority) });
  const runAt = h("input", { type: "datetime-local", step: "1", value: localTime(job.run_at) });
  const name = h("input", { type: "text", maxlength: "200", value: job.name ?? "" });
  const labels = h("textarea", { rows: "3", value: labelLines(job.labels).join("\n") });
  const fields = [row("job.priority", priority), row("job.run_at", runAt), row("job.name", name), row("job.labels", labels)];
  if (!(await submitted({ title: t("edit.title"), fields, action: t("action.change") }))) return;
  /** @type {{[name: string]: unknown}} */
  const patch = {};
  if (Number(priority.value) !== job.priority) patch.priority = Number(priority.value);
  if (runAt.value !== localTime(job.run_at)) patch.run_at = runAt.value ? new Date(runAt.value).toISOString() : null;
  if (name.value !== (job.name ?? "")) patch.name = name.value || null;
  const wanted = labelsOf(labels.value.split("\n"));
  if (JSON.stringify(wanted) !== JSON.stringify(job.labels)) patch.labels = wanted;
  if (Object.keys(patch).length === 0) return;
  try {
    await send("PATCH", jobPath(job.job_id), patch, { headers: { "If-Match": `"${job.version}"` } });
    notify(t("edit.done"));
  } catch (error) {
    notifyFault(error);
  }
  onDone();
}

/**
 * @param {string} key
 * @param {HTMLElement} input
 */
function row(key, input) {
  const id = freshId("edit");
  input.id = id;
  return h("div", { class: "field" }, h("label", { for: id }, t(key)), input);
}

/**
 * The time as datetime-local has it: the reader's own wall clock, without a zone.
 * @param {string | null} time
 */
function localTime(time) {
  if (!time) return "";
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
