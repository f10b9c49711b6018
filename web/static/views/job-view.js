// One Job: where it is in its life and why it waits, its progress, what it was asked, what it left, its log.
import "../artifacts/artifact-list.js";
import "../jobs/explanation.js";
import "../logs/log-view.js";
import "../jobs/retry-chain.js";
import { get, jobPath, Problem } from "../core/api.js";
import { copyButton } from "../core/copy-button.js";
import { h, setAttribute, setText, textBlock, throttle } from "../core/dom.js";
import { Ending } from "../jobs/job-ending.js";
import { ENDED, applyEvent } from "../jobs/job-event.js";
import { icon } from "../core/icon.js";
import { cancel, retry } from "../jobs/job-actions.js";
import { editJob } from "../jobs/job-edit.js";
import { labelChips, paramsTable, runFields, timeline } from "../jobs/job-sections.js";
import { reasonText, statusBadge, titleOf } from "../jobs/job-row.js";
import { live } from "../events/live-events.js";
import { faultText } from "../core/notice.js";
import { go, last, link, route } from "../core/route.js";
import { progressOf } from "../jobs/running-jobs.js";
import { t } from "../i18n/text.js";
import { secondsBetween, ticking } from "../core/time.js";

const READ_MS = 400;

class JobView extends HTMLElement {
  #id = route().id;
  #ending = new Ending(this.#id);
  #job = null;
  #run = null;
  #parts = {};
  #shown = {}; // what each part was built from
  #life;
  #log = null;
  #read = throttle(() => this.#load(), READ_MS);

  connectedCallback() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    live.addEventListener("sync", () => this.#read(), { signal });
    live.addEventListener("events", ({ detail }) => this.#apply(detail), { signal });
    const clock = setInterval(() => this.#tick(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#load();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  press(key) {
    if (this.#job === null) return false;
    if (key === "/" && this.#log) this.#log.focusSearch();
    else if (key === "c") cancel([this.#job]);
    else if (key === "r") this.#retry();
    else if (key === "Escape") go(last.queue);
    else return false;
    return true;
  }

  async #load() {
    const { signal } = this.#life;
    try {
      const [job, { runs }] = await Promise.all([
        get(jobPath(this.#id), { signal }),
        get(jobPath(this.#id, "runs"), { signal }),
      ]);
      this.#job = job;
      this.#run = runs[0] ?? null;
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.#showMissing(error);
      return;
    }
    if (this.#parts.head === undefined) this.#build();
    this.#show();
  }

  #apply(events) {
    if (this.#job === null) return;
    for (const event of events) {
      const isMine = event.job_id === this.#id || (event.run_id !== null && event.run_id === this.#run?.run_id);
      if (!isMine) continue;
      this.#job = applyEvent(this.#job, event);
      if (event.kind !== "job.progress") this.#read();
    }
    this.#show();
  }

  #showMissing(error) {
    this.replaceChildren(
      h("div", { class: "empty" }, h("p", { class: "empty-title" }, t("job.missing")), h("p", { class: "dim" }, faultText(error)),
        h("a", { class: "button", href: link("queue") }, t("nav.queue"))));
  }

  #build() {
    const names = ["head", "progress", "explain", "timeline", "params", "run", "chain", "result", "artifacts", "log"];
    for (const name of names) this.#parts[name] = h("section", { class: `job-${name}` });
    const { head, progress, explain, log, artifacts, result, ...side } = this.#parts;
    this.replaceChildren(
      h("nav", { class: "crumb", "aria-label": t("job.crumb") }, h("a", { href: last.queue }, t("nav.queue"))),
      head, progress, explain,
      h("div", { class: "job-columns" }, h("div", { class: "job-main" }, artifacts, result, log), h("div", { class: "job-side" }, Object.values(side))),
    );
    this.#parts.explain.replaceChildren(Object.assign(document.createElement("explain-box"), { jobId: this.#id }));
    this.#parts.chain.replaceChildren(Object.assign(document.createElement("retry-chain"), { jobId: this.#id }));
    this.#parts.artifacts.replaceChildren(Object.assign(document.createElement("artifact-list"), { jobId: this.#id }));
  }

  #show() {
    const [job, run] = [this.#job, this.#run];
    document.title = `${titleOf(job)} · headway`;
    this.#once("head", [job.status, job.name, job.labels, job.type, run?.error, job.reason], () => this.#head());
    this.#once("timeline", [job, run?.finished_at], () => timeline(job));
    this.#once("params", [job.params], () => paramsTable(job.params));
    this.#once("run", [run], () => runFields(run, job));
    this.#once("result", [run?.result], () => resultPart(run));
    this.#parts.explain.hidden = job.status !== "QUEUED";
    const artifacts = this.#parts.artifacts.querySelector("artifact-list");
    artifacts.show(run?.artifacts ?? [], run?.finished_at ? run.collection : undefined);
    this.#parts.artifacts.hidden = artifacts.hidden;
    this.classList.toggle("not-started", run === null);
    this.#showLog();
    this.#showProgress();
  }

  // A part is built again only when what it shows has changed: a reader may be selecting text in it.
  #once(name, values, build) {
    const key = JSON.stringify(values);
    if (this.#shown[name] === key) return;
    this.#shown[name] = key;
    this.#parts[name].replaceChildren(...[build()].flat().filter(Boolean));
    this.#parts[name].hidden = this.#parts[name].childElementCount === 0;
  }

  #head() {
    const job = this.#job;
    const why = this.#run?.error?.message ?? job.reason;
    return [
      h("div", { class: "job-title" }, statusBadge(job.status), h("h1", { dir: "auto" }, titleOf(job)), this.#actions()),
      h("p", { class: "job-sub" }, h("span", {}, job.type), h("code", { class: "dim" }, job.job_id), copyButton(() => job.job_id, t("action.copyId")),
        labelChips(job.labels)),
      why ? h("p", { class: "job-why", "data-status": job.status }, errorText(this.#run?.error) ?? reasonText(why)) : null,
    ];
  }

  #actions() {
    const job = this.#job;
    const button = (text, sign, work, kind = "button") => h("button", { class: kind, onclick: work }, icon(sign), t(text));
    const hasEnded = ENDED.has(job.status);
    return h("div", { class: "job-actions" },
      job.status === "QUEUED" ? button("action.edit", "edit", () => editJob(this.#job, () => this.#read())) : null,
      hasEnded ? button("action.retry", "retry", () => this.#retry()) : button("action.cancel", "stop", () => cancel([this.#job])));
  }

  async #retry() {
    const [made] = await retry([this.#job]);
    if (made) go(link("jobs", { id: made.job_id }));
  }

  #showLog() {
    if (this.#run === null || this.#log !== null) return;
    this.#log = document.createElement("log-view").of(this.#id);
    this.#parts.log.replaceChildren(this.#log);
  }

  #showProgress() {
    const part = this.#parts.progress;
    const job = this.#job;
    part.hidden = job.status !== "RUNNING";
    if (part.hidden) return;
    if (part.firstChild === null) {
      part.append(
        h("div", { class: "strip" }, h("span", { class: "strip-message", dir: "auto" }), h("span", { class: "strip-time" }),
          h("span", { class: "bar", role: "progressbar", "aria-label": t("running.progress"), "aria-valuemin": "0", "aria-valuemax": "100" },
            h("span", { class: "bar-fill" }))));
    }
    const [message, time, bar] = part.firstChild.children;
    const { share, leftS } = progressOf(job, this.#ending);
    setText(message, job.progress?.message ?? t("queue.runs"));
    const spent = ticking(secondsBetween(job.started_at));
    setText(time, leftS === null ? spent : t("running.left", { spent, left: ticking(leftS) }));
    bar.classList.toggle("unknown", share === null);
    setAttribute(bar, "aria-valuenow", share === null ? null : Math.round(share * 100));
    bar.firstChild.style.width = share === null ? "" : `${share * 100}%`;
  }

  #tick() {
    if (this.#job !== null && this.#parts.head) this.#showProgress();
  }
}

function resultPart(run) {
  if (run === null || run.result === null) return null;
  return [h("h2", {}, t("job.result")), textBlock("code-block", t("job.result"), JSON.stringify(run.result, null, 2))];
}

function errorText(error) {
  if (!error) return null;
  return `${t(`error.${error.code}`)}: ${error.message}`;
}

customElements.define("job-view", JobView);
