// What can be done to Jobs, one or many: cancel, retry, change. Each asks first where it destroys, says
// what it will do, and then what came of it.
import { send, jobPath } from "../core/api.js";
import { asked, confirmed } from "../core/dialog.js";
import { freshId, h } from "../core/dom.js";
import { ENDED } from "./job-event.js";
import { titleOf } from "./job-row.js";
import { faultText, say, sayFault } from "../core/notice.js";
import { link } from "../core/route.js";
import { t } from "../i18n/text.js";

const AT_ONCE = 4;

/** Which of the Jobs can be cancelled, retried, or changed. */
export function possible(jobs) {
  return {
    cancel: jobs.filter((job) => !ENDED.has(job.status)),
    retry: jobs.filter((job) => ENDED.has(job.status)),
    change: jobs.filter((job) => job.status === "QUEUED"),
  };
}

/** Cancel, after asking. True if it was done. */
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
  ].filter(Boolean);
  const title = t("cancel.title", { n: open.length });
  if (!(await confirmed({ title, lines, action: t("action.cancelJobs", { n: open.length }) }))) return false;
  await each(open, (job) => send("POST", jobPath(job.job_id, "cancel")), "cancel.done");
  return true;
}

/** Queue each again. The new Jobs. */
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

/** Change the priority of queued Jobs, after asking for it. */
export async function reprioritise(jobs) {
  const queued = possible(jobs).change;
  if (queued.length === 0) return;
  const id = freshId("priority");
  const input = h("input", { id, type: "number", min: "0", max: "100", required: true, value: String(queued[0].priority) });
  const fields = [h("p", {}, t("priority.lines", { n: queued.length })), h("label", { for: id }, t("job.priority")), input];
  if (!(await asked({ title: t("priority.title"), fields, action: t("action.change") }))) return;
  await each(queued, (job) => send("PATCH", jobPath(job.job_id), { priority: Number(input.value) }), "priority.done");
}

async function each(jobs, work, doneKey, linkOf = () => null) {
  const done = [];
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
  if (done.length > 0) say(t(doneKey, { n: done.length }), { link: linkOf(done) });
  if (faults.length === 1) sayFault(faults[0]);
  else if (faults.length > 1) say(t("fault.several", { n: faults.length, first: faultText(faults[0]) }), { isFault: true });
  return done;
}
