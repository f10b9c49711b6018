// Follows the log of one Job as server-sent events: begins at its end, continues from where it stopped
// when the connection was lost, and ends with the run. It sleeps while the stream of events does.
import { Problem, withQuery } from "../core/api.js";
import { live } from "../events/live-events.js";
import { serverEvents } from "../events/sse.js";
import { jobPath } from "../jobs/job-request.js";

/** @import { LogPiece } from "../core/types.js" */
/** @import { Piece } from "./log-model.js" */

/** @typedef {"live" | "ended" | "lost"} StreamState */
/**
 * @typedef {object} StreamHandler
 * @property {(from: number) => void} begin - the log is shown from this byte on
 * @property {(piece: Piece) => void} piece
 * @property {(state: StreamState) => void} state
 */

const TAIL_BYTES = 256 * 1024;
const PAUSE_MS = { first: 500, most: 10_000 };

export class LogStream {
  #jobId;
  #signal;
  #handler;
  /** @type {string | null} */
  #lastId = null;
  #connection = new AbortController();

  /**
   * @param {string} jobId
   * @param {AbortSignal} signal
   * @param {StreamHandler} handler
   */
  constructor(jobId, signal, handler) {
    this.#jobId = jobId;
    this.#signal = signal;
    this.#handler = handler;
  }

  /** Follow until the run has ended, or the signal. */
  async run() {
    let pauseMs = PAUSE_MS.first;
    live.addEventListener("state", () => live.state === "asleep" && this.#connection.abort(), { signal: this.#signal });
    while (!this.#signal.aborted) {
      try {
        const before = this.#lastId;
        if (live.state === "asleep") await new Promise((resolve) => live.addEventListener("state", resolve, { once: true }));
        this.#connection = new AbortController();
        if (await this.#follow(AbortSignal.any([this.#signal, this.#connection.signal]))) return;
        if (this.#lastId !== before) pauseMs = PAUSE_MS.first;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (error instanceof Problem && error.status < 500 && error.code !== "rate_limited") return;
      }
      this.#handler.state("lost");
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most);
    }
  }

  /**
   * Return true when the run has ended and everything was read.
   * @param {AbortSignal} signal
   */
  async #follow(signal) {
    const path = withQuery(jobPath(this.#jobId, "log"), this.#lastId === null ? { tail: TAIL_BYTES } : {});
    for await (const event of serverEvents(path, { lastId: this.#lastId, signal })) {
      if (event.name === "open") this.#handler.state("live");
      else if (event.name === "log" && event.id !== null) this.#receive(event.id, event.data);
      else if (event.name === "goodbye") return false;
      else if (event.name === "end") {
        this.#handler.state("ended");
        return true;
      }
    }
    return false;
  }

  /**
   * @param {string} id - the byte after the piece
   * @param {LogPiece} piece
   */
  #receive(id, piece) {
    if (this.#lastId === null) this.#handler.begin(piece.offset);
    this.#lastId = id;
    this.#handler.piece({ ...piece, end: Number(id) });
  }
}
