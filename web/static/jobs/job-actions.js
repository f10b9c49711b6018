// The actions on Jobs, one or many: cancel, retry, change. Each asks for confirmation before it destroys
// something, and reports its result.
import { send } from "../core/api.js";
import { confirmed, submitted } from "../core/dialog.js";
import { freshId, h } from "../core/dom.js";
import { faultText, notify, notifyFault } from "../core/notice.js";
import { link } from "../core/route.js";
import { t } from "../i18n/text.js";
import { ENDED } from "./job-event.js";
import { jobPath } from "./job-request.js";
import { titleOf } from "./job-row.js";

/** @import { Job } from "../core/types.js" */

const AT_ONCE = 4;

/**
 * The Jobs that can be cancelled, retried, or changed.
 * @param {Job[]} jobs
 */
export function possible(jobs) {
  return {
    cancel: jobs.filter((job) => !ENDED.has(job.status)),
    retry: jobs.filter((job) => ENDED.has(job.status)),
    change: jobs.filter((job) => job.status === "QUEUED"),
  };
}

/**
 * Cancel Jobs after a confirmation. True if it was given.
 * @param {Job[]} jobs
 */
export async function cancel(jobs) {
  const open = possible(jobs).cancel;
  if (open.length === 0) return false;
  const queued = open.filter((job) => job.status === "QUEUED").length;
  const running = open.length - queued;
  const lines = [
    open.length === 1 ? titleOf(open[0]) : null,
    queued > 0 ? t("cancel.queued", { n: queued }) : null,
    running > 0 ? t("cancel.running", { n: running }) : null,
    t("cancel.final"),
  ].filter((line) => line !== null);
  const title = t("cancel.title", { n: open.length });
  if (!(await confirmed({ title, lines, action: t("action.cancelJobs", { n: open.length }) }))) return false;
  await each(open, (job) => send("POST", jobPath(job.job_id, "cancel")), "cancel.done");
  return true;
}

/**
 * Retry Jobs. The new Jobs.
 * @param {Job[]} jobs
 * @returns {Promise<Job[]>}
 */
export async function retry(jobs) {
  const ended = possible(jobs).retry;
  if (ended.length > 1) {
    const lines = [t("retry.lines", { n: ended.length })];
    const action = t("action.retry");
    if (!(await confirmed({ title: t("retry.title", { n: ended.length }), lines, action, isDangerous: false }))) return [];
  }
  return each(ended, (job) => send("POST", jobPath(job.job_id, "retry")), "retry.done", (made) =>
    made.length === 1 ? { href: link("jobs", { id: made[0].job_id }), text: t("action.show") } : null);
}

/**
 * Ask for the priority of queued Jobs, and change it.
 * @param {Job[]} jobs
 */
export async function reprioritise(jobs) {
  const queued = possible(jobs).change;
  if (queued.length === 0) return;
  const id = freshId("priority");
  const input = h("input", { id, type: "number", min: "0", max: "100", required: true, value: String(queued[0].priority) });
  const fields = [h("p", {}, t("priority.lines", { n: queued.length })), h("label", { for: id }, t("job.priority")), input];
  if (!(await submitted({ title: t("priority.title"), fields, action: t("action.change") }))) return;
  await each(queued, (job) => send("PATCH", jobPath(job.job_id), { priority: Number(input.value) }), "priority.done");
}

/**
 * Do `work` for each Job, a few at once; then report what was done and what was not.
 * @param {Job[]} jobs
 * @param {(job: Job) => Promise<Job>} work
 * @param {string} doneKey - the text for `n` that were done
 * @param {(done: Job[]) => {href: string, text: string} | null} linkOf
 */
async function each(jobs, work, doneKey, linkOf = () => null) {
  /** @type {Job[]} */
  const done = [];
  /** @type {unknown[]} */
  const faults = [];
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      try {
        done.push(await work(job));
      } catch (error) {
        faults.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (done.length > 0) notify(t(doneKey, { n: done.length }), { link: linkOf(done) });
  if (faults.length === 1) notifyFault(faults[0]);
  else if (faults.length > 1) notify(t("request.several", { n: faults.length, first: faultText(faults[0]) }), { isFault: true });
  return done;
}
