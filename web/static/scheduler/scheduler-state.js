// What several views show at once: the scheduler's status, the number of Jobs in each status, and
// the job types. Read again at most once a second, after events. Event: "change".
import { get } from "../core/api.js";
import { throttle } from "../core/dom.js";
import { live } from "../events/live-events.js";

/** @import { JobPage, JobTypeView, JobTypeList, SchedulerStatus } from "../core/types.js" */

const REFRESH_MS = 1_000;

export class SchedulerState extends EventTarget {
  /** @type {SchedulerStatus | null} */
  status = null;
  /** @type {JobPage["counts"] | null} */
  counts = null;
  /** @type {Map<string, JobTypeView>} */
  types = new Map();
  #sent = 0;
  #received = 0;
  #refresh = throttle(() => this.read(), REFRESH_MS);

  /** Read after events, and after each connection. */
  start() {
    live.onEvents((events) => {
      if (events.some((event) => event.kind !== "job.progress")) this.#refresh(); // which changes nothing here
      if (events.some((event) => event.kind === "server.reloaded")) {
        this.readTypes();
        }
    });
    live.addEventListener("sync", () => {
      this.read();
      this.readTypes();
    });
  }

  /** Read the status and the counts. A response that a later one has overtaken is dropped. */
  async read() {
    this.#sent += 1;
    const mine = this.#sent;
    await this.#quietly(async () => {
      /** @type {[SchedulerStatus, JobPage]} */
      const [status, page] = await Promise.all([get("/scheduler/status"), get("/jobs?limit=1")]);
      if (mine < this.#received) return;
      this.#received = mine;
      this.status = status;
      this.counts = page.counts;
    });
  }

  /** Read the job types. */
  async readTypes() {
    await this.#quietly(async () => {
      /** @type {JobTypeList} */
      const { job_types: types } = await get("/job-types");
      this.types = new Map(types.map((type) => [type.name, type]));
    });
  }

  /** @param {() => Promise<void>} work */
  async #quietly(work) {
    try {
      await work();
    } catch {
      return; // the banner shows it, and `sync` comes when the server is back
    }
    this.dispatchEvent(new Event("change"));
  }
}

export const schedulerState = new SchedulerState();
