// Follows the log of one Job as server-sent events: begins at its end, comes back from where it stopped
// when the connection was lost, and ends with the run. It sleeps when the stream of events does.
import { jobPath, Problem, withQuery } from "../core/api.js";
import { live } from "../events/live-events.js";
import { serverEvents } from "../events/sse.js";

const TAIL_BYTES = 256 * 1024;
const PAUSE_MS = { first: 500, most: 10_000 };

export class LogStream {
  #jobId;
  #signal;
  #on;
  #lastId = null;
  #abort = new AbortController();

  /** `on`: {begin(fromByte), piece({text, offset, end, at}), state("live" | "ended" | "lost")}. */
  constructor(jobId, signal, on) {
    this.#jobId = jobId;
    this.#signal = signal;
    this.#on = on;
  }

  /** Until the run has ended, or the signal. */
  async run() {
    let pauseMs = PAUSE_MS.first;
    live.addEventListener("state", () => live.state === "asleep" && this.#abort.abort(), { signal: this.#signal });
    while (!this.#signal.aborted) {
      try {
        const before = this.#lastId;
        if (live.state === "asleep") await new Promise((resolve) => live.addEventListener("state", resolve, { once: true }));
        this.#abort = new AbortController();
        if (await this.#follow(AbortSignal.any([this.#signal, this.#abort.signal]))) return;
        if (this.#lastId !== before) pauseMs = PAUSE_MS.first;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (error instanceof Problem && error.status < 500 && error.code !== "rate_limited") return;
      }
      this.#on.state("lost");
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most);
    }
  }

  // True when the run has ended and everything was read.
  async #follow(signal) {
    const path = withQuery(jobPath(this.#jobId, "log"), this.#lastId === null ? { tail: TAIL_BYTES } : {});
    for await (const event of serverEvents(path, { lastId: this.#lastId, signal })) {
      if (event.name === "open") this.#on.state("live");
      else if (event.name === "log") this.#take(event);
      else if (event.name === "goodbye") return false;
      else if (event.name === "end") {
        this.#on.state("ended");
        return true;
      }
    }
    return false;
  }

  #take({ id, data }) {
    if (this.#lastId === null) this.#on.begin(data.offset);
    this.#lastId = id;
    this.#on.piece({ ...data, end: Number(id) });
  }
}
