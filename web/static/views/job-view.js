// One Job: its status and why it waits, its progress, parameters, run, result, files and log.
import { ArtifactList } from "../artifacts/artifact-list.js";
import { get, Problem } from "../core/api.js";
import { copyButton } from "../core/copy-button.js";
import { h, textBlock, throttle } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { faultText } from "../core/notice.js";
import { go, last, link } from "../core/route.js";
import { live } from "../events/live-events.js";
import { t } from "../i18n/text.js";
import { ExplainBox } from "../jobs/explanation.js";
import { cancel, retry } from "../jobs/job-actions.js";
import { editJob } from "../jobs/job-edit.js";
import { applyEvent, ENDED } from "../jobs/job-event.js";
import { JobProgress } from "../jobs/job-progress.js";
import { jobPath } from "../jobs/job-request.js";
import { reasonText, statusBadge, titleOf } from "../jobs/job-row.js";
import { labelChips, paramsTable, runFields, timeline } from "../jobs/job-sections.js";
import { RetryChain } from "../jobs/retry-chain.js";
import { LogView } from "../logs/log-view.js";

/** @import { IconName } from "../core/icon.js" */
/** @import { Job, JobRun, RunError, RunList, ServerEvent } from "../core/types.js" */

/** @typedef {"head" | "timeline" | "params" | "run" | "result"} Built sections that are built from values */

const READ_MS = 400;

export class JobView extends HTMLElement {
  #id;
  /** @type {Job | null} */
  #job = null;
  /** @type {JobRun | null} */
  #run = null;
  #sections = {
    head: section("head"), progress: section("progress"), explain: section("explain"), timeline: section("timeline"),
    params: section("params"), run: section("run"), chain: section("chain"), result: section("result"),
    artifacts: section("artifacts"), log: section("log"),
  };
  #progress;
  #artifacts;
  /** @type {{[section in Built]?: string}} what each section was built from */
  #shown = {};
  #life = new AbortController();
  /** @type {LogView | null} */
  #log = null;
  #read = throttle(() => this.#load(), READ_MS);

  /** @param {string} id */
  constructor(id) {
    super();
    this.#id = id;
    this.#progress = new JobProgress(id);
    this.#artifacts = new ArtifactList(id);
  }

  connectedCallback() {
    const { signal } = this.#life;
    live.addEventListener("sync", () => this.#read(), { signal });
    live.onEvents((events) => this.#apply(events), signal);
    const clock = setInterval(() => this.#showProgress(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#load();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  /** @param {string} key */
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
      /** @type {[Job, RunList]} */
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
    if (!this.contains(this.#sections.head)) this.#build();
    this.#show();
  }

  /** @param {ServerEvent[]} events */
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

  /** @param {Problem} problem */
  #showMissing(problem) {
    this.replaceChildren(
      h("div", { class: "empty" }, h("p", { class: "empty-title" }, t("job.missing")), h("p", { class: "dim" }, faultText(problem)),
        h("a", { class: "button", href: link("queue") }, t("nav.queue"))));
  }

  #build() {
    const { head, progress, explain, log, artifacts, result, ...side } = this.#sections;
    this.replaceChildren(
      h("nav", { class: "crumb", "aria-label": t("job.crumb") }, h("a", { href: last.queue }, t("nav.queue"))),
      head, progress, explain,
      h("div", { class: "job-columns" }, h("div", { class: "job-main" }, artifacts, result, log), h("div", { class: "job-side" }, Object.values(side))),
    );
    progress.replaceChildren(this.#progress.element);
    artifacts.replaceChildren(this.#artifacts);
    explain.replaceChildren(new ExplainBox(this.#id));
    side.chain.replaceChildren(new RetryChain(this.#id));
  }

  #show() {
    const [job, run] = [this.#job, this.#run];
    if (job === null) return;
    document.title = `${titleOf(job)} · headway`;
    this.#once("head", [job.status, job.name, job.labels, job.type, run?.error, job.reason], () => this.#head(job, run));
    this.#once("timeline", [job, run?.finished_at], () => timeline(job));
    this.#once("params", [job.params], () => paramsTable(job.params));
    this.#once("run", [run], () => runFields(run, job));
    this.#once("result", [run?.result], () => resultSection(run));
    this.#sections.explain.hidden = job.status !== "QUEUED";
    this.#artifacts.show(run?.artifacts ?? [], run?.finished_at ? run.collection : undefined);
    this.#sections.artifacts.hidden = this.#artifacts.hidden;
    this.classList.toggle("not-started", run === null);
    this.#showLog();
    this.#showProgress();
  }

  /**
   * Build a section again only when its values have changed: the reader may be selecting text in it.
   * @param {Built} name
   * @param {unknown[]} values
   * @param {() => (Node | null)[] | null} build
   */
  #once(name, values, build) {
    const key = JSON.stringify(values);
    if (this.#shown[name] === key) return;
    this.#shown[name] = key;
    const element = this.#sections[name];
    element.replaceChildren(...(build() ?? []).filter((node) => node !== null));
    element.hidden = element.childElementCount === 0;
  }

  /**
   * @param {Job} job
   * @param {JobRun | null} run
   */
  #head(job, run) {
    const why = run?.error ? errorText(run.error) : job.reason && reasonText(job.reason);
    return [
      h("div", { class: "job-title" }, statusBadge(job.status), h("h1", { dir: "auto" }, titleOf(job)), this.#actions(job)),
      h("p", { class: "job-sub" }, h("span", {}, job.type), h("code", { class: "dim" }, job.job_id), copyButton(() => job.job_id, t("action.copyId")),
        labelChips(job.labels)),
      why ? h("p", { class: "job-why", "data-status": job.status }, why) : null,
    ];
  }

  /** @param {Job} job */
  #actions(job) {
    const button = (/** @type {string} */ text, /** @type {IconName} */ sign, /** @type {(job: Job) => unknown} */ work) =>
      h("button", { class: "button", onclick: () => this.#job && work(this.#job) }, icon(sign), t(text));
    return h("div", { class: "job-actions" },
      job.status === "QUEUED" ? button("action.edit", "edit", (now) => editJob(now, () => this.#read())) : null,
      ENDED.has(job.status) ? button("action.retry", "retry", () => this.#retry()) : button("action.cancel", "stop", (now) => cancel([now])));
  }

  async #retry() {
    if (this.#job === null) return;
    const [made] = await retry([this.#job]);
    if (made) go(link("jobs", { id: made.job_id }));
  }

  #showLog() {
    if (this.#run === null || this.#log !== null) return;
    this.#log = new LogView(this.#id);
    this.#sections.log.replaceChildren(this.#log);
  }

  #showProgress() {
    if (this.#job === null) return;
    this.#sections.progress.hidden = this.#job.status !== "RUNNING";
    if (this.#job.status === "RUNNING") this.#progress.paint(this.#job, t("queue.runs"));
  }
}

/** @param {string} name */
function section(name) {
  return h("section", { class: `job-${name}` });
}

/** @param {JobRun | null} run */
function resultSection(run) {
  if (run === null || run.result === null) return null;
  return [h("h2", {}, t("job.result")), textBlock("code-block", t("job.result"), JSON.stringify(run.result, null, 2))];
}

/** @param {RunError} error */
function errorText(error) {
  return `${t(`error.${error.code}`)}: ${error.message}`;
}

customElements.define("job-view", JobView);
