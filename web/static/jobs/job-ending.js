// When a running Job will probably end, by the server's own estimate: read when it is first needed, and again
// from time to time, since the longer a run takes the more of the short ones are ruled out.
import { get } from "../core/api.js";
import { now } from "../core/time.js";
import { live } from "../events/live-events.js";
import { jobPath } from "./job-request.js";

/** @import { Explanation } from "../core/types.js" */

const AGAIN_MS = 10_000;

export class JobEnding {
  #jobId;
  #readMs = -Infinity;
  /** @type {number | null} */
  #endMs = null;

  /** @param {string} jobId */
  constructor(jobId) {
    this.#jobId = jobId;
  }

  /** The seconds that are probably left; null: not known (yet), or it takes longer than any before. */
  leftS() {
    if (live.state === "live" && now() - this.#readMs >= AGAIN_MS) this.#read();
    const leftMs = this.#endMs === null ? 0 : this.#endMs - now();
    return leftMs > 0 ? leftMs / 1000 : null;
  }

  async #read() {
    this.#readMs = now();
    /** @type {Explanation | null} */
    const explanation = await get(jobPath(this.#jobId, "explain")).catch(() => null);
    if (explanation !== null) this.#endMs = explanation.ending && Date.parse(explanation.ending.end_at);
  }
}
