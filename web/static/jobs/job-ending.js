// When a running Job will probably end, by the server's own estimate: asked for when it is first wanted,
// and now and then again, since the longer a run goes on the more of the short ones are ruled out.
import { get, jobPath } from "../core/api.js";
import { live } from "../events/live-events.js";
import { now } from "../core/time.js";

const AGAIN_MS = 10_000;

export class Ending {
  #jobId;
  #askedMs = -Infinity;
  #endMs = null;

  constructor(jobId) {
    this.#jobId = jobId;
  }

  /** The seconds that are probably left; null: not known (yet), or longer than it ever took. */
  leftS() {
    if (live.state === "live" && now() - this.#askedMs >= AGAIN_MS) this.#ask();
    const leftMs = this.#endMs === null ? 0 : this.#endMs - now();
    return leftMs > 0 ? leftMs / 1000 : null;
  }

  async #ask() {
    this.#askedMs = now();
    const told = await get(jobPath(this.#jobId, "explain")).catch(() => null);
    if (told !== null) this.#endMs = told.ending && Date.parse(told.ending.end_at);
  }
}
