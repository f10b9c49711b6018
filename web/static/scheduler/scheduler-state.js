// What several views show at once: the scheduler's status, the number of Jobs in each status, and the
// job types. Read again at most once a second, when there were events.
import { get } from "../core/api.js";
import { throttle } from "../core/dom.js";
import { live } from "../events/live-events.js";

const REFRESH_MS = 1_000;

class Board extends EventTarget {
  status = null;
  counts = null;
  types = new Map();
  #asked = 0;
  #answered = 0;
  #refresh = throttle(() => this.read(), REFRESH_MS);

  /** Follow the events. */
  start() {
    live.addEventListener("events", ({ detail }) => {
      if (detail.some((event) => event.kind !== "job.progress")) this.#refresh(); // which changes nothing here
      if (detail.some((event) => event.kind === "server.reloaded")) this.readTypes();
    });
    live.addEventListener("sync", () => {
      this.read();
      this.readTypes();
    });
  }

  /** Read the status and the counts. An answer that was overtaken by a later one is dropped. */
  async read() {
    this.#asked += 1;
    const mine = this.#asked;
    await this.#quietly(async () => {
      const [status, page] = await Promise.all([get("/scheduler/status"), get("/jobs?limit=1")]);
      if (mine < this.#answered) return;
      this.#answered = mine;
      this.status = status;
      this.counts = page.counts;
    });
  }

  /** Read what may be run. */
  async readTypes() {
    await this.#quietly(async () => {
      const { job_types: types } = await get("/job-types");
      this.types = new Map(types.map((type) => [type.name, type]));
    });
  }

  async #quietly(work) {
    try {
      await work();
    } catch {
      return; // the banner tells it, and `sync` comes when the server is back
    }
    this.dispatchEvent(new Event("change"));
  }
}

export const board = new Board();
