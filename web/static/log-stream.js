// Follows the log of one Job as server-sent events: begins at its end, comes back from where it stopped
// when the connection was lost, and ends with the run.
import { ask, get, jobPath, Problem, withQuery } from "./api.js";
import { serverEvents } from "./sse.js";

export const TAIL_BYTES = 256 * 1024;
const PAUSE_MS = { first: 500, most: 10_000 };

export class LogStream {
  #jobId;
  #signal;
  #on;
  #lastId = null;

  /** `on`: {begin(fromByte), text(text), state("live" | "waiting" | "ended" | "lost")}. */
  constructor(jobId, signal, on) {
    this.#jobId = jobId;
    this.#signal = signal;
    this.#on = on;
  }

  /** Until the run has ended, or the signal. */
  async run() {
    let pauseMs = PAUSE_MS.first;
    let begin = null;
    while (!this.#signal.aborted) {
      try {
        begin ??= await this.#findBegin();
        pauseMs = PAUSE_MS.first;
        if (await this.#follow(begin)) return;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (error instanceof Problem && error.status < 500) return;
      }
      this.#on.state("lost");
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most);
    }
  }

  // The last TAIL_BYTES; a log with a hole is shown from its beginning, which is short.
  async #findBegin() {
    const { runs } = await get(jobPath(this.#jobId, "runs"), { signal: this.#signal });
    const bytes = runs[0]?.log.truncated ? 0 : await this.#size(runs);
    const begin = Math.max(0, bytes - TAIL_BYTES);
    this.#on.begin(begin);
    return begin;
  }

  // The size of what is there now: a run that goes on has not yet been told its own.
  async #size(runs) {
    if (runs.length === 0) return 0;
    const response = await ask("HEAD", jobPath(this.#jobId, "log"), { headers: { Accept: "text/plain" }, signal: this.#signal });
    return Number(response.headers.get("Content-Length") ?? 0);
  }

  // True when the run has ended and everything was read.
  async #follow(begin) {
    const path = withQuery(jobPath(this.#jobId, "log"), this.#lastId === null && begin > 0 ? { offset: begin } : {});
    for await (const event of serverEvents(path, { lastId: this.#lastId, signal: this.#signal })) {
      if (event.id !== null) this.#lastId = event.id;
      if (event.name === "open") this.#on.state("live");
      else if (event.name === "log") this.#on.text(event.data.text);
      else if (event.name === "goodbye") return false;
      else if (event.name === "end") {
        this.#on.state("ended");
        return true;
      }
    }
    return false;
  }
}
